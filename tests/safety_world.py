"""A hostile world for the gate: three markets whose feeds break in every way, and a policy that
wants to trade at every step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from db.journal import Journal
from helpers.board import Board
from helpers.commands.composition import Trading, build_flow, paper_settings
from helpers.domain import (
    MICROS,
    NS_PER_MS,
    NS_PER_SECOND,
    Asset,
    BookChange,
    BookSnapshot,
    Candle,
    Candles,
    Disconnected,
    FeedEvent,
    FeeSchedule,
    HoldCause,
    LevelChange,
    Market,
    MarketOpened,
    MarketResolved,
    Mode,
    OperatorRequest,
    OperatorVerb,
    Outcome,
    OutcomeTrade,
    Quote,
    Side,
    Source,
    TickSize,
)
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor
from tests.safety_actors import TICKS, Hostile, Token, levels_of, strict_settings
from tests.safety_model import Model

MIDNIGHT_NS: Final = 20_730 * 86_400 * NS_PER_SECOND
BEAT_NS: Final = NS_PER_SECOND // 2
LATENCY_NS: Final = 20 * NS_PER_MS
WINDOW_NS: Final = 900 * NS_PER_SECOND
ASSETS: Final[tuple[Asset, ...]] = (Asset.BTC, Asset.ETH, Asset.SOL)
OPENED_BEFORE: Final = (10, -25, 780)
"""Seconds since each opening when the world begins: running, not yet open, near its end."""
PASSING: Final = (HoldCause.VENUE, HoldCause.UNREAD, HoldCause.PREFLIGHT)


class World:
    """Feeds the engine and the model alike; one moment after the other."""

    def __init__(
        self,
        folder: Path,
        *,
        style: str,
        profile: str,
        warm: bool,
        skew_seconds: float,
        midnight_in: int,
    ) -> None:
        settings = strict_settings(style, profile)
        self.now_ns = MIDNIGHT_NS - midnight_in * NS_PER_SECOND + NS_PER_SECOND // 10
        self.skew_ns = round(skew_seconds * NS_PER_SECOND)
        self.model = Model(settings, warm=warm)
        self.journal = Journal.open_run(folder, Mode.PAPER, 0)

        def paper(books: Board) -> PaperExecutor:
            return PaperExecutor(books, paper_settings(settings))

        trading = Trading(paper, Ledger(Mode.PAPER, self.model.cash), (self.model,))
        self.policy = Hostile()
        flow = build_flow(settings, Mode.PAPER, self.journal, allow_cold=False, trading=trading)
        self.engine = flow.engine
        self.engine.strategy = self.policy
        self.mids: dict[Asset, float] = dict.fromkeys(ASSETS, 1000.0)
        self.cents: dict[Asset, int] = dict.fromkeys(ASSETS, 50)
        self.quote_silent_until_ns: dict[Asset, int] = dict.fromkeys(ASSETS, 0)
        self.updates = 0
        self.requests = 0
        self.markets = [self._market(*pair) for pair in zip(ASSETS, OPENED_BEFORE, strict=True)]
        self.tokens = {t: Token() for m in self.markets for t in (m.up_token, m.down_token)}
        for market in self.markets:
            self.feed(MarketOpened(market, self.now_ns))
            if warm:
                self.feed(self._candles(market.asset))

    def _market(self, asset: Asset, before: int) -> Market:
        second_ns = self.now_ns // NS_PER_SECOND * NS_PER_SECOND
        opens_ns = second_ns - before * NS_PER_SECOND
        name = asset.value.lower()
        return Market(
            slug=f"{name}-updown-15m",
            condition_id=f"0x{name}",
            asset=asset,
            opens_ns=opens_ns,
            closes_ns=opens_ns + WINDOW_NS,
            up_token=f"up-{name}",
            down_token=f"down-{name}",
            tick_micros=TICKS[0],
            minimum_shares_micros=5 * MICROS,
            fees=FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True),
        )

    def _candles(self, asset: Asset) -> Candles:
        minute_ns = 60 * NS_PER_SECOND
        first_ns = (self.now_ns // minute_ns - 65) * minute_ns
        bars = tuple(Candle(first_ns + i * minute_ns, 1000.0, 1e6) for i in range(66))
        return Candles(Source.BINANCE_REST, asset, 60, bars, self.now_ns)

    # --- Time ---------------------------------------------------------------------------------

    def feed(self, event: FeedEvent, late_ns: int = 0) -> None:
        """Let everything due happen, then tell both."""
        self.engine.advance(self.now_ns)
        self.model.to_grid(self.now_ns)
        self.model.take(event, late_ns)
        self.engine.on_event(event)

    def wait(self, seconds: float) -> None:
        """Let time pass in which nobody says anything."""
        self.now_ns += round(seconds * NS_PER_SECOND)
        self.engine.advance(self.now_ns)
        self.model.to_grid(self.now_ns)

    def beat(self, times: int = 1) -> None:
        """Let the venues speak every half second, as far as they are not silent."""
        for _ in range(times):
            self.now_ns += BEAT_NS
            for market in self.markets:
                if self.quote_silent_until_ns[market.asset] <= self.now_ns:
                    self.quote(market.asset)
                for outcome in Outcome:
                    name = market.token(outcome)
                    token = self.tokens[name]
                    if token.silent_until_ns <= self.now_ns:
                        self.feed(self._frame(market, outcome, token))
            self.engine.advance(self.now_ns)

    def _stamp(self, late_ns: int = 0) -> int:
        return self.now_ns - LATENCY_NS - late_ns + self.skew_ns

    def quote(self, asset: Asset, late_ns: int = 0) -> None:
        """Tell the fast market's best prices."""
        self.updates += 1
        mid = self.mids[asset]
        stamp = self._stamp(late_ns)
        told = (Source.BINANCE_PUBLIC, asset, mid - 0.05, 3.0, mid + 0.05, 3.0, self.updates)
        self.feed(Quote(*told, stamp, self.now_ns), late_ns)

    def _frame(self, market: Market, outcome: Outcome, token: Token) -> BookSnapshot | BookChange:
        name = market.token(outcome)
        bid = self.cents[market.asset]
        bid = bid if outcome is Outcome.UP else 99 - bid
        if token.whole or token.shape != "sound":
            token.whole = False
            bids, asks = levels_of(token.shape, bid)
            at = (token.tick, self._stamp(), self.now_ns)
            return BookSnapshot(market.condition_id, name, bids, asks, *at)
        token.frames += 1
        return self._changed(market, name, bid, 200.0 + token.frames % 7)

    def _changed(
        self, market: Market, name: str, bid: int, size: float, *, told: float = 0.0, late: int = 0
    ) -> BookChange:
        change = LevelChange(name, bid / 100, size, Side.BUY, told, 0.0)
        return BookChange(market.condition_id, (change,), self._stamp(late), self.now_ns)

    # --- What can go wrong --------------------------------------------------------------------

    def gap(self, seconds: int) -> None:
        self.wait(seconds)

    def silence(self, number: int, seconds: int) -> None:
        self._token(number)[2].silent_until_ns = self.now_ns + seconds * NS_PER_SECOND

    def quote_silence(self, number: int, seconds: int) -> None:
        self.quote_silent_until_ns[ASSETS[number]] = self.now_ns + seconds * NS_PER_SECOND

    def shape(self, number: int, shape: str) -> None:
        token = self._token(number)[2]
        token.shape, token.whole = shape, True

    def move(self, number: int, cents: int) -> None:
        """Move a market at once, between two beats: the fast market calls for a decision."""
        market = self.markets[number]
        self.cents[market.asset] = min(92, max(7, self.cents[market.asset] + cents))
        self.mids[market.asset] *= 1.0 + 2e-4 * cents
        self.now_ns += 130 * NS_PER_MS
        for outcome in Outcome:
            token = self.tokens[market.token(outcome)]
            token.whole = True
            if token.silent_until_ns <= self.now_ns:
                self.feed(self._frame(market, outcome, token))
        if self.quote_silent_until_ns[market.asset] <= self.now_ns:
            self.quote(market.asset)

    def tick_size(self, number: int, seconds: int) -> None:
        """Change a grid; the whole book comes only after so many seconds."""
        market, outcome, token = self._token(number)
        token.tick = TICKS[1] if token.tick == TICKS[0] else TICKS[0]
        name = market.token(outcome)
        at = (token.tick, self._stamp(), self.now_ns)
        self.feed(TickSize(market.condition_id, name, *at))
        token.whole = True
        token.silent_until_ns = self.now_ns + seconds * NS_PER_SECOND

    def grid_war(self, number: int, times: int) -> None:
        """Change the grid while orders are under way, so that the venue refuses some of them."""
        for _ in range(times):
            self.beat()
            for token in (2 * number, 2 * number + 1):
                market, outcome, told = self._token(token)
                self.tick_size(token, 0)
                self.feed(self._frame(market, outcome, told))

    def mismatch(self, number: int, seconds: int) -> None:
        """Say another best bid than the book has; silent until the whole book comes."""
        market, outcome, token = self._token(number)
        bid = self.cents[market.asset]
        bid = bid if outcome is Outcome.UP else 99 - bid
        self.feed(self._changed(market, market.token(outcome), bid, 150.0, told=0.97))
        token.whole = True
        token.silent_until_ns = self.now_ns + seconds * NS_PER_SECOND

    def late_change(self, number: int, seconds: int) -> None:
        """Deliver now what was true some seconds ago."""
        market, outcome, token = self._token(number)
        if token.shape != "sound" or token.whole:
            return
        bid = self.cents[market.asset]
        bid = bid if outcome is Outcome.UP else 99 - bid
        late_ns = seconds * NS_PER_SECOND
        name = market.token(outcome)
        self.feed(self._changed(market, name, bid, 170.0, late=late_ns), late_ns)

    def late_quote(self, number: int, seconds: int) -> None:
        late_ns = seconds * NS_PER_SECOND
        quoted_ns = self.model.quoted_ns.get(ASSETS[number], self.now_ns)
        if self.now_ns - late_ns > quoted_ns:
            self.quote(ASSETS[number], late_ns)

    def venue_clock(self, milliseconds: int) -> None:
        """Step the venues' clock forward, within what is allowed."""
        if abs(self.skew_ns) < 2 * NS_PER_SECOND:
            step = self.skew_ns + milliseconds * NS_PER_MS
            self.skew_ns = min(step, 1_500 * NS_PER_MS)

    def operator(self, verb: OperatorVerb) -> None:
        self.requests += 1
        request = OperatorRequest(f"r{self.requests}", verb, "a test", self.now_ns)
        self.engine.advance(self.now_ns)
        self.model.to_grid(self.now_ns)
        if verb is OperatorVerb.RESUME:
            self.model.resume(self.now_ns)
        else:
            self.model.hold(HoldCause.OPERATOR, latches=True, lasting=False)
        self.engine.on_event(request)

    def hold(self, cause: HoldCause) -> None:
        self.model.hold(cause, latches=cause not in PASSING, lasting=True)
        self.engine.halts.hold_entries(cause, "a test", self.now_ns)

    def release(self, cause: HoldCause) -> None:
        self.model.lasting.discard(cause)
        self.engine.halts.release_entries(cause, self.now_ns)

    def disconnect(self, source: Source) -> None:
        self.feed(Disconnected(source, "a test", self.now_ns))

    def problem(self, number: int) -> None:
        """Tell facts of a market that nobody knows how to trade."""
        self._relist(number, problems=("fee rate was 0.09",))

    def new_tokens(self, number: int) -> None:
        """Tell other tokens than the books know: the venue contradicts us."""
        market = self.markets[number]
        tokens = {"up_token": market.up_token + "x", "down_token": market.down_token + "x"}
        for name in tokens.values():
            self.tokens.setdefault(name, Token())
        self._relist(number, **tokens)

    def _relist(self, number: int, **changes: object) -> None:
        market = replace(self.markets[number], **changes)
        self.markets[number] = market
        self.feed(MarketOpened(market, self.now_ns))

    def resolve(self, number: int, winner: Outcome) -> None:
        market = self.markets[number]
        window = self.model.windows[market.slug]
        if self.now_ns <= market.closes_ns + NS_PER_SECOND or window.resolved:
            return
        at = (0.0, Source.GAMMA, self.now_ns, self.now_ns)
        self.engine.advance(self.now_ns)
        self.model.to_grid(self.now_ns)
        self.model.resolve(market.slug, winner, self.now_ns)
        self.engine.on_event(MarketResolved(market.condition_id, market.token(winner), *at))

    def sold(self, number: int, shares: int) -> None:
        """Let somebody sell into the bids, through ours if one rests."""
        market, outcome, _ = self._token(number)
        bid = self.cents[market.asset]
        price = (bid if outcome is Outcome.UP else 99 - bid) / 100
        name, at = market.token(outcome), (self._stamp(), self.now_ns)
        self.feed(OutcomeTrade(market.condition_id, name, price, float(shares), Side.SELL, *at))

    def change_mind(self, steps: int, probability: float) -> None:
        self.policy.steps, self.policy.probability = steps, probability

    def _token(self, number: int) -> tuple[Market, Outcome, Token]:
        market = self.markets[number // 2]
        outcome = (Outcome.UP, Outcome.DOWN)[number % 2]
        return market, outcome, self.tokens[market.token(outcome)]
