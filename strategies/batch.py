"""What one update learns from, as arrays: trajectories to advantages and returns.

Must not: change a trajectory, or run a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategies.advantage import BoolArray, Float64Array, discounts, generalised_advantages
from strategies.networks import FloatArray
from strategies.ppo_settings import PpoSettings
from strategies.reward_scale import RewardScale
from strategies.rollout import Trajectory

IntArray = NDArray[np.int64]


class Batch(NamedTuple):
    """N transitions, each market's in order; what the acting forward said, and how it came out."""

    windows: FloatArray
    """(N, 90)"""
    actions: IntArray
    """(N,)"""
    log_probabilities: FloatArray
    """(N,), natural logarithm."""
    values: FloatArray
    """(N,)"""
    advantages: FloatArray
    """(N,), not normalised."""
    returns: FloatArray
    """(N,), advantages plus values: the critic's targets."""
    win_rate: float
    """Share of the rewards above 0 among those that are not 0; 0 without any."""


def build_batch(
    trajectories: Sequence[Trajectory], scale: RewardScale, settings: PpoSettings
) -> Batch:
    """Return the transitions as arrays, rewards scaled, advantages by GAE per trajectory.

    Raises ``ValueError`` when there is no transition at all.
    """
    steps = [step for trajectory in trajectories for step in trajectory.transitions]
    if not steps:
        raise ValueError("trajectories were empty, expected at least one transition")
    rewards = np.array([step.reward for step in steps])
    values = np.array([step.choice.value for step in steps])
    seconds = np.array([step.seconds for step in steps])
    next_values, last = _following(trajectories, values)
    advantages = generalised_advantages(
        scale.scaled(rewards),
        values,
        next_values,
        last,
        discounts(settings.gamma, seconds, settings.learn_step_seconds),
        discounts(settings.gae_lambda, seconds, settings.learn_step_seconds),
    )
    return Batch(
        windows=np.stack([step.choice.window for step in steps]),
        actions=np.array([step.choice.action for step in steps], dtype=np.int64),
        log_probabilities=np.array(
            [step.choice.log_probability for step in steps], dtype=np.float32
        ),
        values=values.astype(np.float32),
        advantages=advantages.astype(np.float32),
        returns=(advantages + values).astype(np.float32),
        win_rate=_win_rate(rewards),
    )


def _following(
    trajectories: Sequence[Trajectory], values: Float64Array
) -> tuple[Float64Array, BoolArray]:
    """Return the value after each transition, and which are the last of their trajectory."""
    next_values = np.append(values[1:], 0.0)
    last = np.zeros(len(values), dtype=np.bool_)
    end = 0
    for trajectory in trajectories:
        end += len(trajectory.transitions)
        if trajectory.transitions:
            next_values[end - 1] = trajectory.bootstrap
            last[end - 1] = True
    return next_values, last


def _win_rate(rewards: Float64Array) -> float:
    decided = int(np.count_nonzero(rewards))
    return int(np.count_nonzero(rewards > 0.0)) / decided if decided else 0.0
