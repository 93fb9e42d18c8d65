"""TRAIN=true: updates reach the policy, are saved, and give way to an operator's model."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Generator
from pathlib import Path

import pytest

from helpers import logs
from helpers.clock import SimulatedClock
from helpers.commands import online_learning
from helpers.commands.online_learning import NOTE, OnlineLearning
from helpers.domain import GRID_NS, NS_PER_SECOND, Mode, ModelChanged
from helpers.ledger import Ledger
from helpers.settings import Settings, SettingsError, load_settings
from strategies.features import ZEROS
from strategies.models import Model
from strategies.registry import initial_model, load, load_optimizer, save
from tests.policy_samples import START_NS, market, state

DAY = "2026-01-01"
MARKET = market(window_seconds=1e6)


@pytest.fixture
def stream() -> Generator[io.StringIO]:
    out = io.StringIO()
    lines = logs.configure(
        clock=SimulatedClock(START_NS), level="info", json_lines=True, directory=None, stream=out
    )
    yield out
    lines.close()


class Run:
    """A learning policy that is shown one quiet market, and whoever exchanges its models."""

    def __init__(self, folder: Path) -> None:
        self.home, self.backups = folder / "models", folder / "backups"
        self.first = save(initial_model(1, DAY), self.home, self.backups, 1).model_id
        self.clock = SimulatedClock(START_NS)
        self.settings = load_settings(
            _env_file=None,
            train=True,
            learn_interval_seconds=0.5,
            model_directory=self.home,
            model_backup_directory=self.backups,
        )
        self.learning = OnlineLearning(self.settings, self.clock)
        self.held = ""
        self.changes: list[ModelChanged] = []
        self.expected: list[str] = []
        ledger = Ledger(Mode.PAPER, 10**9)
        self.learning.attach(ledger, lambda: self.held, self.change, self.expected.append)
        self._steps = 0

    def change(self, changed: ModelChanged, model: Model) -> None:
        self.changes.append(changed)
        self.learning.strategy.adopt(model)

    def decide(self, steps: int) -> None:
        """Show a market so many grid steps, each a decision point."""
        for _ in range(steps):
            self._steps += 1
            features = (self._steps % 7 / 7, *ZEROS[1:])
            seconds = self._steps * GRID_NS / NS_PER_SECOND
            self.learning.strategy.decide([state(features=features, of=MARKET, seconds=seconds)])

    def learn(self, updates: int) -> None:
        """Let it run until so many updates were made."""

        async def until() -> None:
            running = asyncio.create_task(self.learning.run())
            async with asyncio.timeout(60):
                wanted = len(self.changes) + updates
                while len(self.changes) < wanted and not running.done():
                    self.decide(64)
                    await asyncio.sleep(0.001)
            running.cancel()

        asyncio.run(until())


@pytest.fixture
def run(
    tmp_path: Path, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> Run:  # the lines of a run are its own
    monkeypatch.setattr(online_learning, "POLL_SECONDS", 0.001)
    return Run(tmp_path)


def test_each_update_decides_from_then_on(run: Run, stream: io.StringIO) -> None:
    """A chain of models, each told by a row and an RL line with what grep looks for."""
    run.learn(2)
    first, second = run.changes[:2]
    assert (first.change, first.replaces) == ("learned", run.first)
    assert second.replaces == first.model_id != second.model_id
    assert run.learning.strategy.model_id == run.changes[-1].model_id
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    updates = [line for line in lines if line["event"] == "update"]
    assert {"entropy", "kl", "clip_fraction", "explained_variance"} <= updates[0].keys()
    assert {"buffer_win_rate", "trade_win_rate", "seconds", "value_loss"} <= updates[0].keys()
    assert load(run.home).manifest.model_id == run.first, "nothing was saved yet"


def test_what_was_learned_is_saved_and_gone_on_with(run: Run) -> None:
    """Weights, optimizer and statistics; the model before them is kept; the next start goes on."""
    run.learn(1)
    run.learning.close()
    saved = load(run.home)
    assert saved.manifest.model_id == run.changes[-1].model_id == run.expected[-1]
    assert (saved.manifest.note, saved.manifest.parent) == (NOTE, run.first)
    assert saved.manifest.trained_steps >= 256
    assert saved.statistics.reward_count == saved.manifest.trained_steps
    assert [place.name for place in run.backups.iterdir()], "the first model was kept"
    again = OnlineLearning(run.settings, run.clock)
    before, after = run.learning.strategy.model_id, again.strategy.model_id
    assert before == after
    state = load_optimizer(run.home)
    assert state is not None
    assert int(state["updates"]) == len(run.changes)


def test_it_saves_by_itself_now_and_then(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash loses no more than so many updates."""
    monkeypatch.setattr(online_learning, "SAVE_UPDATES", 2)
    run.learn(3)
    assert load(run.home).manifest.model_id in {one.model_id for one in run.changes[1:]}
    assert run.expected


