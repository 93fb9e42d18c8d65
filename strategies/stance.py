"""What a learned policy has chosen in each market, and until when it stands.

The policy is asked twice a second and at every move of the fast market, but it chooses at decision
points only: a move, or a grid step at least ``interval_seconds`` after the market's last choice.
Between them its choice stands. So one choice is one thing to learn from, orders that rest are not
taken away by a die thrown twice a second, and training, paper, live and replay mean the same by an
action.

Must not: choose, or know why a market is looked at.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import GRID_NS, NS_PER_SECOND, Action, Message, Snapshot
from strategies.per_market import PerMarket

LEARN_INTERVAL_SECONDS: Final = 5.0
"""Default of the setting: the edge is gone in a second, and moves are answered at once anyway."""


class Stance(Message, frozen=True):
    """One choice and what the forward said of it."""

    chosen_ns: int
    action: Action
    probabilities: tuple[float, float, float]
    value: float
    forecast_up: float
    reason: str


class Stances:
    """The standing choice of every market."""

    def __init__(self, interval_seconds: float) -> None:
        """Raises ``ValueError`` for an interval that is not a grid step at least."""
        interval_ns = round(interval_seconds * NS_PER_SECOND)
        if interval_ns < GRID_NS:
            raise ValueError(
                f"learn interval was {interval_seconds} s, expected {GRID_NS / NS_PER_SECOND} at "
                "least"
            )
        self._interval_ns = interval_ns
        self._markets = PerMarket[Stance]()

    def standing(self, snapshot: Snapshot) -> Stance | None:
        """Return the choice that stands in a market now, ``None`` at a decision point."""
        if not snapshot.on_grid:
            return None
        stance = self._markets.find(snapshot.market.slug)
        if stance is None or snapshot.now_ns - stance.chosen_ns >= self._interval_ns:
            return None
        return stance

    def choose(self, market: str, stance: Stance) -> None:
        """Let a choice stand in a market."""
        self._markets.keep(market, stance)

    def forget(self, market: str) -> None:
        """Drop a market's choice: its next grid step is a decision point."""
        self._markets.forget(market)

    def clear(self) -> None:
        """Drop every choice: another model decides from here on."""
        self._markets = PerMarket[Stance]()
