"""One PPO step of both networks as one graph: forward, gradient by hand, norm, Adam.

Below some hundred rows MLX's time is dispatch, not arithmetic, so nodes are what is saved: both
nets share every node (``strategies.packed_layout``), the gradient is written out (automatic
differentiation of the same graph takes 1.5 times as long, and multiplies by transposed weights,
which the Linux wheel's BLAS does at half speed), and nothing is read by the host. A test holds
every gradient against ``mx.grad`` of the plain modules.

The step is taken only while the policy is close to the one that acted: a minibatch whose KL is
over the target leaves the state as it is, and so do all after it, inside the graph.

Formulas: PPO (Schulman et al. 2017, arXiv 1707.06347, equations 7 and 9) with clipped values as in
CleanRL's ``ppo.py``; k3 = (r - 1) - log r (Schulman, "Approximating KL divergence", 2020); Adam
with bias correction (Kingma and Ba 2015, algorithm 1). B is the minibatch, H a layer's width.

Must not: hold state between calls, draw random numbers or read a value on the host.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import mlx.core as mx

from strategies.networks import LAYER_NORM_EPSILON
from strategies.packed_layout import BLOCKS_A_LAYER, LAYERS, NETS, PackedLayout
from strategies.ppo_settings import PpoSettings

_NORM_FLOOR: Final = 1e-6
"""Added to the gradient's norm before dividing by it, as ``clip_grad_norm`` does."""


class AdamState(NamedTuple):
    """Flat parameters and Adam's moments of the gradient and of its square; each (n,)."""

    parameters: mx.array
    first_moment: mx.array
    second_moment: mx.array


class Minibatch(NamedTuple):
    """What one step learns from; all float32."""

    windows: mx.array
    """(B, 90)"""
    chosen: mx.array
    """(B, 3): 1 at the action that was taken, 0 elsewhere."""
    log_probabilities: mx.array
    """(B, 1), of the forward that acted."""
    values: mx.array
    """(B, 1), of the forward that acted."""
    advantages: mx.array
    """(B, 1), normalised over the minibatch."""
    returns: mx.array
    """(B, 1)"""


class StepMetrics(NamedTuple):
    """Means over a minibatch, before its step; in the order of the rows that a step returns."""

    policy_loss: float
    value_loss: float
    entropy_nats: float
    kl: float
    clip_fraction: float
    gradient_norm: float
    """Of both nets, before clipping."""
    taken: float
    """1 when the step was taken, 0 when the KL was over the target here or before."""


class _Layer(NamedTuple):
    """One normalised layer of both nets: weight (2, in, H), the rest (2, 1, H)."""

    weight: mx.array
    bias: mx.array
    gain: mx.array
    shift: mx.array


class _Trace(NamedTuple):
    """What the backward pass needs of a layer's forward; (2, B, H) but for the deviation."""

    inputs: mx.array
    """(2, B, in), or (B, in) where both nets read the same."""
    normal: mx.array
    inverse_deviation: mx.array
    """(2, B, 1)"""
    outputs: mx.array


