"""The running worker's eye on its model: adopted whole, refused once, never half read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from helpers.commands.model_watch import SAME_MODEL, STILL_LOOKS, ModelWatch
from helpers.domain import ModelChanged
from strategies.base import LearnedStrategy
from strategies.baseline import Baseline
from strategies.model_backups import roll_back
from strategies.model_files import MANIFEST_FILE, STATISTICS_FILE, WEIGHTS_FILE
from strategies.models import Model, ModelManifest, encode_weights, sha256_of
from strategies.momentum import Momentum
from strategies.registry import initial_model, load, save
from strategies.rl_mlx import RLStrategy
from tests.test_smoke import biased

DAY = "2026-01-01"
AT = 1_795_602_600 * 10**9
PATIENCE_LOOKS = 4 * STILL_LOOKS


class Run:
    """A strategy that runs by what was in its folder when it began, and its watch."""

    def __init__(self, folder: Path) -> None:
        self.home, self.backups = folder / "models", folder / "backups"
        self.first = save(initial_model(1, DAY), self.home, self.backups, AT).model_id
        self.strategy = RLStrategy(load(self.home))
        self.watch = ModelWatch(self.strategy, self.home, self.backups)
        self.told: list[ModelChanged] = []
        self.looks()
        assert self.told == [], "a start that finds what it runs says nothing"

    def tell(self, changed: ModelChanged, model: Model | None) -> None:
        self.told.append(changed)
        if model is not None:
            self.strategy.adopt(model)

    def looks(self) -> list[ModelChanged]:
        """Look until anything that lies there would have been judged; return what was told."""
        before = len(self.told)

        async def run() -> None:
            async with asyncio.timeout(60):
                for _ in range(PATIENCE_LOOKS):
                    if self.watch.look():
                        await self.watch.judge_and_tell(self.tell)

        asyncio.run(run())
        return self.told[before:]

    def refused(self) -> ModelChanged:
        """Return the one refusal that followed; what ran goes on running."""
        (changed,) = self.looks()
        assert changed.change == "refused"
        assert changed.model_id == changed.replaces == self.strategy.model_id
        assert self.looks() == [], "told once"
        return changed

    def write(self, name: str, raw: bytes) -> None:
        (self.home / name).write_bytes(raw)

    def edit_manifest(self, **changes: object) -> None:
        path = self.home / MANIFEST_FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def write_weights(self, raw: bytes) -> None:
        """Write weights for which the manifest vouches: only what they hold is wrong."""
        digest = sha256_of(raw)
        self.write(WEIGHTS_FILE, raw)
        self.edit_manifest(weights_sha256=digest, model_id=digest[:12])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_only_a_learned_policy_is_watched(run: Run) -> None:
    """A baseline has no weights to exchange."""
    assert isinstance(run.strategy, LearnedStrategy)
    assert not isinstance(Momentum(), LearnedStrategy)
    assert issubclass(Momentum, Baseline)


def test_a_promoted_model_is_adopted_and_one_that_is_back_is_called_so(run: Run) -> None:
    """Whoever wrote the files: this process, a verb, a learner."""
    second = save(initial_model(2, DAY), run.home, run.backups, AT).model_id
    note = initial_model(2, DAY).manifest.note
    assert run.looks() == [ModelChanged("promoted", second, run.first, second, note)]
    assert run.strategy.model_id == second
    third = save(initial_model(3, DAY), run.home, run.backups, AT).model_id
    run.looks()
    roll_back(run.home, run.backups, AT, run.first)
    assert run.looks() == [ModelChanged("rolled_back", run.first, third, run.first, note)]
    assert run.strategy.model_id == run.first


def test_files_that_are_still_being_written_are_left_alone(run: Run) -> None:
    """Each change begins the wait anew; nothing is judged while somebody holds the lock."""
    weights = (run.home / WEIGHTS_FILE).read_bytes()
    for length in range(1, 5):
        run.write(WEIGHTS_FILE, weights[: length * 1000])
        assert not any(run.watch.look() for _ in range(STILL_LOOKS - 1))
    run.write(WEIGHTS_FILE, weights)
    (changed,) = run.looks()
    assert (changed.change, changed.model_id, changed.why) == ("rolled_back", run.first, SAME_MODEL)


def test_what_changes_while_it_is_read_is_judged_again(run: Run) -> None:
    """An answer about files that are gone by now is no answer."""
    second = save(initial_model(2, DAY), run.home, run.backups, AT).model_id

    class LateStrategy(RLStrategy):
        @property
        def manifest(self) -> ModelManifest:
            run.write(WEIGHTS_FILE, b"gone")
            return super().manifest

    late = ModelWatch(LateStrategy(load(run.home)), run.home, run.backups)
    while not late.look():
        pass
    asyncio.run(late.judge_and_tell(run.tell))
    assert run.told == []
    assert run.refused().offered == second


def poisoned(run: Run) -> None:
    parameters = safetensors.numpy.load((run.home / WEIGHTS_FILE).read_bytes())
    parameters["critic.ln1.weight"] = np.full(96, np.nan, dtype=np.float32)
    run.write_weights(safetensors.numpy.save(parameters))


def narrowed(run: Run) -> None:
    parameters = safetensors.numpy.load((run.home / WEIGHTS_FILE).read_bytes())
    parameters["actor.fc2.weight"] = np.zeros((32, 64), dtype=np.float32)
    run.write_weights(safetensors.numpy.save(parameters))


def truncated(run: Run) -> None:
    run.write_weights((run.home / WEIGHTS_FILE).read_bytes()[:1000])


def half_written(run: Run) -> None:
    other = initial_model(2, DAY)
    save(other, run.home.parent / "other", run.backups, AT)
    run.write(WEIGHTS_FILE, (run.home.parent / "other" / WEIGHTS_FILE).read_bytes())


BROKEN: dict[str, tuple[Callable[[Run], None], str]] = {
    "corrupt weights": (
        lambda run: run.write(WEIGHTS_FILE, os.urandom(5000)),
        "weights had sha256",
    ),
    "truncated weights": (truncated, "no safetensors file"),
    "nan": (poisoned, "critic.ln1.weight was not finite"),
    "other shape": (narrowed, r"actor.fc2.weight was float32 (32, 64)"),
    "half written": (half_written, "do not belong together"),
    "other features": (
        lambda run: run.edit_manifest(feature_version="fusion"),
        "feature version was 'fusion', expected 'phase5', which this run computes; restart",
    ),
    "other architecture": (
        lambda run: run.edit_manifest(architecture_name="phase6"),
        "architecture was 'phase6'",
    ),
    "corrupt manifest": (lambda run: run.write(MANIFEST_FILE, b"{"), "was no manifest"),
    "corrupt statistics": (lambda run: run.write(STATISTICS_FILE, b""), "statistics had sha256"),
    "weights gone": (lambda run: (run.home / WEIGHTS_FILE).unlink(), "unreadable"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_once_and_the_running_model_stays(run: Run, case: str) -> None:
    """Must show 4: one word each, and a way back."""
    break_files, said = BROKEN[case]
    break_files(run)
    assert said in run.refused().why
    assert run.strategy.model_id == run.first
    second = save(initial_model(2, DAY), run.home, run.backups, AT).model_id
    (changed,) = run.looks()
    assert (changed.change, run.strategy.model_id) == ("promoted", second)


def test_a_collapsed_model_is_refused(run: Run) -> None:
    """A model whose files are perfect and whose policy is none."""
    run.write_weights(encode_weights(biased(9.0).networks))
    assert "mean entropy was" in run.refused().why


def test_a_start_whose_files_broke_meanwhile_says_so(tmp_path: Path) -> None:
    """The model was loaded, and what lies there now would not load again."""
    run = Run(tmp_path)
    run.watch = ModelWatch(run.strategy, run.home, run.backups)
    run.write(WEIGHTS_FILE, b"")
    run.refused()


def test_words_of_a_stranger_are_cut(run: Run) -> None:
    """A row and a line of the control log have bounds, whatever a manifest says."""
    run.edit_manifest(feature_version="x" * 20_000, model_id="y" * 20_000)
    changed = run.refused()
    assert len(changed.why) <= 300
    assert changed.offered == "y" * 12
    assert msgspec.json.encode(changed)


def test_a_folder_that_cannot_be_entered_is_a_refusal(run: Run) -> None:
    """A file in its place, or nothing: the run goes on."""
    run.home.rename(run.home.with_name("elsewhere"))
    run.refused()
    run.home.write_text("a file")
    run.refused()
    run.home.unlink()
    run.home.with_name("elsewhere").rename(run.home)
    (changed,) = run.looks()
    assert changed.change == "rolled_back"


def test_the_watch_runs_until_it_is_cancelled(run: Run) -> None:
    """As the worker runs it: on a loop, at its own pace."""
    second = save(initial_model(2, DAY), run.home, run.backups, AT).model_id

    async def watch() -> None:
        told = asyncio.Event()

        def tell(changed: ModelChanged, model: Model | None) -> None:
            run.tell(changed, model)
            told.set()

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(run.watch.run(tell, 0.001))
            await told.wait()
            watching.cancel()

    asyncio.run(watch())
    assert run.strategy.model_id == second
