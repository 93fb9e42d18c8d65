"""Trajectories become arrays, each advantage from its own."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.batch import build_batch
from strategies.models import FRESH_STATISTICS
from strategies.ppo_settings import PpoSettings
from strategies.reward_scale import RewardScale
from tests.learning_samples import trajectory

SETTINGS = PpoSettings()


def _fresh() -> RewardScale:
    return RewardScale(SETTINGS, FRESH_STATISTICS)


def test_advantages_stay_in_theirtrajectory() -> None:
    """A reward in one market moves no other (L4), terminals end, cuts are bootstrapped (L5)."""
    one = trajectory([0.0, 0.0, 1.0], market="a")
    two = trajectory([0.0, 0.0], market="b", terminal=False, bootstrap=2.0)
    batch = build_batch([one, two], _fresh(), SETTINGS)
    decay = 0.95 * 0.95
    assert np.allclose(batch.advantages[:3], [decay**2, decay, 1.0])
    assert np.allclose(batch.advantages[3:], [decay * 0.95 * 2.0, 0.95 * 2.0])
    assert np.allclose(batch.returns, batch.advantages)
    assert batch.windows.shape == (5, 90)
    assert batch.windows[1, 0] == 1.0
    assert batch.actions.tolist() == [0, 1, 2, 0, 1]


def test_returns_are_advantages_and_values() -> None:
    """The critic's target is what its value missed, added to it."""
    batch = build_batch([trajectory([0.0, 1.0], value=0.5)], _fresh(), SETTINGS)
    assert np.allclose(batch.returns, batch.advantages + 0.5)
    assert batch.returns[-1] == pytest.approx(1.0)


def test_win_rate_counts_what_was_decided() -> None:
    """Choices that changed nothing are neither won nor lost."""
    batch = build_batch([trajectory([0.0, 1.0, -1.0, 0.0, 2.0])], _fresh(), SETTINGS)
    assert batch.win_rate == pytest.approx(2 / 3)
    assert build_batch([trajectory([0.0])], _fresh(), SETTINGS).win_rate == 0.0


def test_no_transitions_are_no_batch() -> None:
    """There is nothing to learn from nothing."""
    with pytest.raises(ValueError, match="trajectories were empty"):
        build_batch([], _fresh(), SETTINGS)
