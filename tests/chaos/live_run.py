"""One seeded run of the whole live side against the simulated exchange, with faults and crashes.

Real HTTP and WebSocket servers on simulated time; the flow (board, features, policy, gate, ledger,
executor) is the worker's own. Only the market data is fed by hand, so that a run of two minutes
takes a fraction of a second. What the run must end with is asserted by ``check``.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from db.journal import Journal
from db.journal_reading import list_runs, read_journal
from db.recovery import read_left_behind
from helpers import logs
from helpers.clob.account import AccountDone, AccountOutcome, AccountUnknown
from helpers.clob.eip712 import DEPOSIT_WALLET, OrderSigner
from helpers.clob.wallets import derive_wallets
from helpers.commands.composition import Flow, build_flow, run_started
from helpers.commands.live_side import LiveSide
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Approved,
    Asset,
    BookSnapshot,
    Connected,
    FastSourceChosen,
    FeeSchedule,
    HoldCause,
    Level,
    Market,
    MarketOpened,
    MarketResolved,
    Mode,
    OrderSigned,
    Outcome,
    Quote,
    Side,
    Source,
    Trade,
)
from helpers.live.reconcile import CASH_DUST_MICROS
from helpers.settings import Settings, load_settings
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    COLLATERAL,
    ExchangeEvent,
    ExchangeSettings,
    MarketListing,
    OrderChanged,
    PlaceOrder,
)
from simulator.faults import Fault, FaultKind, FaultSchedule
from simulator.matching import TimeInForce
from simulator.servers.polymarket import PolymarketVenue
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.wallet_check import check_wallet
from simulator.world_faults import WorldFaults

WINDOW_OPENS_NS = 1_795_000_500 * NS_PER_SECOND
"""A whole multiple of 900 s."""
START_NS = WINDOW_OPENS_NS + 235 * NS_PER_SECOND
HAND_SECONDS = 0.5
"""After an order by hand, which the venue holds for 150 ms; it may settle under the next start."""
WINDOWS = {Asset.BTC: ("5m", 300), Asset.ETH: ("15m", 900)}
"""Bitcoin's window ends within the run: positions are settled and redeemed."""
TRADING_SECONDS = 60.0
FAULTS_UNTIL_SECONDS = 50.0
STEP_SECONDS = 0.2
CALM_SECONDS = 65.0
"""After the faults: time enough to resolve, redeem and compare."""
REST_SECONDS = 12.0
"""From the last decision to the stop: a trade settles within seconds."""
CLAIM_SECONDS = 180.0
"""Longest wait for pay-outs at the end: one that nobody answered is looked for a minute later."""
WALLET = "me"


class Outcomes(NamedTuple):
    """What a run came to, for people."""

    seed: int
    orders: int
    fills: int
    faults: Counter[str]
    restarts: int
    claims_paid: int


class ChaosError(AssertionError):
    """A run ended wrong; the text names the seed and how to run it again."""


def drawn_faults(rng: random.Random) -> tuple[Fault, ...]:
    """Return three to seven faults of DESIGN section 6, each somewhere in the trading time."""
    return tuple(_drawn(rng.choice(_MENU), rng) for _ in range(rng.randint(3, 7)))


class _Choice(NamedTuple):
    kind: FaultKind
    where: tuple[str, ...] = ("*",)
    statuses: tuple[int, ...] = (500,)
    retry_after: tuple[int, ...] = (0,)
    delays: tuple[float, ...] = (1.0,)


_SOCKET = ("user_socket:*", "user_socket:trade", "user_socket:order")
_CLOB = ("clob:*", "clob:POST /order", "clob:GET /data/*", "clob:DELETE *", "clob:GET /balance*")
_MENU = (
    _Choice(FaultKind.SILENCE, _SOCKET),
    _Choice(FaultKind.CUT, ("user_socket:*",)),
    _Choice(FaultKind.GAP, _SOCKET),
    _Choice(FaultKind.REORDER, _SOCKET),
    _Choice(FaultKind.DUPLICATE, _SOCKET),
    _Choice(FaultKind.LATE, (*_SOCKET, *_CLOB), delays=(0.3, 2.0, 20.0)),
    _Choice(FaultKind.ERROR_AFTER, _CLOB, (500, 502, 503, 200)),
    _Choice(FaultKind.REFUSE, _CLOB, (425, 429, 503, 500), (0, 1, 3)),
    _Choice(FaultKind.HANG_UP, _CLOB),
    _Choice(FaultKind.SLOW_READER, ("user_socket:*",)),
    _Choice(FaultKind.CLOCK_SKEW, ("clob:*",), delays=(-3.0, 3.0)),
    _Choice(FaultKind.FAILED_SETTLEMENT),
    _Choice(FaultKind.THIN_BOOK),
    _Choice(FaultKind.ONE_SIDED_BOOK),
    _Choice(FaultKind.TICK_SIZE),
    _Choice(FaultKind.RESTART),
)


