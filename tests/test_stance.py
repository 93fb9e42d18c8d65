"""A choice stands until the next decision point, and each choice is told once."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.domain import Action, Decision, MarketState
from strategies.registry import Model, initial_model
from strategies.rl_mlx import RLStrategy
from strategies.rollout import Choice
from strategies.stance import Stances
from tests.policy_samples import market, state

MODEL = initial_model(1, "2026-01-01")


def _at(
    seconds: float, *, on_grid: bool = True, slug: str = "m0", invalid: str = ""
) -> MarketState:
    random = np.random.default_rng(round(seconds * 1000))
    return state(
        features=random.uniform(-1, 1, 18).tolist(),
        of=market(slug),
        seconds=seconds,
        on_grid=on_grid,
        invalid=invalid,
    )


class _Recorded:
    """A sampled policy and what it told its recorder."""

    def __init__(self, model: Model = MODEL) -> None:
        self.choices: list[Choice] = []
        self.strategy = RLStrategy(
            model, np.random.default_rng(3), recorder=lambda _, choice: self.choices.append(choice)
        )

    def decide(self, seconds: float, *, on_grid: bool = True, invalid: str = "") -> Decision:
        return self.strategy.decide([_at(seconds, on_grid=on_grid, invalid=invalid)])[0]

    def chosen_at(self) -> list[float]:
        first = _at(0.0).snapshot.now_ns
        return [(choice.at_ns - first) / 1e9 for choice in self.choices]


def test_a_choice_stands_for_the_interval() -> None:
    """Between decision points action, probabilities and value are the chosen ones."""
    policy = _Recorded()
    decisions = [policy.decide(step / 2) for step in range(21)]
    assert policy.chosen_at() == [0.0, 5.0, 10.0]
    first = decisions[0]
    for decision in decisions[1:10]:
        assert decision.reason == f"stance of {first.reason}"
        assert (decision.action, decision.probabilities, decision.value, decision.forecast_up) == (
            first.action,
            first.probabilities,
            first.value,
            first.forecast_up,
        )
    assert decisions[1].features == _at(0.5).features
    assert not decisions[10].reason.startswith("stance")


def test_a_trigger_is_a_decision_point_and_starts_the_interval_anew() -> None:
    """A move of the fast market is answered at once."""
    policy = _Recorded()
    policy.decide(0.0)
    policy.decide(1.23, on_grid=False)
    for step in range(3, 15):
        policy.decide(step / 2)
    assert policy.chosen_at() == [0.0, 1.23, 6.5]


def test_history_is_pushed_while_a_choice_stands() -> None:
    """The window of the next choice has the last five grid states, not the last five choices."""
    policy = _Recorded()
    for step in range(11):
        policy.decide(step / 2)
    expected = np.array([_at(step / 2).features for step in range(6, 11)], dtype=np.float32)
    assert np.array_equal(policy.choices[-1].window, expected.reshape(-1))


def test_what_is_recorded_is_what_the_forward_said() -> None:
    """The recorded probability and value are the decision's own, for the action taken."""
    policy = _Recorded()
    for step in range(0, 200, 10):
        decision = policy.decide(step / 2)
        choice = policy.choices[-1]
        assert choice.action == decision.action
        probability = decision.probabilities[decision.action]
        assert choice.log_probability == pytest.approx(np.log(probability), abs=1e-12)
        assert choice.value == decision.value
    assert len({choice.action for choice in policy.choices}) == len(Action)


def test_recorded_windows_are_copies() -> None:
    """A later decision does not change what was recorded."""
    policy = _Recorded()
    policy.decide(0.0)
    before = policy.choices[0].window.copy()
    policy.decide(5.0)
    assert np.array_equal(policy.choices[0].window, before)


def test_markets_that_stand_and_markets_that_choose_share_a_step() -> None:
    """Each market's choice is its own, whoever else is asked with it."""
    strategy, alone = RLStrategy(MODEL), RLStrategy(MODEL)
    strategy.decide([_at(0.0, slug="a")])
    both = strategy.decide([_at(0.5, slug="a"), _at(0.5, slug="b")])
    assert both[0].reason.startswith("stance of")
    assert both[1] == alone.decide([_at(0.5, slug="b")])[0]


def test_an_invalid_state_is_a_hold_and_the_choice_stands_after_it() -> None:
    """Nothing is chosen from what cannot be seen."""
    policy = _Recorded()
    first = policy.decide(0.0)
    assert policy.decide(0.5, invalid="up book crossed").action is Action.HOLD
    assert policy.decide(1.0).reason == f"stance of {first.reason}"
    assert policy.chosen_at() == [0.0]


def test_another_model_chooses_at_the_next_step() -> None:
    """A choice does not outlive the model that made it."""
    policy, other = _Recorded(), initial_model(2, "2026-01-01")
    policy.decide(0.0)
    policy.strategy.adopt(other)
    decision = policy.decide(0.5)
    assert decision.model_id == other.manifest.model_id
    assert policy.chosen_at() == [0.0, 0.5]


def test_a_forgotten_market_chooses_anew() -> None:
    """Nothing is left of a market that has rolled."""
    policy = _Recorded()
    policy.decide(0.0)
    policy.strategy.forget("m0")
    policy.decide(0.5)
    assert policy.chosen_at() == [0.0, 0.5]


def test_an_interval_below_a_grid_step_is_refused() -> None:
    """There is nothing between two steps."""
    with pytest.raises(ValueError, match=r"0\.4 s, expected 0\.5"):
        Stances(0.4)
    with pytest.raises(ValueError, match="learn interval was"):
        RLStrategy(MODEL, learn_interval_seconds=0.0)
