"""The journal folder on disk: names of new runs, locks, and the bound on what is kept.

Must not: touch what another writer holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from db.journal_format import JournalError, JournalLockedError
from db.journal_reading import list_runs, list_segments
from helpers.domain import NS_PER_SECOND, Mode

WRITER_LOCK: Final = "writer.lock"
NUMBERING_LOCK: Final = "numbering.lock"
IDENTITY_FILE: Final = "journal.id"
DEMO_FOLDERS: Final = ("demo-paper", "demo-live")
"""Under a worker's folder: what demos write, never mixed with what a worker does."""


def lock(path: Path, held: str) -> int:
    """Take an exclusive lock and return its descriptor.

    Raises ``JournalLockedError`` saying ``held`` when another writer has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalLockedError(f"{held}: stop it, or use another folder") from error
    return descriptor


def unlock(locks: list[int]) -> None:
    """Give locks back; a lock file stays, since removing it would race with the next writer."""
    while locks:
        os.close(locks.pop())


def new_run(folder: Path, mode: Mode, started_ns: int) -> Path:
    """Create the folder of the next run; its number orders runs whatever the clock did."""
    started = datetime.fromtimestamp(started_ns // NS_PER_SECOND, tz=UTC)
    # Two runs that start at once would take the same number; the second waits a moment.
    numbering = os.open(folder / NUMBERING_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(numbering, fcntl.LOCK_EX)
        runs = list_runs(folder)
        number = runs[-1].number + 1 if runs else 1
        run = folder / f"{number:06d}_{started:%Y%m%dT%H%M%SZ}_{mode}"
        run.mkdir()
        sync_directory(folder)
    finally:
        os.close(numbering)
    return run


def open_segment(run: Path, number: int) -> int:
    """Create a segment and return its descriptor; its name is durable when this returns."""
    path = run / f"{number:06d}.jsonl"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    sync_directory(run)
    return descriptor


def retire_oldest(run: Path, mode: Mode, current_segment: int, retain_bytes: int) -> None:
    """Remove the oldest segments of a mode's runs until they fit ``retain_bytes``.

    Keeps the segment being written, and every run that another writer holds.
    """
    segments: list[tuple[Path, int]] = []
    for other in list_runs(run.parent):
        # A replay beside us may be retiring the same run.
        with contextlib.suppress(FileNotFoundError):
            if other.mode is mode:
                segments.extend((path, path.stat().st_size) for path in list_segments(other.path))
    excess = sum(size for _, size in segments) - retain_bytes
    for path, size in segments:
        if excess <= 0:
            return
        own = path.parent == run
        if own and int(path.stem) >= current_segment:
            continue
        if not own and (not path.exists() or is_held(path.parent)):
            continue
        path.unlink(missing_ok=True)
        excess -= size
        if not own:
            _remove_if_empty(path.parent)


def _remove_if_empty(run: Path) -> None:
    # Gone already, or somebody keeps notes in it: both are well.
    with contextlib.suppress(OSError):
        if not list_segments(run):
            (run / WRITER_LOCK).unlink(missing_ok=True)
            run.rmdir()


def began_ns(run: Path) -> int:
    """Return when a run began by the system's clock, which a demo's or a replay's own is not."""
    mark = run / WRITER_LOCK
    # Made with the run and never written to.
    return (mark if mark.exists() else run).stat().st_mtime_ns


def journal_identity(folder: Path) -> UUID:
    """Return what names a journal folder for ever, wherever it is moved; made when first asked."""
    path = folder / IDENTITY_FILE
    try:
        return UUID(path.read_text().strip())
    except FileNotFoundError:
        # Written whole under another name, then linked: of two at once one wins, and both read it.
        descriptor, name = tempfile.mkstemp(prefix=f"{IDENTITY_FILE}.", dir=folder)
        made = Path(name)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{uuid4()}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(made)
        finally:
            made.unlink()
        sync_directory(folder)
        return UUID(path.read_text().strip())
    except ValueError as error:
        raise JournalError(f"{path} holds no identity: remove it to make another") from error


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_held(run: Path) -> bool:
    """Return whether a writer has a run. Never ask before its first segment is there.

    The look takes the lock for a moment: a writer that is only about to take it would be refused.
    """
    try:
        descriptor = lock(run / WRITER_LOCK, "")
    except JournalLockedError:
        return True
    os.close(descriptor)
    return False
