"""Which limits an account has run into so far that a person must look: each latches a halt.

Without the latch a loss limit would open and close with every move of the unrealised part.
Pure. Must not: refuse a single order (the gate's rules do), or know who resumes.
"""

from __future__ import annotations

from helpers.domain import Account, HoldCause, from_micros
from helpers.safety_limits import GateLimits


def breaches(account: Account, limits: GateLimits) -> tuple[tuple[HoldCause, str], ...]:
    """Return each cause that the account calls for, with a text that says limit and found.

    Only a loss that is known latches. A position whose exit value nobody knows keeps entries off
    meanwhile (``daily_loss``), but a halt would outlast the moment until somebody looks.
    """
    exposure = account.exposure
    found: list[tuple[HoldCause, str]] = []
    lost_micros = -exposure.daily_pnl_micros
    if lost_micros >= limits.daily_loss_micros:
        lost, limit = from_micros(lost_micros), from_micros(limits.daily_loss_micros)
        found.append((HoldCause.LOSS_LIMIT, f"lost ${lost:.2f} today, the limit is ${limit:.2f}"))
    if exposure.losing_streak >= limits.losing_streak:
        count = f"{exposure.losing_streak} losing trades in a row"
        found.append((HoldCause.LOSING_STREAK, f"{count}, the limit is {limits.losing_streak}"))
    if exposure.reject_streak >= limits.reject_streak:
        count = f"{exposure.reject_streak} orders rejected in a row"
        found.append((HoldCause.REJECT_STREAK, f"{count}, the limit is {limits.reject_streak}"))
    return tuple(found)
