"""What the gate allows, and the shape of its rules."""

from __future__ import annotations

from collections.abc import Callable

from helpers.domain import (
    FEATURE_VERSION,
    Account,
    MarketState,
    Message,
    Mode,
    OrderIntent,
    RuleFailure,
)


class GateLimits(Message, frozen=True):
    """What the gate allows. Money in micro-dollars, the rest in the unit of its name."""

    mode: Mode
    entry_stop_seconds: float
    book_age_seconds: float
    fast_age_seconds: float
    daily_loss_micros: int
    losing_streak: int
    positions: int
    exposure_micros: int
    reject_streak: int
    orders_per_minute: int
    clock_skew_seconds: float
    cooldown_seconds: float
    spread_micros: int
    price_minimum_micros: int
    price_maximum_micros: int
    allow_cold: bool
    """Replay only: trade although a window is not filled."""
    feature_version: str = FEATURE_VERSION
    """Of the features that the strategy is given."""


Rule = Callable[[OrderIntent, MarketState, Account, GateLimits], RuleFailure | None]
"""A named pure function of the intent, what the policy saw, the account and the limits."""
