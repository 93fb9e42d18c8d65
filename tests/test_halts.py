"""The halt state machine: what passes by itself, what waits for an operator, and both at once."""

from __future__ import annotations

from helpers.domain import HoldCause, TradingState
from helpers.halts import Halts


def test_a_passing_cause_reduces_until_it_is_released() -> None:
    halts = Halts()
    assert halts.state is TradingState.ACTIVE
    assert halts.hold(HoldCause.VENUE, "restarts")
    assert not halts.hold(HoldCause.VENUE, "still restarts")
    assert (halts.state, halts.reason) == (TradingState.REDUCING, "restarts")
    assert halts.release(HoldCause.VENUE) == "restarts"
    assert halts.release(HoldCause.VENUE) is None
    assert halts.state is TradingState.ACTIVE


def test_a_latched_cause_stands_until_an_operator_resumes() -> None:
    halts = Halts()
    halts.hold(HoldCause.LOSS_LIMIT, "lost $100", lasting=False)
    assert halts.state is TradingState.HALTED
    assert halts.release(HoldCause.LOSS_LIMIT) is None
    assert halts.state is TradingState.HALTED
    assert halts.resume() == ((HoldCause.LOSS_LIMIT, "lost $100"),)
    assert halts.state is TradingState.ACTIVE


def test_an_operators_word_does_not_end_a_condition_that_lasts() -> None:
    """No entry while the books differ, whatever was typed (DESIGN section 4, invariant 1)."""
    halts = Halts()
    halts.hold(HoldCause.MISMATCH, "cash differs")
    assert halts.resume() == ()
    assert halts.state is TradingState.REDUCING
    halts.hold(HoldCause.MISMATCH, "cash differs")
    assert halts.state is TradingState.REDUCING, "seen already: the same condition"
    assert halts.release(HoldCause.MISMATCH) == "cash differs"
    assert halts.state is TradingState.ACTIVE


def test_a_condition_that_is_over_stays_latched_and_one_that_begins_anew_latches_anew() -> None:
    halts = Halts()
    halts.hold(HoldCause.MISMATCH, "cash differs")
    assert halts.release(HoldCause.MISMATCH) is None
    assert halts.state is TradingState.HALTED
    halts.hold(HoldCause.MISMATCH, "cash differs again")
    assert halts.resume() == ()
    halts.release(HoldCause.MISMATCH)
    assert halts.state is TradingState.ACTIVE
    halts.hold(HoldCause.MISMATCH, "a third time")
    assert halts.state is TradingState.HALTED


def test_resuming_leaves_what_passes_by_itself() -> None:
    halts = Halts()
    halts.hold(HoldCause.RECONCILING, "not compared")
    halts.hold(HoldCause.OPERATOR, "lunch", lasting=False)
    assert halts.state is TradingState.HALTED
    assert halts.resume() == ((HoldCause.OPERATOR, "lunch"),)
    assert (halts.state, halts.reason) == (TradingState.REDUCING, "not compared")


def test_one_cause_can_end_without_an_operator() -> None:
    halts = Halts()
    assert halts.unlatch(HoldCause.LOSS_LIMIT) is None
    halts.hold(HoldCause.LOSS_LIMIT, "lost $100", lasting=False)
    assert halts.unlatch(HoldCause.LOSS_LIMIT) == "lost $100"
    assert halts.state is TradingState.ACTIVE
