"""Positions close on their own deadline, age, stale book, take-profit and stop-loss."""

from __future__ import annotations

from helpers.domain import MICROS, NS_PER_SECOND, IntentReason, Outcome, Position
from helpers.supervisor import SupervisorLimits, due_exit
from tests.builders import CLOSES_NS, SLUG, a_book, a_snapshot

LIMITS = SupervisorLimits(
    maximum_age_seconds=840, book_age_seconds=60, take_profit=0.75, stop_loss=0.35
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
    assert due_exit(a_snapshot(600), a_position(), LIMITS) is None


def test_flat_is_never_due() -> None:
    """No position, no exit."""
    assert due_exit(a_snapshot(100), Position(market=SLUG), LIMITS) is None


def test_the_deadline_closes() -> None:
    """I1: at T-120 s the position is closed whatever the policy says."""
    assert due_exit(a_snapshot(120), a_position(), LIMITS) is IntentReason.EXIT_TIMEOUT


def test_the_age_closes() -> None:
    """A deadline set by age is told as such."""
    position = a_position(opened_before_close=1000, deadline_ns=CLOSES_NS - 160 * NS_PER_SECOND)
    assert due_exit(a_snapshot(160), position, LIMITS) is IntentReason.EXIT_MAXIMUM_AGE


def test_a_stale_book_closes_even_what_is_held_to_resolution() -> None:
    """I16: the age of the held token's data counts."""
    stale = a_snapshot(600, up=a_book(age_seconds=60.1))
    assert due_exit(stale, a_position(), LIMITS) is IntentReason.EXIT_STALE
    assert due_exit(stale, a_position(deadline_ns=0), LIMITS) is IntentReason.EXIT_STALE


def test_a_position_held_to_resolution_has_no_deadline() -> None:
    """Its pay-out is its exit."""
    assert due_exit(a_snapshot(5), a_position(deadline_ns=0), LIMITS) is None


def test_after_the_close_nothing_can_be_sold() -> None:
    """I15: a position outlives its window until it is resolved."""
    assert due_exit(a_snapshot(0), a_position(), LIMITS) is None


def test_take_profit_and_stop_loss_use_the_executable_price() -> None:
    """I26: gains count at the bid net of fee, never at the mid."""
    rich = a_snapshot(600, up=a_book(0.98, 0.99))
    assert due_exit(rich, a_position(), LIMITS) is IntentReason.EXIT_TAKE_PROFIT
    poor = a_snapshot(600, up=a_book(0.30, 0.31))
    assert due_exit(poor, a_position(), LIMITS) is IntentReason.EXIT_STOP_LOSS
    off = SupervisorLimits(840, 60, 0.0, 0.0)
    assert due_exit(rich, a_position(), off) is None
    assert due_exit(poor, a_position(), off) is None
