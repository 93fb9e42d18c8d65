"""What an entry must have met, worked out anew from what was fed and what was answered.

An independent model of invariant 1: it keeps its own books, money, halts and counts, and shares no
object with the engine. ``helpers.safety`` must never approve what it calls wrong.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    GRID_NS,
    MICROS,
    NS_PER_SECOND,
    Accepted,
    Approved,
    Asset,
    Body,
    BookChange,
    BookSnapshot,
    FeedEvent,
    Fill,
    FillStatus,
    HoldCause,
    Market,
    MarketOpened,
    OrderIntent,
    OrderState,
    OrderStyle,
    OrderUpdate,
    Outcome,
    Quote,
    Refused,
    Rejected,
    Side,
    TickSize,
    to_micros,
)
from helpers.settings import Settings
from tests.safety_holdings import Lot, TokenBook, Window, cost, fee

DAY_NS: Final = 86_400 * NS_PER_SECOND
SLACK_SECONDS: Final = 0.05
"""Ages are compared up to what a venue's stamp in milliseconds and a median may differ."""
EXIT_RETRY_SECONDS: Final = 8.0


class Model:
    """Listens to every row; fed with every event beside the engine."""

    def __init__(self, settings: Settings, *, warm: bool) -> None:
        self.settings = settings
        self.cash = round(settings.paper_cash * MICROS)
        self.warm = warm
        self.windows: dict[str, Window] = {}
        self.books: dict[str, TokenBook] = {}
        self.quoted_ns: dict[Asset, int] = {}
        self.first_quote_ns: dict[Asset, int] = {}
        self.skews: list[float] = []
        self.lasting: set[HoldCause] = set()
        self.latched: set[HoldCause] = set()
        self.alive: dict[str, tuple[OrderIntent, int]] = {}
        self.seen: set[str] = set()
        self.sent_ns: list[int] = []
        self.rejects = 0
        self.trips: list[tuple[int, int]] = []
        self.realised: dict[int, int] = {}
        self.forgiven = (0, 0)
        """Day and what was forgiven on it."""
        self.resumed_ns = 0
        self.grid = 0
        self.entries = self.exits = self.refused_exits = 0

    # --- What the operator and the owners of causes say ---------------------------------------

    def hold(self, cause: HoldCause, *, latches: bool, lasting: bool) -> None:
        if latches and cause not in self.lasting:
            self.latched.add(cause)
        if lasting:
            self.lasting.add(cause)

    def resume(self, now_ns: int) -> None:
        self.latched.clear()
        day = now_ns // DAY_NS
        self.forgiven = (day, min(0, self._known_pnl(now_ns)))
        self.resumed_ns = now_ns
        self.rejects = 0

    # --- What the feeds say --------------------------------------------------------------------

    def take(self, event: FeedEvent, late_ns: int) -> None:
        """Take what the engine is about to be told; ``late_ns`` is how long it was under way."""
        true_ns = event.received_ns - late_ns
        if isinstance(event, MarketOpened):
            self._listed(event.market)
        elif isinstance(event, BookSnapshot):
            book = self.books[event.token]
            book.bids = {to_micros(level.price): to_micros(level.size) for level in event.bids}
            book.asks = {to_micros(level.price): to_micros(level.size) for level in event.asks}
            book.synchronised = True
            book.stamp_ns, book.true_ns = event.venue_ns, true_ns
        elif isinstance(event, BookChange):
            self._change(event, true_ns)
        elif isinstance(event, TickSize):
            self.books[event.token].synchronised = False
        elif isinstance(event, Quote):
            self.quoted_ns[event.asset] = true_ns
            self.first_quote_ns.setdefault(event.asset, true_ns)
            self.skews.append((event.venue_ns - true_ns) / NS_PER_SECOND)

    def _change(self, event: BookChange, true_ns: int) -> None:
        (change,) = event.changes
        book = self.books[change.token]
        if not book.synchronised or event.venue_ns < book.stamp_ns:
            return
        side = book.bids if change.side is Side.BUY else book.asks
        side[to_micros(change.price)] = to_micros(change.size)
        book.stamp_ns, book.true_ns = event.venue_ns, true_ns
        told = to_micros(change.best_bid)
        if told and told != max(book.bids):
            book.synchronised = False

    def _listed(self, market: Market) -> None:
        window = self.windows.setdefault(market.slug, Window(market))
        if window.market.up_token != market.up_token:
            window.conflicted = True
        window.market = market
        for outcome in Outcome:
            self.books.setdefault(market.token(outcome), TokenBook())

    # --- Rows ---------------------------------------------------------------------------------

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Take a row; an ``Approved`` is judged."""
        answer = isinstance(body, Fill | Accepted | Rejected | OrderUpdate)
        # An answer at a grid moment comes before the step of that moment.
        self.to_grid(at_ns - 1 if answer else at_ns)
        if isinstance(body, Approved):
            self._approved(body.intent, at_ns)
        elif isinstance(body, Refused):
            self._refused(body, at_ns)
        elif isinstance(body, Fill):
            self._fill(body)
        elif isinstance(body, Accepted):
            self.rejects = 0
        elif isinstance(body, Rejected):
            self._rejected(body, at_ns)
        elif isinstance(body, OrderUpdate) and body.state is not OrderState.RESTING:
            self.alive.pop(body.intent_id, None)
        del market

    def commit(self) -> None:
        """Nothing here outlives the test."""

    def to_grid(self, now_ns: int) -> None:
        """Mark what is held, and count sound books, at the grid steps up to ``now_ns``."""
        last = now_ns // GRID_NS
        for window in self.windows.values():
            market = window.market
            until = min(last, (market.closes_ns - 1) // GRID_NS)
            first = max(self.grid + 1, -(-market.opens_ns // GRID_NS))
            if self.books[market.up_token].sound:
                if until >= first:
                    window.sound_steps += until - first + 1
                    window.unsound_steps = 0
            elif until >= first:
                window.unsound_steps += until - first + 1
                if window.unsound_steps >= 30:
                    window.sound_steps = 0
            if until > self.grid:
                self._mark(window)
        self.grid = max(self.grid, last)

    def _mark(self, window: Window) -> None:
        held = window.held
        if len(held) != 1 or held[0][1].shares < window.market.minimum_shares_micros:
            return
        outcome, lot = held[0]
        left, value = lot.shares, 0
        for price, size in self.books[window.market.token(outcome)].best_bids():
            sold = min(left, size)
            value += sold * price // MICROS - fee(sold, price)
            left -= sold
        window.mark = value

    def _fill(self, fill: Fill) -> None:
        window = self.windows[fill.market]
        lot = window.lots[fill.outcome]
        if fill.status is FillStatus.CONFIRMED:
            lot.unconfirmed.pop(fill.trade_id, None)
            return
        window.mark = None
        intent, remaining = self.alive[fill.intent_id]
        self.alive[fill.intent_id] = (intent, remaining - fill.shares_micros)
        product = fill.shares_micros * fill.price_micros
        if fill.side is Side.BUY:
            paid = -(-product // MICROS) + fill.fee_micros
            lot.shares += fill.shares_micros
            lot.cost += paid
            lot.trip_paid += paid
            lot.unconfirmed[fill.trade_id] = fill.shares_micros
            self.cash -= paid
            return
        got = product // MICROS - fill.fee_micros
        cost = lot.cost * fill.shares_micros // lot.shares
        lot.shares -= fill.shares_micros
        lot.cost -= cost
        lot.trip_got += got
        self.cash += got
        self._realise(got - cost, fill.at_ns)
        if not lot.shares:
            self._closed(window, fill.outcome, fill.at_ns)

    def resolve(self, slug: str, winner: Outcome, at_ns: int) -> None:
        """Pay out what is held, once."""
        window = self.windows[slug]
        for outcome, lot in window.held:
            paid = lot.shares if outcome is winner else 0
            self.cash += paid
            self._realise(paid - lot.cost, at_ns)
            lot.trip_got += paid
            lot.shares = lot.cost = 0
            self._closed(window, outcome, at_ns)
        window.resolved = True

    def _closed(self, window: Window, outcome: Outcome, at_ns: int) -> None:
        lot = window.lots[outcome]
        self.trips.append((at_ns, lot.trip_got - lot.trip_paid))
        window.closed_ns = at_ns
        window.lots[outcome] = Lot(unconfirmed=lot.unconfirmed)

    def _realise(self, micros: int, at_ns: int) -> None:
        self.realised[at_ns // DAY_NS] = self.realised.get(at_ns // DAY_NS, 0) + micros

    def _rejected(self, answer: Rejected, at_ns: int) -> None:
        intent, _ = self.alive.pop(answer.intent_id)
        if answer.missed:
            return
        self.rejects += 1
        if not intent.opens:
            self.windows[intent.market].exit_rejected_ns = at_ns

    # --- Verdicts -----------------------------------------------------------------------------

    def _approved(self, intent: OrderIntent, now_ns: int) -> None:
        assert intent.intent_id not in self.seen, "one intent, approved twice"
        self.seen.add(intent.intent_id)
        window = self.windows[intent.market]
        assert not self._orders_in(intent.market), "an order of ours is alive there"
        if intent.opens:
            self.entries += 1
            self._check_moment(window, intent, now_ns)
            self._check_data(window, intent, now_ns)
            self._check_account(window, intent, now_ns)
        else:
            self.exits += 1
            lot = window.lots[intent.outcome]
            settled = lot.shares - min(lot.shares, sum(lot.unconfirmed.values()))
            assert intent.shares_micros <= settled, "sells what is not there"
        self.alive[intent.intent_id] = (intent, intent.shares_micros)
        self.sent_ns.append(now_ns)

    def _refused(self, verdict: Refused, now_ns: int) -> None:
        intent = verdict.intent
        if intent.opens:
            return
        self.refused_exits += 1
        window = self.windows[intent.market]
        lot = window.lots[intent.outcome]
        settled = lot.shares - min(lot.shares, sum(lot.unconfirmed.values()))
        waited = (now_ns - window.exit_rejected_ns) / NS_PER_SECOND
        grounds = {
            "exit_in_flight": bool(self._orders_in(intent.market)),
            "exit_retry": waited <= EXIT_RETRY_SECONDS,
            "settled_shares": intent.shares_micros > settled,
        }
        for failure in verdict.failures:
            assert grounds.get(failure.rule), f"an exit was refused by {failure}"

    def _check_moment(self, window: Window, intent: OrderIntent, now_ns: int) -> None:
        market, settings = window.market, self.settings
        assert not self.lasting, f"held by {self.lasting}"
        assert not self.latched, f"halted by {self.latched}"
        assert not market.problems, "a fact is not known"
        assert not window.conflicted, "the books contradict the venue"
        assert now_ns >= market.opens_ns, "not open yet"
        last_ns = max(now_ns, intent.expires_ns)
        stop_ns = market.closes_ns - round(settings.entry_stop_seconds * NS_PER_SECOND)
        assert last_ns < stop_ns, "too close to the close"
        if window.closed_ns:
            waited = (now_ns - window.closed_ns) / NS_PER_SECOND
            assert waited >= settings.reentry_cooldown_seconds, "no cooldown"

    def _check_data(self, window: Window, intent: OrderIntent, now_ns: int) -> None:
        market, settings = window.market, self.settings
        for outcome in Outcome:
            book = self.books[market.token(outcome)]
            assert book.sound, f"the {outcome} book is not sound"
            age = (now_ns - book.true_ns) / NS_PER_SECOND
            assert age <= settings.book_age_degraded_seconds + SLACK_SECONDS, f"{outcome} is stale"
        quoted_ns = self.quoted_ns.get(market.asset, 0)
        age = (now_ns - quoted_ns) / NS_PER_SECOND
        assert age <= settings.fast_age_seconds + SLACK_SECONDS, "the fast market is stale"
        assert self.skews, "no clock was seen"
        assert min(map(abs, self.skews)) <= settings.clock_skew_seconds + SLACK_SECONDS, "skew"
        assert window.sound_steps >= 30, "vol_5m is cold"
        watched = (now_ns - self.first_quote_ns[market.asset]) / NS_PER_SECOND
        assert self.warm or watched >= 58.0, "returns_1m is cold"
        book = self.books[intent.token]
        bids, asks = book.best_bids(), book.best_asks()
        assert asks[0][0] - bids[0][0] <= round(settings.maximum_spread * MICROS), "spread"
        low, high = settings.minimum_price, settings.maximum_price
        assert low * MICROS <= intent.price_limit_micros <= high * MICROS, "price band"
        assert sum(size for _, size in bids) >= intent.shares_micros, "cannot be taken back"
        if intent.style is OrderStyle.TAKER:
            within = sum(size for price, size in asks if price <= intent.price_limit_micros)
            assert within >= intent.shares_micros, "cannot be filled"

    def _check_account(self, window: Window, intent: OrderIntent, now_ns: int) -> None:
        settings = self.settings
        assert not window.held, "a position is open there"
        pending = {i.market: c for i, left in self.alive.values() if (c := cost(i, left))}
        open_markets = {
            slug
            for slug, other in self.windows.items()
            for _, lot in other.held
            if lot.shares >= other.market.minimum_shares_micros
        }
        assert len(open_markets | set(pending)) < settings.maximum_positions, "positions"
        wanted = cost(intent, intent.shares_micros)
        at_risk = sum(pending.values()) + wanted
        assert self.cash >= at_risk, "cash"
        at_risk += sum(lot.cost for other in self.windows.values() for _, lot in other.held)
        assert at_risk <= settings.maximum_exposure * MICROS, "exposure"
        unknown = sum(
            lot.cost
            for other in self.windows.values()
            if other.mark is None
            for _, lot in other.held
        )
        day, forgiven = self.forgiven
        pnl = self._known_pnl(now_ns) - (forgiven if day == now_ns // DAY_NS else 0)
        assert unknown - pnl < settings.daily_loss_limit * MICROS, "daily loss"
        assert self._losing(now_ns) < settings.losing_streak_limit, "losing streak"
        assert self.rejects < settings.reject_streak_limit, "reject streak"
        recent = [at for at in self.sent_ns if at > now_ns - 60 * NS_PER_SECOND]
        assert len(recent) < settings.order_rate_per_minute, "order rate"

    def _known_pnl(self, now_ns: int) -> int:
        marked = [
            w.mark - lot.cost
            for w in self.windows.values()
            if w.mark is not None
            for _, lot in w.held
        ]
        return self.realised.get(now_ns // DAY_NS, 0) + sum(marked)

    def _losing(self, now_ns: int) -> int:
        since_ns = max(now_ns // DAY_NS * DAY_NS, self.resumed_ns + 1)
        streak = 0
        for at_ns, gain in self.trips:
            if at_ns >= since_ns:
                streak = streak + 1 if gain < 0 else 0
        return streak

    def _orders_in(self, slug: str) -> list[OrderIntent]:
        return [intent for intent, _ in self.alive.values() if intent.market == slug]
