"""The smoke decision: a model is tried on fixed windows before anybody trades by it.

Pure: the same model gives the same answer. Must not: judge whether a model is good; it only finds
what cannot be a policy.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from helpers.domain import FEATURE_NAMES
from strategies.architecture import Architecture
from strategies.base import ModelError, entropy_nats, softmax
from strategies.models import MEND, Model
from strategies.networks import ActorCritic, FloatArray
from strategies.packed import PackedForward

SMOKE_WINDOWS: Final = 64
"""Below that many rows a forward costs what one row costs."""
SMOKE_SEED: Final = 20_261_125
ENTROPY_FLOOR_NATS: Final = 0.05
"""Mean policy entropy below which a policy has collapsed: it would be 99 % sure of one action in
every market. Fresh weights have 1.0986 (ln 3), the Phase-5 weights 0.66 on the same windows."""
SUM_TOLERANCE: Final = 1e-6
FEATURE_SPREAD: Final = 0.3
STEP_SPREAD: Final = 0.05
"""Standard deviations of a feature between windows, and of its change from one state to the next.
"""
PADDED_WINDOWS: Final = 8
"""Windows of which only the current state is filled, as at the start of a market."""
FLAGS: Final = ("has_position", "vol_regime", "trend_regime")


def smoke_windows(shape: Architecture) -> FloatArray:
    """Return the fixed windows, (64, 90) float32 in [-1, 1], oldest state first.

    Features vary as they do in a market, more or less: smooth, small, flags 0 or 1, the time that
    is left in [0, 1]; the first windows are those of a market that has just opened.
    """
    generator = np.random.Generator(np.random.PCG64(SMOKE_SEED))
    level = generator.normal(0.0, FEATURE_SPREAD, (SMOKE_WINDOWS, 1, shape.features))
    steps = generator.normal(
        0.0, STEP_SPREAD, (SMOKE_WINDOWS, shape.history_length, shape.features)
    )
    states = np.clip(level + steps.cumsum(axis=1), -1.0, 1.0)
    for index, name in enumerate(FEATURE_NAMES[: shape.features]):
        if name in FLAGS:
            states[:, :, index] = level[:, :, index] > 0.0
        elif name == "time_remaining":
            states[:, :, index] = np.abs(states[:, :, index])
    states[:PADDED_WINDOWS, :-1] = 0.0
    return states.reshape(SMOKE_WINDOWS, shape.window_width).astype(np.float32)


def smoke_problem(shape: Architecture, networks: ActorCritic) -> str:
    """Return why networks cannot be a policy, empty when they can.

    Every logit and value is finite, probabilities sum to 1, and the mean entropy of the policy is
    at least ``ENTROPY_FLOOR_NATS``. One packed forward, evaluated on the calling thread.
    """
    forward = PackedForward(shape, networks)(smoke_windows(shape))
    rows = zip(forward.logits, forward.values, strict=True)
    numbers = [sum(logits) + value for logits, value in rows]
    broken = sum(not math.isfinite(number) for number in numbers)
    if broken:
        return f"smoke decision: {broken} of {len(numbers)} outputs were not finite"
    policies = [softmax(logits) for logits in forward.logits]
    worst = max(abs(sum(probabilities) - 1.0) for probabilities in policies)
    if not worst <= SUM_TOLERANCE:
        return f"smoke decision: probabilities were {worst:.2g} off a sum of 1"
    entropy = sum(map(entropy_nats, policies)) / len(policies)
    if not entropy >= ENTROPY_FLOOR_NATS:
        return (
            f"smoke decision: mean entropy was {entropy:.4f} nats, expected at least "
            f"{ENTROPY_FLOOR_NATS}: the policy has collapsed to one action"
        )
    return ""


def try_model(model: Model, name: str) -> None:
    """Raise ``ModelError`` for a model whose smoke decision fails."""
    if problem := smoke_problem(model.manifest.architecture, model.networks):
        raise ModelError(f"{name}: {problem}; {MEND}")
