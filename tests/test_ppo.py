"""The learner learns as the plain loop does, stops in time, and is never left broken."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from benchmarks.plain_ppo import PlainLearner, acted_batch, made_up_batch
from strategies.base import ModelError
from strategies.batch import Batch
from strategies.networks import (
    Architecture,
    FloatArray,
    build_networks,
    network_parameters,
    orthogonal_parameters,
)
from strategies.ppo import Learner, explained_variance, minibatch_order, minibatches, normalised
from strategies.ppo_settings import PpoSettings
from tests.learning_samples import SHAPE, SMALL, random_networks, small_networks

FREE = PpoSettings(target_kl=10.0)
"""Settings whose KL ends nothing."""


def _apart(one: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


@pytest.mark.parametrize("shape", [SHAPE, SMALL])
def test_an_update_gives_the_parameters_of_the_plain_loop(shape: Architecture) -> None:
    """With the same minibatches, 40 steps end within 1e-4 of the plain eager loop's."""
    networks, same = random_networks(1, shape), random_networks(1, shape)
    batch = acted_batch(networks, shape, 256, 1)
    learner = Learner(shape, networks, FREE, seed=5)
    before = learner.parameters()
    report = learner.update(batch)
    plain = PlainLearner(same, shape.features, FREE)
    assert plain.update(batch, minibatch_order(256, FREE, 5, 1)) == report.steps == 40
    assert report.problem == ""
    assert _apart(learner.parameters(), network_parameters(same)) < 1e-4
    assert _apart(learner.parameters(), before) > 1e-3


def test_the_kl_stops_both_at_the_same_step() -> None:
    """The minibatch over the target and all after it are not stepped on, as in the plain loop."""
    settings = PpoSettings(actor_rate=3e-3, critic_rate=3e-3, target_kl=0.01)
    networks, same = random_networks(2, SMALL), random_networks(2, SMALL)
    batch = acted_batch(networks, SMALL, 256, 1)
    learner = Learner(SMALL, networks, settings, seed=5)
    report = learner.update(batch)
    plain = PlainLearner(same, SMALL.features, settings)
    assert plain.update(batch, minibatch_order(256, settings, 5, 1)) == report.steps
    assert 0 < report.steps < 40
    assert report.stopped_early
    assert report.kl > settings.target_kl
    assert _apart(learner.parameters(), network_parameters(same)) < 1e-4
    assert learner.state()["steps"] == report.steps


def test_a_kl_over_the_target_at_once_changes_nothing() -> None:
    """A batch of another policy is not learned from at all."""
    networks = random_networks(3, SMALL)
    learner = Learner(SMALL, networks, PpoSettings(target_kl=1e-6), seed=1)
    report = learner.update(made_up_batch(1, 64, SMALL.window_width, SMALL.actions))
    assert (report.steps, report.stopped_early, report.problem) == (0, True, "")
    assert _apart(learner.parameters(), network_parameters(networks)) == 0.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_before_the_first_step_the_ratio_is_one(seed: int) -> None:
    """Log-probabilities stored one decision at a time are the training graph's, to 1e-6 (L2)."""
    networks = build_networks(SHAPE, orthogonal_parameters(SHAPE, seed))
    batch = acted_batch(networks, SHAPE, 256, seed)
    ratios = Learner(SHAPE, networks, FREE, seed=1).ratios(batch)
    assert np.abs(ratios - 1.0).max() < 1e-6


def test_before_the_first_step_the_ratio_is_one_for_any_weights() -> None:
    """With logits of several units it is 1 as nearly as float32 sums of 96 terms can tell."""
    networks = random_networks(4, SHAPE)
    batch = acted_batch(networks, SHAPE, 256, 1)
    assert batch.log_probabilities.min() < -3.0
    ratios = Learner(SHAPE, networks, FREE, seed=1).ratios(batch)
    assert np.abs(ratios - 1.0).max() < 4e-6


def test_networks_that_were_given_are_never_touched() -> None:
    """The running model is the caller's; the learner's is a copy."""
    networks = small_networks()
    before = network_parameters(networks)
    learner = Learner(SMALL, networks, FREE, seed=1)
    learner.update(acted_batch(networks, SMALL, 64, 1))
    assert _apart(network_parameters(networks), before) == 0.0
    assert _apart(network_parameters(learner.networks()), learner.parameters()) == 0.0


@pytest.mark.parametrize("field", ["windows", "log_probabilities", "advantages", "returns"])
def test_a_batch_that_is_not_finite_is_refused(field: str) -> None:
    """A NaN anywhere reaches neither parameters nor optimizer."""
    networks = small_networks()
    learner = Learner(SMALL, networks, FREE, seed=1)
    batch = acted_batch(networks, SMALL, 64, 1)
    getattr(batch, field)[3] = math.nan
    report = learner.update(batch)
    assert "not finite" in report.problem
    assert _apart(learner.parameters(), network_parameters(networks)) == 0.0
    assert learner.state()["steps"] == 0


def test_a_probability_above_one_is_refused() -> None:
    """A log-probability above 0 comes from a plumbing error, not from a policy."""
    networks = small_networks()
    batch = acted_batch(networks, SMALL, 64, 1)
    batch.log_probabilities[0] = 0.5
    assert "at most 0" in Learner(SMALL, networks, FREE, seed=1).update(batch).problem


