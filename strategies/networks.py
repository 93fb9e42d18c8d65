"""The actor-critic networks as MLX modules, named and shaped like every Phase-5 weight file.

Must not: read files, keep state between calls or choose an action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten
from numpy.typing import NDArray

from strategies.architecture import Architecture

FloatArray = NDArray[np.float32]

LAYER_NORM_EPSILON: Final = 1e-5
HIDDEN_GAIN: Final = math.sqrt(2.0)
"""Orthogonal gains of hidden layers, policy head and value head: the standard of PPO (L12)."""
POLICY_GAIN: Final = 0.01
VALUE_GAIN: Final = 1.0


class _Linear(nn.Linear):
    """A linear layer that begins with zeros: its weights always come from somewhere.

    Nothing is drawn on purpose. MLX keeps a generator for every thread that has ever drawn, and
    frees it with the interpreter's lock at that thread's end: a process that ends at the same
    moment is aborted.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        nn.Module.__init__(self)
        self.weight = mx.zeros((outputs, inputs))
        self.bias = mx.zeros((outputs,))


class TemporalEncoder(nn.Module):
    """(B, 90) last five states, oldest first -> (B, 32) encoding in (-1, 1)."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.fc1 = _Linear(shape.window_width, shape.encoder_hidden)
        self.ln1 = nn.LayerNorm(shape.encoder_hidden, eps=LAYER_NORM_EPSILON)
        self.fc2 = _Linear(shape.encoder_hidden, shape.temporal_width)
        self.ln2 = nn.LayerNorm(shape.temporal_width, eps=LAYER_NORM_EPSILON)

    def __call__(self, window: mx.array) -> mx.array:
        """Return the (B, 32) encoding of a (B, 90) window."""
        hidden = mx.tanh(self.ln1(self.fc1(window)))
        return mx.tanh(self.ln2(self.fc2(hidden)))


class _Head(nn.Module):
    """Own encoder, then two normalised tanh layers and one linear output."""

    def __init__(self, shape: Architecture, hidden: int, outputs: int) -> None:
        super().__init__()
        self.temporal_encoder = TemporalEncoder(shape)
        self.fc1 = _Linear(shape.features + shape.temporal_width, hidden)
        self.ln1 = nn.LayerNorm(hidden, eps=LAYER_NORM_EPSILON)
        self.fc2 = _Linear(hidden, hidden)
        self.ln2 = nn.LayerNorm(hidden, eps=LAYER_NORM_EPSILON)
        self.fc3 = _Linear(hidden, outputs)

    def output(self, current: mx.array, window: mx.array) -> mx.array:
        """Return the (B, outputs) linear output."""
        fused = mx.concatenate([current, self.temporal_encoder(window)], axis=-1)
        hidden = mx.tanh(self.ln1(self.fc1(fused)))
        return self.fc3(mx.tanh(self.ln2(self.fc2(hidden))))


class Actor(_Head):
    """(B, 18) current state and (B, 90) window -> (B, 3) logits of HOLD, BUY, SELL."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape, shape.actor_hidden, shape.actions)

    def __call__(self, current: mx.array, window: mx.array) -> mx.array:
        """Return the (B, 3) logits; their softmax is the policy."""
        return self.output(current, window)


class Critic(_Head):
    """(B, 18) current state and (B, 90) window -> (B,) values."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__(shape, shape.critic_hidden, 1)

    def __call__(self, current: mx.array, window: mx.array) -> mx.array:
        """Return the (B,) state values."""
        return self.output(current, window).squeeze(-1)


class ActorCritic(nn.Module):
    """Both networks under the names of the weight files (``actor.*``, ``critic.*``)."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.actor = Actor(shape)
        self.critic = Critic(shape)


def network_parameters(networks: ActorCritic) -> Mapping[str, FloatArray]:
    """Return every parameter by its dotted name, as float32 copies in name order."""
    flat: list[tuple[str, mx.array]] = tree_flatten(networks.parameters())  # pyright: ignore[reportAssignmentType]
    return {name: np.array(value, dtype=np.float32) for name, value in sorted(flat)}


def build_networks(shape: Architecture, parameters: Mapping[str, FloatArray]) -> ActorCritic:
    """Return networks that hold these parameters, evaluated on the calling thread.

    Raises ``ValueError`` when a name or a shape is not the architecture's.
    """
    networks = ActorCritic(shape)
    networks.load_weights([(name, mx.array(value)) for name, value in parameters.items()])
    mx.eval(networks.parameters())
    return networks


def orthogonal_parameters(shape: Architecture, seed: int) -> Mapping[str, FloatArray]:
    """Return initial parameters: orthogonal weights, zero biases, unit gains; same seed, same bits.

    Gains are sqrt 2 in hidden layers, 0.01 at the policy head (so that a new policy is close to
    uniform) and 1 at the value head.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    parameters: dict[str, FloatArray] = {}
    for name, template in network_parameters(ActorCritic(shape)).items():
        layer, _, kind = name.rpartition(".")
        if kind == "bias":
            parameters[name] = np.zeros_like(template)
        elif template.ndim == 1:
            parameters[name] = np.ones_like(template)
        else:
            gain = {"actor.fc3": POLICY_GAIN, "critic.fc3": VALUE_GAIN}.get(layer, HIDDEN_GAIN)
            rows, columns = template.shape
            parameters[name] = _orthogonal(rows, columns, gain, generator)
    return parameters


def _orthogonal(rows: int, columns: int, gain: float, generator: np.random.Generator) -> FloatArray:
    tall = generator.standard_normal((max(rows, columns), min(rows, columns)))
    basis, triangle = np.linalg.qr(tall)
    # QR is unique only up to signs; fixing them makes the result the same with every LAPACK.
    basis = basis * np.sign(np.diagonal(triangle))
    oriented = basis if rows >= columns else basis.T
    return np.ascontiguousarray(gain * oriented, dtype=np.float32)