class PackedStep:
    """The step of one architecture and one set of settings; constants live on the device."""

    def __init__(self, layout: PackedLayout, settings: PpoSettings) -> None:
        self._settings = settings
        self._features = layout.shape.features
        self._starts = [block.start for block in layout.blocks[1:]]
        self._shapes = [(len(NETS), block.rows, block.columns) for block in layout.blocks]
        self._shares = [mx.array(layout.unit_shares(linear)) for linear, _ in LAYERS]
        # The largest share is that of a real unit: 1 / width, also where others are padding.
        self._inverse_widths = [shares.max(axis=-1, keepdims=True) for shares in self._shares]
        self._rates = mx.array(settings.learning_rates(layout))
        actions = layout.shape.actions
        self._first = mx.array([[1.0] + [0.0] * (actions - 1)])
        """The critic's one output takes the first of the head's columns."""
        mx.eval(self._shares, self._inverse_widths, self._rates, self._first)

    def __call__(
        self, state: AdamState, minibatch: Minibatch, alive: mx.array, count: int
    ) -> tuple[AdamState, mx.array, mx.array]:
        """Return the state after one step, whether it was taken, and (7,) ``StepMetrics``.

        ``alive`` is false after a step that was not taken; ``count`` numbers this one from 1.
        """
        blocks = self._blocks(state.parameters)
        output, traces = self.forward(blocks, minibatch.windows)
        d_output, means = self._output_gradient(output, minibatch)
        gradient = self._backward(blocks, traces, d_output)
        squares = mx.square(gradient)
        norm = mx.sqrt(squares.sum())
        alive = mx.logical_and(alive, means[3] <= self._settings.target_kl)
        scale = mx.minimum(self._settings.gradient_norm / (norm + _NORM_FLOOR), 1.0)
        stepped = self._adam(state, gradient, squares, scale, count)
        kept = AdamState(*(mx.where(alive, new, old) for new, old in zip(stepped, state)))  # noqa: B905
        return kept, alive, mx.concatenate([means, mx.stack([norm, alive])])

    def forward(
        self, blocks: list[mx.array], windows: mx.array
    ) -> tuple[mx.array, list[_Trace]]:
        """Return (2, B, 3) of (B, 90) windows, logits then values, and the layers' traces."""
        current = windows[:, -self._features :]
        both = mx.broadcast_to(current, (len(NETS), *current.shape))
        traces: list[_Trace] = []
        inputs = windows
        for index in range(len(LAYERS)):
            if index == _FUSED:
                inputs = mx.concatenate([both, inputs], axis=-1)
            trace = self._layer_forward(inputs, index, blocks)
            traces.append(trace)
            inputs = trace.outputs
        return mx.addmm(blocks[-1], inputs, blocks[-2]), traces

    def split(self, parameters: mx.array) -> list[mx.array]:
        """Return the flat vector as the layout's blocks."""
        return self._blocks(parameters)

    def _blocks(self, parameters: mx.array) -> list[mx.array]:
        parts = mx.split(parameters, self._starts)
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes)]  # noqa: B905

    def _layer_forward(self, inputs: mx.array, index: int, blocks: list[mx.array]) -> _Trace:
        layer = _layer(blocks, index)
        linear = mx.addmm(layer.bias, inputs, layer.weight)
        # Nothing is subtracted at the padding, so it stays zero all the way.
        centred = linear - linear.sum(axis=-1, keepdims=True) * self._shares[index]
        variance = mx.square(centred).sum(axis=-1, keepdims=True) * self._inverse_widths[index]
        inverse_deviation = mx.rsqrt(variance + LAYER_NORM_EPSILON)
        normal = centred * inverse_deviation
        return _Trace(
            inputs, normal, inverse_deviation, mx.tanh(normal * layer.gain + layer.shift)
        )

    def _backward(
        self, blocks: list[mx.array], traces: list[_Trace], d_output: mx.array
    ) -> mx.array:
        """Return the flat gradient of the loss, whose gradient by the head's output is given."""
        hidden = traces[-1].outputs
        gradients = [mx.matmul(_swapped(hidden), d_output), d_output.sum(axis=1)]
        upstream = mx.matmul(d_output, _swapped(blocks[-2]))
        for index in reversed(range(len(LAYERS))):
            d_linear, parts = self._layer_backward(traces[index], index, blocks, upstream)
            gradients[:0] = parts
            if index == 0:
                break
            weight = _layer(blocks, index).weight
            if index == _FUSED:
                # The current state is given, so only the encodings' part goes on down.
                weight = weight[:, self._features :]
            # Copied before it is multiplied: see the module's text on transposed weights.
            upstream = mx.matmul(d_linear, mx.contiguous(_swapped(weight)))
        return mx.concatenate([part.reshape(-1) for part in gradients])

    def _layer_backward(
        self, trace: _Trace, index: int, blocks: list[mx.array], upstream: mx.array
    ) -> tuple[mx.array, list[mx.array]]:
        """Return the gradient by a layer's linear output, and those by its four parameters.

        LayerNorm: d_linear = (d - mean(d) - n mean(d n)) / deviation, with n the normal outputs and
        d the gradient by them.
        """
        gain = _layer(blocks, index).gain
        normal = trace.normal
        d_scaled = upstream * (1.0 - mx.square(trace.outputs))
        d_gain = d_scaled * normal
        d_normal = d_scaled * gain
        mean = d_normal.sum(axis=-1, keepdims=True) * self._shares[index]
        along = (d_gain * gain).sum(axis=-1, keepdims=True) * self._inverse_widths[index]
        d_linear = (d_normal - mean - normal * along) * trace.inverse_deviation
        return d_linear, [
            mx.matmul(_swapped(trace.inputs), d_linear),
            d_linear.sum(axis=1),
            d_gain.sum(axis=1),
            d_scaled.sum(axis=1),
        ]

    def _output_gradient(
        self, output: mx.array, minibatch: Minibatch
    ) -> tuple[mx.array, mx.array]:
        """Return (2, B, 3), the gradient of the loss by the outputs, and (5,) means.

        loss = mean(max(-A r, -A clip(r))) - c_e mean(entropy)
             + c_v mean(max((V - R)^2, (V_old + clip(V - V_old) - R)^2)) / 2
        """
        settings = self._settings
        clip = settings.clip
        logits = output[0]
        log_policy = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        policy = mx.exp(log_policy)
        log_ratio = (log_policy * minibatch.chosen).sum(-1, keepdims=True) - (
            minibatch.log_probabilities
        )
        ratio = mx.exp(log_ratio)
        excess = ratio - 1.0
        plain = -minibatch.advantages * ratio
        clipped = -minibatch.advantages * mx.clip(ratio, 1.0 - clip, 1.0 + clip)
        entropy = -(policy * log_policy).sum(-1, keepdims=True)
        # Where the clipped loss is the larger it is constant, so its gradient is zero.
        d_log_ratio = mx.where(plain >= clipped, plain, 0.0)
        d_logits = d_log_ratio * (minibatch.chosen - policy) + settings.entropy_coefficient * (
            policy * (log_policy + entropy)
        )
        value = output[1, :, :1]
        moved = value - minibatch.values
        error = value - minibatch.returns
        clipped_error = minibatch.values + mx.clip(moved, -clip, clip) - minibatch.returns
        square, clipped_square = mx.square(error), mx.square(clipped_error)
        d_value = mx.where(square >= clipped_square, error, 0.0) * settings.value_coefficient
        columns = [
            mx.maximum(plain, clipped),
            0.5 * mx.maximum(square, clipped_square),
            entropy,
            excess - log_ratio,
            mx.abs(excess) > clip,
        ]
        d_output = mx.stack([d_logits, d_value * self._first]) * (1.0 / logits.shape[0])
        return d_output, mx.concatenate(columns, axis=-1).mean(axis=0)

    def _adam(
        self,
        state: AdamState,
        gradient: mx.array,
        squares: mx.array,
        scale: mx.array,
        count: int,
    ) -> AdamState:
        """Return the state after Adam's step number ``count`` on the gradient times ``scale``."""
        settings = self._settings
        beta1, beta2 = settings.adam_beta1, settings.adam_beta2
        first = beta1 * state.first_moment + ((1.0 - beta1) * scale) * gradient
        second = beta2 * state.second_moment + ((1.0 - beta2) * mx.square(scale)) * squares
        # Both corrections, divided by the first: m / c1 / (sqrt(v / c2) + eps) in fewer nodes.
        correction = 1.0 - beta1**count
        root_scale = correction / (1.0 - beta2**count) ** 0.5
        deviation = mx.sqrt(second) * root_scale + settings.adam_epsilon * correction
        return AdamState(state.parameters - self._rates * first / deviation, first, second)


_FUSED: Final = 2
"""The layer whose inputs are the current state and the encoding."""


def _layer(blocks: list[mx.array], index: int) -> _Layer:
    start = index * BLOCKS_A_LAYER
    return _Layer(*blocks[start : start + BLOCKS_A_LAYER])


def _swapped(array: mx.array) -> mx.array:
    return array.swapaxes(-1, -2)
