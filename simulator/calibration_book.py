"""A level map just good enough to measure the market model: no fees, no strangers, no queue.

The exchange core does matching properly; this keeps the calibration quick and independent of it.
Everything is on the Up book's scale.
"""

from __future__ import annotations

from helpers.domain import MICROS, Outcome, Side
from simulator.actions import Cancel, Place, Take
from simulator.windows import (
    COARSE_TICK_MICROS,
    FINE_ABOVE_MICROS,
    FINE_BELOW_MICROS,
    FINE_TICK_MICROS,
)

_BACK_TO_COARSE_MICROS = 10_000
"""The tick returns once the price is this far inside again, so it does not flicker."""


class MarketLevels:
    """One market's orders by price; prices and shares in micro-units."""

    __slots__ = ("asks", "best_ask", "best_bid", "bids", "orders", "tick")

    def __init__(self) -> None:
        self.bids: dict[int, dict[str, int]] = {}
        self.asks: dict[int, dict[str, int]] = {}
        self.orders: dict[str, tuple[bool, int]] = {}
        self.best_bid = 0
        self.best_ask = 0
        self.tick = COARSE_TICK_MICROS

    def size(self, price: int, bid: bool) -> int:
        """Return the shares on a level."""
        return sum((self.bids if bid else self.asks).get(price, {}).values())

    def top(self, bid: bool, levels: int) -> list[int]:
        """Return the shares of the best levels, best first."""
        side = self.bids if bid else self.asks
        return [sum(side[price].values()) for price in sorted(side, reverse=bid)[:levels]]

    def place(self, action: Place) -> None:
        """Rest an order; raise ``ValueError`` when it would cross."""
        up = action.outcome is Outcome.UP
        bid = (action.side is Side.BUY) == up
        price = action.price_micros if up else MICROS - action.price_micros
        if (bid and 0 < self.best_ask <= price) or (not bid and price <= self.best_bid):
            raise ValueError(
                f"{action.order_id} crossed: {price}, {self.best_bid=} {self.best_ask=}"
            )
        side = self.bids if bid else self.asks
        side.setdefault(price, {})[action.order_id] = action.shares_micros
        self.orders[action.order_id] = (bid, price)
        if bid:
            self.best_bid = max(self.best_bid, price)
        else:
            self.best_ask = min(self.best_ask or MICROS, price)
        self._retick()

    def cancel(self, action: Cancel) -> None:
        """Remove an order if it still rests."""
        if action.order_id in self.orders:
            self._remove(action.order_id)
            self._retick()

    def take(self, action: Take) -> int:
        """Fill what the limit allows; return how many resting orders were hit."""
        up = action.outcome is Outcome.UP
        lifts = (action.side is Side.BUY) == up
        limit = action.price_limit_micros if up else MICROS - action.price_limit_micros
        left, hits = action.shares_micros, 0
        while left > 0:
            price = self.best_ask if lifts else self.best_bid
            if price == 0 or (price > limit if lifts else price < limit):
                break
            level = (self.asks if lifts else self.bids)[price]
            order_id, shares = next(iter(level.items()))
            hits += 1
            if shares <= left:
                self._remove(order_id)
            else:
                level[order_id] = shares - left
            left -= min(shares, left)
        self._retick()
        return hits

    def _remove(self, order_id: str) -> None:
        bid, price = self.orders.pop(order_id)
        side = self.bids if bid else self.asks
        level = side[price]
        del level[order_id]
        if level:
            return
        del side[price]
        if bid and price == self.best_bid:
            self.best_bid = max(side, default=0)
        elif not bid and price == self.best_ask:
            self.best_ask = min(side, default=0)

    def _retick(self) -> None:
        extreme = self.best_bid or MICROS - (self.best_ask or MICROS // 2)
        low = self.best_ask if self.best_ask else MICROS
        if self.best_bid > FINE_ABOVE_MICROS or low < FINE_BELOW_MICROS:
            self.tick = FINE_TICK_MICROS
        elif (
            extreme < FINE_ABOVE_MICROS - _BACK_TO_COARSE_MICROS
            and low > FINE_BELOW_MICROS + _BACK_TO_COARSE_MICROS
        ):
            self.tick = COARSE_TICK_MICROS


class LevelMap:
    """All open markets' levels; implements the model's ``DisplayedBooks``."""

    def __init__(self) -> None:
        self.markets: dict[str, MarketLevels] = {}

    def best_bid_micros(self, market: str) -> int:
        """Return the best bid for Up, 0 where there is none."""
        return self.markets[market].best_bid

    def best_ask_micros(self, market: str) -> int:
        """Return the best ask for Up, 0 where there is none."""
        return self.markets[market].best_ask

    def tick_micros(self, market: str) -> int:
        """Return the market's tick."""
        return self.markets[market].tick

    def remaining_micros(self, market: str, order_id: str) -> int:
        """Return what is left of an order, 0 when it is gone."""
        levels = self.markets[market]
        where = levels.orders.get(order_id)
        if where is None:
            return 0
        bid, price = where
        return (levels.bids if bid else levels.asks)[price][order_id]
