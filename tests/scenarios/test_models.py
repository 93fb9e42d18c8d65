"""Another model, and broken files, under a running demo: it decides on, and says what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import worker
from db.journal_reading import list_runs, list_segments, read_journal
from db.records import Record
from helpers.domain import GRID_NS, NS_PER_SECOND, Decision, ModelChanged, RunStopped
from helpers.settings import Settings
from strategies.model_files import WEIGHTS_FILE
from strategies.registry import initial_model, save

ROOT = Path(__file__).resolve().parents[2]
JOURNAL = Path("backups/journal/demo-paper")
MODELS, BACKUPS = Path("models"), Path("backups/models")
WAIT_SECONDS_MAXIMUM = 90
"""How long a loaded machine may take; a quiet one needs under ten."""
WATCHED_SECONDS = 20
"""Simulated, before and after each change."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def a_running_demo() -> Generator[None]:
    """Run a demo by the model of this folder; it must end in order."""
    command = [sys.executable, str(ROOT / "worker.py"), "demo", "--quiet", "--seed", "3"]
    environment = {**os.environ, "LOG_FORMAT": "json"}
    with Path("demo.out").open("wb") as out:
        started = subprocess.Popen(
            [*command, "--speed", "8", "--strategy", "rl"], env=environment, stdout=out, stderr=out
        )
    try:
        yield
        started.send_signal(signal.SIGTERM)
        assert started.wait(WAIT_SECONDS_MAXIMUM) == 0, Path("demo.out").read_text()
    finally:
        started.kill()
        started.wait()


def rows() -> list[Record]:
    """Return the run's journal so far."""
    runs = list_runs(JOURNAL) if JOURNAL.is_dir() else []
    return list(read_journal(runs[0].path)) if runs and list_segments(runs[0].path) else []


def wait_for(found: Callable[[list[Record]], bool]) -> list[Record]:
    """Return the run's journal once it has what is looked for."""
    until = time.monotonic() + WAIT_SECONDS_MAXIMUM
    while time.monotonic() < until:
        records = rows()
        if records and found(records):
            return records
        time.sleep(0.05)
    raise AssertionError(f"the run came to {len(rows())} rows only: {Path('demo.out').read_text()}")


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
    with a_running_demo():
        wait_for(decided_for(WATCHED_SECONDS, since=0))
        (MODELS / WEIGHTS_FILE).write_bytes(b"half of a model")
        wait_for(decided_for(WATCHED_SECONDS, since=1))
        assert worker.main(["models", "rollback", "--journal", str(JOURNAL)]) == 0
        told = capsys.readouterr().out
        print(told)  # noqa: T201 - the measured milliseconds, for whoever asks
        wait_for(decided_for(WATCHED_SECONDS, since=2))
    assert f"rolled back: {old}\n" in told
    assert f"decides by {old}, acknowledged in" in told

    records = rows()
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
