"""One PPO step of both networks as one graph: forward, gradient by hand, norm, Adam.

Below some hundred rows dispatch costs MLX as much as arithmetic does, so nodes are saved: the
encoders of both nets share theirs (``strategies.packed_layout``), and nothing is read by the host.
The gradient is written out, because automatic differentiation of the same graph was over the budget
(0.55 of the plain loop): it has more nodes, and multiplies by transposed views, which the Linux
wheel's BLAS does at half speed. A test holds it against ``mx.grad`` of the plain modules.

Formulas: PPO (Schulman et al. 2017, arXiv 1707.06347, equations 7 and 9) with clipped values as in
CleanRL's ``ppo.py``; k3 = (r - 1) - log r (Schulman, "Approximating KL divergence", 2020); Adam
with bias correction (Kingma and Ba 2015, algorithm 1). B is the minibatch, H a layer's width.

Must not: hold state between calls, draw random numbers or read a value on the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

import mlx.core as mx

from strategies.networks import LAYER_NORM_EPSILON
from strategies.packed_layout import BLOCKS_A_LAYER, ENCODER_LAYERS, NETS, PackedLayout
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


class _Layer(NamedTuple):
    """One normalised layer: of the nets' encoders stacked, (2, in, H), or of one net, (in, H)."""

    weight: mx.array
    bias: mx.array
    """(2, 1, H) or (1, H), as are the next two."""
    gain: mx.array
    shift: mx.array


class _Trace(NamedTuple):
    """A layer, and what its backward pass needs of the forward; (2, B, H) or (B, H)."""

    layer: _Layer
    inputs: mx.array
    unit: mx.array
    """Centred linear outputs over their Euclidean length: LayerNorm's over the root of H."""
    inverse_length: mx.array
    outputs: mx.array


class Forwarded(NamedTuple):
    """Outputs of both nets, and what led to them: encoders, actor, critic."""

    logits: mx.array
    """(B, 3)"""
    values: mx.array
    """(B, 1)"""
    encoders: list[_Trace]
    hidden: list[list[_Trace]]
    """By net."""
    heads: list[mx.array]
    """Weights (H, 3) and (H, 1)."""


class PackedStep:
    """The step of one architecture and one set of settings; constants live on the device."""

    def __init__(self, layout: PackedLayout, settings: PpoSettings) -> None:
        self._settings = settings
        self._features = layout.shape.features
        self._starts = [block.start for block in layout.blocks[1:]]
        self._shapes = [block.shape for block in layout.blocks]
        self._rates = mx.array(layout.per_net(settings.actor_rate, settings.critic_rate))
        self._scales = mx.array(layout.gain_scales())
        """Norm gains times the root of H, so that a layer need not divide by it (``_Trace.unit``):
        one product for all layers, and one for all gradients."""
        mx.eval(self._rates, self._scales)

    def __call__(
        self, state: AdamState, minibatch: Minibatch, count: int
    ) -> tuple[AdamState, mx.array]:
        """Return the state after one step, and (6,) ``StepMetrics`` of before it.

        ``count`` numbers Adam's steps from 1.
        """
        gradient, means = self.gradient(state.parameters, minibatch)
        squares = mx.square(gradient)
        norm = mx.sqrt(squares.sum())
        scale = mx.minimum(self._settings.gradient_norm / (norm + _NORM_FLOOR), 1.0)
        stepped = self._adam(state, gradient, squares, scale, count)
        return stepped, mx.concatenate([means, norm[None]])

    def gradient(self, parameters: mx.array, minibatch: Minibatch) -> tuple[mx.array, mx.array]:
        """Return the loss's gradient by the flat parameters, (n,), and the first 5 metrics."""
        forwarded = self.forward(parameters, minibatch.windows)
        d_logits, d_values, means = self._output_gradients(forwarded, minibatch)
        return self._backward(forwarded, (d_logits, d_values)), means

    def forward(self, parameters: mx.array, windows: mx.array) -> Forwarded:
        """Run (B, 90) windows through both nets."""
        parts = mx.split(parameters * self._scales, self._starts)
        blocks = iter([part.reshape(shape) for part, shape in zip(parts, self._shapes)])  # noqa: B905
        encoders: list[_Trace] = []
        inputs = windows
        for _ in ENCODER_LAYERS:
            encoders.append(_layer_forward(inputs, blocks))
            inputs = encoders[-1].outputs
        current = windows[:, -self._features :]
        outputs: list[mx.array] = []
        heads: list[mx.array] = []
        hidden: list[list[_Trace]] = []
        for encoding in mx.split(inputs.reshape(-1, inputs.shape[-1]), len(NETS)):
            first = _layer_forward(mx.concatenate([current, encoding], axis=-1), blocks)
            second = _layer_forward(first.outputs, blocks)
            hidden.append([first, second])
            heads.append(next(blocks))
            outputs.append(mx.addmm(next(blocks), second.outputs, heads[-1]))
        return Forwarded(outputs[0], outputs[1], encoders, hidden, heads)

    def _backward(self, forwarded: Forwarded, d_outputs: tuple[mx.array, mx.array]) -> mx.array:
        """Return the flat gradient of the loss, whose gradients by logits and values are given."""
        own: list[mx.array] = []
        d_encodings: list[mx.array] = []
        for traces, head, d_output in zip(forwarded.hidden, forwarded.heads, d_outputs):  # noqa: B905
            first, second = traces
            upstream = _down(d_output, head)
            d_second, second_parts = _layer_backward(second, upstream)
            upstream = _down(d_second, second.layer.weight)
            d_first, first_parts = _layer_backward(first, upstream)
            # The current state is given, so only the encodings' part goes on down.
            d_encodings.append(_down(d_first, first.layer.weight[self._features :]))
            d_head = mx.matmul(_swapped(second.outputs), d_output)
            own += [*first_parts, *second_parts, d_head, d_output.sum(axis=0, keepdims=True)]
        lower, upper = forwarded.encoders
        d_upper, upper_parts = _layer_backward(upper, mx.stack(d_encodings))
        _, lower_parts = _layer_backward(lower, _down(d_upper, upper.layer.weight))
        parts = [*lower_parts, *upper_parts, *own]
        return mx.concatenate([part.reshape(-1) for part in parts]) * self._scales

    def _output_gradients(
        self, forwarded: Forwarded, minibatch: Minibatch
    ) -> tuple[mx.array, mx.array, mx.array]:
        """Return the loss's gradients by logits (B, 3) and values (B, 1), and (5,) means.

        loss = mean(max(-A r, -A clip(r))) - c_e mean(entropy)
             + c_v mean(max((V - R)^2, (V_old + clip(V - V_old) - R)^2)) / 2
        """
        settings = self._settings
        clip = settings.clip
        logits, value = forwarded.logits, forwarded.values
        log_policy = log_policy_of(logits)
        policy = mx.exp(log_policy)
        log_ratio = log_ratio_of(log_policy, minibatch)
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
        moved = value - minibatch.values
        error = value - minibatch.returns
        # Written so that inside the clip it is the same to the last bit, and the gradient with it.
        clipped_error = error - (moved - mx.clip(moved, -clip, clip))
        square, clipped_square = mx.square(error), mx.square(clipped_error)
        d_value = mx.where(square >= clipped_square, error, 0.0) * settings.value_coefficient
        columns = [
            mx.maximum(plain, clipped),
            0.5 * mx.maximum(square, clipped_square),
            entropy,
            excess - log_ratio,
            mx.abs(excess) > clip,
        ]
        share = 1.0 / logits.shape[0]
        return d_logits * share, d_value * share, mx.concatenate(columns, axis=-1).mean(axis=0)

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


