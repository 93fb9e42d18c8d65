"""The gate that the safety tests judge by, and a position to sell."""

from __future__ import annotations

from helpers.domain import MICROS, Mode, Outcome, Position
from helpers.safety import Gate, GateLimits
from tests.builders import SLUG

LIMITS = GateLimits(
    mode=Mode.PAPER,
    entry_stop_seconds=180,
    book_age_seconds=30,
    fast_age_seconds=10,
    daily_loss_micros=100 * MICROS,
    losing_streak=5,
    positions=4,
    exposure_micros=400 * MICROS,
    reject_streak=3,
    orders_per_minute=30,
    clock_skew_seconds=2,
    cooldown_seconds=30,
    spread_micros=50_000,
    price_minimum_micros=50_000,
    price_maximum_micros=950_000,
    allow_cold=False,
)
GATE = Gate(LIMITS)
HELD = Position(
    market=SLUG, outcome=Outcome.UP, shares_settled_micros=500 * MICROS, cost_micros=270 * MICROS
)
