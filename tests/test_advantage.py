"""GAE in bulk is GAE by a plain loop, and its discount is per time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.advantage import Float64Array, discounts, generalised_advantages

GAMMA, LAMBDA, STEP_SECONDS = 0.95, 0.9, 15.0


def _plain(
    rewards: list[float], values: list[float], seconds: list[float], bootstrap: float
) -> list[float]:
    """GAE of one trajectory by its definition: a discounted sum of TD errors, term by term."""
    following = [*values[1:], bootstrap]
    deltas = [
        reward + GAMMA ** (dt / STEP_SECONDS) * after - value
        for reward, value, after, dt in zip(rewards, values, following, seconds, strict=True)
    ]
    advantages: list[float] = []
    for start in range(len(deltas)):
        total, elapsed = 0.0, 0.0
        for delta, dt in zip(deltas[start:], seconds[start:], strict=True):
            total += (GAMMA * LAMBDA) ** (elapsed / STEP_SECONDS) * delta
            elapsed += dt
        advantages.append(total)
    return advantages


def _bulk(
    rewards: Float64Array, values: Float64Array, seconds: Float64Array, ends: dict[int, float]
) -> Float64Array:
    next_values = np.append(values[1:], np.zeros_like(values[:1]), axis=0)
    last = np.zeros(values.shape, dtype=np.bool_)
    for end, bootstrap in ends.items():
        next_values[end], last[end] = bootstrap, True
    return generalised_advantages(
        rewards,
        values,
        next_values,
        last,
        discounts(GAMMA, seconds, STEP_SECONDS),
        discounts(LAMBDA, seconds, STEP_SECONDS),
    )


_NUMBER = st.floats(-5, 5, allow_nan=False, width=32)
_TRANSITION = st.tuples(_NUMBER, _NUMBER, st.floats(0, 90, width=32))
_TRAJECTORY = st.tuples(st.lists(_TRANSITION, min_size=1, max_size=12), _NUMBER)


@given(st.lists(_TRAJECTORY, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_bulk_is_the_plain_loop(
    trajectories: list[tuple[list[tuple[float, float, float]], float]],
) -> None:
    """Any trajectories, one after the other in the arrays, as if each were alone."""
    expected: list[float] = []
    ends: dict[int, float] = {}
    for transitions, bootstrap in trajectories:
        rewards, values, seconds = (list(column) for column in zip(*transitions, strict=True))
        expected += _plain(rewards, values, seconds, bootstrap)
        ends[len(expected) - 1] = bootstrap
    columns = np.array([step for transitions, _ in trajectories for step in transitions])
    found = _bulk(columns[:, 0], columns[:, 1], columns[:, 2], ends)
    assert np.allclose(found, expected, atol=1e-9)


def test_columns_are_independent() -> None:
    """(T, N) arrays are N times (T,)."""
    random = np.random.default_rng(1)
    rewards, values = random.normal(size=(2, 9, 4))
    seconds = random.uniform(0, 30, (9, 4))
    found = _bulk(rewards, values, seconds, {8: 0.3, 4: 0.0})
    for column in range(4):
        alone = _bulk(rewards[:, column], values[:, column], seconds[:, column], {8: 0.3, 4: 0.0})
        assert np.allclose(found[:, column], alone, atol=1e-12)


@pytest.mark.parametrize("parts", [1, 2, 30])
def test_a_reward_weighs_by_its_time_not_by_the_decisions_before_it(parts: int) -> None:
    """A reward 60 s ahead weighs gamma^4 whether it is one decision away or thirty (L9)."""
    rewards = np.zeros(parts)
    rewards[-1] = 1.0
    # A reward comes at the end of its transition: undiscounted from the last choice.
    seconds = np.full(parts + 1, 60.0 / parts)
    rewards = np.append(np.zeros(parts), 1.0)
    values = np.zeros(parts + 1)
    factors = discounts(GAMMA, seconds, STEP_SECONDS)
    last = np.zeros(parts + 1, dtype=np.bool_)
    last[-1] = True
    found = generalised_advantages(rewards, values, values, last, factors, np.ones(parts + 1))
    assert found[0] == pytest.approx(GAMMA**4)


def test_no_transitions_have_no_advantages() -> None:
    """Empty in, empty out."""
    empty = np.zeros(0)
    assert _bulk(empty, empty, empty, {}).shape == (0,)
