"""What the market channel is told of a book and its trades, and the facts of a match.

It changes no order and no balance; it keeps a market's totals, tick and sequence.
"""

from __future__ import annotations

from collections.abc import Callable

from helpers.domain import MICROS, Outcome, Side
from simulator.exchange_messages import (
    BookChanged,
    BookPublished,
    ExchangeEvent,
    MakerLeg,
    MarketTraded,
    PlaceOrder,
    TickSizeChanged,
    TradeFacts,
)
from simulator.market_state import MarketState
from simulator.matching import LevelUpdate, MatchFill, MatchResult, cost_micros
from simulator.settlement import transaction_hash


class MarketNews:
    """Emits the public events of all markets."""

    def __init__(self, emit: Callable[[ExchangeEvent], None]) -> None:
        self._emit = emit

    def book_changed(
        self, market: MarketState, changes: tuple[LevelUpdate, ...], now_ns: int
    ) -> None:
        """Emit changed levels, and another tick when the new best prices call for it."""
        bid, ask = market.book.best_bid or 0, market.book.best_ask or 0
        market.sequence += 1
        market.last_change_ns = now_ns
        self._emit(
            BookChanged(market.listing.condition_id, changes, bid, ask, market.sequence, now_ns)
        )
        if market.best != (bid, ask):
            market.best = (bid, ask)
            self.tick_called_for(market, now_ns)

    def tick_called_for(self, market: MarketState, now_ns: int) -> None:
        """Change a market's tick when its prices, or a fault, call for another."""
        tick = market.wanted_tick_micros()
        if tick != market.tick_micros:
            old, market.tick_micros = market.tick_micros, tick
            self._emit(TickSizeChanged(market.listing.condition_id, old, tick, now_ns))
            self.publish_book(market, now_ns)

    def traded(
        self,
        order: PlaceOrder,
        outcome: Outcome,
        market: MarketState,
        fills: tuple[MatchFill, ...],
        facts: TradeFacts,
    ) -> None:
        """Emit one public trade for each price that was met."""
        by_price: dict[int, int] = {}
        for fill in fills:
            price = fill.up_price_micros
            by_price[price] = by_price.get(price, 0) + fill.shares_micros
        for price, shares in by_price.items():
            own = price if outcome is Outcome.UP else MICROS - price
            self._emit(
                MarketTraded(
                    market.listing.condition_id,
                    order.token,
                    outcome,
                    order.side,
                    own,
                    shares,
                    facts.trade_id,
                    facts.transaction_hash,
                    facts.matched_ns,
                )
            )

    def publish_book(self, market: MarketState, now_ns: int) -> None:
        """Emit a whole book."""
        book = market.book
        self._emit(
            BookPublished(
                market.listing.condition_id,
                book.levels(Outcome.UP, Side.BUY),
                book.levels(Outcome.UP, Side.SELL),
                now_ns,
            )
        )


def match_facts(
    order: PlaceOrder,
    outcome: Outcome,
    market: MarketState,
    result: MatchResult,
    trade_id: str,
    now_ns: int,
) -> TradeFacts:
    """Return the one trade that a match makes, and add it to its market's totals."""
    listing = market.listing
    cost = fee = 0
    legs: list[MakerLeg] = []
    for fill in result.fills:
        price, shares = fill.up_price_micros, fill.shares_micros
        dollars = cost_micros(outcome, price, shares)
        fill_fee = market.taker_fee_micros(shares, price)
        market.record_fill(fill, fill_fee, dollars)
        cost += dollars
        fee += fill_fee
        legs.append(
            MakerLeg(
                fill.maker_order_id,
                fill.maker_owner,
                listing.token(fill.maker_outcome),
                fill.maker_outcome,
                fill.maker_side,
                price if fill.maker_outcome is Outcome.UP else MICROS - price,
                shares,
                fill.match_type,
            )
        )
    return TradeFacts(
        trade_id,
        listing.condition_id,
        order.order_id,
        order.account,
        order.token,
        outcome,
        order.side,
        result.filled_micros,
        cost,
        fee,
        now_ns,
        transaction_hash(trade_id),
        tuple(legs),
    )
