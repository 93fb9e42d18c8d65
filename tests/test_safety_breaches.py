"""Which limits latch, with what text; and that they do not come and go with a price."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.domain import MICROS, HoldCause
from helpers.safety_breaches import breaches
from tests.builders import an_account
from tests.safety_builders import GATE, LIMITS

LOSS, LOSING, REJECTS = HoldCause.LOSS_LIMIT, HoldCause.LOSING_STREAK, HoldCause.REJECT_STREAK


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({}, ()),
        ({"daily_pnl_micros": 1 - 100 * MICROS}, ()),
        (
            {"daily_pnl_micros": -100 * MICROS},
            ((LOSS, "lost $100.00 today, the limit is $100.00"),),
        ),
        (
            {"daily_pnl_micros": -1_234_560_000},
            ((LOSS, "lost $1234.56 today, the limit is $100.00"),),
        ),
        ({"losing_streak": 4}, ()),
        ({"losing_streak": 5}, ((LOSING, "5 losing trades in a row, the limit is 5"),)),
        ({"losing_streak": 7}, ((LOSING, "7 losing trades in a row, the limit is 5"),)),
        ({"reject_streak": 2}, ()),
        ({"reject_streak": 3}, ((REJECTS, "3 orders rejected in a row, the limit is 3"),)),
    ],
)
def test_a_limit_that_is_reached_latches(account: dict[str, Any], expected: object) -> None:
    """Under it nothing, at it and beyond the cause and a text for people."""
    assert breaches(an_account(**account), LIMITS) == expected


def test_all_causes_are_named_and_an_operator_must_end_each() -> None:
    """Nothing hides behind the first."""
    account = an_account(daily_pnl_micros=-200 * MICROS, losing_streak=9, reject_streak=9)
    found = [cause for cause, _ in GATE.breaches(account)]
    assert found == [LOSS, LOSING, REJECTS]
    assert all(cause.latched for cause in found)


def test_a_value_nobody_knows_refuses_entries_and_latches_nothing() -> None:
    """A fill's value is known a step later; a false halt would last until somebody wakes up."""
    account = an_account(daily_pnl_micros=-60 * MICROS, unmarked_cost_micros=400 * MICROS)
    assert GATE.breaches(account) == ()
