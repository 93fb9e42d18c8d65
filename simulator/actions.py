"""What the market model does to the simulated world, as frozen messages; holds no behaviour.

Prices of outcomes and shares are integers in micro-units; fast-market and reference prices are
floats in US dollars. Each action comes with its moment in integer nanoseconds since the epoch.
"""

from __future__ import annotations

from typing import Protocol

from helpers.domain import Asset, Market, Message, Outcome, Side


class FastQuote(Message, frozen=True):
    """Best bid and ask of an asset's perpetual."""

    asset: Asset
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class FastTrade(Message, frozen=True):
    """A trade on an asset's perpetual, quantity in the base asset."""

    asset: Asset
    price: float
    quantity: float
    taker_buys: bool


class ReferenceTick(Message, frozen=True):
    """The settlement source's prices stamped with this whole second; delivery delay is not ours."""

    asset: Asset
    spot: float
    twap60: float


class Place(Message, frozen=True):
    """A background maker's resting order; it never crosses what is displayed."""

    market: str
    """Slug."""
    order_id: str
    outcome: Outcome
    side: Side
    price_micros: int
    shares_micros: int


class Cancel(Message, frozen=True):
    """A background maker takes its order back; a no-op when it was filled meanwhile."""

    market: str
    order_id: str


class Take(Message, frozen=True):
    """A background taker's order: fill what is there up to the limit, kill the rest (FAK)."""

    market: str
    outcome: Outcome
    side: Side
    price_limit_micros: int
    shares_micros: int


class WindowOpens(Message, frozen=True):
    """A window's trading begins, with its facts and its price to beat."""

    market: Market
    strike: float


class WindowCloses(Message, frozen=True):
    """A window is over and decided: Up wins when ``final_price`` is at or above the strike."""

    market: str
    winner: Outcome
    final_price: float


Action = FastQuote | FastTrade | ReferenceTick | Place | Cancel | Take | WindowOpens | WindowCloses
TimedAction = tuple[int, Action]
"""(at_ns, action)."""


class DisplayedBooks(Protocol):
    """What background traders may read of the exchange; everything on the Up book's scale."""

    def best_bid_micros(self, market: str) -> int:
        """Return the best displayed bid for Up, 0 where there is none."""
        ...

    def best_ask_micros(self, market: str) -> int:
        """Return the best displayed ask for Up, 0 where there is none."""
        ...

    def tick_micros(self, market: str) -> int:
        """Return the market's present tick (10_000, or 1_000 near the extremes)."""
        ...

    def remaining_micros(self, market: str, order_id: str) -> int:
        """Return what is left of a resting order, 0 when it is filled, cancelled or unknown."""
        ...
