"""The packed forward is the plain modules, folded."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from strategies.networks import (
    ActorCritic,
    Architecture,
    FloatArray,
    build_networks,
    orthogonal_parameters,
)
from strategies.packed import PackedForward
from strategies.registry import import_weights
from tests.learning_samples import SHAPE, random_networks
from tests.shared import shared_file


def _assert_same(shape: Architecture, networks: ActorCritic, windows: FloatArray) -> None:
    forward = PackedForward(shape, networks)(windows)
    window = mx.array(windows)
    current = window[:, -shape.features :]
    assert np.allclose(forward.logits, np.array(networks.actor(current, window)), atol=1e-5)
    assert np.allclose(forward.values, np.array(networks.critic(current, window)), atol=1e-5)
    for row, net in enumerate((networks.actor, networks.critic)):
        plain = np.array(net.temporal_encoder(window))
        assert np.allclose(np.array(forward.encodings)[row], plain, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 4, 28])
@pytest.mark.parametrize("seed", [1, 2])
def test_packed_is_plain_on_random_weights(rows: int, seed: int) -> None:
    """Logits, values and encodings agree to 1e-5 for any weights and batch."""
    windows = np.random.default_rng(seed).uniform(-1, 1, (rows, 90)).astype(np.float32)
    _assert_same(SHAPE, random_networks(seed), windows)


def test_packed_is_plain_on_an_empty_history() -> None:
    """A window of zeros has only biases to normalise; the epsilon still matches."""
    _assert_same(SHAPE, random_networks(4), np.zeros((3, 90), dtype=np.float32))


def test_epsilon_matches_where_the_variance_is_tiny() -> None:
    """The padded actor keeps the LayerNorm's own epsilon, not 64 / 96 of it."""
    parameters = dict(orthogonal_parameters(SHAPE, 8))
    for net in ("actor", "critic"):
        for layer in ("temporal_encoder.fc1", "temporal_encoder.fc2", "fc1", "fc2"):
            parameters[f"{net}.{layer}.weight"] = parameters[f"{net}.{layer}.weight"] * 1e-3
    parameters["actor.fc3.weight"] = parameters["actor.fc3.weight"] * 100
    windows = np.random.default_rng(8).uniform(-1, 1, (4, 90)).astype(np.float32)
    _assert_same(SHAPE, build_networks(SHAPE, parameters), windows)


def test_an_actor_wider_than_the_critic_is_packed_too() -> None:
    """The narrower net is padded, whichever it is."""
    shape = Architecture(actor_hidden=80, critic_hidden=48)
    windows = np.random.default_rng(9).uniform(-1, 1, (4, 90)).astype(np.float32)
    _assert_same(shape, random_networks(9, shape), windows)


def test_phase5_parity() -> None:
    """The packed forward reproduces the 16 recorded outputs to 1e-5."""
    model = import_weights(shared_file("weights/phase5.safetensors"), None, "test", "2026-01-01")
    packed = PackedForward(SHAPE, model.networks)
    with np.load(shared_file("weights/phase5_parity_16.npz")) as pairs:
        forward = packed(pairs["temporal"])
        probabilities = np.array(mx.softmax(mx.array(np.array(forward.logits)), axis=-1))
        assert np.allclose(probabilities, pairs["probs"], atol=1e-5)
        assert np.allclose(forward.values, pairs["value"], atol=1e-5)
        encodings = np.array(forward.encodings)
        assert np.allclose(encodings[0], pairs["actor_encoding"], atol=1e-5)
        assert np.allclose(encodings[1], pairs["critic_encoding"], atol=1e-5)


def test_two_runs_give_the_same_bits() -> None:
    """A replay decides as the run did, to the last bit."""
    windows = np.random.default_rng(3).uniform(-1, 1, (4, 90)).astype(np.float32)
    first = PackedForward(SHAPE, random_networks(3))(windows)
    again = PackedForward(SHAPE, random_networks(3))(windows)
    assert first.logits == again.logits
    assert first.values == again.values
