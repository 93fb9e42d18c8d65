"""The gate as a whole: what it approves, what it keeps of a refusal, what is no order at all.

Each rule at its limit is in ``tests/test_safety_tables.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helpers.domain import (
    MICROS,
    Account,
    Approved,
    MarketState,
    OrderIntent,
    Outcome,
    Refused,
    Side,
)
from helpers.safety import WARM_FEATURES, Gate
from tests.builders import (
    a_book,
    a_snapshot,
    a_state,
    an_account,
    an_intent,
)
from tests.safety_builders import GATE, LIMITS


def failures(
    intent: OrderIntent | None = None,
    state: MarketState | None = None,
    account: Account | None = None,
    gate: Gate = GATE,
) -> dict[str, tuple[float | str, float | str]]:
    verdict = gate.check(intent or an_intent(), state or a_state(), account or an_account())
    if isinstance(verdict, Approved):
        return {}
    return {failure.rule: (failure.limit, failure.found) for failure in verdict.failures}


def test_a_sound_entry_is_approved() -> None:
    """Nothing wrong, nothing refused."""
    assert GATE.check(an_intent(), a_state(), an_account()) == Approved(
        an_intent(), an_intent().created_ns
    )


def test_all_failures_are_kept_and_the_first_is_the_headline() -> None:
    """A refusal tells everything that was wrong, in the order of the rules."""
    state = a_state(a_snapshot(100, up=a_book(0.40, 0.53)))
    verdict = GATE.check(an_intent(state.snapshot), state, an_account(losing_streak=9))
    assert isinstance(verdict, Refused)
    assert [f.rule for f in verdict.failures] == ["time_to_close", "losing_streak", "spread"]


def test_cold_features_that_no_entry_needs_do_not_refuse() -> None:
    """Only features 0, 3, 4, 7, 10 and 15 must be warm."""
    others = tuple(i for i in range(18) if i not in WARM_FEATURES)
    assert failures(state=a_state(cold=others)) == {}


def test_replay_may_allow_cold_features() -> None:
    """A tape that starts in the middle can be traded when its owner says so."""
    gate = Gate(msgspec.structs.replace(LIMITS, allow_cold=True))
    assert failures(state=a_state(cold=WARM_FEATURES), gate=gate) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"shares_micros": 0},
        {"shares_micros": -1},
        {"price_limit_micros": 0},
        {"price_limit_micros": MICROS},
        {"side": Side.SELL},
        {"opens": False},
        {"outcome": Outcome.DOWN},
        {"token": ""},
    ],
)
def test_a_malformed_order_is_refused_even_as_an_exit(changes: dict[str, Any]) -> None:
    """No order of zero shares, of an impossible price or against its own purpose leaves."""
    assert list(failures(an_intent(**changes))) == ["well_formed"]


def test_a_state_of_another_market_is_a_bug() -> None:
    """The gate judges an intent by its own market only."""
    with pytest.raises(ValueError, match="expected"):
        GATE.check(an_intent(market="other"), a_state(), an_account())
