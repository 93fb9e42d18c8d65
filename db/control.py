"""The control log of one mode: append-only, durable, written by workers, watchdogs and operators.

One file in the journal folder, ``control_paper.jsonl`` or ``control_live.jsonl``, one line an
entry. Every append is one write and one fsync under a lock of a file of its own. A last line that a
crash cut is passed over and cut off by the next append. Must not: decide what a request means, or
take what cannot be read for empty (I30).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from db.control_state import (
    LINE_BYTES_MAXIMUM,
    ControlEntry,
    ControlState,
    Damage,
    decode_line,
    encode_line,
    may_be_torn,
)
from db.journal_folder import lock, sync_directory
from db.journal_format import JournalError, JournalLockedError
from helpers.clock import pause_seconds, system_seconds
from helpers.domain import Mode

COMPACT_BYTES: Final = 64 * 1024
"""A longer log is written anew at a worker's start: some three hundred entries."""
READ_BYTES_MAXIMUM: Final = 4 * 1024 * 1024
"""More than that at once is no log of ours: it is damage, and not read into memory."""
LOCK_LOOK_SECONDS: Final = 0.005


class ControlLog:
    """One mode's log; holds nothing open, so that any process and any thread may have one."""

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.folder = folder
        self.mode = mode
        self.path = folder / f"control_{mode}.jsonl"
        self._lock_path = folder / f"control_{mode}.lock"

    def append(self, entry: ControlEntry, *, wait_seconds: float = 0.0) -> None:
        """Add an entry; it survives a power loss when this returns. Blocks for an fsync.

        ``wait_seconds`` is how long to wait while another one writes; a loop must not wait. Raises
        ``JournalLockedError`` when that was too short, ``JournalError`` when it was not written:
        then it may be tried again, since an entry that stands twice counts once.
        """
        line = encode_line(entry)
        with self._locked(wait_seconds):
            try:
                self._append(line)
            except OSError as error:
                raise JournalError(f"{self.path} cannot be written: {error}") from error

    def read(self) -> ControlState:
        """Return what the log comes to; raise ``JournalError`` when it cannot be read at all."""
        state = ControlState()
        reader = ControlReader(self.path)
        try:
            for entry in reader.read():
                state.apply(entry)
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error}") from error
        return state

    def compact(self, limit_bytes: int = COMPACT_BYTES) -> None:
        """Write a longer log anew: the halts that stand, and the requests that are not at an end.

        Does nothing while another one writes. Raises ``JournalError``.
        """
        try:
            if not self.path.exists() or self.path.stat().st_size <= limit_bytes:
                return
            with self._locked(0.0):
                self._replace(self.read().kept)
        except JournalLockedError:
            return
        except OSError as error:
            raise JournalError(f"{self.path} cannot be written anew: {error}") from error

    @contextlib.contextmanager
    def _locked(self, wait_seconds: float) -> Generator[None]:
        # A file of its own: whoever waited for the log itself could hold one that was replaced.
        until_seconds = system_seconds() + wait_seconds
        while True:
            try:
                descriptor = lock(self._lock_path, f"another one writes {self.path}")
                break
            except JournalLockedError:
                if system_seconds() >= until_seconds:
                    raise
                pause_seconds(LOCK_LOOK_SECONDS)
            except OSError as error:
                raise JournalError(f"{self._lock_path} cannot be used: {error}") from error
        try:
            yield
        finally:
            os.close(descriptor)

    def _append(self, line: bytes) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            tail = _tail(descriptor, size)
            if tail and may_be_torn(tail):
                size -= len(tail)
                os.ftruncate(descriptor, size)
            elif tail:
                line = b"\n" + line  # no entry begins so: it stays, and a reader says so
            if os.write(descriptor, line) != len(line):
                # Part of a line is no worse than none: the next append would cut it off, too.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if size == 0:
            sync_directory(self.folder)

    def _replace(self, entries: tuple[ControlEntry, ...]) -> None:
        written = self.path.with_suffix(".new")
        with written.open("wb") as file:
            file.writelines(map(encode_line, entries))
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.path)
        sync_directory(self.folder)


class ControlReader:
    """Follows one log: each ``read`` gives what was appended since, for the price of a stat."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = (0, 0, 0)
        self._offset = 0
        self._lines = 0
        self._tail_told = b""

    def read(self) -> tuple[ControlEntry | Damage, ...]:
        """Return the entries since the last call, damage among them; raise ``OSError``."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the price of Path.stat, ten a second
        except FileNotFoundError:
            return self._lost("the control log is gone") if self._offset else ()
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen == self._seen:
            return ()
        if self._offset and (found.st_ino != self._seen[0] or found.st_size < self._offset):
            return self._lost("the control log was replaced") + self.read()
        entries = tuple(self._read_on(found.st_size))
        self._seen = seen
        return entries

    def _lost(self, problem: str) -> tuple[Damage]:
        self._seen, self._offset, self._lines, self._tail_told = (0, 0, 0), 0, 0, b""
        return (Damage(problem),)

    def _read_on(self, size: int) -> Iterator[ControlEntry | Damage]:
        length = size - self._offset
        if length > READ_BYTES_MAXIMUM:
            self._offset = size
            yield Damage(f"{length} bytes at once, expected at most {READ_BYTES_MAXIMUM}")
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            *lines, tail = file.read(length).split(b"\n")
        for line in lines:
            self._lines += 1
            self._offset += len(line) + 1
            if not line:
                continue
            entry = decode_line(line)
            yield self._named(entry.problem) if isinstance(entry, Damage) else entry
        if tail and tail != self._tail_told and not may_be_torn(tail):
            self._tail_told = tail
            yield self._named("the end of the file is no beginning of an entry", ahead=1)

    def _named(self, problem: str, *, ahead: int = 0) -> Damage:
        return Damage(f"{self._path.name} line {self._lines + ahead}: {problem}")


def _tail(descriptor: int, size: int) -> bytes:
    """Return what stands after the last newline, as far as a line can be long."""
    length = min(size, LINE_BYTES_MAXIMUM)
    return os.pread(descriptor, length, size - length).rpartition(b"\n")[2]
