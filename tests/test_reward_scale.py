"""Rewards are divided by a running scale, and never shifted."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.models import FRESH_STATISTICS, ModelStatistics
from strategies.ppo_settings import PpoSettings
from strategies.reward_scale import MINIMUM_SCALE, RewardScale
from tests.learning_samples import trajectory

SETTINGS = PpoSettings()


def _fresh() -> RewardScale:
    return RewardScale(SETTINGS, FRESH_STATISTICS)


def test_scale_is_the_deviation_of_the_discounted_return() -> None:
    """The sum of rewards so far, each decayed by its age, over batches and as one."""
    random = np.random.default_rng(1)
    rewards = random.normal(0.1, 1.0, 400).tolist()
    scale, total, sums = _fresh(), 0.0, list[float]()
    for reward in rewards:
        total = 0.95 ** (5 / 15) * total + reward
        sums.append(total)
    for start in range(0, 400, 80):
        part = rewards[start : start + 80]
        scale.observe([trajectory(part, seconds=5.0, terminal=start == 320)])
    assert scale.scale == pytest.approx(np.std(sums))
    statistics = scale.statistics()
    assert (statistics.reward_mean, statistics.reward_count) == (pytest.approx(np.mean(sums)), 400)
    resumed = RewardScale(SETTINGS, statistics)
    assert resumed.scale == pytest.approx(scale.scale)


def test_a_settled_market_begins_at_zero() -> None:
    """What a window returned is not carried into the next of the same name."""
    scale = _fresh()
    scale.observe([trajectory([1.0]), trajectory([1.0])])
    assert scale.scale == MINIMUM_SCALE
    assert scale.statistics().reward_mean == pytest.approx(1.0)


def test_nothing_is_ever_subtracted() -> None:
    """In a losing history a reward of zero stays zero and a loss a loss (L6)."""
    scale = _fresh()
    scale.observe([trajectory([-1.0, -1.2] * 50)])
    scaled = scale.scaled(np.array([0.0, -1.0, 0.5]))
    assert scaled[0] == 0.0
    assert scaled[1] < 0.0 < scaled[2]


def test_a_gain_after_a_long_silence_is_clipped() -> None:
    """After 2,000 zeros a cent is worth no more than ten deviations (L6)."""
    scale = _fresh()
    scale.observe([trajectory([0.0] * 2000, seconds=1e6), trajectory([0.01])])
    assert scale.scaled(np.array([0.01, -5.0])).tolist() == [10.0, -10.0]


def test_a_scale_before_any_return_is_one() -> None:
    """A fresh learner does not divide by zero, nor trust a deviation that nothing supports."""
    assert _fresh().scale == 1.0
    stale = ModelStatistics(reward_mean=0.0, reward_std=3.0, reward_count=0)
    assert RewardScale(SETTINGS, stale).scale == 1.0
