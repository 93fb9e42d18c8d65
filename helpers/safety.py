"""The safety gate: the only place that turns an intent into an ``Approved`` one.

Every rule is a named pure function of the intent, what the policy saw, and the account. All rules
run and all failures are kept, so that a refusal can be explained whole; the first is the headline.
Exits pass every entry rule (DESIGN section 4, invariant 1). Must not: send, read a clock or keep
state beyond the limits it was built with.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    FEATURE_NAMES,
    FEATURE_VERSION,
    MICROS,
    NS_PER_SECOND,
    Account,
    Approved,
    BookProblem,
    HoldCause,
    MarketState,
    OrderIntent,
    Outcome,
    Refused,
    RuleFailure,
    Side,
    Verdict,
    from_micros,
)
from helpers.safety_breaches import breaches
from helpers.safety_exits import EXIT_RULES
from helpers.safety_limits import GateLimits, Rule

__all__ = ["Gate", "GateLimits"]

WARM_FEATURES: Final = (0, 3, 4, 7, 10, 15)
"""Features that must be warm before an entry (DESIGN section 5)."""


def entries_stopped(
    _intent: OrderIntent, _state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse while entries are switched off."""
    if account.entries_stopped:
        return RuleFailure("entries_stopped", "active", account.entries_stopped)
    return None


