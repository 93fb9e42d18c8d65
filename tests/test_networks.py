"""Networks have the names, shapes and numbers of Phase 5."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from strategies.architecture import parameter_shapes
from strategies.networks import (
    ActorCritic,
    Architecture,
    build_networks,
    network_parameters,
    orthogonal_parameters,
)
from strategies.registry import import_weights
from tests.shared import shared_file

SHAPE = Architecture()


def test_shapes_are_known_without_mlx() -> None:
    """What files are checked against is what the modules have, also for other widths."""
    for shape in (Architecture(), Architecture(actor_hidden=8, temporal_width=4, features=3)):
        modules = network_parameters(ActorCritic(shape))
        assert {name: value.shape for name, value in modules.items()} == parameter_shapes(shape)


def test_parameters_have_the_contract_names_and_shapes() -> None:
    """38,756 parameters under the names of the weight files (DESIGN section 5)."""
    parameters = orthogonal_parameters(SHAPE, 1)
    shapes = {name: value.shape for name, value in parameters.items()}
    assert sum(value.size for value in parameters.values()) == 38_756
    assert len(shapes) == 36
    assert shapes["actor.temporal_encoder.fc1.weight"] == (64, 90)
    assert shapes["critic.temporal_encoder.ln2.bias"] == (32,)
    assert shapes["actor.fc1.weight"] == (64, 50)
    assert shapes["critic.fc1.weight"] == (96, 50)
    assert shapes["actor.fc3.weight"] == (3, 64)
    assert shapes["critic.fc3.bias"] == (1,)


def test_orthogonal_weights_have_their_gains() -> None:
    """W W^T is gain squared on the shorter side: 2 inside, 0.0001 and 1 at the heads."""
    parameters = orthogonal_parameters(SHAPE, 3)
    for name, gain in (
        ("actor.temporal_encoder.fc1", 2**0.5),
        ("critic.fc1", 2**0.5),
        ("critic.fc2", 2**0.5),
        ("actor.fc3", 0.01),
        ("critic.fc3", 1.0),
    ):
        weight = parameters[f"{name}.weight"].astype(np.float64)
        gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        assert np.allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-6)
    assert not parameters["actor.fc1.bias"].any()
    assert (parameters["actor.ln1.weight"] == 1).all()


def test_initialisation_is_seeded() -> None:
    """The same seed gives the same bits, another seed others."""
    first, again, other = (orthogonal_parameters(SHAPE, seed) for seed in (5, 5, 6))
    name = "actor.fc2.weight"
    assert all((first[key] == again[key]).all() for key in first)
    assert (first[name] != other[name]).any()


def test_missing_parameter_is_refused() -> None:
    """Networks are never built from a part of the weights (I8)."""
    parameters = dict(orthogonal_parameters(SHAPE, 1))
    del parameters["critic.fc3.bias"]
    with pytest.raises(ValueError, match=r"critic\.fc3\.bias"):
        build_networks(SHAPE, parameters)


def test_built_networks_hold_the_parameters() -> None:
    """What goes in comes out, bit for bit."""
    parameters = orthogonal_parameters(SHAPE, 2)
    found = network_parameters(build_networks(SHAPE, parameters))
    assert found.keys() == parameters.keys()
    assert all((found[name] == parameters[name]).all() for name in found)


def test_phase5_parity() -> None:
    """The plain modules reproduce the 16 recorded outputs to 1e-5."""
    model = import_weights(shared_file("weights/phase5.safetensors"), None, "test", "2026-01-01")
    networks = model.networks
    with np.load(shared_file("weights/phase5_parity_16.npz")) as pairs:
        current, window = mx.array(pairs["current"]), mx.array(pairs["temporal"])
        probabilities = np.array(mx.softmax(networks.actor(current, window), axis=-1))
        assert np.allclose(probabilities, pairs["probs"], atol=1e-5)
        assert np.allclose(np.array(networks.critic(current, window)), pairs["value"], atol=1e-5)
        for net, key in ((networks.actor, "actor_encoding"), (networks.critic, "critic_encoding")):
            assert np.allclose(np.array(net.temporal_encoder(window)), pairs[key], atol=1e-5)


def test_building_networks_draws_nothing() -> None:
    """A thread that has drawn from MLX can abort a process that ends at the same moment."""
    generator: list[mx.array] = mx.random.state  # pyright: ignore[reportAssignmentType]
    before = np.array(generator[0])
    build_networks(SHAPE, orthogonal_parameters(SHAPE, 1))
    assert (np.array(generator[0]) == before).all()
