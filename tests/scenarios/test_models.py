"""Another model, and broken files, under a running demo: it decides on, and says what happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import worker
from db.records import Record
from helpers.domain import GRID_NS, NS_PER_SECOND, Decision, ModelChanged, RunStopped
from helpers.settings import Settings
from strategies.model_files import WEIGHTS_FILE
from strategies.registry import initial_model, save
from tests.scenarios.running_demo import JOURNAL, rows, running, wait_for

MODELS, BACKUPS = Path("models"), Path("backups/models")
WATCHED_SECONDS = 20
"""Simulated, before and after each change."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def changes(records: list[Record]) -> list[Record]:
    return [record for record in records if isinstance(record.body, ModelChanged)]


def decided_for(seconds: int, since: int) -> Callable[[list[Record]], bool]:
    """Return whether the run decided so long since its change of that number (0: the start)."""

    def found(records: list[Record]) -> bool:
        marks = [next((r for r in records if isinstance(r.body, Decision)), None)]
        marks += changes(records)
        mark = marks[since] if len(marks) > since else None
        return mark is not None and records[-1].at_ns > mark.at_ns + seconds * NS_PER_SECOND

    return found


def test_a_rollback_during_a_demo_misses_no_tick_and_broken_files_change_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Decisions go on at every grid step; the next RL line names the model that is back."""
    old = save(initial_model(1, "2026-01-01"), MODELS, BACKUPS, 1).model_id
    new = save(initial_model(2, "2026-01-02"), MODELS, BACKUPS, 2).model_id
    options = ("--seed", "3", "--speed", "8", "--strategy", "rl")
    with running(Path("demo.out"), *options, LOG_FORMAT="json"):
        wait_for(1, decided_for(WATCHED_SECONDS, since=0))
        (MODELS / WEIGHTS_FILE).write_bytes(b"half of a model")
        wait_for(1, decided_for(WATCHED_SECONDS, since=1))
        assert worker.main(["models", "rollback", "--journal", str(JOURNAL)]) == 0
        told = capsys.readouterr().out
        print(told)  # noqa: T201 - the measured milliseconds, for whoever asks
        wait_for(1, decided_for(WATCHED_SECONDS, since=2))
    assert f"rolled back: {old}\n" in told
    assert f"decides by {old}, acknowledged in" in told

    records = rows(1)
    refused, back = (record.body for record in changes(records))
    assert isinstance(refused, ModelChanged)
    assert (refused.change, refused.model_id, refused.offered) == ("refused", new, new)
    assert "sha256" in refused.why
    note = initial_model(1, "2026-01-01").manifest.note
    assert back == ModelChanged("rolled_back", old, new, old, note)
    _, swap = changes(records)
    decisions = [(r.seq, r.at_ns, r.body) for r in records if isinstance(r.body, Decision)]
    assert {body.model_id for seq, _, body in decisions if seq < swap.seq} == {new}
    assert {body.model_id for seq, _, body in decisions if seq > swap.seq} == {old}
    steps = sorted({at_ns for _, at_ns, _ in decisions if at_ns % GRID_NS == 0})
    assert len(steps) > 2 * 3 * WATCHED_SECONDS
    assert steps == list(range(steps[0], steps[-1] + 1, GRID_NS)), "a grid step was missed"
    assert isinstance(records[-1].body, RunStopped)

    lines = [json.loads(line) for line in Path("logs/worker.log").read_text().splitlines()]
    assert [line["running"] for line in lines if line["event"] == "model_refused"] == [new]
    assert all(line["tag"] == "SAFETY" for line in lines if line["event"] == "model_refused")
    policy = [line for line in lines if line["tag"] == "RL"]
    at = next(i for i, line in enumerate(policy) if line["event"] == "model_rolled_back")
    assert policy[at]["model"] == old
    assert {line["model"] for line in policy[:at]} == {new}
    assert len(policy) > at + 1
    assert {line["model"] for line in policy[at:]} == {old}
