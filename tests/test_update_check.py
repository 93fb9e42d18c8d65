"""What speaks against an update is said, and nothing else is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strategies.update_check import mean_entropy_nats, update_problem


@pytest.mark.parametrize(
    ("parameter", "metric", "logit", "value", "words"),
    [
        (math.nan, 0.0, 0.0, 0.0, "a parameter was not finite"),
        (0.0, math.inf, 0.0, 0.0, "figures"),
        (0.0, 0.0, math.nan, 0.0, "output"),
        (0.0, 0.0, 0.0, math.inf, "output"),
        (0.0, 0.0, 90.0, 0.0, "collapsed"),
        (0.0, 0.0, 0.0, 0.0, ""),
    ],
)
def test_each_fault_of_an_update_is_named(
    parameter: float, metric: float, logit: float, value: float, words: str
) -> None:
    """One text for one fault, and none for a sound update."""
    problem = update_problem(
        np.array([parameter, 1.0], dtype=np.float32),
        [0.1, metric],
        np.array([[logit, 0.0, 0.0]], dtype=np.float32),
        np.array([value], dtype=np.float32),
        entropy_before_nats=1.0,
        minimum_entropy_nats=0.02,
    )
    assert words in problem
    assert bool(words) == bool(problem)


def test_a_policy_below_the_floor_may_climb() -> None:
    """Otherwise a model that fell once could never learn again."""
    one, logits = np.ones(1, dtype=np.float32), np.array([[6.0, 0.0, 0.0]], dtype=np.float32)
    entropy = mean_entropy_nats(logits)
    assert update_problem(one, [], logits, one, entropy - 0.001, entropy + 0.001) == ""
    assert "collapsed" in update_problem(one, [], logits, one, entropy, entropy + 0.001)


def test_entropy_of_extreme_logits_is_exact() -> None:
    """Logits of 300 neither overflow nor make it negative."""
    logits = np.array([[300.0, 0.0, -300.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    assert mean_entropy_nats(logits) == pytest.approx(math.log(3) / 2)
