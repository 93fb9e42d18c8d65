"""Momentum follows moves that pay and leaves when they turn."""

from __future__ import annotations

import pytest

from helpers.domain import Action, Decision, Outcome
from strategies.momentum import Momentum
from tests.policy_samples import book, fast, market, state

BEFORE = 60_000.0


def _decide(bps: float, held: Outcome | None = None, window_seconds: float = 300.0) -> Decision:
    view = fast(BEFORE * (1 + bps / 1e4), mid_5s_ago=BEFORE)
    of = market(window_seconds=window_seconds)
    return Momentum().decide([state(fast_view=view, held=held, of=of)])[0]


@pytest.mark.parametrize(
    ("bps", "action"),
    [(2.0, Action.BUY), (-2.0, Action.SELL), (0.5, Action.HOLD), (-0.9, Action.HOLD)],
)
def test_follows_the_fast_market_both_ways(bps: float, action: Action) -> None:
    """Up after a rise, Down after a fall, nothing under 1 bp (I25)."""
    decision = _decide(bps)
    assert decision.action is action
    assert f"{bps:+.2f} bp" in decision.reason
    assert sum(decision.probabilities) == pytest.approx(1.0)


def test_value_is_the_move_less_its_cost() -> None:
    """2 bp expect 10 c; spread 1 c and fees 1.75 c each way remain 5.5 c."""
    assert _decide(2.0).value == pytest.approx(0.055, abs=0.001)


def test_longer_window_needs_a_larger_move() -> None:
    """1.5 bp pay in a 5 m window and not in a 1 h one."""
    assert _decide(1.5).action is Action.BUY
    assert _decide(1.5, window_seconds=3600.0).action is Action.HOLD
    assert "costs" in _decide(1.5, window_seconds=3600.0).reason


def test_wide_book_is_not_paid_for() -> None:
    """The same move does not pay a 10 c spread."""
    view = fast(BEFORE * 1.0002, mid_5s_ago=BEFORE)
    (decision,) = Momentum().decide([state(fast_view=view, up=book(0.45, 0.55))])
    assert decision.action is Action.HOLD


@pytest.mark.parametrize(
    ("bps", "held", "action"),
    [
        (-0.6, Outcome.UP, Action.SELL),
        (0.6, Outcome.DOWN, Action.BUY),
        (-0.4, Outcome.UP, Action.HOLD),
        (3.0, Outcome.UP, Action.HOLD),
        (-3.0, Outcome.DOWN, Action.HOLD),
    ],
)
def test_position_is_closed_when_the_move_reverses(
    bps: float, held: Outcome, action: Action
) -> None:
    """Half a basis point against the position closes it; more with it adds nothing."""
    assert _decide(bps, held).action is action


def test_unknown_past_is_a_hold() -> None:
    """Without a mid 5 s ago there is no move."""
    (decision,) = Momentum().decide([state()])
    assert decision.action is Action.HOLD
    assert "not known yet" in decision.reason


def test_thresholds_must_be_positive() -> None:
    """A threshold of 0 would trade on nothing."""
    with pytest.raises(ValueError, match="above 0"):
        Momentum(threshold_bps=0.0)
    with pytest.raises(ValueError, match="above 0"):
        Momentum(reversal_bps=-1.0)
