"""Finds what an earlier run of a mode left behind: its last checkpoint and the rows after it.

Must not: interpret a row, or pass over damage; a journal that is not what was written is an error,
and whoever starts on it must not trade.
"""

from __future__ import annotations

from pathlib import Path

from db.journal_format import JournalDamagedError
from db.journal_reading import JournalFaults, list_runs, list_segments, read_journal
from db.records import Record
from helpers.domain import Checkpoint, Decision, Message, Mode


class LeftBehind(Message, frozen=True):
    """The end of an earlier run."""

    run: Path
    checkpoint: Checkpoint
    rows: tuple[Record, ...]
    """After the checkpoint, without decisions."""
    torn: bool
    """Whether the last line was cut by a crash."""


def read_left_behind(folder: Path, mode: Mode, wallet: str) -> LeftBehind | None:
    """Return what a wallet's latest run with a checkpoint left, ``None`` before its first run.

    A run without one died before it had taken over: nothing was traded in it, and the one before it
    is read. Raises ``JournalDamagedError``.
    """
    for run in reversed(list_runs(folder)):
        if run.mode is not mode or (found := _end_of(run.path)) is None:
            continue
        if found.checkpoint.wallet.lower() == wallet.lower():
            return found
    return None


def _end_of(run: Path) -> LeftBehind | None:
    # Backwards by segments: a run of months is not read whole.
    segments = list_segments(run)
    for first in range(len(segments) - 1, -1, -1):
        if b'"kind":"checkpoint"' in segments[first].read_bytes():
            return _read_from(run, segments[first:])
    return None


def _read_from(run: Path, segments: list[Path]) -> LeftBehind | None:
    checkpoint: Checkpoint | None = None
    rows: list[Record] = []
    faults = JournalFaults()
    for segment in segments:
        if faults.torn_tail is not None:
            raise JournalDamagedError(faults.torn_tail)  # only the last line of all may be cut
        for record in read_journal(segment, faults):
            if isinstance(record.body, Checkpoint):
                checkpoint, rows = record.body, []
            elif not isinstance(record.body, Decision):
                rows.append(record)
    if checkpoint is None:
        return None
    return LeftBehind(run, checkpoint, tuple(rows), faults.torn_tail is not None)