def _drawn(choice: _Choice, rng: random.Random) -> Fault:
    return Fault(
        choice.kind,
        rng.choice(choice.where),
        from_seconds=rng.uniform(0.0, FAULTS_UNTIL_SECONDS),
        for_seconds=rng.choice((2.0, 8.0, 20.0)),
        times=rng.choice((0, 1, 1, 3)),
        probability=rng.choice((1.0, 1.0, 0.5)),
        status=rng.choice(choice.statuses),
        retry_after_seconds=rng.choice(choice.retry_after),
        delay_seconds=rng.choice(choice.delays),
    )


class LiveRun:
    """The venue, and one worker after the other."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.rng = random.Random(f"chaos/{seed}")
        self.folder = folder
        self.loop = SimulatedLoop()
        self.clock = LoopClock(self.loop, START_NS)
        key = hashlib.sha256(f"chaos {seed}".encode()).hexdigest()
        own = derive_wallets(OrderSigner(key, "0x" + "00" * 20, 0).address)
        kind = self.rng.choice((0, 1, 2, DEPOSIT_WALLET))
        wallet = (own.eoa, own.proxy, own.safe, own.deposit_beacon)[kind]
        self.signer = OrderSigner(key, wallet, kind)
        self.schedule = FaultSchedule(drawn_faults(self.rng), seed, START_NS, self.clock.now_ns)
        lag_ns = self.rng.choice((0, 2, 10)) * NS_PER_SECOND
        self.exchange = Exchange(ExchangeSettings(balance_cache_lag_ns=lag_ns))
        self.venue = PolymarketVenue(self.exchange, self.clock.now_ns, self.advance, self.schedule)
        self.world_faults = WorldFaults(self.schedule, self.exchange)
        self.settings = self._settings(key)
        self.markets = tuple(self._list(asset) for asset in WINDOWS)
        self.mids: dict[Asset, float] = dict.fromkeys(WINDOWS, 0.5)
        self.fast: dict[Asset, float] = {Asset.BTC: 80_000.0, Asset.ETH: 3_000.0}
        self.flow: Flow | None = None
        self.live: LiveSide | None = None
        self.placed: set[str] = set()
        self.restarts = 0
        self.by_hand: set[str] = set()
        self._quotes = 0
        accounts = self.exchange.accounts
        accounts.open("house", house=True)
        accounts.open(WALLET, signer=self.signer.address, maker_address=wallet, signature_type=kind)
        accounts.deposit(WALLET, COLLATERAL, 1_000 * MICROS, START_NS)

    def _settings(self, key: str) -> Settings:
        return load_settings(
            _env_file=None,
            strategy="random",
            random_seed=self.seed % 2**32,
            assets="ETH,BTC",
            windows="15m,5m",
            execution_style=self.rng.choice(("taker", "maker", "auto")),
            maker_lifetime_seconds=self.rng.choice((2, 8)),
            trade_size=self.rng.choice((12, 40)),
            maximum_exposure=1_000,
            slippage_ticks=self.rng.choice((0, 2)),
            entry_stop_seconds=20,
            position_timeout_seconds=10,
            maximum_position_age_seconds=self.rng.choice((15, 200)),
            reentry_cooldown_seconds=self.rng.choice((0, 3)),
            reject_streak_limit=100,
            losing_streak_limit=100,
            order_rate_per_minute=600,
            maximum_spread=0.5,
            clock_skew_seconds=60,
            journal_directory=self.folder,
            live_enabled=True,
            live_ack=self.signer.wallet,
            polymarket_private_key=key,
            polymarket_wallet=self.signer.wallet,
            polymarket_signature_type=self.signer.signature_type,
            polymarket_relayer_key="any",
        )

    def _list(self, asset: Asset) -> Market:
        name, seconds = WINDOWS[asset]
        opens_ns = WINDOW_OPENS_NS
        digest = hashlib.sha256(f"{asset}/{self.seed}".encode()).hexdigest()
        listing = MarketListing(
            market_id=str(len(asset.value)),
            event_id="2",
            slug=f"{asset.value.lower()}-updown-{name}-{opens_ns // NS_PER_SECOND}",
            question=f"{asset.value} Up or Down",
            condition_id="0x" + digest,
            up_token=str(int(digest[:32], 16)),
            down_token=str(int(digest[32:], 16)),
            asset=asset.value.lower(),
            duration=name,
            series_slug=f"{asset.value.lower()}-up-or-down-{name}",
            created_ns=opens_ns - NS_PER_SECOND,
            opens_ns=opens_ns,
            closes_ns=opens_ns + seconds * NS_PER_SECOND,
        )
        self.exchange.list_market(listing, START_NS)
        return Market(
            listing.slug,
            listing.condition_id,
            asset,
            listing.opens_ns,
            listing.closes_ns,
            listing.up_token,
            listing.down_token,
            listing.tick_micros,
            5 * MICROS,
            FeeSchedule(70_000, 1, taker_only=True),
        )

    # --- The venue ------------------------------------------------------------------------------

    def advance(self) -> None:
        """Bring the exchange to now and publish what happened."""
        now_ns = self.clock.now_ns()
        self.exchange.advance(now_ns)
        events = self.exchange.drain()
        self._note(events)
        self.venue.publish(events)

    def _note(self, events: tuple[ExchangeEvent, ...]) -> None:
        for event in events:
            if isinstance(event, OrderChanged) and event.account == WALLET:
                self.placed.add(event.order.order_id)

    async def drive(self) -> None:
        """Quote, trade against resting orders, and feed the flow, until cancelled."""
        while True:
            now_ns = self.clock.now_ns()
            for market in self.markets:
                state = self.exchange.market(market.condition_id)
                if state.resolved:
                    continue
                if now_ns >= market.closes_ns + 5 * NS_PER_SECOND:
                    self._resolve(market, now_ns)
                    continue
                if now_ns < market.closes_ns:
                    self._quote(market, now_ns)
            self.world_faults.advance(now_ns)
            self.advance()
            self._feed(now_ns)
            await asyncio.sleep(STEP_SECONDS)

    def _quote(self, market: Market, now_ns: int) -> None:
        if self.rng.random() > 0.4:
            return
        mid = self.mids[market.asset] + self.rng.gauss(0.0, 0.02)
        self.mids[market.asset] = min(0.8, max(0.2, mid))
        cents = round(self.mids[market.asset] * 100)
        for order in self.exchange.house_orders(market.condition_id):
            self.exchange.cancel_house(market.condition_id, order.order_id, now_ns)
        spread = self.rng.choice((1, 1, 2))
        for level in range(3):
            shares = self.rng.randint(4, 40)
            self._house(market, Side.BUY, cents - level, shares, now_ns)
            self._house(market, Side.SELL, cents + spread + level, shares, now_ns)
        if self.rng.random() < 0.5:  # somebody takes, from us if we are first in the book
            side = self.rng.choice((Side.BUY, Side.SELL))
            price = cents + 5 if side is Side.BUY else cents - 5
            self._house(market, side, price, self.rng.randint(5, 60), now_ns, TimeInForce.FAK)

    def _house(
        self,
        market: Market,
        side: Side,
        cents: int,
        shares: int,
        now_ns: int,
        kind: TimeInForce = TimeInForce.GTC,
    ) -> None:
        self._quotes += 1
        order = PlaceOrder(
            f"house-{self._quotes}",
            "house",
            market.up_token,
            side,
            cents * MICROS // 100,
            shares * MICROS,
            kind,
        )
        self.exchange.place(order, now_ns)

    def _meddle(self) -> bool:
        """Let the wallet's owner buy or deposit on the website; return whether he bought."""
        now_ns = self.clock.now_ns()
        if self.rng.random() < 0.3:
            self.exchange.accounts.deposit(WALLET, COLLATERAL, 25 * MICROS, now_ns)
        market = self.markets[-1]  # the one that stays open: what is won is left to its owner
        buys = self.rng.random() < 0.3
        if buys:
            token = self.rng.choice((market.up_token, market.down_token))
            order_id = f"by-hand-{now_ns}"
            shares = self.rng.randint(5, 20) * MICROS
            order = PlaceOrder(order_id, WALLET, token, Side.BUY, 990_000, shares, TimeInForce.FAK)
            self.exchange.place(order, now_ns)
            self.by_hand.add(order_id)
        return buys

    def _resolve(self, market: Market, now_ns: int) -> None:
        winner = self.rng.choice(list(Outcome))
        self.exchange.resolve(market.condition_id, winner, now_ns)
        if self.flow is not None:
            self.flow.engine.on_event(self._resolution(market, winner, now_ns))

    def _resolution(self, market: Market, winner: Outcome, now_ns: int) -> MarketResolved:
        token = market.token(winner)
        return MarketResolved(market.condition_id, token, 0.0, Source.GAMMA, now_ns, now_ns)

    async def redeem(self, condition_id: str) -> AccountOutcome:
        """Redeem as the relayer would: mostly it works, sometimes nobody knows."""
        await asyncio.sleep(1.0)
        happens = self.rng.random() < 0.8
        if happens:
            self.exchange.redeem(WALLET, condition_id, self.clock.now_ns())
        if self.rng.random() < 0.3:
            return AccountUnknown("no answer")
        return AccountDone("0xredeem", "submitted")

    async def merge(self, condition_id: str) -> AccountOutcome:
        """Merge every pair, as the relayer would; sometimes nothing comes of it."""
        await asyncio.sleep(1.0)
        listing = self.exchange.market(condition_id).listing
        account = self.exchange.accounts.get(WALLET)
        tokens = (listing.up_token, listing.down_token)
        pairs = min(account.free_micros(token) for token in tokens)
        if self.rng.random() < 0.8 and pairs > 0:
            self.exchange.merge(WALLET, condition_id, pairs, self.clock.now_ns())
        return AccountDone("0xmerge", "submitted")

    # --- What the flow sees ---------------------------------------------------------------------

    def _feed(self, now_ns: int) -> None:
        flow = self.flow
        if flow is None:
            return
        for market in self.markets:
            for event in self._news(market, now_ns):
                flow.engine.on_event(event)
        flow.engine.advance(now_ns)

    def _news(self, market: Market, now_ns: int) -> Iterator[Quote | Trade | BookSnapshot]:
        asset = market.asset
        self._quotes += 1
        self.fast[asset] *= math.exp(self.rng.gauss(0.0, 2e-5))
        mid = self.fast[asset]
        source = Source.BINANCE_PUBLIC
        yield Quote(source, asset, mid - 0.05, 5.0, mid + 0.05, 5.0, self._quotes, now_ns, now_ns)
        state = self.exchange.market(market.condition_id)
        if state.resolved or now_ns >= market.closes_ns:
            return
        for outcome in Outcome:
            yield BookSnapshot(
                market.condition_id,
                market.token(outcome),
                _levels(state.book.levels(outcome, Side.BUY)),
                _levels(state.book.levels(outcome, Side.SELL)),
                state.tick_micros,
                now_ns,
                now_ns,
            )

    # --- Workers --------------------------------------------------------------------------------

    async def work(self, seconds: float, *, crash: bool) -> None:
        """Run one worker for a while, and stop it in order or kill it."""
        now_ns = self.clock.now_ns()
        with Journal.open_run(self.folder, Mode.LIVE, now_ns, background=True) as journal:
            left = read_left_behind(self.folder, Mode.LIVE, self.signer.wallet)
            live = self.live = LiveSide(
                self.settings,
                self.signer,
                self.clock,
                self.venue.venues(),
                random.Random(f"salts/{self.seed}/{self.restarts}"),
                left,
                self.redeem,
                self.merge,
            )
            flow = build_flow(
                self.settings, Mode.LIVE, journal, allow_cold=True, trading=live.trading()
            )
            self._begin(flow, live, now_ns)
            running = self.loop.create_task(live.run())
            ended = self.loop.create_task(asyncio.sleep(seconds))
            await asyncio.wait((running, ended), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            if crash:
                journal._buffer.clear()  # what a killed process had not handed over
                self.flow = None
            else:
                await self._rest(flow, live)
                await live.stop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self.flow = None

    async def _rest(self, flow: Flow, live: LiveSide) -> None:
        """Decide nothing more, and let what is on its way arrive: the end must be exact."""
        flow.engine.halts.hold_entries(HoldCause.STOPPING, "the run is over", self.clock.now_ns())
        self.flow = None
        await asyncio.sleep(REST_SECONDS)
        until = self.loop.time() + CLAIM_SECONDS
        while live.claims.owed() and self.loop.time() < until:
            await asyncio.sleep(1.0)

    def _begin(self, flow: Flow, live: LiveSide, now_ns: int) -> None:
        engine = flow.engine
        started = run_started(self.settings, flow.strategy, f"chaos-{self.seed}", "")
        flow.outlets.write(now_ns, "", started)
        live.attach(flow, engine.advance)
        for source in (Source.BINANCE_PUBLIC, Source.POLYMARKET_MARKET):
            engine.on_event(Connected(source, now_ns))
        for market in self.markets:
            engine.on_event(FastSourceChosen(market.asset, Source.BINANCE_PUBLIC, now_ns))
            engine.on_event(MarketOpened(market, now_ns))
            state = self.exchange.market(market.condition_id)
            if state.winner is not None:
                engine.on_event(self._resolution(market, state.winner, now_ns))
        self.flow = flow

    async def play(self) -> None:
        """Trade through the faults, crash or not, then calm down and stop."""
        await self.venue.start()
        driving = self.loop.create_task(self.drive())
        try:
            left = TRADING_SECONDS
            while left > 5 and self.rng.random() < 0.6:
                seconds = self.rng.uniform(0.5, left)
                await self.work(seconds, crash=self.rng.random() < 0.7)
                self.restarts += 1
                left -= seconds
                if self._meddle():
                    await asyncio.sleep(HAND_SECONDS)
            await self.work(left + CALM_SECONDS, crash=False)
        finally:
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)
            await self.venue.stop()


