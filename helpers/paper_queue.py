"""The paper venue's resting orders: our place in the queue, and which trades were ours.

Both tokens of a market are one book, so trades are compared at the Up token's price. Must not:
schedule, send, or read a clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from helpers.domain import (
    NS_PER_SECOND,
    BookChange,
    BookSnapshot,
    LevelChange,
    Market,
    OrderIntent,
    OutcomeTrade,
    Side,
    to_micros,
)
from helpers.paper_liquidity import up_price, up_side

SHRINK_CREDIT_NS: Final = NS_PER_SECOND
"""How long a level's shrinking may be the first half of a trade whose print is still to come: the
venue sends both and promises no order between them."""

TRADES_REMEMBERED: Final = 64
"""Latest prints of a market, to know a match that is printed for both tokens."""


@dataclass(slots=True)
class RestingOrder:
    """One post-only order of ours and the shares that were there before it."""

    intent: OrderIntent
    order_id: str
    market: Market
    remaining_micros: int
    queue_ahead_micros: int
    rested_ns: int
    fills: int = 0
    shrunk_micros: int = 0
    shrunk_ns: int = 0

    @property
    def up_side(self) -> Side:
        """Return which side of the Up book it rests on."""
        return up_side(self.intent.outcome, self.intent.side)

    @property
    def up_price(self) -> int:
        """Return its price on the Up book."""
        return up_price(self.intent.outcome, self.intent.price_limit_micros)

    def on_level(self, shares_micros: int, venue_ns: int, received_ns: int) -> None:
        """Take notice of the displayed size of its own level.

        The queue ahead is never longer than what is displayed. A change the venue made before the
        order arrived tells the true queue, so it may also lengthen it.
        """
        if venue_ns and venue_ns < self.rested_ns:
            self.queue_ahead_micros = shares_micros
        elif shares_micros < self.queue_ahead_micros:
            if received_ns - self.shrunk_ns > SHRINK_CREDIT_NS:
                self.shrunk_micros = 0
            self.shrunk_micros += self.queue_ahead_micros - shares_micros
            self.shrunk_ns = received_ns
            self.queue_ahead_micros = shares_micros

    def on_trade(self, price_micros: int, shares_micros: int, received_ns: int) -> int:
        """Return how many of the traded shares, at an Up price, were ours.

        At our price the queue ahead goes first; a trade beyond our price went through us, but still
        cannot have filled more than what was traded (I26).
        """
        bids = self.up_side is Side.BUY
        behind = price_micros > self.up_price if bids else price_micros < self.up_price
        if behind:
            return 0
        if price_micros == self.up_price:
            # What the level already lost just now was this very trade: it is not counted twice.
            if received_ns - self.shrunk_ns <= SHRINK_CREDIT_NS:
                counted = min(self.shrunk_micros, shares_micros)
                self.shrunk_micros -= counted
                shares_micros -= counted
            queued = min(self.queue_ahead_micros, shares_micros)
            self.queue_ahead_micros -= queued
            shares_micros -= queued
        else:
            self.queue_ahead_micros = 0
        ours = min(shares_micros, self.remaining_micros)
        self.remaining_micros -= ours
        return ours


@dataclass(slots=True)
class Prints:
    """The latest prints of one market, so that a match printed for both tokens counts once."""

    _seen: deque[tuple[int, Side, int, int, str]] = field(
        default_factory=lambda: deque(maxlen=TRADES_REMEMBERED)
    )

    def is_mirror(self, trade: OutcomeTrade, market: Market) -> bool:
        """Return whether a print repeats one of the other token, and remember it if not."""
        outcome = market.outcome_of(trade.token)
        stamp = trade.venue_ns or trade.received_ns
        side = up_side(outcome, trade.taker_side)
        price = up_price(outcome, to_micros(trade.price))
        shares = to_micros(trade.size)
        mirrored = (stamp, side, price, shares, market.token(outcome.other))
        if mirrored in self._seen:
            self._seen.remove(mirrored)
            return True
        self._seen.append((stamp, side, price, shares, trade.token))
        return False


class RestingOrders:
    """Owner of the post-only orders that stand in the book, oldest first."""

    def __init__(self) -> None:
        self._orders: dict[str, RestingOrder] = {}
        self._prints: dict[str, Prints] = {}

    def __len__(self) -> int:
        """Return how many orders rest."""
        return len(self._orders)

    def add(self, order: RestingOrder) -> None:
        """Let an order rest."""
        self._orders[order.order_id] = order

    def remove(self, order_id: str) -> None:
        """Take an order out; raises ``KeyError`` if it does not rest."""
        del self._orders[order_id]

    def get(self, order_id: str) -> RestingOrder | None:
        """Return an order if it still rests."""
        return self._orders.get(order_id)

    def all(self) -> list[RestingOrder]:
        """Return every resting order, oldest first."""
        return list(self._orders.values())

    def of(self, slug: str) -> list[RestingOrder]:
        """Return a market's resting orders, oldest first."""
        return [order for order in self._orders.values() if order.market.slug == slug]

    def on_change(self, market: Market, event: BookChange) -> None:
        """Let changed levels shorten the queues ahead."""
        for order in self.of(market.slug):
            size = _changed_size(order, event.changes)
            if size is not None:
                order.on_level(size, event.venue_ns, event.received_ns)

    def on_snapshot(self, event: BookSnapshot) -> None:
        """Let a whole book shorten the queues ahead in its token."""
        for order in self._orders.values():
            if order.intent.token == event.token:
                size = _snapshot_size(order, event)
                order.on_level(size, event.venue_ns, event.received_ns)

    def on_trade(self, market: Market, trade: OutcomeTrade) -> list[tuple[RestingOrder, int]]:
        """Return which orders a print filled, by how many micro-shares."""
        orders = self.of(market.slug)
        if not orders or not _is_print(trade, market):
            return []
        if self._prints.setdefault(market.slug, Prints()).is_mirror(trade, market):
            return []
        outcome = market.outcome_of(trade.token)
        price = up_price(outcome, to_micros(trade.price))
        taker = up_side(outcome, trade.taker_side)
        shares = to_micros(trade.size)
        filled: list[tuple[RestingOrder, int]] = []
        for order in orders:
            # What traded before the order stood in the book cannot have filled it.
            before = 0 < trade.venue_ns < order.rested_ns
            if before or taker is order.up_side:
                continue
            ours = order.on_trade(price, shares, trade.received_ns)
            if ours:
                shares -= ours
                filled.append((order, ours))
        return filled

    def forget(self, slug: str) -> None:
        """Drop the prints of a market that has ended."""
        self._prints.pop(slug, None)


def _is_print(trade: OutcomeTrade, market: Market) -> bool:
    ours = trade.token in (market.up_token, market.down_token)
    return ours and 0.0 < trade.price < 1.0 and trade.size > 0.0 and math.isfinite(trade.size)


def _changed_size(order: RestingOrder, changes: Iterable[LevelChange]) -> int | None:
    intent, size = order.intent, None
    for change in changes:
        if (
            change.token == intent.token
            and change.side is intent.side
            and to_micros(change.price) == intent.price_limit_micros
        ):
            size = to_micros(change.size)
    return size


def _snapshot_size(order: RestingOrder, snapshot: BookSnapshot) -> int:
    levels = snapshot.bids if order.intent.side is Side.BUY else snapshot.asks
    price = order.intent.price_limit_micros
    return sum(to_micros(level.size) for level in levels if to_micros(level.price) == price)
