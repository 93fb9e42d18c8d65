"""The mean of the parameters on the way."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.averaging import DECAY, Average
from strategies.networks import FloatArray


def shown(value: float) -> dict[str, FloatArray]:
    return {"a": np.full(2, value, dtype=np.float32), "b": np.full(1, -value, dtype=np.float32)}


def test_the_first_step_replaces_what_it_began_from() -> None:
    made = Average(shown(100.0))
    made.add(shown(1.0))
    found = made.parameters()
    assert found["a"].tolist() == [1.0, 1.0]
    assert found["b"].tolist() == [-1.0]
    assert found["a"].dtype == np.float32


def test_it_is_the_weighted_mean_of_the_paper() -> None:
    """Weights by a plain loop: that of step t is w_t times what all later ones left of it."""
    values, made = [float(v) for v in range(1, 41)], Average(shown(0.0))
    for value in values:
        made.add(shown(value))
    left = [(DECAY + 1) / (t + DECAY) for t in range(1, 41)]
    weights = [left[i] * np.prod([1 - w for w in left[i + 1 :]]) for i in range(40)]
    assert sum(weights) == pytest.approx(1.0)
    assert sum(weights[30:]) == pytest.approx(0.70, abs=0.05), "the last quarter"
    assert made.parameters()["a"][0] == pytest.approx(np.dot(weights, values), rel=1e-5)


def test_it_goes_on_where_it_stopped_and_keeps_to_itself() -> None:
    whole, first = Average(shown(0.0)), Average(shown(0.0))
    for value in (3.0, 4.0, 9.0):
        whole.add(shown(value))
    for value in (3.0, 4.0):
        first.add(shown(value))
    kept = first.parameters()
    again = Average(kept, 2)
    again.add(shown(9.0))
    assert again.parameters()["a"] == pytest.approx(whole.parameters()["a"])
    assert kept["a"] == pytest.approx(first.parameters()["a"])