def test_an_update_that_overflows_is_refused_whole() -> None:
    """A critic driven to infinity leaves the learner as it was, and the next update works."""
    networks = small_networks()
    learner = Learner(SMALL, networks, FREE, seed=1)
    batch = acted_batch(networks, SMALL, 64, 1)
    huge = batch._replace(returns=np.full(64, 3e38, dtype=np.float32))
    report = learner.update(huge)
    assert "finite" in report.problem
    assert _apart(learner.parameters(), network_parameters(networks)) == 0.0
    assert learner.update(batch).problem == ""


def test_a_collapse_of_the_policy_is_refused() -> None:
    """A policy that became certain would explore no more: the update is not kept."""
    settings = PpoSettings(
        target_kl=10.0, actor_rate=0.1, entropy_coefficient=0.0, epochs=40, clip=1.0
    )
    networks = small_networks()
    learner = Learner(SMALL, networks, settings, seed=1)
    batch = acted_batch(networks, SMALL, 128, 1)
    wanted = np.where(batch.actions == 1, 1.0, -1.0).astype(np.float32)
    problem = ""
    for _ in range(20):
        before = learner.parameters()
        batch = _acting(learner, batch, wanted)
        problem = learner.update(batch).problem
        if problem:
            assert _apart(learner.parameters(), before) == 0.0
            break
    assert "collapsed" in problem


def _acting(learner: Learner, batch: Batch, advantages: FloatArray) -> Batch:
    acted = acted_batch(learner.networks(), SMALL, len(batch.actions), 1)
    return acted._replace(advantages=advantages, returns=acted.values)


def test_resuming_is_not_stopping() -> None:
    """Weights and optimizer state carried over give the same bits as one learner going on."""
    networks = small_networks()
    batches = [acted_batch(networks, SMALL, 96, seed) for seed in (1, 2, 3)]
    settings = PpoSettings(target_kl=10.0, actor_rate=1e-3)
    whole = Learner(SMALL, networks, settings, seed=9)
    for batch in batches:
        whole.update(batch)
    first = Learner(SMALL, networks, settings, seed=9)
    first.update(batches[0])
    resumed = Learner(SMALL, first.networks(), settings, seed=9)
    resumed.restore(first.state())
    for batch in batches[1:]:
        resumed.update(batch)
    assert _apart(resumed.parameters(), whole.parameters()) == 0.0
    forgetful = Learner(SMALL, first.networks(), settings, seed=9)
    for batch in batches[1:]:
        forgetful.update(batch)
    assert _apart(forgetful.parameters(), whole.parameters()) > 1e-4


def test_a_state_of_another_network_is_refused() -> None:
    """Names, shapes and values are checked before anything changes."""
    learner = Learner(SMALL, small_networks(), FREE, seed=1)
    learner.update(acted_batch(small_networks(), SMALL, 64, 1))
    state = learner.state()
    other = Learner(SHAPE, random_networks(1, SHAPE), FREE, seed=1).state()
    with pytest.raises(ModelError, match="expected finite"):
        learner.restore(other)
    with pytest.raises(ModelError, match="steps"):
        learner.restore({name: value for name, value in state.items() if name != "steps"})
    spoiled = dict(state)
    spoiled["second_moment.actor.fc1.bias"] = spoiled["second_moment.actor.fc1.bias"] - 1.0
    with pytest.raises(ModelError, match="not negative"):
        learner.restore(spoiled)
    after = learner.state()
    assert all(np.array_equal(after[name], value) for name, value in state.items())


def test_minibatches_hold_every_sample_once_an_epoch() -> None:
    """Sizes are nearly equal also where the batch does not divide."""
    parts = minibatches(np.arange(300), 64)
    assert sorted(len(part) for part in parts) == [60, 60, 60, 60, 60]
    order = minibatch_order(150, PpoSettings(), 1, 1)
    assert [len(part) for part in order] == [75, 75] * 10
    for epoch in range(10):
        assert sorted(np.concatenate(order[2 * epoch : 2 * epoch + 2])) == list(range(150))
    assert [len(part) for part in minibatches(np.arange(3), 64)] == [3]


def test_normalised_advantages_have_mean_zero_and_deviation_one() -> None:
    """And zeros stay zeros instead of becoming noise."""
    found = normalised(np.array([1.0, 2.0, 3.0, 6.0], dtype=np.float32))
    assert found.mean() == pytest.approx(0.0, abs=1e-6)
    assert found.std() == pytest.approx(1.0, abs=1e-6)
    assert normalised(np.zeros(4, dtype=np.float32)).tolist() == [0.0] * 4


def test_explained_variance() -> None:
    """1 for a critic that knew, 0 for one that said the same of everything."""
    returns = np.array([1.0, 2.0, 4.0], dtype=np.float32)
    assert explained_variance(returns, returns) == 1.0
    assert explained_variance(np.zeros(3, dtype=np.float32), returns) == pytest.approx(0.0)
    assert explained_variance(returns, np.ones(3, dtype=np.float32)) == 0.0


@pytest.mark.parametrize(
    ("name", "value"), [("gamma", 1.1), ("epochs", 0), ("clip", math.nan), ("actor_rate", -1e-4)]
)
def test_settings_are_bounded(name: str, value: float) -> None:
    """A number out of bounds is named with what is allowed."""
    with pytest.raises(ValueError, match=f"{name} was {value}, expected"):
        msgspec.structs.replace(PpoSettings(), **{name: value})
