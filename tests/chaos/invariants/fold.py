"""Journal rows folded into what was so at every verdict, by arithmetic of its own.

Nothing of the worker's own sums is used: shares come from trades, money at risk from prices paid,
what holds entries from the rows that say so. The rows of a later life go on where those of the
earlier one ended, as the worker does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from db.control_state import CauseReleased
from db.records import Record
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Accepted,
    Approved,
    Fill,
    FillStatus,
    HaltChanged,
    HoldCause,
    MarketSeen,
    Mode,
    OrderIntent,
    OrderSigned,
    OrderState,
    OrderUpdate,
    Outcome,
    Reconciled,
    Refused,
    Rejected,
    ResolutionSeen,
    Settled,
    Side,
    Unknown,
)
from helpers.settings import Settings
from tests.chaos.invariants.attention import Attention

Leg = tuple[str, Outcome]
OVER = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})
RATE_NS = 60 * NS_PER_SECOND


class Order:
    """One approved order and what its rows have told so far."""

    def __init__(self, intent: OrderIntent, life: int) -> None:
        self.intent = intent
        self.life = life
        self.order_id = ""
        self.told = ""
        """Latest answer: accepted, rejected, unknown; empty before any."""
        self.over = False
        self.booked_micros = 0

    @property
    def pending_micros(self) -> int:
        """Return the dollars that what is left of an entry may still cost."""
        if self.over or not self.intent.opens:
            return 0
        left = max(0, self.intent.shares_micros - self.booked_micros)
        return left * self.intent.price_limit_micros // MICROS


class Seen(NamedTuple):
    """What the rows before a verdict say of its moment."""

    life: int
    seq: int
    at_ns: int
    market: MarketSeen
    intent: OrderIntent
    held: tuple[str, ...]
    """Causes that hold entries."""
    compared: bool
    """Whether this process has seen its books agree with the venue's."""
    alive: tuple[Order, ...]
    """Orders of the market that are not over."""
    position_micros: int
    """Shares of the market, both outcomes."""
    occupied: int
    """Other markets with a position that can be sold, or an entry under way."""
    exposure_micros: int
    sent_last_minute: int
    flat_ns: int
    """When the market's last position was sold, 0 if never."""


class Books:
    """Trades, orders and money of one wallet, as the rows tell them."""

    def __init__(self) -> None:
        self.trades: dict[tuple[str, str], Fill] = {}
        """Each trade at the latest rung it was told at."""
        self.failures: Counter[tuple[str, str]] = Counter()
        self.orders: dict[str, Order] = {}
        self._under_way: dict[str, Order] = {}
        self.resolved: dict[str, Outcome] = {}
        self.flat_ns: dict[str, int] = {}
        self._shares: Counter[Leg] = Counter()
        self._cost: Counter[Leg] = Counter()

    def under_way(self) -> tuple[Order, ...]:
        """Return the orders that are not over."""
        over = [intent_id for intent_id, order in self._under_way.items() if order.over]
        for intent_id in over:  # none comes back to life
            del self._under_way[intent_id]
        return tuple(self._under_way.values())

    def approve(self, order: Order) -> None:
        """Take in an order about to be sent."""
        self.orders[order.intent.intent_id] = self._under_way[order.intent.intent_id] = order

    def shares(self, slug: str) -> int:
        """Return the shares of a market, both outcomes; none after its resolution."""
        return sum(self.leg(slug, outcome) for outcome in Outcome)

    def leg(self, slug: str, outcome: Outcome) -> int:
        """Return the shares of one outcome."""
        return 0 if slug in self.resolved else self._shares[slug, outcome]

    def largest_leg(self, slug: str) -> int:
        """Return the shares of the outcome that more is held of."""
        return max(self.leg(slug, outcome) for outcome in Outcome)

    def legs(self) -> dict[Leg, int]:
        """Return everything held."""
        return {leg: n for leg, n in self._shares.items() if n and leg[0] not in self.resolved}

    def exposure_micros(self) -> int:
        """Return what the positions cost, and entries under way may."""
        cost = sum(c for leg, c in self._cost.items() if leg[0] not in self.resolved)
        return cost + sum(order.pending_micros for order in self.under_way())

    def occupied(self, slug: str, markets: dict[str, MarketSeen]) -> int:
        """Return in how many other markets there is a position or an entry under way."""
        entered = {o.intent.market for o in self.under_way() if o.pending_micros}
        held = {
            leg[0]
            for leg, shares in self.legs().items()
            if shares >= markets[leg[0]].minimum_shares_micros
        }
        return len((entered | held) - {slug})

    def fill(self, fill: Fill) -> None:
        """Take a trade at one rung: it counts from its first sight until it FAILED."""
        key = (fill.trade_id, fill.order_id)
        known = self.trades.get(key)
        if known is None and (order := self.orders.get(fill.intent_id)) is not None:
            order.booked_micros += fill.shares_micros
        if known is not None and known.status is FillStatus.FAILED:
            return
        self.trades[key] = fill
        failed = fill.status is FillStatus.FAILED
        self.failures[key] += failed
        if known is None and not failed:
            self._count(fill, 1)
        elif known is not None and failed:
            self._count(fill, -1)

    def _count(self, fill: Fill, times: int) -> None:
        leg = (fill.market, fill.outcome)
        before = self._shares[leg]
        if fill.side is Side.BUY:
            self._shares[leg] += times * fill.shares_micros
            notional = fill.shares_micros * fill.price_micros // MICROS
            self._cost[leg] += times * (notional + fill.fee_micros)
        else:
            each = self._cost[leg] / before if before else 0.0
            self._shares[leg] -= times * fill.shares_micros
            self._cost[leg] -= round(times * fill.shares_micros * each)
        if self._shares[leg] <= 0 < before and fill.side is Side.SELL:
            self.flat_ns[fill.market] = fill.at_ns
        if not self._shares[leg]:
            self._cost[leg] = 0


