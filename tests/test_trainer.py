"""A training learns from what is sound, and ends when nothing can be learned any more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.training.collector import Experience
from helpers.training.keeping import (
    Origin,
    cut_curve,
    fresh_model,
    read_checkpoint,
    write_checkpoint,
)
from helpers.training.trainer import (
    REFUSALS_MAXIMUM,
    AnotherTrainingError,
    Trainer,
    TrainingError,
)
from strategies.ppo_settings import PpoSettings
from strategies.registry import save
from strategies.rollout import Choice, Trajectory, Transition

SETTINGS = PpoSettings()
ORIGIN = Origin(seed=3, feature_version="phase5", data="a test")


def trainer() -> Trainer:
    return Trainer(fresh_model(3, "phase5"), SETTINGS, seed=3)


def experience(seed: int = 1, *, broken: bool = False) -> Experience:
    """Return 64 transitions of one settled market, sound or with a window that is not finite."""
    random = np.random.default_rng(seed)
    transitions: list[Transition] = []
    for step in range(64):
        window = random.uniform(-1, 1, 90).astype(np.float32)
        if broken:
            window[0] = np.nan
        choice = Choice("m", step * 10**9, window, int(random.integers(3)), -1.0986, 0.0)
        transitions.append(Transition(choice, float(random.normal()) / 50, 1.0))
    return Experience((Trajectory("m", transitions, terminal=True, bootstrap=0.0),), 4, 3)


def test_progress_counts_what_was_learned_from() -> None:
    """Steps, updates, the sum of rewards; and the parameters have moved."""
    made = trainer()
    before = made.parameters()
    gathered = experience()
    learned = made.learn(gathered)
    assert not learned.report.problem
    assert (learned.progress.steps, learned.progress.updates) == (64, 1)
    rewards = sum(step.reward for step in gathered.trajectories[0].transitions)
    assert learned.reward == learned.progress.reward == pytest.approx(rewards)
    assert (learned.trips, learned.wins) == (4, 3)
    assert any(not np.array_equal(before[name], now) for name, now in made.parameters().items())


def test_refused_updates_change_nothing_and_end_the_training_when_they_go_on() -> None:
    """One sound update in between begins the count anew."""
    made = trainer()
    before = made.parameters()
    for _ in range(REFUSALS_MAXIMUM):
        assert "not finite" in made.learn(experience(broken=True)).report.problem
    assert all(np.array_equal(before[name], now) for name, now in made.parameters().items())
    assert not made.learn(experience()).report.problem
    for _ in range(REFUSALS_MAXIMUM):
        made.learn(experience(broken=True))
    with pytest.raises(TrainingError, match="updates in a row were refused"):
        made.learn(experience(broken=True))


def test_a_checkpoint_goes_on_as_if_there_had_been_no_stop(tmp_path: Path) -> None:
    """Weights, optimizer, reward scale and count: the next update is the same to the last bit."""
    made = trainer()
    made.learn(experience(1))
    write_checkpoint(made, ORIGIN, tmp_path, 1, "2026-11-30")
    again, origin = read_checkpoint(tmp_path, ORIGIN, SETTINGS)
    assert origin == ORIGIN
    assert again.progress == made.progress
    assert again.statistics() == made.statistics()
    for number in (2, 3):
        assert made.learn(experience(number)) == again.learn(experience(number))
    resumed = again.parameters()
    assert all(np.array_equal(now, resumed[name]) for name, now in made.parameters().items())


@pytest.mark.parametrize(
    "asked",
    [Origin(4, "phase5", "a test"), Origin(3, "fusion", "a test"), Origin(3, "phase5", "x")],
)
def test_another_training_is_not_gone_on_with(asked: Origin, tmp_path: Path) -> None:
    """Seed, features and data are those it began with; a model that is no training is told too."""
    made = trainer()
    made.learn(experience())
    write_checkpoint(made, ORIGIN, tmp_path, 1, "2026-11-30")
    with pytest.raises(AnotherTrainingError, match="use another --output"):
        read_checkpoint(tmp_path, asked, SETTINGS)
    other = tmp_path / "other"
    save(fresh_model(3, "phase5"), other, tmp_path / "kept", 1)
    with pytest.raises(AnotherTrainingError, match="is no checkpoint of a training"):
        read_checkpoint(other, asked, SETTINGS)


def test_a_curve_ends_where_its_checkpoint_is(tmp_path: Path) -> None:
    """What was learned after it is lost, and is learned again."""
    curve = tmp_path / "curve.jsonl"
    cut_curve(curve, 3)
    assert not curve.exists()
    curve.write_bytes(b"1\n2\n3\n4\n5\n")
    cut_curve(curve, 7)
    assert curve.read_bytes() == b"1\n2\n3\n4\n5\n"
    cut_curve(curve, 3)
    assert curve.read_bytes() == b"1\n2\n3\n"
