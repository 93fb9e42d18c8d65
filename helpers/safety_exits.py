"""The gate's rules for exits: an exit passes every entry rule, and meets these."""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    NS_PER_SECOND,
    Account,
    MarketState,
    OrderIntent,
    RuleFailure,
    from_micros,
)
from helpers.safety_account import mode
from helpers.safety_limits import GateLimits, Rule


def exit_in_flight(
    _intent: OrderIntent, _state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse a second order while one is alive: it would sell the same shares twice (I22)."""
    if account.exposure.market_order_open:
        return RuleFailure("exit_in_flight", "no order alive", "one alive")
    return None


def settled_shares(
    intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse to sell what is not there, or not settled yet (I2)."""
    position = state.position
    held = position.shares_settled_micros if position.outcome is intent.outcome else 0
    if intent.shares_micros > held:
        return RuleFailure("settled_shares", from_micros(held), from_micros(intent.shares_micros))
    return None


def exit_retry(
    intent: OrderIntent, _state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse an exit so soon after the venue rejected one: it may not have seen the shares (I2)."""
    wait_seconds = (account.exposure.exit_retry_ns - intent.created_ns) / NS_PER_SECOND
    return RuleFailure("exit_retry", 0, round(wait_seconds, 3)) if wait_seconds > 0 else None


EXIT_RULES: Final[tuple[Rule, ...]] = (mode, exit_in_flight, exit_retry, settled_shares)
"""What an exit must meet; it passes every entry rule but ``mode``, which is of both."""
