"""When a position must be closed: its own deadline, its age, stale books, take-profit, stop-loss.

Independent of the policy. Pure: says why, sizes nothing, sends nothing.
"""

from __future__ import annotations

from helpers.domain import (
    NS_PER_SECOND,
    IntentReason,
    Message,
    Position,
    Snapshot,
    exit_value_micros,
)


class SupervisorLimits(Message, frozen=True):
    """When a position is closed. Gains and losses are fractions of cost; 0 switches them off."""

    maximum_age_seconds: float
    book_age_seconds: float
    take_profit: float
    stop_loss: float


def due_exit(
    snapshot: Snapshot, position: Position, limits: SupervisorLimits
) -> IntentReason | None:
    """Return why a position must be closed now, or ``None``.

    After the window's end nothing can be sold: the position waits for its resolution. A position
    without a deadline is meant to be paid out; only a book gone stale or an explicit take-profit
    or stop-loss closes it early.
    """
    now_ns = snapshot.now_ns
    if position.outcome is None or now_ns >= snapshot.market.closes_ns:
        return None
    if position.deadline_ns and now_ns >= position.deadline_ns:
        age_seconds = (now_ns - position.opened_ns) / NS_PER_SECOND
        if age_seconds >= limits.maximum_age_seconds:
            return IntentReason.EXIT_MAXIMUM_AGE
        return IntentReason.EXIT_TIMEOUT
    if snapshot.book(position.outcome).age_seconds > limits.book_age_seconds:
        return IntentReason.EXIT_STALE
    if position.cost_micros <= 0:
        return None
    gain = exit_value_micros(snapshot, position) / position.cost_micros - 1.0
    if limits.take_profit and gain >= limits.take_profit:
        return IntentReason.EXIT_TAKE_PROFIT
    if limits.stop_loss and gain <= -limits.stop_loss:
        return IntentReason.EXIT_STOP_LOSS
    return None
