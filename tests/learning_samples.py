"""Networks and trajectories for the tests of learning."""

from __future__ import annotations

import numpy as np

from helpers.domain import NS_PER_SECOND
from strategies.networks import (
    ActorCritic,
    Architecture,
    FloatArray,
    build_networks,
    orthogonal_parameters,
)
from strategies.rollout import Choice, Trajectory, Transition

SHAPE = Architecture()
SMALL = Architecture(
    features=3,
    history_length=2,
    encoder_hidden=8,
    temporal_width=4,
    actor_hidden=16,
    critic_hidden=12,
)


def random_parameters(seed: int, shape: Architecture = SHAPE) -> dict[str, FloatArray]:
    """Return parameters that are all random: biases, gains and shifts must be learned too."""
    random = np.random.default_rng(seed)
    return {
        name: (value + random.normal(0.0, 0.2, value.shape)).astype(np.float32)
        for name, value in orthogonal_parameters(shape, seed).items()
    }


def small_networks(seed: int = 1, shape: Architecture = SMALL) -> ActorCritic:
    return build_networks(shape, orthogonal_parameters(shape, seed))


def random_networks(seed: int, shape: Architecture = SHAPE) -> ActorCritic:
    return build_networks(shape, random_parameters(seed, shape))


def trajectory(
    rewards: list[float],
    *,
    market: str = "m",
    terminal: bool = True,
    bootstrap: float = 0.0,
    seconds: float = 15.0,
    value: float = 0.0,
) -> Trajectory:
    window = np.zeros(90, dtype=np.float32)
    steps = [
        Transition(Choice(market, i * NS_PER_SECOND, window + i, i % 3, -1.0, value), r, seconds)
        for i, r in enumerate(rewards)
    ]
    return Trajectory(market, steps, terminal, bootstrap)
