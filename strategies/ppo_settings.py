"""The learner's numbers: each named, bounded, and with the reason for its default.

Must not: import MLX or read the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpers.domain import Message

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "gamma": (0.0, 1.0),
    "gae_lambda": (0.0, 1.0),
    "learn_step_seconds": (0.1, 3_600.0),
    "batch_size": (1, 65_536),
    "minibatch_size": (1, 65_536),
    "epochs": (1, 100),
    "clip": (0.01, 1.0),
    "target_kl": (1e-6, 10.0),
    "entropy_coefficient": (0.0, 1.0),
    "value_coefficient": (0.0, 10.0),
    "gradient_norm": (1e-3, 100.0),
    "actor_rate": (0.0, 0.1),
    "critic_rate": (0.0, 0.1),
    "adam_beta1": (0.0, 0.999_9),
    "adam_beta2": (0.0, 0.999_999),
    "adam_epsilon": (1e-10, 1e-2),
    "reward_clip": (0.1, 1_000.0),
    "minimum_entropy_nats": (0.0, 1.0),
}


class PpoSettings(Message, frozen=True):
    """Hyper-parameters of PPO (DESIGN section 5). Raises ``ValueError`` out of bounds."""

    gamma: float = 0.95
    """Discount of a reward one learn step later."""
    gae_lambda: float = 0.95
    """Per learn step: 1 trusts the returns, 0 the critic."""
    learn_step_seconds: float = 15.0
    """The time that gamma and lambda refer to: at 0.95 a reward a minute ahead weighs 0.81 (L9)."""
    batch_size: int = 256
    """Transitions that make an update due."""
    minibatch_size: int = 64
    epochs: int = 10
    """At most; the KL ends an update earlier."""
    clip: float = 0.2
    """Of the probability ratio about 1, and of a value about the one that acted."""
    target_kl: float = 0.02
    """Nats. A minibatch further from the policy that acted is not stepped on, nor any after it."""
    entropy_coefficient: float = 0.03
    value_coefficient: float = 0.5
    gradient_norm: float = 0.5
    """The gradient of both nets together is scaled down to this Euclidean norm."""
    actor_rate: float = 1e-4
    critic_rate: float = 3e-4
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-5
    reward_clip: float = 10.0
    """In standard deviations of the discounted return."""
    minimum_entropy_nats: float = 0.02
    """Mean policy entropy under which an update is refused as a collapse; ln 3 = 1.0986 is the
    most. A policy that gives one action 99.7 % everywhere is at 0.02."""

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            found = getattr(self, name)
            if not low <= found <= high:
                raise ValueError(f"{name} was {found}, expected {low} to {high}")
