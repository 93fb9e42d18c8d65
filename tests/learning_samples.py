"""Networks and batches for the tests of learning."""

from __future__ import annotations

import numpy as np

from benchmarks.plain_ppo import made_up_batch
from strategies.batch import Batch
from strategies.networks import (
    ActorCritic,
    Architecture,
    FloatArray,
    build_networks,
    orthogonal_parameters,
)
from strategies.packed import PackedForward
from strategies.rl_mlx import log_softmax

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


def acted_batch(networks: ActorCritic, shape: Architecture, samples: int, seed: int = 1) -> Batch:
    """Return a batch whose log-probabilities and values are of the packed forward of the nets."""
    batch = made_up_batch(seed, samples, shape.window_width, shape.actions)
    packed = PackedForward(shape, networks)
    logits: list[float] = []
    values: list[float] = []
    for window, action in zip(batch.windows, batch.actions, strict=True):
        forward = packed(window[None])
        logits.append(log_softmax(forward.logits[0])[action])
        values.append(forward.values[0])
    old = np.array(values, dtype=np.float32)
    return batch._replace(
        log_probabilities=np.array(logits, dtype=np.float32),
        values=old,
        returns=old + batch.advantages,
    )


def small_networks(seed: int = 1, shape: Architecture = SMALL) -> ActorCritic:
    return build_networks(shape, orthogonal_parameters(shape, seed))
