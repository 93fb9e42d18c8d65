"""The gate's rules on what was seen: is the market tradable, may the data be believed.

Every comparison is written so that a value that is missing or not a number refuses.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    FEATURE_NAMES_OF,
    NS_PER_SECOND,
    Account,
    BookProblem,
    BookView,
    MarketState,
    OrderIntent,
    Outcome,
    RuleFailure,
)
from helpers.safety_limits import GateLimits

WARM_FEATURES: Final = (0, 3, 4, 7, 10, 15)
"""Features that must be warm before an entry (DESIGN section 5), in every feature version."""
FEE_EXPONENT: Final = 1
"""The only fee curve that is known to be in force; of any other no fee can be told (G.1)."""


def market_facts(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse a market with a fact we do not know how to trade (invariant 12)."""
    market = state.snapshot.market
    problems = market.problems
    if not problems and market.fees.exponent != FEE_EXPONENT:
        problems = (f"fee exponent was {market.fees.exponent}, expected {FEE_EXPONENT}",)
    return RuleFailure("market_facts", "all known", "; ".join(problems)) if problems else None


def feature_version(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse a state of another feature version than the strategy's (I8).

    A model of another version cannot have decided: its manifest is refused when it is loaded.
    """
    if state.version != limits.feature_version:
        return RuleFailure("feature_version", limits.feature_version, state.version)
    return None


def same_moment(
    intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse to judge an entry by what was seen at another moment: its ages would be lies (I16)."""
    apart = (intent.created_ns - state.snapshot.now_ns) / NS_PER_SECOND
    return RuleFailure("same_moment", 0.0, apart) if apart else None


def window_open(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse before the window opened: its strike is not known yet."""
    before = (state.snapshot.market.opens_ns - state.snapshot.now_ns) / NS_PER_SECOND
    return RuleFailure("window_open", "open", f"opens in {before:.1f} s") if before > 0 else None


def time_to_close(
    intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse near the end of the window, strictly before positions time out (I24).

    A resting entry counts from its own end: a bid that outlives the moment entries stop would be
    an entry after it, and could be filled when the position it opens is already overdue.
    """
    last_ns = max(state.snapshot.now_ns, intent.expires_ns)
    left = (state.snapshot.market.closes_ns - last_ns) / NS_PER_SECOND
    if not left > limits.entry_stop_seconds:
        return RuleFailure("time_to_close", limits.entry_stop_seconds, left)
    return None


def sound_book(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse on an empty, one-sided, crossed or unsynchronised book of either outcome."""
    for outcome in Outcome:
        problem = _problem(state.snapshot.book(outcome))
        if problem is not BookProblem.NONE:
            return RuleFailure("sound_book", "two-sided", f"{outcome} book {problem}")
    return None


def _problem(book: BookView) -> BookProblem:
    # The levels are looked at too, whatever the view calls itself.
    if book.problem is not BookProblem.NONE:
        return book.problem
    if not book.bids or not book.asks:
        return BookProblem.ONE_SIDED if book.bids or book.asks else BookProblem.EMPTY
    return BookProblem.CROSSED if book.bids[0][0] >= book.asks[0][0] else BookProblem.NONE


def book_age(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse on an old book of either token (I16)."""
    for outcome in Outcome:
        # One by one: the larger of two ages is not found when one is not a number.
        age = state.snapshot.book(outcome).age_seconds
        if not _is_fresh(age, limits.book_age_seconds, limits):
            return RuleFailure("book_age", limits.book_age_seconds, age)
    return None


def fast_market_age(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse on an old fast market, and without one."""
    fast = state.snapshot.fast
    if fast.source is None or not 0.0 < fast.bid <= fast.ask:
        return RuleFailure("fast_market_age", limits.fast_age_seconds, "no quote")
    if not _is_fresh(fast.age_seconds, limits.fast_age_seconds, limits):
        return RuleFailure("fast_market_age", limits.fast_age_seconds, fast.age_seconds)
    return None


def _is_fresh(age_seconds: float, limit_seconds: float, limits: GateLimits) -> bool:
    # Data from further in the future than clocks may differ is as little known as old data.
    return -limits.clock_skew_seconds <= age_seconds <= limit_seconds


def valid_state(
    _intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse when the features were invalid."""
    return RuleFailure("valid_state", "valid", state.invalid) if state.invalid else None


def clock_skew(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse when the venue's clock and ours disagree, or none was seen: times would be wrong."""
    skew = abs(state.snapshot.clock_skew_seconds)
    if not skew <= limits.clock_skew_seconds:
        return RuleFailure("clock_skew", limits.clock_skew_seconds, skew)
    return None


def warm_up(
    _intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse while a window that entries depend on is not filled."""
    if limits.allow_cold:
        return None
    names = FEATURE_NAMES_OF[limits.feature_version]
    cold = [names[index] for index in state.cold if index in WARM_FEATURES]
    return RuleFailure("warm_up", "warm", "cold: " + ", ".join(cold)) if cold else None
