"""Whether an update may be used: what speaks against it, in words.

Must not: run a network or change anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from strategies.batch import Batch
from strategies.networks import FloatArray


def batch_problem(batch: Batch) -> str:
    """Return why nothing may be learned from a batch, empty when it may."""
    for name, values in (
        ("windows", batch.windows),
        ("log-probabilities", batch.log_probabilities),
        ("values", batch.values),
        ("advantages", batch.advantages),
        ("returns", batch.returns),
    ):
        if not np.isfinite(values).all():
            return f"{name} of the batch were not finite everywhere, expected finite"
    if (batch.log_probabilities > 0.0).any():
        highest = float(batch.log_probabilities.max())
        return f"a log-probability of the batch was {highest}, expected at most 0"
    return ""


def update_problem(
    parameters: FloatArray,
    metrics: Sequence[float],
    logits: FloatArray,
    values: FloatArray,
    entropy_before_nats: float,
    minimum_entropy_nats: float,
) -> str:
    """Return why an updated model must not decide, empty when it may.

    ``logits`` (N, 3) and ``values`` (N,) are its own decisions on the batch it learned from, by the
    forward that would trade; ``metrics`` are all that the update reported. A policy that was below
    the floor already may climb.
    """
    if not np.isfinite(parameters).all():
        return "a parameter was not finite after the update, expected finite"
    if not all(map(math.isfinite, metrics)):
        return f"the update's figures were {list(metrics)}, expected finite"
    if not (np.isfinite(logits).all() and np.isfinite(values).all()):
        return "the updated network's output was not finite everywhere, expected finite"
    entropy = mean_entropy_nats(logits)
    if entropy < minimum_entropy_nats and entropy <= entropy_before_nats:
        return (
            f"policy entropy was {entropy:.4f} nats after the update, expected at least "
            f"{minimum_entropy_nats}: the policy has collapsed"
        )
    return ""


def mean_entropy_nats(logits: FloatArray) -> float:
    """Return the mean entropy of the policies of (N, actions) logits, in nats.

    0 where a logit is not finite: there is no policy.
    """
    if not np.isfinite(logits).all():
        return 0.0
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    total = weights.sum(axis=-1, keepdims=True)
    # H = log(sum w) - sum(w x) / sum w: no logarithm of a probability that is 0 (L10).
    entropy = np.log(total[:, 0]) - (weights * shifted).sum(axis=-1) / total[:, 0]
    return float(entropy.mean())
