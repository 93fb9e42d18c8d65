"""The numbers that fix every shape of the networks, and the shapes they fix; needs no MLX.

Must not: hold a weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpers.domain import FEATURE_NAMES, Action, Message

ARCHITECTURE_NAME: Final = "phase5"
"""What the layers and their order are called in a manifest; other layers would get another name."""


class Architecture(Message, frozen=True):
    """The numbers that fix every shape (DESIGN section 5)."""

    features: int = len(FEATURE_NAMES)
    history_length: int = 5
    encoder_hidden: int = 64
    temporal_width: int = 32
    actor_hidden: int = 64
    critic_hidden: int = 96
    actions: int = len(Action)

    @property
    def window_width(self) -> int:
        """Return the width of the flattened history: 5 states of 18 features are 90."""
        return self.history_length * self.features


def parameter_shapes(shape: Architecture) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of every parameter by its dotted name, as the weight files name them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(linear: str, norm: str, inputs: int, outputs: int) -> None:
        shapes[f"{linear}.weight"], shapes[f"{linear}.bias"] = (outputs, inputs), (outputs,)
        if norm:
            shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (outputs,)

    heads = (("actor", shape.actor_hidden, shape.actions), ("critic", shape.critic_hidden, 1))
    for net, hidden, outputs in heads:
        encoder = f"{net}.temporal_encoder"
        layer(f"{encoder}.fc1", f"{encoder}.ln1", shape.window_width, shape.encoder_hidden)
        layer(f"{encoder}.fc2", f"{encoder}.ln2", shape.encoder_hidden, shape.temporal_width)
        layer(f"{net}.fc1", f"{net}.ln1", shape.features + shape.temporal_width, hidden)
        layer(f"{net}.fc2", f"{net}.ln2", hidden, hidden)
        layer(f"{net}.fc3", "", hidden, outputs)
    return shapes
