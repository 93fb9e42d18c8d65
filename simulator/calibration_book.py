"""The exchange core's books with nobody but the market model on them; measures nothing.

No fees, no hold, no accounts: what matters for calibration is price-time matching and the tick.
"""

from __future__ import annotations

from helpers.domain import MICROS, NS_PER_SECOND, Market, Outcome, Side
from simulator.actions import Cancel, Place, Take
from simulator.exchange_messages import MarketListing
from simulator.market_state import MarketState
from simulator.matching import BookOrder, MatchStatus, TimeInForce

_OWNER = "background"


class BackgroundBooks:
    """Open markets' books; implements the model's ``DisplayedBooks``."""

    def __init__(self) -> None:
        self._markets: dict[str, MarketState] = {}
        self._takes = 0

    def open(self, market: Market) -> None:
        """List a market with an empty book."""
        self._markets[market.slug] = MarketState(
            MarketListing(
                market_id=market.slug,
                event_id=market.slug,
                slug=market.slug,
                question=market.slug,
                condition_id=market.condition_id,
                up_token=market.up_token,
                down_token=market.down_token,
                asset=market.asset.lower(),
                duration=f"{int(market.window_seconds) // 60}m",
                series_slug="",
                created_ns=market.opens_ns - NS_PER_SECOND,
                opens_ns=market.opens_ns,
                closes_ns=market.closes_ns,
            )
        )

    def close(self, market: str) -> None:
        """Forget a market."""
        del self._markets[market]

    def place(self, action: Place) -> None:
        """Rest a maker's order; raise ``ValueError`` when it would cross."""
        state = self._markets[action.market]
        result = state.book.place(
            BookOrder(
                action.order_id,
                _OWNER,
                action.outcome,
                action.side,
                action.price_micros,
                action.shares_micros,
                post_only=True,
            )
        )
        if result.status is not MatchStatus.RESTING:
            raise ValueError(f"{action} was {result.status}, expected to rest")
        state.tick_micros = state.wanted_tick_micros()

    def cancel(self, action: Cancel) -> bool:
        """Remove a maker's order; return whether it still rested."""
        state = self._markets[action.market]
        rested = state.book.cancel(action.order_id) is not None
        state.tick_micros = state.wanted_tick_micros()
        return rested

    def take(self, action: Take) -> int:
        """Fill a taker's order as far as its limit goes; return the shares in micro-units."""
        state = self._markets[action.market]
        self._takes += 1
        result = state.book.place(
            BookOrder(
                f"take{self._takes}",
                _OWNER,
                action.outcome,
                action.side,
                action.price_limit_micros,
                action.shares_micros,
                TimeInForce.FAK,
            )
        )
        state.tick_micros = state.wanted_tick_micros()
        return result.filled_micros

    def depth(self, market: str, side: Side, levels: int) -> list[float]:
        """Return the shares on the best levels of one side of the Up book, best first."""
        state = self._markets[market]
        shown = state.book.levels(Outcome.UP, side)
        return [shares / MICROS for _, shares in shown[:levels]]

    def best_bid_micros(self, market: str) -> int:
        """Return the best bid for Up, 0 where there is none."""
        return self._markets[market].book.best_bid or 0

    def best_ask_micros(self, market: str) -> int:
        """Return the best ask for Up, 0 where there is none."""
        return self._markets[market].book.best_ask or 0

    def tick_micros(self, market: str) -> int:
        """Return the market's tick."""
        return self._markets[market].tick_micros

    def remaining_micros(self, market: str, order_id: str) -> int:
        """Return what is left of an order, 0 when it is gone."""
        order = self._markets[market].book.order(order_id)
        return 0 if order is None else order.remaining_micros