def test_a_model_that_cannot_be_saved_is_told_and_learned_on(run: Run, stream: io.StringIO) -> None:
    """A full or missing disk ends nothing."""
    run.learn(1)
    for path in run.home.iterdir():
        path.unlink()
    run.home.rmdir()
    run.home.write_text("in the way")
    run.learning.close()
    assert "model_not_saved" in stream.getvalue()


def test_a_model_somebody_else_put_in_place_is_learned_from(run: Run) -> None:
    """A rollback is not undone by the next update: its children are the other model's."""
    run.learn(1)
    other = initial_model(9, DAY)
    save(other, run.home, run.backups, 2)
    run.learning.strategy.adopt(other)
    run.learning.adopt(other)
    run.changes.clear()
    run.learn(1)
    assert run.changes[0].replaces == other.manifest.model_id
    run.learning.close()
    assert load(run.home).manifest.parent == other.manifest.model_id


def test_an_operators_model_is_not_overwritten(run: Run, stream: io.StringIO) -> None:
    """One that was promoted a moment ago, and that the run has not noticed yet."""
    run.learn(1)
    promoted = save(initial_model(9, DAY), run.home, run.backups, 2).model_id
    run.learning.close()
    assert load(run.home).manifest.model_id == promoted
    assert "is not overwritten" in stream.getvalue()


def test_an_error_of_ours_ends_the_learning_and_nothing_else(run: Run, stream: io.StringIO) -> None:
    """The last model decides on, by its likeliest action."""

    def broken(_changed: ModelChanged, _model: Model) -> None:
        raise RuntimeError("a defect")

    run.learning.attach(Ledger(Mode.PAPER, 10**9), lambda: "", broken, run.expected.append)
    run.decide(600)
    asyncio.run(asyncio.wait_for(run.learning.run(), 60))
    (ended,) = (
        line
        for line in map(json.loads, stream.getvalue().splitlines())
        if line["event"] == "learning_ended"
    )
    assert "a defect" in ended["why"]
    assert run.learning.strategy.model_id == run.first


def test_nothing_is_learned_while_entries_are_held(run: Run) -> None:
    """Flat and halted, every action is the same: such steps are no choices."""
    run.held = "the day's loss"
    run.decide(600)
    run.held = ""
    run.decide(2)

    async def look() -> None:
        running = asyncio.create_task(run.learning.run())
        await asyncio.sleep(0.05)
        running.cancel()

    asyncio.run(look())
    assert run.changes == []


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"live_enabled": True}, "paper only"), ({"strategy": "momentum"}, "STRATEGY=rl")],
)
def test_it_is_for_paper_and_for_the_learned_policy(settings: dict[str, object], word: str) -> None:
    """L: learning with real money is a configuration error, 78."""
    with pytest.raises(SettingsError, match=word):
        load_settings(_env_file=None, train=True, **settings)
    assert Settings.model_fields["train"].default is False
