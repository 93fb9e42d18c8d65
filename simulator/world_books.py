"""The model's hands and eyes on the exchange: its orders go in as house orders; decides nothing."""

from __future__ import annotations

from collections import Counter

from helpers.domain import Market, Outcome
from simulator.actions import Cancel, Place, Take
from simulator.exchange import Exchange
from simulator.exchange_messages import OrderReply, PlaceOrder, Refusal
from simulator.market_state import MarketState
from simulator.matching import TimeInForce
from simulator.world_settings import MAKERS, TAKERS


class WorldBooks:
    """Books of the exchange by slug; implements the model's ``DisplayedBooks``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._markets: dict[str, MarketState] = {}
        self._takes = 0
        self.refused: Counter[str] = Counter()
        """House orders the venue refused, by its text: phases, ticks that changed meanwhile."""
        exchange.accounts.open(MAKERS, house=True)
        exchange.accounts.open(TAKERS, house=True)

    def open(self, market: Market) -> None:
        """Know a market that the exchange has listed."""
        self._markets[market.slug] = self._exchange.market(market.condition_id)

    def close(self, slug: str) -> None:
        """Forget a market that the exchange is about to."""
        self._markets.pop(slug, None)

    def find(self, slug: str) -> MarketState | None:
        """Return a listed market's state, ``None`` when it is unknown or retired."""
        return self._markets.get(slug)

    def place(self, action: Place, now_ns: int) -> None:
        """Rest a maker's order."""
        listing = self._markets[action.market].listing
        order = PlaceOrder(
            action.order_id,
            MAKERS,
            listing.up_token if action.outcome is Outcome.UP else listing.down_token,
            action.side,
            action.price_micros,
            action.shares_micros,
            post_only=True,
        )
        self._note(self._exchange.place(order, now_ns))

    def cancel(self, action: Cancel, now_ns: int) -> None:
        """Take a maker's order back, if it still rests."""
        condition_id = self._markets[action.market].listing.condition_id
        self._exchange.cancel_house(condition_id, action.order_id, now_ns)

    def take(self, action: Take, now_ns: int) -> None:
        """Fill a taker's order as far as its limit goes."""
        listing = self._markets[action.market].listing
        self._takes += 1
        order = PlaceOrder(
            f"take{self._takes}",
            TAKERS,
            listing.token(action.outcome),
            action.side,
            action.price_limit_micros,
            action.shares_micros,
            TimeInForce.FAK,
        )
        self._note(self._exchange.place(order, now_ns))

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

    def _note(self, reply: OrderReply) -> None:
        if isinstance(reply, Refusal):
            self.refused[reply.error.split(":")[0][:80]] += 1