def run_one(seed: int) -> Outcomes:
    """Play one seed and assert how it ended; raises ``ChaosError``."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    clock_lines = None
    try:
        run = LiveRun(seed, folder)
        clock_lines = logs.configure(
            clock=run.clock, level="error", json_lines=True, directory=folder, quiet=True
        )
        with asyncio.Runner(loop_factory=lambda: run.loop) as runner:
            runner.run(run.play())
        return check(run)
    except Exception as error:
        raise ChaosError(
            f"seed {seed}: {type(error).__name__}: {error}\n"
            f"again: uv run python -m tests.chaos.live --seed {seed} --runs 1 --verbose"
        ) from error
    finally:
        if clock_lines is not None:
            clock_lines.close()
        shutil.rmtree(folder)


def check(run: LiveRun) -> Outcomes:
    """Assert what every run must end with (DESIGN section 4)."""
    live = run.live
    assert live is not None
    books = check_wallet(
        live.ledger.positions(),
        live.claims.owed(),
        live.ledger.cash_micros,
        run.exchange,
        WALLET,
        CASH_DUST_MICROS,
    )
    assert not books.differences, books
    assert run.exchange.open_orders(WALLET) == (), "an order of ours rests after the stop"
    assert live.last_reconciled is not None
    assert live.last_reconciled.agrees, live.last_reconciled
    assert not live.orders.alive(), [order.order_id for order in live.orders.alive()]
    for position in live.ledger.positions():
        market = live.ledger.market(position.market)
        assert market is not None, "a position without its market's facts"
        assert 0 < position.deadline_ns < market.closes_ns, "a position without a deadline"
    approved: set[str] = set()
    signed: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for folder in list_runs(run.folder):
        for record in read_journal(folder.path):
            counts[record.kind] += 1
            if isinstance(record.body, Approved):
                assert record.body.intent.intent_id not in approved, "an intent approved twice"
                approved.add(record.body.intent.intent_id)
            elif isinstance(record.body, OrderSigned):
                assert record.body.intent_id in approved, "an order without an intent"
                assert record.body.intent_id not in signed, "an intent sent twice"
                signed[record.body.intent_id] = record.body.order_id
    strangers = run.placed - set(signed.values()) - run.by_hand
    assert not strangers, f"the venue has orders that no journal knows: {strangers}"
    struck = Counter({kind.value: n for kind, n in run.schedule.counts.items() if n})
    paid = counts["claim_changed"]
    return Outcomes(run.seed, len(signed), counts["fill"], struck, run.restarts, paid)


def _levels(found: tuple[tuple[int, int], ...]) -> tuple[Level, ...]:
    return tuple(Level(price / MICROS, shares / MICROS) for price, shares in found)
