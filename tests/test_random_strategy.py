"""Random is random, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.domain import Action
from strategies.random_strategy import RandomStrategy
from tests.policy_samples import market, state


def test_draws_depend_on_seed_market_and_step_only() -> None:
    """Order, repetition and company change nothing; seed, market and step do."""
    samples = [state(of=market(f"m{n % 4}"), seconds=60 + n / 2) for n in range(40)]
    first = RandomStrategy(1).decide(samples)
    backwards = [RandomStrategy(1).decide([sample])[0] for sample in reversed(samples)]
    assert list(first) == backwards[::-1]
    other = RandomStrategy(2).decide(samples)
    assert [decision.action for decision in first] != [decision.action for decision in other]


def test_each_action_is_drawn_about_as_often() -> None:
    """A third each, and the decision says so."""
    samples = [state(seconds=n / 2) for n in range(600)]
    decisions = RandomStrategy(3).decide(samples)
    counts = np.bincount([decision.action for decision in decisions], minlength=3)
    assert counts.min() > 150
    assert sum(decisions[0].probabilities) == pytest.approx(1.0)


def test_invalid_state_is_not_drawn_for() -> None:
    """HOLD for certain, with the reason."""
    (decision,) = RandomStrategy(1).decide([state(invalid="stale")])
    assert (decision.action, decision.reason) == (Action.HOLD, "stale")
    assert decision.probabilities == (1.0, 0.0, 0.0)