def log_policy_of(logits: mx.array) -> mx.array:
    """Return the log-softmax of (B, 3) logits: no logarithm of a rounded probability (L10)."""
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def log_ratio_of(log_policy: mx.array, minibatch: Minibatch) -> mx.array:
    """Return (B, 1): how much likelier the taken actions are now than when they were taken."""
    chosen = (log_policy * minibatch.chosen).sum(axis=-1, keepdims=True)
    return chosen - minibatch.log_probabilities


def _layer_forward(inputs: mx.array, blocks: Iterator[mx.array]) -> _Trace:
    """Run one layer, whose blocks come next: tanh(gain (z - mean) / deviation + shift)."""
    layer = _Layer(*islice(blocks, BLOCKS_A_LAYER))
    linear = mx.addmm(layer.bias, inputs, layer.weight)
    width = linear.shape[-1]
    centred = linear - linear.mean(axis=-1, keepdims=True)
    squares = mx.square(centred).sum(axis=-1, keepdims=True)
    inverse_length = mx.rsqrt(squares + width * LAYER_NORM_EPSILON)
    unit = centred * inverse_length
    outputs = mx.tanh(unit * layer.gain + layer.shift)
    return _Trace(layer, inputs, unit, inverse_length, outputs)


def _layer_backward(trace: _Trace, upstream: mx.array) -> tuple[mx.array, list[mx.array]]:
    """Return the gradient by a layer's linear output, and those by its four parameters.

    LayerNorm: d_linear = (d - mean(d) - u sum(d u)) / length, with u the unit vectors and d the
    gradient by them.
    """
    unit = trace.unit
    d_scaled = upstream - upstream * mx.square(trace.outputs)
    d_gain = d_scaled * unit
    d_unit = d_scaled * trace.layer.gain
    mean = d_unit.mean(axis=-1, keepdims=True)
    along = (d_unit * unit).sum(axis=-1, keepdims=True)
    d_linear = (d_unit - mean - unit * along) * trace.inverse_length
    return d_linear, [
        mx.matmul(_swapped(trace.inputs), d_linear),
        d_linear.sum(axis=-2, keepdims=True),
        d_gain.sum(axis=-2, keepdims=True),
        d_scaled.sum(axis=-2, keepdims=True),
    ]


def _down(gradient: mx.array, weight: mx.array) -> mx.array:
    """Return the gradient by a linear map's inputs.

    The weight is transposed in memory first: multiplying by a transposed view takes the Linux
    wheel's BLAS twice as long.
    """
    return mx.matmul(gradient, mx.contiguous(_swapped(weight)))


def _swapped(array: mx.array) -> mx.array:
    return array.swapaxes(-1, -2)
