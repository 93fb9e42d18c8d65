"""The lease of the one trader as a lock on a file: one worker per mode and journal folder (I31).

The system gives the lock back when its process dies, however it dies. The file names its holder for
people. Must not: be removed, by us or by anybody: a new file in its place is a second lease, so a
holder whose file is gone has lost it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import msgspec

from helpers.clock import pause_seconds
from helpers.domain import Mode
from helpers.lease import LeaseError, LeaseHolder, LeaseTakenError

NOTE_BYTES_MAXIMUM: Final = 4096
"""How much of a lease file is read; a holder's note has some 150 bytes."""
ATTEMPTS_MAXIMUM: Final = 5
"""A file that is replaced again and again while it is locked is not ours to fight for."""
TAKEN_TRIES: Final = 3
TAKEN_PAUSE_SECONDS: Final = 0.01
"""An operator's verb holds the lock for an instant to see whether a worker runs."""


class FileLease:
    """An exclusive lock on ``trader_<mode>.lock``; a ``Lease``."""

    def __init__(self, folder: Path, mode: Mode) -> None:
        self._folder = folder
        self._mode = mode
        self._path = lease_path(folder, mode)
        self._descriptor = -1
        self._loss = ""

    def acquire(self, holder: LeaseHolder) -> None:
        """Take it, or raise ``LeaseTakenError`` that says who has it.

        Raises ``LeaseError`` where no file can be locked.
        """
        assert self._descriptor < 0, "a lease is taken once"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(ATTEMPTS_MAXIMUM):
                if self._lock():
                    self._write(holder)
                    return
        except OSError as error:
            self.release()
            raise LeaseError(f"lease {self._path} cannot be used: {error}") from error
        raise LeaseTakenError(f"{self._path} is replaced again and again: somebody else uses it")

    def retake(self, holder: LeaseHolder) -> None:
        """Lock the file that is there now; raises as ``acquire``."""
        self.release()
        self.acquire(holder)

    def sign(self, holder: LeaseHolder) -> None:
        """Say anew who holds it: more is known of the run now."""
        try:
            self._write(holder)
        except OSError as error:
            raise LeaseError(f"lease {self._path} cannot be written: {error}") from error

    def loss(self) -> str:
        """Return why it is not held any more, empty while it is; lost until it is retaken."""
        self._loss = self._loss or self._look()
        return self._loss

    def release(self) -> None:
        """Give it back; does nothing when it is not held."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)

    def _look(self) -> str:
        if self._descriptor < 0:
            return "it was given back"
        try:
            ours = _same_file(self._descriptor, self._path)
        except OSError as error:
            return f"{self._path} cannot be looked at: {error}"
        return "" if ours else f"{self._path} was removed or replaced: another worker can take it"

    def _write(self, holder: LeaseHolder) -> None:
        # In place: another file would be another lock.
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, msgspec.json.encode(holder) + b"\n", 0)

    def _lock(self) -> bool:
        """Return whether the file that was locked still is the one on the disk."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            locked = _try_lock(descriptor, TAKEN_TRIES)
            who = "" if locked else _read_holder(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if not locked:
            os.close(descriptor)
            raise LeaseTakenError(
                f"a {self._mode} worker trades here ({self._folder}): {who}. "
                "Stop it, or use another JOURNAL_DIRECTORY"
            )
        if not _same_file(descriptor, self._path):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._loss = ""
        return True


def lease_path(folder: Path, mode: Mode) -> Path:
    """Return the file whose lock is a mode's lease."""
    return folder / f"trader_{mode}.lock"


def is_held(folder: Path, mode: Mode) -> bool:
    """Say whether a worker of a mode trades on a journal folder; raises ``OSError``."""
    try:
        descriptor = os.open(lease_path(folder, mode), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, 1)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, tries: int) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                pause_seconds(TAKEN_PAUSE_SECONDS)
        else:
            return True
    return False


def _read_holder(descriptor: int) -> str:
    try:
        return str(msgspec.json.decode(os.read(descriptor, NOTE_BYTES_MAXIMUM), type=LeaseHolder))
    except msgspec.DecodeError:
        return "it left no readable name"  # caught while it signs, or written over by hand


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino)
