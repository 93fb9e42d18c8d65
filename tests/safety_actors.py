"""Who acts in the hostile world of the gate: the limits, the policy, what a venue shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from helpers.domain import Action, Decision, Level, MarketState
from helpers.settings import Settings, load_settings
from strategies.base import decision_from

TICKS: Final = (10_000, 1_000)
SHAPES: Final = ("sound", "wide", "thin", "crossed", "empty", "bids_only", "asks_only")
PROFILES: Final[dict[str, dict[str, float]]] = {
    "streaks": {"losing_streak_limit": 2, "reentry_cooldown_seconds": 0},
    "rejects": {"reject_streak_limit": 1, "reentry_cooldown_seconds": 0},
    "loss": {"daily_loss_limit": 1, "losing_streak_limit": 50, "reentry_cooldown_seconds": 0},
    "rate": {"order_rate_per_minute": 6, "reentry_cooldown_seconds": 0},
    "exposure": {"maximum_exposure": 14, "maximum_positions": 3},
    "positions": {"maximum_positions": 1},
    "money": {"paper_cash": 12, "maximum_positions": 3},
}
"""Which limits a run meets first."""


def strict_settings(style: str, profile: str) -> Settings:
    """Return limits that a minute of trading reaches."""
    limits = {
        "strategy": "random",
        "execution_style": style,
        "trade_size": 10,
        "maker_lifetime_seconds": 5,
        "entry_stop_seconds": 60,
        "position_timeout_seconds": 30,
        "maximum_position_age_seconds": 40,
        "book_age_degraded_seconds": 8,
        "book_age_critical_seconds": 20,
        "fast_age_seconds": 5,
        "daily_loss_limit": 5,
        "losing_streak_limit": 6,
        "maximum_positions": 2,
        "maximum_exposure": 50,
        "reject_streak_limit": 4,
        "order_rate_per_minute": 20,
        "clock_skew_seconds": 2,
        "reentry_cooldown_seconds": 6,
        "maximum_spread": 0.04,
        "minimum_price": 0.35,
        "maximum_price": 0.65,
        "paper_cash": 50,
        "paper_latency_ms": 150,
        "paper_taker_hold_ms": 600,
        "paper_settlement_ms": 400,
    }
    return load_settings(**{**limits, **PROFILES[profile]})


class Hostile:
    """Wants to trade at every step, whatever the state; changes its mind every so many steps."""

    name = "hostile"
    model_id = "hostile-1"
    holds_to_resolution = False

    def __init__(self) -> None:
        self.steps = 10
        self.probability = 0.6
        self._asked = 0

    def decide(self, states: Sequence[MarketState]) -> Sequence[Decision]:
        """Return BUY or SELL for each state, the invalid ones too."""
        self._asked += 1
        action = Action.BUY if self._asked // self.steps % 2 else Action.SELL
        other = 1.0 - self.probability
        odds = (other, 0.0, self.probability)
        if action is Action.BUY:
            odds = (other, self.probability, 0.0)
        return [decision_from(s, action, odds, 0.0, self.model_id, "always") for s in states]

    def forget(self, market: str) -> None:
        """Remember nothing."""


class Token:
    """What the venue shows of one token."""

    def __init__(self) -> None:
        self.shape = "sound"
        self.tick = TICKS[0]
        self.silent_until_ns = 0
        self.whole = True
        """Whether the next frame is a whole book."""
        self.frames = 0


def levels_of(shape: str, bid: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Return bids and asks of a shape around a best bid in cents."""
    ask = {"wide": bid + 6, "crossed": bid}.get(shape, bid + 1)
    size = 2.0 if shape == "thin" else 200.0
    bids = tuple(Level((bid - i) / 100, size) for i in range(3) if bid - i > 0)
    asks = tuple(Level((ask + i) / 100, size) for i in range(3) if ask + i < 100)
    return (
        () if shape in ("empty", "asks_only") else bids,
        () if shape in ("empty", "bids_only") else asks,
    )
