"""A demo in a process of its own, and the journal it writes meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from db.journal_reading import list_runs, list_segments, read_journal
from db.records import Record

ROOT = Path(__file__).resolve().parents[2]
JOURNAL = Path("backups/journal/demo-paper")
WAIT_SECONDS_MAXIMUM = 90
"""How long a loaded machine may take; a quiet one needs under ten."""


@contextmanager
def running(printed: Path, *options: str, **environment: str) -> Generator[None]:
    """Run a demo with these options and settings; what it prints goes to a file.

    It is stopped at the end and must end in order.
    """
    command = [sys.executable, str(ROOT / "worker.py"), "demo", "--quiet", *options]
    with printed.open("wb") as out:
        started = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=out
        )
    try:
        yield
        started.send_signal(signal.SIGTERM)
        assert started.wait(WAIT_SECONDS_MAXIMUM) == 0, printed.read_text()
    finally:
        started.kill()
        started.wait()


def rows(number: int) -> list[Record]:
    """Return a run's journal so far."""
    runs = [run.path for run in list_runs(JOURNAL) if run.number == number]
    return list(read_journal(runs[0])) if runs and list_segments(runs[0]) else []


def wait_for(number: int, found: Callable[[list[Record]], bool]) -> list[Record]:
    """Return a run's journal once it has what is looked for."""
    until = time.monotonic() + WAIT_SECONDS_MAXIMUM
    while time.monotonic() < until:
        records = rows(number)
        if records and found(records):
            return records
        time.sleep(0.05)
    raise AssertionError(f"run {number} came to {len(rows(number))} rows only")