def market_facts(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse a market with a fact we do not know how to trade (invariant 12)."""
    problems = state.snapshot.market.problems
    return RuleFailure("market_facts", "all known", "; ".join(problems)) if problems else None


def feature_version(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse a state of another feature version than the build's (I8)."""
    if state.version != FEATURE_VERSION:
        return RuleFailure("feature_version", FEATURE_VERSION, state.version)
    return None


def warm_up(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse while a window that entries depend on is not filled."""
    if limits.allow_cold:
        return None
    cold = [FEATURE_NAMES[index] for index in state.cold if index in WARM_FEATURES]
    return RuleFailure("warm_up", "warm", "cold: " + ", ".join(cold)) if cold else None


def book_age(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse on old outcome books; the older of the two tokens counts (I16)."""
    age = max(state.snapshot.up.age_seconds, state.snapshot.down.age_seconds)
    if not age <= limits.book_age_seconds:
        return RuleFailure("book_age", limits.book_age_seconds, age)
    return None


def fast_market_age(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse on an old fast market."""
    age = state.snapshot.fast.age_seconds
    if not age <= limits.fast_age_seconds:
        return RuleFailure("fast_market_age", limits.fast_age_seconds, age)
    return None


def sound_book(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse on an empty, one-sided, crossed or unsynchronised book of either outcome."""
    for outcome in Outcome:
        problem = state.snapshot.book(outcome).problem
        if problem is not BookProblem.NONE:
            return RuleFailure("sound_book", "two-sided", f"{outcome} book {problem}")
    return None


def valid_state(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse when the features were invalid."""
    return RuleFailure("valid_state", "valid", state.invalid) if state.invalid else None


def spread(
    intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse a spread that costs more than any edge pays."""
    book = state.snapshot.book(intent.outcome)
    if not book.bids or not book.asks:
        return None  # sound_book refuses this one
    found = book.asks[0][0] - book.bids[0][0]
    if found > limits.spread_micros:
        return RuleFailure("spread", from_micros(limits.spread_micros), from_micros(found))
    return None


def depth(
    intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse when the levels within the limit cannot fill a taker, or could not take it back."""
    book = state.snapshot.book(intent.outcome)
    within = sum(s for p, s in book.asks if p <= intent.price_limit_micros)
    back = sum(shares for _, shares in book.bids)
    wanted = intent.shares_micros
    found = min(within, back) if intent.expires_ns == 0 else back
    if found < wanted:
        return RuleFailure("depth", from_micros(wanted), from_micros(found))
    return None


def price_band(
    intent: OrderIntent, _state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse a price so near 0 or 1 that a tick is most of what can be won or lost."""
    price = intent.price_limit_micros
    if not limits.price_minimum_micros <= price <= limits.price_maximum_micros:
        low, high = (
            from_micros(limits.price_minimum_micros),
            from_micros(limits.price_maximum_micros),
        )
        return RuleFailure("price_band", f"{low:g} to {high:g}", from_micros(price))
    return None


def time_to_close(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse near the end of the window, strictly before positions time out (I24)."""
    left = state.snapshot.seconds_to_close
    if left < limits.entry_stop_seconds:
        return RuleFailure("time_to_close", limits.entry_stop_seconds, left)
    return None


def window_open(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse before the window opened: its strike is not known yet."""
    before = (state.snapshot.market.opens_ns - state.snapshot.now_ns) / NS_PER_SECOND
    return RuleFailure("window_open", "open", f"opens in {before:.1f} s") if before > 0 else None


def clock_skew(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse when the venue's clock and ours disagree: every time rule would be wrong."""
    skew = abs(state.snapshot.clock_skew_seconds)
    if not skew <= limits.clock_skew_seconds:
        return RuleFailure("clock_skew", limits.clock_skew_seconds, skew)
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
    if held > 0:
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
    if last and waited < limits.cooldown_seconds:
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


def exposure(
    intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse more money at risk than allowed; entries in flight count."""
    after = account.exposure.exposure_micros + intent.notional_micros
    if after > limits.exposure_micros:
        return RuleFailure("exposure", from_micros(limits.exposure_micros), from_micros(after))
    return None


def daily_loss(
    _intent: OrderIntent, _state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse after the day's loss reached its limit, unrealised at executable prices included."""
    lost = -account.exposure.daily_pnl_micros
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


def balance(
    intent: OrderIntent, state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse what cash cannot pay: notional plus the taker fee, which is charged on top (G.2)."""
    if state.snapshot.market.problems:
        return None  # market_facts refuses this one, and its fee schedule may be unknown
    fee = state.snapshot.market.fees.taker_fee_micros(
        intent.shares_micros, intent.price_limit_micros
    )
    needed = intent.notional_micros + fee
    found = account.exposure.cash_micros
    if needed > found:
        return RuleFailure("balance", from_micros(needed), from_micros(found))
    return None


ENTRY_RULES: Final[tuple[Rule, ...]] = (
    entries_stopped,
    market_facts,
    feature_version,
    unknown_outcome,
    window_open,
    time_to_close,
    sound_book,
    book_age,
    fast_market_age,
    valid_state,
    clock_skew,
    warm_up,
    one_position,
    cooldown,
    open_positions,
    daily_loss,
    losing_streak,
    reject_streak,
    order_rate,
    price_band,
    spread,
    depth,
    exposure,
    balance,
)
"""In headline order: what makes the market untradable first, then the account, then the order."""


def well_formed(intent: OrderIntent) -> RuleFailure | None:
    """Check what must hold of any order, exits included."""
    if intent.shares_micros <= 0:
        return RuleFailure("well_formed", "shares > 0", from_micros(intent.shares_micros))
    if not 0 < intent.price_limit_micros < MICROS:
        return RuleFailure("well_formed", "0 < price < 1", from_micros(intent.price_limit_micros))
    if intent.opens != (intent.side is Side.BUY):
        return RuleFailure("well_formed", "entries buy, exits sell", intent.side.value)
    return None


class Gate:
    """Checks intents against the limits."""

    def __init__(self, limits: GateLimits) -> None:
        self._limits = limits

    def check(self, intent: OrderIntent, state: MarketState, account: Account) -> Verdict:
        """Return the intent approved, or refused with every rule it broke.

        Raises ``ValueError`` when the state is another market's than the intent's.
        """
        if state.snapshot.market.slug != intent.market:
            raise ValueError(f"state was of {state.snapshot.market.slug}, expected {intent.market}")
        failures = [failure] if (failure := well_formed(intent)) else []
        if not failures:
            limits = self._limits
            failures = [
                failure
                for rule in (ENTRY_RULES if intent.opens else EXIT_RULES)
                if (failure := rule(intent, state, account, limits)) is not None
            ]
        if failures:
            return Refused(intent, tuple(failures), intent.created_ns)
        return Approved(intent, intent.created_ns)

    def breaches(self, account: Account) -> tuple[tuple[HoldCause, str], ...]:
        """Return the halts that the account's state calls for."""
        return breaches(account, self._limits)
