"""The safety gate: the only place that turns an intent into an ``Approved`` one.

Every rule is a named pure function of the intent, what the policy saw, and the account. All rules
run and all failures are kept, so that a refusal can be explained whole; the first is the headline.
Exits pass every entry rule (DESIGN section 4, invariant 1). Must not: send, read a clock or keep
state beyond the limits it was built with.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    Account,
    Approved,
    HoldCause,
    MarketState,
    OrderIntent,
    Refused,
    Verdict,
)
from helpers.safety_account import (
    cooldown,
    daily_loss,
    entries_stopped,
    losing_streak,
    mode,
    one_position,
    open_positions,
    order_rate,
    reject_streak,
    unknown_outcome,
)
from helpers.safety_breaches import breaches
from helpers.safety_data import (
    WARM_FEATURES,
    book_age,
    clock_skew,
    fast_market_age,
    feature_version,
    market_facts,
    same_moment,
    sound_book,
    time_to_close,
    valid_state,
    warm_up,
    window_open,
)
from helpers.safety_exits import EXIT_RULES
from helpers.safety_limits import GateLimits, Rule
from helpers.safety_order import balance, depth, exposure, price_band, spread, well_formed

__all__ = ["ENTRY_RULES", "EXIT_RULES", "WARM_FEATURES", "Gate", "GateLimits"]

ENTRY_RULES: Final[tuple[Rule, ...]] = (
    mode,
    entries_stopped,
    market_facts,
    feature_version,
    same_moment,
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
        failures = [failure] if (failure := well_formed(intent, state)) else []
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
        """Return the latched halts that the account's state calls for."""
        return breaches(account, self._limits)
