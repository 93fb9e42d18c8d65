"""The learned policy decides, notes and forgets."""

from __future__ import annotations

import math
import threading

import mlx.core as mx
import numpy as np
import pytest

from helpers.domain import Action, MarketState
from strategies.base import Strategy, entropy_nats
from strategies.networks import Architecture, build_networks, orthogonal_parameters
from strategies.per_market import MAXIMUM_MARKETS
from strategies.registry import FRESH_STATISTICS, Model, build_model, initial_model
from strategies.rl_mlx import (
    PROBE_FORWARDS,
    RLStrategy,
    choose_device,
    median_forward_seconds,
    softmax,
)
from tests.policy_samples import market, state

SHAPE = Architecture()


def _model(seed: int = 1) -> Model:
    """Return a model with opinions: the policy head's gain is 1, not 0.01."""
    parameters = dict(orthogonal_parameters(SHAPE, seed))
    parameters["actor.fc3.weight"] = parameters["actor.fc3.weight"] * 100
    return build_model(
        build_networks(SHAPE, parameters),
        SHAPE,
        FRESH_STATISTICS,
        created="2026-01-01",
        trained_steps=0,
        note="test",
    )


def _states(count: int, step: int = 0) -> list[MarketState]:
    random = np.random.default_rng(count + 100 * step)
    return [
        state(
            features=random.uniform(-1, 1, 18).tolist(),
            of=market(f"m{number}"),
            seconds=60 + step / 2,
        )
        for number in range(count)
    ]


def _every_step(model: Model) -> RLStrategy:
    """Return a policy for which every grid step is a decision point."""
    return RLStrategy(model, learn_interval_seconds=0.5)


def test_decides_like_the_plain_networks() -> None:
    """The last of five decisions is the softmax of the plain actor on the five states."""
    model = _model()
    strategy = _every_step(model)
    assert isinstance(strategy, Strategy)
    steps = [_states(3, step) for step in range(5)]
    decisions = [strategy.decide(states) for states in steps][-1]
    for number, decision in enumerate(decisions):
        rows = [states[number].features for states in steps]
        window = mx.array(np.array(rows, dtype=np.float32).reshape(1, 90))
        current = window[:, 72:]
        plain = np.array(mx.softmax(model.networks.actor(current, window), axis=-1))[0]
        assert np.allclose(decision.probabilities, plain, atol=1e-5)
        assert decision.value == pytest.approx(
            model.networks.critic(current, window).item(), abs=1e-5
        )
        assert decision.action == int(plain.argmax())
        assert sum(decision.probabilities) == pytest.approx(1.0, abs=1e-12)
        assert decision.market == f"m{number}"
        assert decision.model_id == model.manifest.model_id


def test_reason_quotes_probability_and_entropy() -> None:
    """The reason says how sure the policy was."""
    (decision,) = RLStrategy(_model()).decide(_states(1))
    name = decision.action.name.lower()
    chosen = decision.probabilities[decision.action]
    entropy = entropy_nats(decision.probabilities)
    assert decision.reason == f"p_{name}={chosen:.2f} entropy={entropy:.2f}"


def test_invalid_state_is_a_hold_with_its_reason() -> None:
    """Invalid states do not shift the others and leave no trace in the history."""
    first, second = _states(2)
    broken = state(of=market("broken"), invalid="up book crossed")
    strategy = RLStrategy(_model())
    decisions = strategy.decide([first, broken, second])
    alone = RLStrategy(_model()).decide([first, second])
    assert [decisions[0], decisions[2]] == list(alone)
    assert decisions[1].action is Action.HOLD
    assert decisions[1].probabilities == (1.0, 0.0, 0.0)
    assert decisions[1].reason == "up book crossed"
    assert strategy.describe("broken") is None
    assert strategy.decide([broken])[0].reason == "up book crossed"
    assert list(strategy.decide([])) == []


def test_other_feature_version_is_refused() -> None:
    """A model sees only the features it was trained on (I8)."""
    (decision,) = RLStrategy(_model()).decide([state(version="fusion")])
    assert decision.action is Action.HOLD
    assert "'fusion'" in decision.reason
    assert "'phase5'" in decision.reason


def test_network_that_overflows_is_a_hold() -> None:
    """A forward that is not finite is never traded on."""
    parameters = dict(orthogonal_parameters(SHAPE, 1))
    parameters["critic.fc3.bias"] = np.array([3e38], dtype=np.float32)
    parameters["critic.fc3.weight"] = np.full((1, 96), 3e38, dtype=np.float32)
    parameters["critic.ln2.bias"] = np.full(96, 9.0, dtype=np.float32)
    model = build_model(
        build_networks(SHAPE, parameters),
        SHAPE,
        FRESH_STATISTICS,
        created="2026-01-01",
        trained_steps=0,
        note="test",
    )
    (decision,) = RLStrategy(model).decide(_states(1))
    assert decision.action is Action.HOLD
    assert "expected finite" in decision.reason