class Fold:
    """All lives of a run, row by row."""

    def __init__(self, settings: Settings) -> None:
        self.books = Books()
        self.attention = Attention(settings)
        self.markets: dict[str, MarketSeen] = {}
        self.approved: list[Seen] = []
        self.refused: list[tuple[Seen, Refused]] = []
        self.signed: dict[str, tuple[str, int, int]] = {}
        """Intent, life and row of each signed order."""
        self.reconciled: list[tuple[int, Reconciled]] = []
        self.halts: list[tuple[int, int, HaltChanged]] = []
        self.rejected: list[Rejected] = []
        self.settled: list[Settled] = []
        self._held: dict[str, int] = {}
        """Since when each cause holds entries."""
        self._last: object = None
        """The latest row."""
        self._compared = False
        self._sent: deque[int] = deque()

    def life(
        self, number: int, mode: Mode, records: Sequence[Record], released: Sequence[CauseReleased]
    ) -> None:
        """Take the rows of one process, and the control log's ends of halts of all of them."""
        # Held without a row of its own until the supervisor has looked (I1); and what an operator
        # must end holds on (I30), unless its process died in the very act of saying so.
        died_at = self._last.cause if isinstance(self._last, HaltChanged) else ""
        # An end that is in the control log counts, though its row died with the process (1178).
        began_ns = records[0].at_ns if records else 0
        ended = {
            one.cause
            for one in released
            if self._held.get(one.cause, began_ns) <= one.at_ns < began_ns
        }
        self._held = {
            cause: since_ns
            for cause, since_ns in self._held.items()
            if HoldCause(cause).latched and cause != died_at and cause not in ended
        }
        self._held[HoldCause.SUPERVISOR] = began_ns
        self._sent.clear()
        self._compared = mode is not Mode.LIVE
        for order in self.books.under_way():
            # Its process died between approval and signature: nothing was ever sent.
            order.over = order.over or (mode is Mode.LIVE and not order.order_id)
        self.attention.begin()
        for record in records:
            self._row(number, record)
            self._last = record.body
            slug = record.market
            if slug:
                market = self.markets.get(slug)
                held = self.books.largest_leg(slug)
                self.attention.row(number, record, market, held, partial(self._trades, slug))

    def _row(self, life: int, record: Record) -> None:
        body, books = record.body, self.books
        match body:
            case MarketSeen():
                self.markets[body.slug] = body
            case Approved():
                intent = body.intent
                self.approved.append(self._seen(life, record, intent))
                books.approve(Order(intent, life))
                self._sent.append(record.at_ns)
            case Refused():
                self.refused.append((self._seen(life, record, body.intent), body))
            case OrderSigned():
                self.signed[body.order_id] = (body.intent_id, life, record.seq)
                if (order := books.orders.get(body.intent_id)) is not None:
                    order.order_id = body.order_id
            case Fill():
                books.fill(body)
            case ResolutionSeen():
                books.resolved[record.market] = body.outcome
            case Settled():
                self.settled.append(body)
            case HaltChanged():
                self.halts.append((life, record.at_ns, body))
                self._halt(body, record.at_ns)
            case Reconciled():
                self.reconciled.append((life, body))
                self._compared = self._compared or body.agrees
            case _:
                self._answer(body)

    def _trades(self, slug: str) -> bool:
        """Return whether an order of a market is under way."""
        return any(order.intent.market == slug for order in self.books.under_way())

    def _answer(self, body: object) -> None:
        if not isinstance(body, Accepted | Rejected | Unknown | OrderUpdate):
            return
        if isinstance(body, Rejected):
            self.rejected.append(body)
        order = self.books.orders.get(body.intent_id)
        if order is None:
            return
        if isinstance(body, OrderUpdate):
            order.over = order.over or body.state in OVER
            order.told = order.told or "updated"
        else:
            order.told = type(body).__name__.lower()
            order.over = order.over or isinstance(body, Rejected)

    def _halt(self, changed: HaltChanged, at_ns: int) -> None:
        if changed.state == "held":
            self._held[changed.cause] = at_ns
        else:
            self._held.pop(changed.cause, None)

    def _seen(self, life: int, record: Record, intent: OrderIntent) -> Seen:
        books, at_ns = self.books, record.at_ns
        while self._sent and self._sent[0] <= at_ns - RATE_NS:
            self._sent.popleft()
        alive = tuple(o for o in books.under_way() if o.intent.market == intent.market)
        return Seen(
            life,
            record.seq,
            at_ns,
            self.markets[intent.market],
            intent,
            tuple(self._held),
            self._compared,
            alive,
            books.shares(intent.market),
            books.occupied(intent.market, self.markets),
            books.exposure_micros(),
            len(self._sent),
            books.flat_ns.get(intent.market, 0),
        )

    def entries(self) -> Iterator[Seen]:
        """Yield the approved entries."""
        return (seen for seen in self.approved if seen.intent.opens)


def fold_of(
    settings: Settings,
    mode: Mode,
    lives: Iterable[Sequence[Record]],
    released: Sequence[CauseReleased],
) -> Fold:
    """Return all lives folded."""
    fold = Fold(settings)
    for number, records in enumerate(lives, 1):
        fold.life(number, mode, records, released)
    return fold


OPERATOR = str(HoldCause.OPERATOR)
