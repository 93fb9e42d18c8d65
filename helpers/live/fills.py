"""From the venue's trades to fills of our orders: whose view, which price, once for each rung.

A trade is told again for every rung of its ladder, over the channel and by reading back, in any
order. Must not: know an order's state, or book anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from helpers.domain import (
    MICROS,
    Fill,
    FillStatus,
    Market,
    Message,
    OrderIntent,
    keep_latest,
)
from helpers.feeds.polymarket_user import UserMakerOrder, UserTrade

TRADES_REMEMBERED: Final = 20_000
"""Parts of trades whose rungs are remembered; the ladder of one ends within minutes."""

SEPARATOR: Final = "/"
KEY_CHARACTERS: Final = 10
"""Of the met order's id: enough to tell a few orders of one trade apart."""

RANK: Final = {
    FillStatus.MATCHED: 0,
    FillStatus.RETRYING: 1,
    FillStatus.MINED: 2,
    FillStatus.CONFIRMED: 3,
    FillStatus.FAILED: 4,
}
"""Only what climbs is news; a repeat or a straggler is not (reference D.4)."""


_RUNGS: Final = {status.value: status for status in FillStatus}


class OwnOrder(Message, frozen=True):
    """What a fill takes from the order it is of."""

    order_id: str
    intent: OrderIntent
    market: Market


class Part(Message, frozen=True):
    """One meeting of an order of ours with one order of somebody else's."""

    key: str
    """Trade id and, of a taker's trade, which order was met."""
    order_id: str
    price_micros: int
    shares_micros: int
    maker: bool


class TradeBook:
    """Splits trades into parts of ours and remembers how far each has climbed."""

    def __init__(self, find: Callable[[str], OwnOrder | None]) -> None:
        self._find = find
        self._parts: dict[tuple[str, str], tuple[Part, ...]] = {}
        self._rungs: dict[tuple[str, str], FillStatus] = {}
        self.foreign = 0
        """Trades that named no order of ours."""

    def fills(self, trade: UserTrade, at_ns: int) -> list[tuple[Fill, bool]]:
        """Return the fills a trade is news of, and whether each is seen for the first time.

        Empty for a repeat. A status we do not know is a match that is not settled: the fill
        inside must not be lost.
        """
        status = status_of(trade.status)
        found = [order for order in self._orders_of(trade) if order is not None]
        if not found:
            self.foreign += 1
        return [
            climbed
            for order in found
            for part in self._parts_of(trade, order)
            if (climbed := self._climbed(part, order, status, at_ns)) is not None
        ]

    def known(self, fill: Fill) -> bool:
        """Remember a fill that an earlier run booked; return whether it was new to us."""
        key = (fill.trade_id, fill.order_id)
        first = key not in self._rungs
        self._remember(key, fill.status)
        if SEPARATOR not in fill.trade_id:
            part = Part(
                fill.trade_id, fill.order_id, fill.price_micros, fill.shares_micros, fill.maker
            )
            keep_latest(self._parts, key, (part,), TRADES_REMEMBERED)
        return first

    def _orders_of(self, trade: UserTrade) -> Iterator[OwnOrder | None]:
        yield self._find(trade.taker_order_id)
        for order_id in dict.fromkeys(maker.order_id for maker in trade.maker_orders):
            yield self._find(order_id)

    def _parts_of(self, trade: UserTrade, order: OwnOrder) -> tuple[Part, ...]:
        # As first told: a later rung must not split the trade in another way and book it twice.
        key = (trade.trade_id, order.order_id)
        parts = self._parts.get(key)
        if parts is None:
            parts = _split(trade, order)
            keep_latest(self._parts, key, parts, TRADES_REMEMBERED)
        return parts

    def _climbed(
        self, part: Part, order: OwnOrder, status: FillStatus, at_ns: int
    ) -> tuple[Fill, bool] | None:
        key = (part.key, part.order_id)
        known = self._rungs.get(key)
        if known is not None and RANK[status] <= RANK[known]:
            return None
        self._remember(key, status)
        intent, market = order.intent, order.market
        fee = 0
        if not part.maker:
            fee = market.fees.taker_fee_micros(part.shares_micros, part.price_micros)
        fill = Fill(
            trade_id=part.key,
            order_id=order.order_id,
            intent_id=intent.intent_id,
            market=intent.market,
            outcome=intent.outcome,
            side=intent.side,
            shares_micros=part.shares_micros,
            price_micros=part.price_micros,
            fee_micros=fee,
            status=status,
            maker=part.maker,
            opens=intent.opens,
            deadline_ns=intent.deadline_ns,
            at_ns=at_ns,
        )
        return fill, known is None

    def _remember(self, key: tuple[str, str], status: FillStatus) -> None:
        keep_latest(self._rungs, key, status, TRADES_REMEMBERED)


def status_of(text: str) -> FillStatus:
    """Return the rung a venue's status stands for."""
    return _RUNGS.get(text, FillStatus.MATCHED)


def _split(trade: UserTrade, order: OwnOrder) -> tuple[Part, ...]:
    if trade.taker_order_id == order.order_id:
        return _taker_parts(trade, order)
    # As maker the top level is the counterparty's view; ours is our entry (reference D.4).
    return tuple(
        Part(trade.trade_id, order.order_id, maker.price_micros, maker.matched_micros, maker=True)
        for maker in trade.maker_orders
        if maker.order_id == order.order_id and maker.matched_micros > 0
    )


def _taker_parts(trade: UserTrade, order: OwnOrder) -> tuple[Part, ...]:
    """Return a part for each order met: the fee depends on each price, not on their mean."""
    met: dict[str, Part] = {}
    for maker in trade.maker_orders:
        # The other order's id, not its place in the list: another rung may list them otherwise.
        key = f"{trade.trade_id}{SEPARATOR}{maker.order_id[-KEY_CHARACTERS:]}"
        shares = maker.matched_micros + (met[key].shares_micros if key in met else 0)
        met[key] = Part(key, order.order_id, _own_price(maker, order), shares, maker=False)
    if met and sum(part.shares_micros for part in met.values()) == trade.size_micros:
        return tuple(met.values())
    whole = Part(trade.trade_id, order.order_id, trade.price_micros, trade.size_micros, maker=False)
    return (whole,) if trade.size_micros > 0 else ()


def _own_price(maker: UserMakerOrder, order: OwnOrder) -> int:
    # An order on the other token meets ours by minting or merging a pair: the prices add up to 1.
    same = maker.token == order.intent.token
    return maker.price_micros if same else MICROS - maker.price_micros
