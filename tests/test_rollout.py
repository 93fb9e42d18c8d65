"""Choices become transitions of their own market, and rewards sum to its profit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import MICROS, NS_PER_SECOND, Outcome, Position
from strategies.rollout import Choice, Rollouts, Trajectory, market_equity
from tests.policy_samples import book, state


def _choice(market: str = "m", seconds: float = 0.0, value: float = 0.0) -> Choice:
    return Choice(
        market, round(seconds * NS_PER_SECOND), np.zeros(90, dtype=np.float32), 1, -1.0, value
    )


def _rewards(trajectory: Trajectory) -> list[float]:
    return [step.reward for step in trajectory.transitions]


def test_a_reward_is_the_change_of_equity_until_the_next_choice() -> None:
    """Each choice gets what happened after it, and the time that took."""
    rollouts = Rollouts()
    for seconds, equity in ((0, 0.0), (5, -0.25), (6.5, 0.5)):
        rollouts.record(_choice(seconds=seconds), equity)
    assert len(rollouts) == 2
    rollouts.settle("m", 20 * NS_PER_SECOND, 1.0)
    (trajectory,) = rollouts.take()
    assert _rewards(trajectory) == [-0.25, 0.75, 0.5]
    assert [step.seconds for step in trajectory.transitions] == [5.0, 1.5, 13.5]
    assert trajectory.terminal
    assert trajectory.bootstrap == 0.0
    assert len(rollouts) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-100, 100)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_rewards_telescope_to_the_profit_of_their_market(steps: list[tuple[str, int]]) -> None:
    """Whatever is taken in between, a market's rewards sum to its last equity less its first."""
    rollouts, taken = Rollouts(), list[Trajectory]()
    equities: dict[str, list[int]] = {}
    for count, (market, equity) in enumerate(steps):
        rollouts.record(_choice(market, count), equity / 64)
        equities.setdefault(market, []).append(equity)
        if count % 7 == 0:
            taken += rollouts.take()
    for market in equities:
        rollouts.settle(market, len(steps) * NS_PER_SECOND, 2.0)
        equities[market].append(128)
    taken += rollouts.take()
    for market, marks in equities.items():
        own = [t for t in taken if t.market == market]
        assert sum(sum(_rewards(t)) for t in own) == (marks[-1] - marks[0]) / 64
        assert sum(len(t.transitions) for t in own) == len(marks) - 1
        assert [t.terminal for t in own] == [False] * (len(own) - 1) + [True]


def test_an_open_market_is_bootstrapped_with_the_value_of_its_pending_choice() -> None:
    """What is taken in the middle ends with the critic's word for what follows, and goes on."""
    rollouts = Rollouts()
    rollouts.record(_choice(seconds=0, value=0.1), 0.0)
    rollouts.record(_choice(seconds=5, value=0.7), 1.0)
    (trajectory,) = rollouts.take()
    assert (trajectory.terminal, trajectory.bootstrap) == (False, 0.7)
    assert list(rollouts.take()) == []
    rollouts.settle("m", 9 * NS_PER_SECOND, 3.0)
    (rest,) = rollouts.take()
    assert [step.choice.value for step in rest.transitions] == [0.7]
    assert _rewards(rest) == [2.0]


def test_a_cut_leaves_out_the_choice_whose_outcome_is_not_known() -> None:
    """After a gap nothing is made up: the trajectory ends where it was last known."""
    rollouts = Rollouts()
    rollouts.record(_choice(seconds=0), 0.0)
    rollouts.record(_choice(seconds=5, value=0.4), 1.0)
    rollouts.cut("m")
    rollouts.record(_choice(seconds=500), 9.0)
    rollouts.record(_choice(seconds=505, value=0.2), 9.5)
    first, second = rollouts.take()
    assert (_rewards(first), first.terminal, first.bootstrap) == ([1.0], False, 0.4)
    assert (_rewards(second), second.bootstrap) == ([0.5], 0.2)


def test_markets_nobody_knows_end_without_harm() -> None:
    """A settlement or a cut may come before any choice, or twice."""
    rollouts = Rollouts()
    rollouts.settle("m", 0, 1.0)
    rollouts.cut("m")
    rollouts.record(_choice(), 0.0)
    rollouts.cut("m")
    assert list(rollouts.take()) == []


def test_what_nobody_takes_is_bounded_and_counted() -> None:
    """A full buffer keeps whole trajectories and says how many choices it did not record."""
    rollouts = Rollouts(maximum=4)
    for count in range(20):
        rollouts.record(_choice(seconds=count, value=count), float(count))
    assert len(rollouts) == 4
    assert rollouts.dropped == 16
    (trajectory,) = rollouts.take()
    assert _rewards(trajectory) == [1.0] * 4
    assert trajectory.bootstrap == 4.0
    rollouts.record(_choice(seconds=30), 0.0)
    rollouts.record(_choice(seconds=31), 0.0)
    assert len(rollouts) == 1


def test_markets_are_bounded() -> None:
    """The market that began first makes room, and what is known of it is kept."""
    rollouts = Rollouts(maximum_markets=2)
    rollouts.record(_choice("a", 0), 0.0)
    rollouts.record(_choice("a", 1, value=0.3), 1.0)
    for market in ("b", "c"):
        rollouts.record(_choice(market, 2), 0.0)
    (trajectory,) = rollouts.take()
    assert (trajectory.market, trajectory.bootstrap) == ("a", 0.3)


def test_equity_marks_a_position_at_what_it_would_bring_now() -> None:
    """Realised profit plus the walk down the bids net of the fee, less the cost."""
    seen = state(held=Outcome.UP, up=book(0.50, 0.52))
    flat = Position(market="m")
    assert market_equity(3 * MICROS, seen.snapshot, flat, 100 * MICROS) == 0.03
    # 10 shares that cost 5 dollars bring 10 x 0.50 less a fee of 0.07 x 0.5 x 0.5 each.
    marked = market_equity(3 * MICROS, seen.snapshot, seen.position, 100 * MICROS)
    assert marked == pytest.approx((3.0 + 5.0 - 0.175 - 5.0) / 100)
    with pytest.raises(ValueError, match="capital was 0"):
        market_equity(0, seen.snapshot, flat, 0)
