"""Both networks folded into one small graph: the forward pass of the decision path.

Below 64 rows the cost of a forward is the number of graph nodes, not arithmetic, so both nets share
every node. The folding is exact (checked to 1e-5 against the plain modules):

- A Linear that feeds a LayerNorm is centred (minus its mean over outputs): its output then has mean
  0 by construction and the LayerNorm is an RMS norm, one fast kernel.
- The actor's 64 units are padded with zeros to the critic's 96 so that one batched matmul serves
  both. Padding divides the mean square by 96 instead of 64; scaling the actor's rows by
  s = sqrt(96 / 64) before the norm restores it, so the same epsilon applies, and the norm's gain
  takes 1 / s back. Padded units have gain and bias 0, hence tanh(0) = 0.
- The current state is the last 18 of the 90 inputs, so one array goes in and one comes out.

Must not: keep history, choose an action, or call ``mx.compile`` (on Linux it starts g++).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from strategies.networks import (
    LAYER_NORM_EPSILON,
    ActorCritic,
    Architecture,
    FloatArray,
    network_parameters,
)

Float64Array = NDArray[np.float64]

_NETS: Final = ("actor", "critic")


class Forward(NamedTuple):
    """What one batched forward gave: rows of logits and values, and the encodings."""

    logits: Sequence[Sequence[float]]
    """(B, 3): HOLD, BUY, SELL."""
    values: Sequence[float]
    """(B,)"""
    encodings: mx.array
    """(2, B, 32), actor then critic; evaluated, so reading it costs no forward."""


class _Layer(NamedTuple):
    """One normalised layer of both nets: weight (2, in, out), the rest (2, 1, out)."""

    weight: mx.array
    bias: mx.array
    norm_gain: mx.array
    norm_bias: mx.array


class PackedForward:
    """One model's folded weights; immutable, so after a weight change a new one is built."""

    def __init__(
        self, shape: Architecture, networks: ActorCritic, device: mx.DeviceType = mx.cpu
    ) -> None:
        """Fold the networks' present weights, with sums in float64; takes about a millisecond."""
        self._device = device
        self._features = shape.features
        weights = {
            name: value.astype(np.float64) for name, value in network_parameters(networks).items()
        }
        width = max(shape.actor_hidden, shape.critic_hidden)
        encoder = "temporal_encoder"
        self._encoder1 = _fold(weights, f"{encoder}.fc1", f"{encoder}.ln1", shape.encoder_hidden)
        self._encoder2 = _fold(weights, f"{encoder}.fc2", f"{encoder}.ln2", shape.temporal_width)
        self._fused = _fold(weights, "fc1", "ln1", width)
        self._hidden = _fold(weights, "fc2", "ln2", width)
        fused = np.array(self._fused.weight)
        self._current_weight = mx.array(fused[:, : shape.features])
        self._encoding_weight = mx.array(fused[:, shape.features :])
        self._head_weight, self._head_bias = _fold_heads(weights, width, shape.actions)

    def __call__(self, windows: FloatArray) -> Forward:
        """Run (B, 90) windows, oldest state first, through both nets: one eval, one conversion."""
        with mx.stream(self._device):
            window = mx.array(windows)
            hidden = _normalised(window, self._encoder1)
            encodings = _normalised(hidden, self._encoder2)
            current = window[:, -self._features :]
            fused = mx.addmm(self._fused.bias, current, self._current_weight)
            fused = mx.addmm(fused, encodings, self._encoding_weight)
            hidden = _normalised(_activated(fused, self._fused), self._hidden)
            output = mx.addmm(self._head_bias, hidden, self._head_weight)
            logits, values = cast("list[list[list[float]]]", output.tolist())
        return Forward(logits, [row[0] for row in values], encodings)


def _normalised(inputs: mx.array, layer: _Layer) -> mx.array:
    return _activated(mx.addmm(layer.bias, inputs, layer.weight), layer)


def _activated(linear: mx.array, layer: _Layer) -> mx.array:
    normal = mx.fast.rms_norm(linear, None, LAYER_NORM_EPSILON)
    return mx.tanh(normal * layer.norm_gain + layer.norm_bias)


def _fold(weights: Mapping[str, Float64Array], linear: str, norm: str, width: int) -> _Layer:
    parts: list[tuple[Float64Array, Float64Array, Float64Array, Float64Array]] = []
    for net in _NETS:
        weight = weights[f"{net}.{linear}.weight"]
        bias = weights[f"{net}.{linear}.bias"]
        outputs, inputs = weight.shape
        # fc2 reads the padded outputs of fc1, so its inputs are padded as well.
        rows = width if linear == "fc2" else inputs
        scale = math.sqrt(width / outputs)
        centred = (weight - weight.mean(axis=0, keepdims=True)) * scale
        parts.append(
            (
                _padded(centred.T, rows, width),
                _padded((bias - bias.mean())[None] * scale, 1, width),
                _padded(weights[f"{net}.{norm}.weight"][None] / scale, 1, width),
                _padded(weights[f"{net}.{norm}.bias"][None], 1, width),
            )
        )
    return _Layer(*(_stacked(pair) for pair in zip(*parts, strict=True)))


def _fold_heads(
    weights: Mapping[str, Float64Array], width: int, actions: int
) -> tuple[mx.array, mx.array]:
    pairs = [(weights[f"{net}.fc3.weight"], weights[f"{net}.fc3.bias"]) for net in _NETS]
    # The critic's one output takes column 0; its other columns stay 0 and are never read.
    weight = _stacked([_padded(weight.T, width, actions) for weight, _ in pairs])
    return weight, _stacked([_padded(bias[None], 1, actions) for _, bias in pairs])


def _padded(values: Float64Array, rows: int, columns: int) -> Float64Array:
    result = np.zeros((rows, columns))
    result[: values.shape[0], : values.shape[1]] = values
    return result


def _stacked(pair: Sequence[Float64Array]) -> mx.array:
    return mx.array(np.stack(pair).astype(np.float32))
