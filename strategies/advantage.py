"""Generalised advantage estimation with a discount per time, not per decision.

Decisions come when the market moves, so they are not evenly spaced. gamma and lambda are per learn
step L: what happens dt seconds on is discounted by gamma^(dt / L). Otherwise a busy market would
look less far ahead than a quiet one (L9).

Must not: know of markets, rewards' origin, or networks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def discounts(rate: float, seconds: Float64Array, learn_step_seconds: float) -> Float64Array:
    """Return ``rate`` to the power of the time in learn steps, elementwise."""
    return np.power(rate, seconds / learn_step_seconds)


def generalised_advantages(
    rewards: Float64Array,
    values: Float64Array,
    next_values: Float64Array,
    last: BoolArray,
    value_discounts: Float64Array,
    trace_discounts: Float64Array,
) -> Float64Array:
    """Return the advantages of consecutive transitions; all arrays (T,) or (T, N).

    delta_t = r_t + g_t V(next_t) - V_t, and A_t = delta_t + g_t l_t A_{t+1}, which ends where
    ``last`` marks the end of a trajectory: what follows in the array is another one's. With g and l
    as gamma^(dt / L) and lambda^(dt / L) that is GAE (Schulman et al. 2016, arXiv 1506.02438,
    equation 16) on a grid that time stretches. ``next_values`` are 0 after a terminal transition
    and the critic's where a trajectory was cut.
    """
    deltas = rewards + value_discounts * next_values - values
    carried = np.where(last, 0.0, value_discounts * trace_discounts)
    advantages = np.empty_like(deltas)
    following = np.zeros_like(deltas[0]) if len(deltas) else None
    for index in reversed(range(len(deltas))):
        following = deltas[index] + carried[index] * following
        advantages[index] = following
    return advantages
