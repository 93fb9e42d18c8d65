"""When a position must be closed, and how far below the bid each attempt to sell it may go.

Its own deadline, its age, a stale book, take-profit, stop-loss: independent of the policy. Pure:
says why and how urgently, sizes nothing, sends nothing.
"""

from __future__ import annotations

from typing import Final, Literal

from helpers.domain import (
    NS_PER_SECOND,
    IntentReason,
    Message,
    Position,
    Snapshot,
    exit_value_micros,
)

URGENT_REASONS: Final = frozenset({IntentReason.EXIT_STALE, IntentReason.EXIT_OPERATOR})
URGENT_SECONDS: Final = 60.0
"""Before the close every exit is urgent."""
URGENT_HEAD_START: Final = 2
WIDENINGS_MAXIMUM: Final = 16


class SupervisorLimits(Message, frozen=True):
    """When a position is closed. Gains and losses are fractions of cost; 0 switches them off."""

    maximum_age_seconds: float
    book_age_degraded_seconds: float
    book_age_critical_seconds: float
    take_profit: float
    stop_loss: float
    slippage_ticks: int
    """Below the best bid at the first attempt."""
    maximum_slippage_micros: int
    """Below the best bid at any attempt."""


def due_exit(
    snapshot: Snapshot, position: Position, limits: SupervisorLimits, book_age_seconds: float
) -> IntentReason | None:
    """Return why a position must be closed now, or ``None``.

    ``book_age_seconds`` is the age of the venue's data for the position's token (I16). After the
    window's end nothing can be sold: the position waits for its resolution. A position without a
    deadline is meant to be paid out; only a book gone stale or an explicit take-profit or
    stop-loss closes it early.
    """
    now_ns = snapshot.now_ns
    if position.outcome is None or now_ns >= snapshot.market.closes_ns:
        return None
    if position.deadline_ns and now_ns >= position.deadline_ns:
        age_seconds = (now_ns - position.opened_ns) / NS_PER_SECOND
        if age_seconds >= limits.maximum_age_seconds:
            return IntentReason.EXIT_MAXIMUM_AGE
        return IntentReason.EXIT_TIMEOUT
    if book_state(book_age_seconds, limits) == "critical":
        return IntentReason.EXIT_STALE
    if position.cost_micros <= 0:
        return None
    gain = exit_value_micros(snapshot, position) / position.cost_micros - 1.0
    if limits.take_profit and gain >= limits.take_profit:
        return IntentReason.EXIT_TAKE_PROFIT
    if limits.stop_loss and gain <= -limits.stop_loss:
        return IntentReason.EXIT_STOP_LOSS
    return None


def book_state(
    age_seconds: float, limits: SupervisorLimits
) -> Literal["fresh", "degraded", "critical"]:
    """Return what data of that age is good for: everything, exits only, or a reason to exit."""
    if age_seconds > limits.book_age_critical_seconds:
        return "critical"
    return "degraded" if age_seconds > limits.book_age_degraded_seconds else "fresh"


def urgent(snapshot: Snapshot, reason: IntentReason) -> bool:
    """Say whether an exit must not wait for a better price."""
    return reason in URGENT_REASONS or snapshot.seconds_to_close < URGENT_SECONDS


def exit_slippage_micros(
    attempt: int, tick_micros: int, limits: SupervisorLimits, *, in_a_hurry: bool
) -> int:
    """Return how far below the best bid an attempt may sell: it doubles, up to a bound.

    Attempts count from 1. An urgent exit begins where another one is after two attempts.
    """
    widened = attempt - 1 + (URGENT_HEAD_START if in_a_hurry else 0)
    ticks = limits.slippage_ticks + 2 ** min(widened, WIDENINGS_MAXIMUM) - 1
    return min(ticks * tick_micros, max(limits.maximum_slippage_micros, 0))
