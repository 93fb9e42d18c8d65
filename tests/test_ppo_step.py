"""The packed step is the plain one: same outputs, gradients, moments and parameters."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx import optimizers
from mlx.utils import tree_flatten

from benchmarks.plain_ppo import PlainLearner, made_up_batch
from strategies.batch import Batch
from strategies.networks import Architecture, FloatArray, build_networks
from strategies.packed_layout import PackedLayout
from strategies.ppo import minibatch_of, normalised
from strategies.ppo_settings import PpoSettings
from strategies.ppo_step import AdamState, PackedStep, StepMetrics
from tests.learning_samples import SHAPE, SMALL, random_parameters

SETTINGS = PpoSettings(entropy_coefficient=0.1)


def _plain(batch: Batch, shape: Architecture, seed: int) -> tuple[float, dict[str, FloatArray]]:
    """Return loss and gradients of the plain modules by automatic differentiation."""
    networks = build_networks(shape, random_parameters(seed, shape))
    plain = PlainLearner(networks, shape.features, SETTINGS)
    (loss, _), gradients = nn.value_and_grad(networks, plain.loss)(
        networks,
        mx.array(batch.windows),
        mx.array(batch.actions),
        mx.array(batch.log_probabilities),
        mx.array(batch.values),
        mx.array(normalised(batch.advantages)),
        mx.array(batch.returns),
    )
    flat: list[tuple[str, mx.array]] = tree_flatten(gradients)  # pyright: ignore[reportAssignmentType]
    return loss.item(), {name: np.array(value) for name, value in flat}


@pytest.mark.parametrize("shape", [SHAPE, SMALL])
@pytest.mark.parametrize("seed", [1, 2])
def test_gradients_are_those_of_automatic_differentiation(shape: Architecture, seed: int) -> None:
    """Every parameter's gradient agrees with mx.grad's of the plain modules, clipped or not."""
    batch = made_up_batch(seed, 37, shape.window_width, shape.actions)
    layout = PackedLayout(shape)
    step = PackedStep(layout, SETTINGS)
    minibatch = minibatch_of(batch, np.arange(37), shape.actions)
    flat = mx.array(layout.pack(random_parameters(seed, shape)))
    gradient, means = step.gradient(flat, minibatch)
    metrics = StepMetrics(*np.array(means).tolist(), gradient_norm=0.0)
    loss, plain = _plain(batch, shape, seed)
    # The made-up policy did not act, so ratios and values are on both sides of the clip.
    assert 0.1 < metrics.clip_fraction < 0.95
    total = metrics.policy_loss + 0.5 * metrics.value_loss - 0.1 * metrics.entropy_nats
    assert total == pytest.approx(loss, abs=1e-5)
    for name, value in layout.unpack(np.array(gradient)).items():
        assert np.allclose(value, plain[name], atol=2e-6, rtol=1e-4), name


def test_adam_is_mlx_adam_with_bias_correction_and_clipping() -> None:
    """Three steps of a flat vector move it as MLX's optimizer moves it."""
    layout = PackedLayout(SMALL)
    step = PackedStep(layout, PpoSettings(actor_rate=1e-3, critic_rate=1e-3, target_kl=10.0))
    flat = layout.pack(random_parameters(4, SMALL))
    zeros = mx.zeros(layout.size)
    state = AdamState(mx.array(flat), zeros, zeros)
    adam = optimizers.Adam(1e-3, eps=1e-5, bias_correction=True)
    plain = {"flat": mx.array(flat)}
    for count in range(1, 4):
        batch = made_up_batch(count, 16, SMALL.window_width, SMALL.actions)
        minibatch = minibatch_of(batch, np.arange(16), SMALL.actions)
        gradient, _ = step.gradient(state.parameters, minibatch)
        clipped, norm = optimizers.clip_grad_norm({"flat": gradient}, 0.5)
        state, metrics = step(state, minibatch, count)
        plain = adam.apply_gradients(clipped, plain)
        assert metrics[-1].item() == pytest.approx(norm.item(), rel=1e-5)
        assert np.array(norm) > 0.5, "the clip must have something to do"
    assert np.allclose(np.array(state.parameters), np.array(plain["flat"]), atol=1e-6)
    assert np.abs(np.array(state.parameters) - flat).max() > 2e-3


def test_a_first_step_is_at_most_the_learning_rate() -> None:
    """With bias correction no parameter moves by more than its rate at first (L7)."""
    layout = PackedLayout(SMALL)
    settings = PpoSettings()
    flat = layout.pack(random_parameters(5, SMALL))
    zeros = mx.zeros(layout.size)
    batch = made_up_batch(5, 16, SMALL.window_width, SMALL.actions)
    state, _ = PackedStep(layout, settings)(
        AdamState(mx.array(flat), zeros, zeros), minibatch_of(batch, np.arange(16), 3), 1
    )
    moved = layout.unpack(np.abs(np.array(state.parameters) - flat))
    for name, value in moved.items():
        rate = settings.actor_rate if name.startswith("actor") else settings.critic_rate
        assert value.max() <= rate * 1.01, name
