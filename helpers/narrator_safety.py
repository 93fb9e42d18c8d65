"""The lines of what keeps the money safe: halts, comparisons, exits, the age of data, operators.

Pure: a row in, the line's parts out.
"""

from __future__ import annotations

from typing import Any, Final

from helpers.domain import (
    Body,
    BookHealth,
    ExitAttempted,
    ExitEnded,
    HaltChanged,
    HoldCause,
    OperatorAnswered,
    Reconciled,
    from_micros,
)
from helpers.logs import Tag

SAFETY_BODIES: Final = (
    HaltChanged,
    OperatorAnswered,
    Reconciled,
    ExitAttempted,
    ExitEnded,
    BookHealth,
)
SafetyLine = tuple[Tag, str, str, dict[str, Any]]
"""Tag, severity, event, facts."""


def safety_line(body: Body) -> SafetyLine:
    """Return the line of one row; raises ``TypeError`` for a row of another kind."""
    if isinstance(body, HaltChanged):
        return _halt(body)
    if isinstance(body, OperatorAnswered):
        facts = {"request": body.request_id, "verb": body.verb.value}
        facts |= {"trading": body.trading.value, "why": body.detail}
        return Tag.SAFETY, "warning", "operator_answered", facts
    if isinstance(body, Reconciled):
        return _reconciled(body)
    if isinstance(body, ExitAttempted):
        return _attempted(body)
    if isinstance(body, ExitEnded):
        return _ended(body)
    if isinstance(body, BookHealth):
        severity = {"fresh": "info", "degraded": "warning", "critical": "error"}[body.state]
        age = round(body.age_seconds, 1)
        facts = {"outcome": body.outcome.value, "age_seconds": age}
        return Tag.SAFETY, severity, f"book_{body.state}", facts
    raise TypeError(f"row was {type(body).__name__}, expected one of {SAFETY_BODIES}")


def dollars(micros: int) -> str:
    """Return an amount as people write it."""
    return f"{'-' if micros < 0 else ''}${abs(from_micros(micros)):.2f}"


def _halt(body: HaltChanged) -> SafetyLine:
    severity = "info" if body.cause == HoldCause.STOPPING else "warning"
    facts = {"cause": body.cause, "why": body.detail, "trading": body.trading.value}
    if body.request_id:
        facts["request"] = body.request_id
    return Tag.SAFETY, severity, f"entries_{body.state}", facts


def _reconciled(body: Reconciled) -> SafetyLine:
    facts = {
        "tokens": body.tokens,
        "shares": from_micros(body.shares_micros),
        "cash": dollars(body.cash_micros),
        "venue_cash": dollars(body.venue_cash_micros),
        "open_orders": body.open_orders,
    }
    if body.agrees:
        return Tag.LEDGER, "info", "reconciled", facts
    return (
        Tag.SAFETY,
        "error",
        "books_differ",
        {
            **facts,
            "differences": "; ".join(body.differences),
        },
    )


def _attempted(body: ExitAttempted) -> SafetyLine:
    facts = {
        "outcome": body.outcome.value,
        "reason": body.reason.value,
        "attempt": body.attempt,
        "shares": from_micros(body.shares_micros),
        "limit": from_micros(body.price_limit_micros),
        "slippage": from_micros(body.slippage_micros),
    }
    return Tag.SAFETY, "warning", "exit_attempted", facts


def _ended(body: ExitEnded) -> SafetyLine:
    flat = body.how == "flat"
    facts = {
        "outcome": body.outcome.value,
        "reason": body.reason.value,
        "attempts": body.attempts,
        "left": from_micros(body.shares_left_micros),
        "why": body.detail,
    }
    event = "exit_flat" if flat else "awaiting_resolution"
    return Tag.SAFETY, "warning" if flat else "error", event, facts
