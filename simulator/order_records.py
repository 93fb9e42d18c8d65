"""Owner of customers' orders: what each one is, was matched, and has locked.

House orders live in the books only. It matches nothing and moves no money.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct, field

from helpers.domain import Outcome, Side
from simulator.exchange_messages import COLLATERAL, OrderView, PlaceOrder
from simulator.market_state import MarketState
from simulator.matching import BookOrder

ENDED_ORDERS_KEPT_MAX: Final = 100_000
"""Ended orders whose ids are remembered, so that a resend is answered ``Duplicated``."""
LIVE: Final = "LIVE"
DELAYED: Final = "DELAYED"
MATCHED: Final = "MATCHED"
CANCELED: Final = "CANCELED"


class OrderRecord(Struct):
    """One customer order."""

    order: PlaceOrder
    market: MarketState
    outcome: Outcome
    created_ns: int
    status: str = LIVE
    matched_micros: int = 0
    locked_micros: int = 0
    trade_ids: list[str] = field(default_factory=list[str])

    @property
    def book_order(self) -> BookOrder:
        """Return the order as the book takes it."""
        return as_book_order(self.order, self.outcome)

    def view(self) -> OrderView:
        """Return the order as it stands."""
        order = self.order
        return OrderView(
            order.order_id,
            order.account,
            self.market.listing.condition_id,
            order.token,
            self.outcome,
            order.side,
            order.price_micros,
            order.budget_micros or order.shares_micros,
            self.matched_micros,
            order.time_in_force,
            self.status,
            self.created_ns,
            order.expires_ns,
            tuple(self.trade_ids),
        )


class OrderRecords:
    """All customer orders, open and lately ended."""

    def __init__(self) -> None:
        self._records: dict[str, OrderRecord] = {}
        self._open: dict[str, dict[str, OrderRecord]] = {}
        self._ended: deque[str] = deque()

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._records

    def add(self, record: OrderRecord) -> None:
        """Take a new order as open."""
        order = record.order
        self._records[order.order_id] = record
        self._open.setdefault(order.account, {})[order.order_id] = record

    def find(self, order_id: str) -> OrderRecord | None:
        """Return an order, open or ended, or ``None``."""
        return self._records.get(order_id)

    def open_of(self, account: str) -> tuple[OrderRecord, ...]:
        """Return an account's open orders, held ones included, oldest first."""
        return tuple(self._open.get(account, {}).values())

    def is_open(self, record: OrderRecord) -> bool:
        """Return whether an order still rests or is held."""
        return record.order.order_id in self._open.get(record.order.account, {})

    def end(self, record: OrderRecord, status: str) -> None:
        """Mark an order as ended and forget the oldest ended ones."""
        record.status = status
        del self._open[record.order.account][record.order.order_id]
        self._ended.append(record.order.order_id)
        while len(self._ended) > ENDED_ORDERS_KEPT_MAX:
            del self._records[self._ended.popleft()]


def as_book_order(order: PlaceOrder, outcome: Outcome) -> BookOrder:
    """Return an order as the book takes it."""
    return BookOrder(
        order.order_id,
        order.account,
        outcome,
        order.side,
        order.price_micros,
        order.shares_micros,
        order.time_in_force,
        order.post_only,
        order.budget_micros,
    )


def lock_asset(record: OrderRecord) -> str:
    """Return which asset an order locks: dollars to buy, its token to sell."""
    return COLLATERAL if record.order.side is Side.BUY else record.order.token
