"""Owner of our orders at the venue: what was signed, what the venue says, what of it is filled.

Pure: answers, channel messages and reads come in, execution events go out. An order is over when
the venue says so *and* everything it says was matched is booked. Unknown is not rejected: an order
is given up only when complete reads of open orders and trades, apart in time, do not know it.
Must not: send anything, read a clock, or book into the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from helpers.clob.messages import OpenOrder, PostAccepted, PostRejected, PostUnknown
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Accepted,
    CarriedOrder,
    ExecutionEvent,
    Fill,
    Market,
    OrderIntent,
    OrderSigned,
    OrderState,
    OrderUpdate,
    Rejected,
    Side,
    Unknown,
)
from helpers.feeds.polymarket_user import UserOrder, UserTrade
from helpers.live.fills import OwnOrder, TradeBook
from helpers.live.order import DUST_MICROS, LiveOrder, Stage
from helpers.order_rules import FAK_UNMATCHED_TEXT, POST_ONLY_CROSSES_TEXT

ORDERS_REMEMBERED: Final = 2_000
"""Ended orders kept so that a late trade finds its intent; the oldest go first."""
QUIET_NS: Final = 3 * NS_PER_SECOND
"""An order the venue answered for so recently may be missing from a read of open orders."""
GIVE_UP_NS: Final = 15 * NS_PER_SECOND
"""So long after its request ended an order of unknown outcome can still arrive."""
TAKEN_OVER_NS: Final = 3 * NS_PER_SECOND
"""The same for an order of a process that is gone, and its connections with it: the venue's own
hold of 150 ms and some to spare."""
BETWEEN_READS_NS: Final = 2 * NS_PER_SECOND
READS_TO_GIVE_UP: Final = 2
OTHER_TEXTS_OF_A_MISS: Final = ("couldn't be fully filled",)


class LiveOrders:
    """All our orders: the living ones, and the latest dead ones for their late trades."""

    def __init__(self) -> None:
        self._orders: dict[str, LiveOrder] = {}
        self._alive: dict[str, LiveOrder] = {}
        self.trades = TradeBook(self._find)
        self.zombies: dict[str, None] = {}
        """Orders given up that the venue has open after all: to be cancelled at once."""

    # --- What we do -----------------------------------------------------------------------------

    def add(self, intent: OrderIntent, market: Market, signed: OrderSigned) -> None:
        """Take in an order that is about to be sent; raises ``ValueError`` for a known id."""
        if signed.order_id in self._orders:
            raise ValueError(f"order {signed.order_id} was signed before")
        order = LiveOrder(intent, market, signed)
        self._orders[order.order_id] = self._alive[order.order_id] = order
        self._forget_oldest()

    def not_sent(self, order_id: str, reason: str, at_ns: int) -> list[ExecutionEvent]:
        """Note that an order never left this machine."""
        order = self._alive.get(order_id)
        return [] if order is None else self._reject(order, reason, at_ns)

    # --- What the venue answers -----------------------------------------------------------------

    def on_reply(
        self, order_id: str, outcome: PostAccepted | PostRejected | PostUnknown, at_ns: int
    ) -> list[ExecutionEvent]:
        """Take in the answer to POST /order (reference B.3, B.4)."""
        order = self._alive.get(order_id)
        if order is None or order.stage not in (Stage.SENDING, Stage.UNKNOWN):
            # The channel was faster; it has said more than the answer can.
            return [] if order is None else self._note_matched(order, outcome, at_ns)
        order.answered_ns = at_ns
        if isinstance(outcome, PostRejected):
            if order.booked_micros:
                return self._unknown(order, f"rejected though filled: {outcome.reason}", at_ns)
            return self._reject(order, outcome.reason, at_ns)
        if isinstance(outcome, PostUnknown):
            return self._unknown(order, outcome.reason, at_ns)
        if outcome.status not in ("live", "matched", "delayed"):
            return self._unknown(order, f"status was {outcome.status!r}", at_ns)
        events = self._accept(order, at_ns)
        if outcome.status == "live":
            events.append(self._update(order, OrderState.RESTING, at_ns))
        return events + self._note_matched(order, outcome, at_ns)

    def on_order(self, message: UserOrder, at_ns: int) -> list[ExecutionEvent]:
        """Take in an order event of the user channel (reference D.2, D.3)."""
        order = self._orders.get(message.order_id)
        if order is None:
            return []
        if message.kind == "CANCELLATION" or message.status.startswith(("CANCELED", "INVALID")):
            return self._ended_by_venue(order, message.status, message.matched_micros, at_ns)
        if order.stage is Stage.DONE:
            if message.kind == "PLACEMENT" and message.status == "LIVE":
                self.zombies[order.order_id] = None
            return []
        events = self._accept(order, at_ns)
        order.hear_matched(message.matched_micros)
        if message.status == "MATCHED":
            events += self._over(order, OrderState.FILLED, at_ns)
        return events

    def on_trade(self, trade: UserTrade, at_ns: int) -> list[ExecutionEvent]:
        """Take in a trade at one rung, of the channel or of a read (reference D.4)."""
        events: list[ExecutionEvent] = []
        for fill, first in self.trades.fills(trade, at_ns):
            events += self._on_fill(fill, first, at_ns)
        return events

    def on_cancel(
        self, canceled: Iterable[str], kept: Iterable[tuple[str, str]], at_ns: int
    ) -> list[ExecutionEvent]:
        """Take in the answer to a cancellation; what was kept is told by the channel or a read."""
        events: list[ExecutionEvent] = []
        for order_id in canceled:
            self.zombies.pop(order_id, None)
            order = self._alive.get(order_id)
            if order is not None:
                # What it matched before is not in the answer: a read of its trades tells.
                order.matched_known = False
                events += self._accept(order, at_ns)
                events += self._over(order, OrderState.CANCELED, at_ns)
        for order_id, _ in kept:
            self.zombies.pop(order_id, None)
        return events

    # --- What a read says -----------------------------------------------------------------------

    def on_read(
        self, opened: Sequence[OpenOrder], trades: Iterable[UserTrade], asked_ns: int, at_ns: int
    ) -> list[ExecutionEvent]:
        """Take in a complete read: open orders first, then the trades asked for *after* them.

        An order that is not among the open ones had every match of it in trades that were read
        later, so once those are booked nothing more can come of it.
        """
        events: list[ExecutionEvent] = []
        present = {row.order_id: row for row in opened}
        for trade in trades:
            events += self.on_trade(trade, at_ns)
        for order in list(self._alive.values()):
            row = present.get(order.order_id)
            if row is not None:
                events += self._present(order, row, at_ns)
            elif order.stage is not Stage.SENDING:
                events += self._absent(order, asked_ns, at_ns)
        for order_id in present:
            dead = self._orders.get(order_id)
            if dead is not None and dead.stage is Stage.DONE:
                self.zombies[order_id] = None
        return events

    def _present(self, order: LiveOrder, row: OpenOrder, at_ns: int) -> list[ExecutionEvent]:
        order.absent_reads = 0
        if order.stage is Stage.ENDED:
            return []
        events = self._accept(order, at_ns)
        order.hear_matched(row.matched_micros)
        return events

    def _absent(self, order: LiveOrder, asked_ns: int, at_ns: int) -> list[ExecutionEvent]:
        since_answer_ns = asked_ns - order.answered_ns
        if order.stage is Stage.ENDED or (order.stage is Stage.OPEN and order.told):
            if (
                since_answer_ns < QUIET_NS
                or order.matched_micros > order.booked_micros + DUST_MICROS
            ):
                return []
            order.matched_known = True
            return self._over(order, order.end, at_ns)
        if since_answer_ns < GIVE_UP_NS:
            return []
        if order.absent_reads and asked_ns - order.absent_ns < BETWEEN_READS_NS:
            return []
        order.absent_reads += 1
        order.absent_ns = asked_ns
        if order.absent_reads < READS_TO_GIVE_UP:
            return []
        if order.booked_micros:
            order.matched_known = True
            return self._over(order, OrderState.CANCELED, at_ns)
        return self._reject(order, "the venue does not know the order: it never arrived", at_ns)

    # --- Transitions ----------------------------------------------------------------------------

    def _on_fill(self, fill: Fill, first: bool, at_ns: int) -> list[ExecutionEvent]:
        order = self._orders[fill.order_id]
        events = [] if order.stage is Stage.DONE else self._accept(order, at_ns)
        events.append(fill)
        # The first sight of a trade counts, whatever its rung: a failed one was matched, too.
        if first:
            order.book(fill.shares_micros)
        return events + self._settle_up(order, at_ns)

    def _accept(self, order: LiveOrder, at_ns: int) -> list[ExecutionEvent]:
        if order.stage in (Stage.SENDING, Stage.UNKNOWN):
            order.stage = Stage.OPEN
            order.answered_ns = max(order.answered_ns, at_ns)
        if order.told:
            return []
        order.told = True
        return [Accepted(order.intent.intent_id, order.order_id, at_ns)]

    def _unknown(self, order: LiveOrder, reason: str, at_ns: int) -> list[ExecutionEvent]:
        order.stage = Stage.UNKNOWN
        return [Unknown(order.intent.intent_id, order.order_id, reason, at_ns)]

    def _reject(self, order: LiveOrder, reason: str, at_ns: int) -> list[ExecutionEvent]:
        self._bury(order)
        missed = reason.startswith((FAK_UNMATCHED_TEXT, POST_ONLY_CROSSES_TEXT, "the venue does"))
        missed = missed or any(text in reason for text in OTHER_TEXTS_OF_A_MISS)
        return [Rejected(order.intent.intent_id, order.order_id, reason, at_ns, missed)]

    def _note_matched(
        self, order: LiveOrder, outcome: PostAccepted | PostRejected | PostUnknown, at_ns: int
    ) -> list[ExecutionEvent]:
        if not isinstance(outcome, PostAccepted) or outcome.status != "matched":
            return []
        order.trade_ids = outcome.trade_ids
        buying = order.intent.side is Side.BUY
        shares = outcome.taking_micros if buying else outcome.making_micros
        if shares:
            order.matched_micros = max(order.matched_micros, shares)
        else:
            order.matched_known = False
        if order.rests:
            return self._settle_up(order, at_ns)
        whole = order.matched_micros + DUST_MICROS >= order.signed.shares_micros
        return self._over(order, OrderState.FILLED if whole else OrderState.CANCELED, at_ns)

    def _ended_by_venue(
        self, order: LiveOrder, status: str, matched_micros: int | None, at_ns: int
    ) -> list[ExecutionEvent]:
        self.zombies.pop(order.order_id, None)
        if order.stage is Stage.DONE:
            return []
        order.hear_matched(matched_micros)
        events = self._accept(order, at_ns)
        expired = status == "CANCELED_EXPIRED_ORDER"
        return events + self._over(
            order, OrderState.EXPIRED if expired else OrderState.CANCELED, at_ns
        )

    def _over(self, order: LiveOrder, end: OrderState, at_ns: int) -> list[ExecutionEvent]:
        order.stage = Stage.ENDED
        order.end = end
        order.answered_ns = max(order.answered_ns, at_ns)
        return self._settle_up(order, at_ns)

    def _settle_up(self, order: LiveOrder, at_ns: int) -> list[ExecutionEvent]:
        if order.stage is Stage.DONE:
            return []
        full = order.booked_micros + DUST_MICROS >= order.signed.shares_micros
        if full and order.booked_micros:
            order.matched_known = True
        if order.awaits() or not (full or order.stage is Stage.ENDED):
            return []
        self._bury(order)
        return [self._update(order, OrderState.FILLED if full else order.end, at_ns)]

    def _update(self, order: LiveOrder, state: OrderState, at_ns: int) -> OrderUpdate:
        remaining = 0 if state is OrderState.FILLED else order.remaining_micros
        intent = order.intent
        return OrderUpdate(intent.intent_id, order.order_id, intent.market, state, remaining, at_ns)

    def _bury(self, order: LiveOrder) -> None:
        order.stage = Stage.DONE
        self._alive.pop(order.order_id, None)

    # --- Questions ------------------------------------------------------------------------------

    def alive(self) -> tuple[LiveOrder, ...]:
        """Return the orders whose story is not over, oldest first."""
        return tuple(self._alive.values())

    def find(self, order_id: str) -> LiveOrder | None:
        """Return an order, dead or alive."""
        return self._orders.get(order_id)

    def markets(self) -> frozenset[str]:
        """Return the slugs in which an order is alive."""
        return frozenset(order.intent.market for order in self._alive.values())

    def markets_unknown(self) -> frozenset[str]:
        """Return the slugs in which an outcome is unknown."""
        return frozenset(
            order.intent.market for order in self._alive.values() if order.stage is Stage.UNKNOWN
        )

    def pending_entry_micros(self, slug: str) -> int:
        """Return the notional of what is left of a market's entries."""
        return sum(
            order.remaining_micros * order.signed.limit_micros // MICROS
            for order in self._alive.values()
            if order.intent.opens and order.intent.market == slug
        )

    def resting(self) -> tuple[LiveOrder, ...]:
        """Return the orders that may lie in the venue's book."""
        return tuple(
            order
            for order in self._alive.values()
            if order.rests and order.stage is not Stage.ENDED
        )

    def unresolved(self, now_ns: int) -> tuple[LiveOrder, ...]:
        """Return what only a read can tell: unknown, or matched and untold for a second."""
        return tuple(
            order
            for order in self._alive.values()
            if order.stage is Stage.UNKNOWN
            or (
                (order.stage is Stage.ENDED or not order.rests)
                and now_ns - order.answered_ns > NS_PER_SECOND
            )
        )

    # --- Over a restart -------------------------------------------------------------------------

    def carried(self) -> tuple[CarriedOrder, ...]:
        """Return every order, for whoever goes on after us."""
        return tuple(
            CarriedOrder(
                order.own.market,
                order.intent,
                order.signed,
                order.stage.value,
                order.matched_micros,
                order.matched_known,
            )
            for order in self._orders.values()
        )

    def take_over(self, carried: CarriedOrder, at_ns: int) -> None:
        """Take an order over from an earlier run; one that was alive is of unknown outcome now."""
        order = LiveOrder(carried.intent, carried.market, carried.signed)
        order.matched_micros = carried.matched_micros
        order.matched_known = carried.matched_known
        self._orders[order.order_id] = order
        if carried.stage == Stage.DONE:
            order.stage = Stage.DONE
            order.told = True
        else:
            order.stage = Stage.UNKNOWN
            order.answered_ns = at_ns - GIVE_UP_NS + TAKEN_OVER_NS
            self._alive[order.order_id] = order

    def booked(self, fill: Fill) -> None:
        """Note a fill that an earlier run booked."""
        first = self.trades.known(fill)
        order = self._orders.get(fill.order_id)
        if order is not None and first:
            order.book(fill.shares_micros)

    def _find(self, order_id: str) -> OwnOrder | None:
        order = self._orders.get(order_id)
        return None if order is None else order.own

    def _forget_oldest(self) -> None:
        surplus = len(self._orders) - ORDERS_REMEMBERED
        if surplus > 0:
            dead = (o for o in self._orders.values() if o.stage is Stage.DONE)
            for order in list(_first(dead, surplus)):
                del self._orders[order.order_id]


def _first(orders: Iterator[LiveOrder], count: int) -> Iterator[LiveOrder]:
    for _, order in zip(range(count), orders, strict=False):
        yield order
