"""Costs and answers that the rules share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.domain import MICROS, Action, BookProblem, BookView, MarketState, Outcome
from strategies.base import Strategy
from strategies.baseline import (
    Baseline,
    Judgement,
    close,
    enter,
    expected_quote_move,
    hold,
    round_trip_cost,
    taker_fee_per_share,
)
from tests.policy_samples import book, market, state


class _Fixed(Baseline):
    name = "fixed"

    def __init__(self, answer: Judgement) -> None:
        self._answer = answer

    def judge(self, state: MarketState) -> Judgement:
        return self._answer


@given(st.integers(1, 999))
def test_fee_agrees_with_the_exact_one(price_thousandths: int) -> None:
    """The float fee is the venue's, within its rounding to 5 decimals (G.1)."""
    fees = market().fees
    exact = fees.taker_fee_micros(MICROS, price_thousandths * 1000) / MICROS
    assert taker_fee_per_share(fees, price_thousandths / 1000) == pytest.approx(exact, abs=6e-6)


def test_round_trip_at_the_middle_costs_four_and_a_half_cents() -> None:
    """1 c of spread and 1.75 c of fee each way (recordings)."""
    assert round_trip_cost(book(0.495, 0.505), market().fees) == pytest.approx(0.045, abs=1e-4)


def test_unknown_fee_formula_is_not_guessed() -> None:
    """Another exponent fails closed: HOLD, and no price."""
    odd = market(exponent=2)
    with pytest.raises(ValueError, match="exponent was 2"):
        taker_fee_per_share(odd.fees, 0.5)
    (decision,) = _Fixed(close(Outcome.UP, "out")).decide([state(of=odd)])
    assert decision.action is Action.HOLD
    assert "exponent was 2" in decision.reason


def test_quote_follows_less_in_longer_windows() -> None:
    """5 c a basis point in 5 m, by the root of the window elsewhere."""
    assert expected_quote_move(2.0, 300) == pytest.approx(0.10)
    assert expected_quote_move(2.0, 1200) == pytest.approx(0.05)
    assert expected_quote_move(-2.0, 300) == pytest.approx(-0.10)


def test_answers_become_decisions_that_sum_to_one() -> None:
    """The action's probability is 0.5 + confidence / 2, the rest is HOLD."""
    for judgement, expected in (
        (hold("why"), (1.0, 0.0, 0.0)),
        (Judgement(Action.BUY, 0.5, 0.02, "up"), (0.25, 0.75, 0.0)),
        (Judgement(Action.SELL, 1.0, 0.02, "down"), (0.0, 0.0, 1.0)),
    ):
        strategy = _Fixed(judgement)
        (decision,) = strategy.decide([state()])
        assert isinstance(strategy, Strategy)
        assert decision.probabilities == expected
        assert (decision.action, decision.value) == (judgement.action, judgement.value)
        assert (decision.reason, decision.model_id) == (judgement.reason, "fixed-1")
        strategy.forget("any")


def test_invalid_state_is_a_hold_with_its_reason() -> None:
    """A rule is not even asked about an invalid state."""
    (decision,) = _Fixed(close(Outcome.UP, "out")).decide([state(invalid="stale")])
    assert decision.action is Action.HOLD
    assert decision.probabilities == (1.0, 0.0, 0.0)
    assert decision.reason == "stale"


def test_closing_is_the_action_against_the_position() -> None:
    """Up is closed by SELL, Down by BUY (I25)."""
    assert close(Outcome.UP, "").action is Action.SELL
    assert close(Outcome.DOWN, "").action is Action.BUY


def test_entry_must_pay_for_its_round_trip() -> None:
    """At 0.505 a move of 4 c does not pay, one of 9 c leaves half of it."""
    snapshot = state(up=book(0.495, 0.505)).snapshot
    assert enter(snapshot, Outcome.UP, 0.04, "why").action is Action.HOLD
    taken = enter(snapshot, Outcome.UP, 0.09, "why")
    assert taken.action is Action.BUY
    assert taken.confidence == pytest.approx(0.5, abs=0.01)
    assert taken.value == pytest.approx(0.045, abs=0.001)
    assert enter(snapshot, Outcome.DOWN, 0.09, "why").action is Action.SELL


def test_no_price_rises_above_one() -> None:
    """Near 1 nothing is left to gain, whatever the move."""
    snapshot = state(up=book(0.985, 0.995)).snapshot
    assert enter(snapshot, Outcome.UP, 5.0, "why").action is Action.HOLD


def test_broken_book_is_not_entered() -> None:
    """The side that is bought needs a book without problems."""
    one_sided = BookView((), book(0.4, 0.5).asks, 10_000, 0.1, BookProblem.ONE_SIDED)
    answer = enter(state(down=one_sided).snapshot, Outcome.DOWN, 0.5, "why")
    assert answer.action is Action.HOLD
    assert "one_sided" in answer.reason