def test_sampling_follows_the_probabilities() -> None:
    """A seeded generator draws each action about as often as its probability says."""
    strategy = RLStrategy(_model(), sampler=np.random.default_rng(7))
    states = [state(features=_states(1)[0].features, of=market("m0"), on_grid=False)]
    decisions = [strategy.decide(states)[0] for _ in range(600)]
    counts = np.bincount([decision.action for decision in decisions], minlength=3) / 600
    assert np.allclose(counts, decisions[0].probabilities, atol=0.06)


def test_same_seed_samples_the_same() -> None:
    """Two runs with the same generator decide alike, bit for bit."""
    runs = [
        RLStrategy(_model(), sampler=np.random.default_rng(5), learn_interval_seconds=0.5)
        for _ in range(2)
    ]
    first, again = ([run.decide(_states(4, step)) for step in range(6)] for run in runs)
    assert first == again


def test_untrained_model_is_close_to_uniform() -> None:
    """The shipped model leans nowhere: entropy is nearly ln 3."""
    for decision in RLStrategy(initial_model(1, "2026-01-01")).decide(_states(4)):
        assert entropy_nats(decision.probabilities) > math.log(3) - 0.001


def test_note_tells_depth_and_encoder_norm() -> None:
    """TEMPORAL lines have the window's depth and the norm of the actor's encoding."""
    model = _model()
    strategy = _every_step(model)
    assert strategy.describe("m0") is None
    for step in range(7):
        strategy.decide(_states(2, step))
        note = strategy.describe("m0")
        assert note is not None
        assert note.history_depth == min(5, step + 1)
    rows = [_states(2, step)[1].features for step in range(2, 7)]
    window = mx.array(np.array(rows, dtype=np.float32).reshape(1, 90))
    plain = np.array(model.networks.actor.temporal_encoder(window))
    note = strategy.describe("m1")
    assert note is not None
    assert note.encoder_norm == pytest.approx(float(np.linalg.norm(plain)), abs=1e-5)
    strategy.forget("m1")
    assert strategy.describe("m1") is None


def test_notes_are_bounded() -> None:
    """Markets nobody forgot do not pile up, and a wide batch is decided in one go."""
    strategy = RLStrategy(_model())
    count = MAXIMUM_MARKETS + 5
    assert len(strategy.decide(_states(count))) == count
    assert strategy.describe("m0") is None
    assert strategy.describe(f"m{count - 1}") is not None


def test_adopting_a_model_changes_decisions_and_keeps_histories() -> None:
    """A promoted model decides from the next call on."""
    strategy, other = RLStrategy(_model(1)), _model(2)
    before = strategy.decide(_states(1))[0]
    strategy.adopt(other)
    after = strategy.decide(_states(1, 1))[0]
    assert (before.model_id, after.model_id) == (strategy_id(1), other.manifest.model_id)
    note = strategy.describe("m0")
    assert note is not None
    assert note.history_depth == 2


def test_model_built_in_another_thread_decides_here() -> None:
    """A learner's thread may build and even try a model; decisions are the same on this one."""
    strategies: list[RLStrategy] = []

    def build() -> None:
        strategies.append(RLStrategy(_model(2)))
        strategies[0].decide(_states(2))

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    expected = RLStrategy(_model(2))
    expected.decide(_states(2))
    # Five seconds on, at the next decision point.
    assert strategies[0].decide(_states(2, 10)) == expected.decide(_states(2, 10))
    assert strategies[0].describe("m1") == expected.describe("m1")


def strategy_id(seed: int) -> str:
    return _model(seed).manifest.model_id


def test_model_of_other_windows_is_refused() -> None:
    """Shapes that the histories cannot serve are refused, the running model stays (I8)."""
    strategy = RLStrategy(_model())
    shape = Architecture(history_length=4)
    odd = build_model(
        build_networks(shape, orthogonal_parameters(shape, 1)),
        shape,
        FRESH_STATISTICS,
        created="2026-01-01",
        trained_steps=0,
        note="test",
    )
    with pytest.raises(ValueError, match=r"\(18, 4\)"):
        strategy.adopt(odd)
    assert strategy.model_id == strategy_id(1)


def test_softmax_survives_large_logits() -> None:
    """Logits of 1,000 neither overflow nor lose their sum of 1 (L10)."""
    assert softmax((1000.0, 0.0, -1000.0)) == (1.0, 0.0, 0.0)
    assert sum(softmax((-30.0, -25.0, -20.0))) == pytest.approx(1.0, abs=1e-15)


def test_device_is_the_faster_one() -> None:
    """Without a GPU the CPU is chosen unmeasured, with one the clock decides."""
    readings: list[float] = []

    def clock() -> float:
        readings.append(float(len(readings)))
        return readings[-1]

    device = choose_device(_model(), clock)
    if mx.is_available(mx.gpu):
        assert len(readings) == 4 * PROBE_FORWARDS
    else:
        assert device == mx.cpu
        assert not readings


def test_forward_is_timed_by_the_clock_given() -> None:
    """The median of 30 forwards, each between two readings; here the k-th takes k seconds."""
    readings: list[float] = []

    def clock() -> float:
        count = len(readings)
        readings.append(readings[-1] + (count + 1) / 2 * (count % 2) if readings else 0.0)
        return readings[-1]

    assert median_forward_seconds(_model(), mx.cpu, clock) == 16.0
    assert len(readings) == 2 * PROBE_FORWARDS
