"""The gate: every rule by name, with its limit and what was found; exits pass them all."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Account,
    Approved,
    BookProblem,
    MarketState,
    OrderIntent,
    Outcome,
    Position,
    Refused,
    Side,
)
from helpers.safety import ENTRY_RULES, WARM_FEATURES, Gate, GateLimits
from tests.builders import (
    SLUG,
    a_book,
    a_fast_view,
    a_market,
    a_snapshot,
    a_state,
    an_account,
    an_intent,
)

LIMITS = GateLimits(
    entry_stop_seconds=180,
    book_age_seconds=30,
    fast_age_seconds=10,
    daily_loss_micros=100 * MICROS,
    losing_streak=5,
    positions=4,
    exposure_micros=400 * MICROS,
    reject_streak=3,
    orders_per_minute=30,
    clock_skew_seconds=2,
    cooldown_seconds=30,
    spread_micros=50_000,
    price_minimum_micros=50_000,
    price_maximum_micros=950_000,
    allow_cold=False,
)
GATE = Gate(LIMITS)
HELD = Position(
    market=SLUG, outcome=Outcome.UP, shares_settled_micros=500 * MICROS, cost_micros=270 * MICROS
)


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


BROKEN: dict[str, tuple[OrderIntent, MarketState, Account]] = {
    "entries_stopped": (an_intent(), a_state(), an_account(stopped="shutting down")),
    "market_facts": (
        an_intent(),
        a_state(a_snapshot(market=a_market(problems=("fee rate was 0.09",)))),
        an_account(),
    ),
    "feature_version": (an_intent(), a_state(version="other"), an_account()),
    "unknown_outcome": (an_intent(), a_state(), an_account(market_unknown=True)),
    "window_open": (an_intent(), a_state(a_snapshot(901)), an_account()),
    "time_to_close": (an_intent(), a_state(a_snapshot(179.9)), an_account()),
    "sound_book": (
        an_intent(),
        a_state(a_snapshot(down=a_book(problem=BookProblem.CROSSED))),
        an_account(),
    ),
    "book_age": (an_intent(), a_state(a_snapshot(up=a_book(age_seconds=30.1))), an_account()),
    "fast_market_age": (
        an_intent(),
        a_state(a_snapshot(fast=a_fast_view(age_seconds=math.inf))),
        an_account(),
    ),
    "valid_state": (an_intent(), a_state(invalid="not_finite"), an_account()),
    "clock_skew": (an_intent(), a_state(a_snapshot(clock_skew_seconds=-2.1)), an_account()),
    "warm_up": (an_intent(), a_state(cold=(10,)), an_account()),
    "one_position": (an_intent(), a_state(), an_account(market_position_micros=1)),
    "cooldown": (
        an_intent(),
        a_state(),
        an_account(last_exit_ns=an_intent().created_ns - 29 * NS_PER_SECOND),
    ),
    "open_positions": (an_intent(), a_state(), an_account(open_positions=4)),
    "daily_loss": (an_intent(), a_state(), an_account(daily_pnl_micros=-100 * MICROS)),
    "losing_streak": (an_intent(), a_state(), an_account(losing_streak=5)),
    "reject_streak": (an_intent(), a_state(), an_account(reject_streak=3)),
    "order_rate": (an_intent(), a_state(), an_account(orders_last_minute=30)),
    "price_band": (
        an_intent(price_limit_micros=960_000),
        a_state(a_snapshot(up=a_book(0.95, 0.96))),
        an_account(),
    ),
    "spread": (an_intent(), a_state(a_snapshot(up=a_book(0.46, 0.53))), an_account()),
    "depth": (an_intent(shares_micros=500 * MICROS), a_state(), an_account()),
    "exposure": (an_intent(), a_state(), an_account(exposure_micros=395 * MICROS)),
    "balance": (an_intent(), a_state(), an_account(cash_micros=5_400_000)),
}


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_a_rule_refuses_by_its_name(rule: str) -> None:
    """U9: the broken rule is named, and it alone, with limit and found."""
    found = failures(*BROKEN[rule])
    assert list(found) == [rule]
    limit, value = found[rule]
    assert str(limit)
    assert str(value)


def test_every_rule_has_a_case() -> None:
    """The table above covers the gate whole."""
    assert {rule.__name__ for rule in ENTRY_RULES} == set(BROKEN)


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_an_exit_passes_every_entry_rule(rule: str) -> None:
    """Invariant 1: whatever stops entries never stops an exit (I1, I24)."""
    intent, state, account = BROKEN[rule]
    exit_intent = msgspec.structs.replace(intent, side=Side.SELL, opens=False)
    held = msgspec.structs.replace(state, position=HELD)
    assert isinstance(GATE.check(exit_intent, held, account), Approved)


def test_one_exit_in_flight() -> None:
    """I22: while an order is alive in the market, its shares are not sold a second time."""
    intent = an_intent(side=Side.SELL, opens=False)
    found = failures(intent, a_state(position=HELD), an_account(market_order_open=True))
    assert list(found) == ["exit_in_flight"]


def test_an_exit_waits_a_little_after_a_rejection() -> None:
    """I2: up to the moment, not beyond it."""
    exit_ = an_intent(side=Side.SELL, opens=False)
    for micros, refused in ((1, True), (0, False), (-1, False)):
        account = an_account(exit_retry_ns=exit_.created_ns + micros * 1_000_000)
        found = failures(exit_, a_state(position=HELD), account)
        assert list(found) == (["exit_retry"] if refused else []), micros


def test_only_settled_shares_are_sold() -> None:
    """I2: more than is settled, or the other outcome, cannot be sold."""
    more = an_intent(side=Side.SELL, opens=False, shares_micros=HELD.shares_settled_micros + 1)
    assert list(failures(more, a_state(position=HELD))) == ["settled_shares"]
    other = an_intent(side=Side.SELL, opens=False, outcome=Outcome.DOWN)
    assert list(failures(other, a_state(position=HELD))) == ["settled_shares"]
    assert list(failures(an_intent(side=Side.SELL, opens=False))) == ["settled_shares"]


def test_all_failures_are_kept_and_the_first_is_the_headline() -> None:
    """A refusal tells everything that was wrong, in the order of the rules."""
    state = a_state(a_snapshot(100, up=a_book(0.40, 0.53)))
    verdict = GATE.check(an_intent(), state, an_account(losing_streak=9))
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


def test_the_fee_is_part_of_what_cash_must_cover() -> None:
    """G.2: the taker fee is charged on top of the notional."""
    notional, fee = 5_400_000, 173_880  # 10 shares at 0.54: 10 * 0.07 * 0.54 * 0.46
    assert failures(account=an_account(cash_micros=notional + fee)) == {}
    assert "balance" in failures(account=an_account(cash_micros=notional + fee - 10))


@pytest.mark.parametrize(
    "changes",
    [
        {"shares_micros": 0},
        {"shares_micros": -1},
        {"price_limit_micros": 0},
        {"price_limit_micros": MICROS},
        {"side": Side.SELL},
    ],
)
def test_a_malformed_order_is_refused_even_as_an_exit(changes: dict[str, Any]) -> None:
    """No order of zero shares, of an impossible price or against its own purpose leaves."""
    assert list(failures(an_intent(**changes))) == ["well_formed"]


def test_a_state_of_another_market_is_a_bug() -> None:
    """The gate judges an intent by its own market only."""
    with pytest.raises(ValueError, match="expected"):
        GATE.check(an_intent(market="other"), a_state(), an_account())
