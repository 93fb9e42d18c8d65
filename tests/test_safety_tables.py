"""Every rule of the gate by a table: just under, at and over its limit, and with data missing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helpers.domain import (
    Approved,
    Refused,
    RuleFailure,
    RuleValue,
    Side,
)
from helpers.safety import ENTRY_RULES, EXIT_RULES
from tests.safety_builders import GATE, HELD, LIMITS
from tests.safety_rows import ENTRIES, EXITS, Row

RULES = {rule.__name__: rule for rule in ENTRY_RULES}


def named(rows: list[Row]) -> Any:
    return pytest.mark.parametrize("case", rows, ids=[f"{r.rule}: {r.name}" for r in rows])


def same(found: RuleFailure | None, rule: str, expected: tuple[RuleValue, RuleValue]) -> bool:
    """Compare with NaN equal to itself and floats up to a micro-unit."""
    if found is None or found.rule != rule or found.limit != expected[0]:
        return False
    if isinstance(found.found, str) or isinstance(expected[1], str):
        return found.found == expected[1]
    return found.found == pytest.approx(expected[1], abs=5e-7, nan_ok=True)


@named(ENTRIES)
def test_an_entry_at_the_limit_of_a_rule(case: Row) -> None:
    """U9: the rule says its limit and what it found, or nothing; the gate keeps what it said."""
    found = RULES[case.rule](case.intent, case.state, case.account, LIMITS)
    verdict = GATE.check(case.intent, case.state, case.account)
    kept = verdict.failures if isinstance(verdict, Refused) else ()
    if case.failure is None:
        assert found is None
        assert case.rule not in {failure.rule for failure in kept}
    else:
        assert same(found, case.rule, case.failure), found
        assert [f.rule for f in kept].count(case.rule) == 1


@named([case for case in ENTRIES if case.rule not in {rule.__name__ for rule in EXIT_RULES}])
def test_an_exit_passes_every_entry_rule(case: Row) -> None:
    """Invariant 1: whatever stops entries never stops an exit (I1, I24)."""
    exit_ = msgspec.structs.replace(case.intent, side=Side.SELL, opens=False)
    alone = msgspec.structs.replace(case.account.exposure, market_order_open=False)
    account = msgspec.structs.replace(case.account, exposure=alone)
    held = msgspec.structs.replace(case.state, position=HELD)
    assert isinstance(GATE.check(exit_, held, account), Approved)


@named(EXITS)
def test_an_exit_at_the_limit_of_a_rule(case: Row) -> None:
    """What an exit must meet, and nothing else refuses it."""
    verdict = GATE.check(case.intent, case.state, case.account)
    if case.failure is None:
        assert isinstance(verdict, Approved)
    else:
        assert isinstance(verdict, Refused)
        assert [failure.rule for failure in verdict.failures] == [case.rule]
        assert same(verdict.failures[0], case.rule, case.failure), verdict.failures


@pytest.mark.parametrize(("rules", "rows"), [(ENTRY_RULES, ENTRIES), (EXIT_RULES, EXITS)])
def test_the_tables_cover_every_rule_on_both_sides_of_its_limit(rules: Any, rows: Any) -> None:
    """A rule without a row that it refuses and one that it lets pass is not shown to work."""
    names = [rule.__name__ for rule in rules]
    assert len(set(names)) == len(names)
    assert {case.rule for case in rows if case.failure is not None} == set(names)
    assert {case.rule for case in rows if case.failure is None} == set(names)
