"""Positions close on their own deadline, age, stale book, take-profit and stop-loss."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from helpers.domain import MICROS, NS_PER_SECOND, IntentReason, Outcome, Position
from helpers.supervisor import (
    SupervisorLimits,
    book_state,
    due_exit,
    exit_slippage_micros,
    urgent,
)
from tests.builders import CLOSES_NS, SLUG, a_book, a_snapshot

LIMITS = SupervisorLimits(
    maximum_age_seconds=840,
    book_age_degraded_seconds=30,
    book_age_critical_seconds=60,
    take_profit=0.75,
    stop_loss=0.35,
    slippage_ticks=1,
    maximum_slippage_micros=100_000,
)


def a_position(cost: float = 5.5, opened_before_close: float = 700, **changes: object) -> Position:
    fields: dict[str, object] = {
        "market": SLUG,
        "outcome": Outcome.UP,
        "shares_settled_micros": 10 * MICROS,
        "cost_micros": round(cost * MICROS),
        "opened_ns": CLOSES_NS - round(opened_before_close * NS_PER_SECOND),
        "deadline_ns": CLOSES_NS - 120 * NS_PER_SECOND,
    }
    return Position(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def test_a_young_position_is_left_alone() -> None:
    """Nothing is due."""
    assert due_exit(a_snapshot(600), a_position(), LIMITS, 0.1) is None


def test_flat_is_never_due() -> None:
    """No position, no exit."""
    assert due_exit(a_snapshot(100), Position(market=SLUG), LIMITS, 0.1) is None


def test_the_deadline_closes() -> None:
    """I1: at T-120 s the position is closed whatever the policy says."""
    assert due_exit(a_snapshot(120), a_position(), LIMITS, 0.1) is IntentReason.EXIT_TIMEOUT


def test_the_age_closes() -> None:
    """A deadline set by age is told as such."""
    position = a_position(opened_before_close=1000, deadline_ns=CLOSES_NS - 160 * NS_PER_SECOND)
    assert due_exit(a_snapshot(160), position, LIMITS, 0.1) is IntentReason.EXIT_MAXIMUM_AGE


def test_a_stale_book_closes_even_what_is_held_to_resolution() -> None:
    """I16: the age of the held token's data counts."""
    view, kept = a_snapshot(600), a_position(deadline_ns=0)
    assert due_exit(view, a_position(), LIMITS, 60.1) is IntentReason.EXIT_STALE
    assert due_exit(view, kept, LIMITS, 60.1) is IntentReason.EXIT_STALE
    assert due_exit(view, kept, LIMITS, 60.0) is None


def test_a_position_held_to_resolution_has_no_deadline() -> None:
    """Its pay-out is its exit."""
    assert due_exit(a_snapshot(5), a_position(deadline_ns=0), LIMITS, 0.1) is None


def test_after_the_close_nothing_can_be_sold() -> None:
    """I15: a position outlives its window until it is resolved."""
    assert due_exit(a_snapshot(0), a_position(), LIMITS, 0.1) is None


def test_take_profit_and_stop_loss_use_the_executable_price() -> None:
    """I26: gains count at the bid net of fee, never at the mid."""
    rich = a_snapshot(600, up=a_book(0.98, 0.99))
    assert due_exit(rich, a_position(), LIMITS, 0.1) is IntentReason.EXIT_TAKE_PROFIT
    poor = a_snapshot(600, up=a_book(0.30, 0.31))
    assert due_exit(poor, a_position(), LIMITS, 0.1) is IntentReason.EXIT_STOP_LOSS
    off = replace(LIMITS, take_profit=0.0, stop_loss=0.0)
    assert due_exit(rich, a_position(), off, 0.1) is None
    assert due_exit(poor, a_position(), off, 0.1) is None


@pytest.mark.parametrize(
    ("age_seconds", "state"),
    [
        (0.0, "fresh"),
        (30.0, "fresh"),
        (30.1, "degraded"),
        (60.0, "degraded"),
        (60.1, "critical"),
        (float("inf"), "critical"),
    ],
)
def test_data_is_fresh_then_degraded_then_critical(age_seconds: float, state: str) -> None:
    """DESIGN section 5: 30 s without data is degraded, 60 s critical."""
    assert book_state(age_seconds, LIMITS) == state


def test_each_attempt_may_sell_further_below_the_bid_up_to_a_bound() -> None:
    """A first attempt is cheap; one that must get out pays for it, but not anything."""
    cents = [exit_slippage_micros(n, 10_000, LIMITS, in_a_hurry=False) for n in range(1, 8)]
    assert cents == [10_000, 20_000, 40_000, 80_000, 100_000, 100_000, 100_000]
    hurried = [exit_slippage_micros(n, 10_000, LIMITS, in_a_hurry=True) for n in range(1, 4)]
    assert hurried == [40_000, 80_000, 100_000]
    none = replace(LIMITS, slippage_ticks=0)
    assert exit_slippage_micros(1, 1_000, none, in_a_hurry=False) == 0
    assert exit_slippage_micros(10_000, 1_000, none, in_a_hurry=False) == 100_000


def test_a_stale_book_an_operator_and_the_last_minute_are_urgent() -> None:
    """What cannot wait for a better price."""
    assert urgent(a_snapshot(600), IntentReason.EXIT_STALE)
    assert urgent(a_snapshot(600), IntentReason.EXIT_OPERATOR)
    assert urgent(a_snapshot(59), IntentReason.EXIT_TIMEOUT)
    assert not urgent(a_snapshot(61), IntentReason.EXIT_TIMEOUT)
