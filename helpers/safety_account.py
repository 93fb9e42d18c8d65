"""The gate's rules on the account: whose money, what is held, how it has gone lately."""

from __future__ import annotations

from helpers.domain import (
    NS_PER_SECOND,
    Account,
    MarketState,
    Mode,
    OrderIntent,
    RuleFailure,
    from_micros,
)
from helpers.safety_limits import GateLimits


def mode(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse when gate, books and executor are not all of one mode (I23).

    Also an exit's rule: a paper position must not sell real shares, nor the other way round.
    """
    if account.mode is not limits.mode:
        return RuleFailure("mode", limits.mode.value, f"books of {account.mode}")
    if account.real_money != (limits.mode is Mode.LIVE):
        money = "real" if account.real_money else "paper"
        return RuleFailure("mode", limits.mode.value, f"an executor of {money} money")
    return None


def entries_stopped(
    _intent: OrderIntent, _state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse while entries are switched off."""
    if account.entries_stopped:
        return RuleFailure("entries_stopped", "active", account.entries_stopped)
    return None


def unknown_outcome(
    _intent: OrderIntent, _state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse while an order in this market has an unknown outcome (I20)."""
    if account.exposure.market_unknown:
        return RuleFailure("unknown_outcome", "none", "an order is unreconciled")
    return None


def one_position(
    _intent: OrderIntent, _state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse a second position or a second order in one market (I22)."""
    held = account.exposure.market_position_micros
    if held:
        return RuleFailure("one_position", 0.0, from_micros(held))
    if account.exposure.market_order_open:
        return RuleFailure("one_position", "no order alive", "one alive")
    return None


def cooldown(
    intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse to enter again right after an exit (I24)."""
    last = account.exposure.last_exit_ns
    waited = (intent.created_ns - last) / NS_PER_SECOND
    if last and not waited >= limits.cooldown_seconds:
        return RuleFailure("cooldown", limits.cooldown_seconds, waited)
    return None


def open_positions(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse more positions at once than allowed; entries in flight count."""
    found = account.exposure.open_positions
    if found >= limits.positions:
        return RuleFailure("open_positions", limits.positions, found)
    return None


def daily_loss(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse after the day's loss reached its limit, unrealised at executable prices included.

    A position whose exit value is not known counts as worth nothing: what could not be read is
    not "no loss".
    """
    exposure = account.exposure
    lost = exposure.unmarked_cost_micros - exposure.daily_pnl_micros
    if lost >= limits.daily_loss_micros:
        return RuleFailure("daily_loss", from_micros(limits.daily_loss_micros), from_micros(lost))
    return None


def losing_streak(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse after so many losing trades in a row today."""
    found = account.exposure.losing_streak
    if found >= limits.losing_streak:
        return RuleFailure("losing_streak", limits.losing_streak, found)
    return None


def reject_streak(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse after so many rejected orders in a row."""
    found = account.exposure.reject_streak
    if found >= limits.reject_streak:
        return RuleFailure("reject_streak", limits.reject_streak, found)
    return None


def order_rate(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse more orders in a minute than allowed: a loop gone wild must not reach the venue."""
    found = account.orders_last_minute
    if found >= limits.orders_per_minute:
        return RuleFailure("order_rate", limits.orders_per_minute, found)
    return None
