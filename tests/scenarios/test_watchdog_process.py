"""Real worker processes: one that is stuck, one too many, and one that is told to stop twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from db.file_lease import FileLease
from db.journal_reading import list_runs, read_journal
from helpers.domain import Decision, Mode, RunStarted, RunStopped
from helpers.lease import LeaseHolder

ROOT = Path(__file__).resolve().parents[2]
LONG_SECONDS = 60.0
"""How long a loaded machine may take for what a quiet one does in three."""


class Process:
    """One worker process and what it leaves."""

    def __init__(self, folder: Path, running: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.running = running

    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "worker.log"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the first log line of an event."""
        until = time.monotonic() + LONG_SECONDS
        while time.monotonic() < until:
            found = next((line for line in self.log() if line["event"] == event), None)
            if found is not None:
                return found
            assert self.running.poll() is None, self.running.communicate()
            time.sleep(0.02)
        raise AssertionError(f"no {event} within {LONG_SECONDS} s")

    def end(self) -> tuple[int, str]:
        """Return the exit code and what went to standard error."""
        _, error = self.running.communicate(timeout=LONG_SECONDS)
        return self.running.returncode, error

    def rows(self) -> list[object]:
        found = list_runs(self.folder / "journal")[-1]
        return [record.body for record in read_journal(found.path)]


@contextmanager
def worker(
    folder: Path,
    *,
    sleep_seconds: float = 0.0,
    close_seconds: float = 0.0,
    limit_seconds: float = 20.0,
) -> Generator[Process]:
    spec = {
        "folder": str(folder),
        "sleep_seconds": sleep_seconds,
        "close_seconds": close_seconds,
        "limit_seconds": limit_seconds,
    }
    command = [sys.executable, "-m", "tests.scenarios.guarded_process", json.dumps(spec)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield Process(folder, running)
        finally:
            running.kill()


def test_a_strategy_that_sleeps_ends_the_process_with_70_and_every_stack(tmp_path: Path) -> None:
    """I1, I13: what blocks the loop is named by file and line, and the platform restarts."""
    with worker(tmp_path, sleep_seconds=LONG_SECONDS, limit_seconds=2.0) as stuck:
        code, error = stuck.end()
        (tripped,) = [line for line in stuck.log() if line["event"] == "watchdog_tripped"]
    assert code == 70
    assert tripped["tag"] == "SAFETY"
    # Both stand still; which was seen first by a look every half second is chance.
    assert tripped["why"] in (
        "the event loop has not turned for 2 s",
        "no grid step was done for 2 s",
    )
    stacks = (tmp_path / "watchdog_stacks.txt").read_text()
    assert stacks in error
    assert "in decide_asleep" in stacks
    assert "in _grid_step" in stacks
    assert stacks.count("most recent call first") >= 3  # the loop's, the journal's, its own
    with worker(tmp_path) as next_one:
        halted = next_one.wait_for("halted_at_the_start")
    assert (halted["causes"], halted["why"]) == ("watchdog", tripped["why"])


def test_a_process_that_was_stopped_for_a_while_goes_on(tmp_path: Path) -> None:
    """A laptop that slept is not stuck: the watchdog slept too."""
    with worker(tmp_path, limit_seconds=1.5) as suspended:
        suspended.wait_for("decision")
        suspended.running.send_signal(signal.SIGSTOP)
        time.sleep(3.0)
        suspended.running.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        assert suspended.running.poll() is None
        suspended.running.send_signal(signal.SIGTERM)
        assert suspended.end()[0] == 0


def test_two_signals_stop_a_worker_in_order_and_a_second_worker_never_starts(
    tmp_path: Path,
) -> None:
    """I31, I32: one trader; its stop is not cut short, its lease is free when it has ended."""
    with worker(tmp_path, close_seconds=1.0) as first:
        started = first.wait_for("worker_started")
        first.wait_for("decision")
        with worker(tmp_path) as second:
            code, _ = second.end()
            refused = first.wait_for("another_worker")
        assert code == 75
        assert f"process {first.running.pid} on " in refused["why"]
        assert Path(started["journal"]).name in refused["why"]
        first.running.send_signal(signal.SIGTERM)
        first.wait_for("run_stopped")
        first.running.send_signal(signal.SIGTERM)
        first.running.send_signal(signal.SIGINT)
        code, error = first.end()
    assert code == 0
    assert "was heard; the stop goes on" in error
    rows = first.rows()
    assert isinstance(rows[0], RunStarted)
    assert first.wait_for("run_started")["build_id"] == rows[0].build_id
    assert any(isinstance(row, Decision) for row in rows)
    assert isinstance(rows[-1], RunStopped)
    assert rows[-1].reason == "stopped"
    assert (tmp_path / "journal" / "trader_paper.lock").read_text() == ""


def test_a_lease_that_is_lost_stops_entries_until_it_is_ours_again_or_anothers(
    tmp_path: Path,
) -> None:
    """I31: another worker may trade now; when one does, the run ends in order, with 75."""
    path = tmp_path / "journal" / "trader_paper.lock"
    with worker(tmp_path) as loser:
        loser.wait_for("decision")
        path.unlink()
        lost = loser.wait_for("lease_lost")
        loser.wait_for("lease_retaken")
        assert str(loser.running.pid) in path.read_text()
        other = FileLease(path.parent, Mode.PAPER)
        path.unlink()
        other.acquire(LeaseHolder(4711, "ann", "2026-03-28T10:00:00.000Z"))
        code, _ = loser.end()
        other.release()
        held = [line for line in loser.log() if line["event"] == "entries_held"]
    assert code == 75
    assert lost["tag"] == "SAFETY"
    assert "lease" in [line["cause"] for line in held]
    last = loser.rows()[-1]
    assert isinstance(last, RunStopped)
    assert last.reason == "lease lost"
