"""Writes one run's journal: append-only, chained, one writer, an intent durable before its order.

Must not: read a clock, or decide anything. The same calls give byte-identical files.

A journal folder holds one folder a run (``000017_20261125T033600Z_paper``), a run its segments
(``000001.jsonl``). Three steps make a row safe::

    append   in our buffer          lost if the process dies
    commit   with the system        survives kill -9; an order is sent only after it
    sync     on the disk            survives power loss; a thread does it, ``wait_synced`` awaits it
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Self

import msgspec

from db.journal_folder import (
    WRITER_LOCK,
    lock,
    new_run,
    open_segment,
    retire_oldest,
    unlock,
)
from db.journal_format import (
    JournalDamagedError,
    JournalError,
    JournalFault,
    JournalLockedError,
    header_line,
    seal,
)
from db.journal_reading import (
    JournalFaults,
    SegmentEnd,
    find_end,
    latest_run,
    list_runs,
    list_segments,
    read_journal,
)
from db.journal_sync import Syncer
from db.records import KIND_OF_TYPE, encode_body
from helpers.domain import Body, Mode

__all__ = [
    "RETAIN_BYTES",
    "SEGMENT_BYTES",
    "Journal",
    "JournalDamagedError",
    "JournalError",
    "JournalFault",
    "JournalFaults",
    "JournalLockedError",
    "latest_run",
    "list_runs",
    "read_journal",
]

SEGMENT_BYTES: Final = 64 * 1024 * 1024
"""A segment is closed at this size: about three hours of four live markets."""
RETAIN_BYTES: Final = 2 * 1024 * 1024 * 1024
"""All runs of one mode together; the oldest segments go first. A small volume holds it."""
BUFFER_BYTES: Final = 256 * 1024
"""Rows wait here until a commit; at this size they are committed unasked."""
MARKET_CACHE_LIMIT: Final = 256
"""Slugs whose JSON form is remembered; a run meets a few at a time."""

_encode_text = msgspec.json.encode
_KIND_JSON = {body: kind.encode() for body, kind in KIND_OF_TYPE.items()}


class Journal:
    """The one writer of a run. Belongs to one thread; only the syncing has its own.

    Build one with ``open_run`` or ``reopen``.
    """

    def __init__(
        self,
        run: Path,
        mode: Mode,
        locks: list[int],
        background: bool,
        segment_bytes: int,
        retain_bytes: int,
    ) -> None:
        self.run = run
        self._mode = mode
        self._mode_json = mode.value.encode()
        self._locks = locks
        self._segment_bytes = segment_bytes
        self._retain_bytes = retain_bytes
        self._buffer = bytearray()
        self._buffer_limit = min(BUFFER_BYTES, segment_bytes)
        self._markets: dict[str, bytes] = {}
        self._descriptor = -1
        self._segment = 0
        self._segment_size = 0
        self._seq = 0
        self._chain = 0
        self._failure: Exception | None = None
        self._synced_seq = 0
        self._closed = False
        self._syncer = Syncer(self._retire) if background else None

    @classmethod
    def open_run(
        cls,
        folder: Path,
        mode: Mode,
        started_ns: int,
        *,
        background: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        retain_bytes: int = RETAIN_BYTES,
    ) -> Self:
        """Start the next run in a journal folder, created if absent.

        ``started_ns`` only names the folder. ``background`` starts the syncing thread (live and
        paper); without it nothing is synced before ``sync`` or ``close`` (replay). Runs can be
        written beside each other: that one worker trades is the lease's business, not the
        journal's. Raises ``JournalError`` for an unusable folder.
        """
        locks: list[int] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run = new_run(folder, mode, started_ns)
            _lock_run(run, locks)
            journal = cls(run, mode, locks, background, segment_bytes, retain_bytes)
            journal._start(open_segment(run, 1), 1, SegmentEnd(next_seq=1, chain=0, sound_bytes=0))
        except OSError as error:
            unlock(locks)
            raise JournalError(f"journal folder {folder} cannot be used: {error}") from error
        except JournalError:
            unlock(locks)
            raise
        return journal

    @classmethod
    def reopen(
        cls,
        run: Path,
        mode: Mode,
        *,
        background: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        retain_bytes: int = RETAIN_BYTES,
    ) -> Journal:
        """Continue a run that ended in a crash, after cutting off its torn last line.

        Raises as ``open_run``, ``JournalLockedError`` while another writer has the run, and
        ``JournalDamagedError`` when the last segment is damaged before its last line.
        """
        locks: list[int] = []
        try:
            _lock_run(run, locks)
            end = find_end(run)
            segment = list_segments(run)[-1]
            descriptor = os.open(segment, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(descriptor, end.sound_bytes)
            journal = cls(run, mode, locks, background, segment_bytes, retain_bytes)
            journal._start(descriptor, int(segment.stem), end)
        except OSError as error:
            unlock(locks)
            raise JournalError(f"journal run {run} cannot be reopened: {error}") from error
        except JournalError:
            unlock(locks)
            raise
        return journal

    @property
    def seq(self) -> int:
        """Return the number of the last row appended, 0 before the first."""
        return self._seq

    @property
    def synced_seq(self) -> int:
        """Return the number of the last row known to be on the disk."""
        return self._synced_seq if self._syncer is None else self._syncer.synced_seq

    def append(self, at_ns: int, market: str, body: Body) -> int:
        """Add a row and return its number; it is in our buffer until ``commit``.

        Raises ``JournalError`` once any earlier write or sync has failed.
        """
        if self._failure is not None or (self._syncer is not None and self._syncer.failure):
            self._raise_failure()
        market_json = self._markets.get(market) or self._remember(market)
        kind = type(body)
        seq = self._seq + 1
        payload = b'{"seq":%d,"at":%d,"mode":"%b","market":%b,"kind":"%b","body":%b' % (
            seq,
            at_ns,
            self._mode_json,
            market_json,
            _KIND_JSON[kind],
            encode_body(body),
        )
        suffix, self._chain = seal(payload, self._chain)
        self._buffer += payload
        self._buffer += suffix
        self._seq = seq
        if len(self._buffer) >= self._buffer_limit:
            self.commit()
        return seq

    def commit(self) -> None:
        """Hand every row to the operating system: they survive the death of this process."""
        self._raise_failure()
        if not self._buffer:
            return
        try:
            self._write_buffer()
            if self._segment_size >= self._segment_bytes:
                self._rotate()
        except OSError as error:
            self._failure = error
            self._raise_failure()
        if self._syncer is not None:
            self._syncer.written(self._seq)

    def sync(self) -> None:
        """Commit, then block until every row is on the disk: they survive a power loss."""
        self.commit()
        if self._syncer is not None and not self._closed:
            self._syncer.wait_blocking(self._seq)
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: never try again.
            self._failure = error
            self._raise_failure()
        self._synced_seq = self._seq

    def sync_soon(self) -> None:
        """Commit and ask the thread for an fsync; never waits for the disk."""
        self.commit()
        if self._syncer is None:
            raise JournalError("sync_soon needs a journal opened with background=True")
        self._syncer.wake()

    def wait_on_disk(self, seq: int) -> None:
        """Block until row ``seq``, committed before, is on the disk; for a thread of its own."""
        if self._syncer is None:
            raise JournalError("wait_on_disk needs a journal opened with background=True")
        self._syncer.wait_blocking(seq)

    async def wait_synced(self, seq: int) -> None:
        """Return once row ``seq`` is on the disk; raise ``JournalError`` if it never will be."""
        if self._syncer is None:
            raise JournalError("wait_synced needs a journal opened with background=True")
        self.commit()
        await self._syncer.wait(seq)

    def close(self) -> None:
        """Write and sync what is left, then give the locks back. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._syncer is not None:
                self._stop_syncer(self._syncer)
            if self._failure is None:
                self.sync()
        finally:
            os.close(self._descriptor)
            unlock(self._locks)
            if self._failure is None:
                self._failure = JournalError("the journal is closed")

    def __enter__(self) -> Self:
        """Return the journal; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _stop_syncer(self, syncer: Syncer) -> None:
        try:
            if self._failure is None and syncer.failure is None:
                self.commit()
        finally:
            syncer.stop()
        if self._failure is None:
            self._failure = syncer.failure
        self._raise_failure()

    def _start(self, descriptor: int, segment: int, end: SegmentEnd) -> None:
        self._descriptor = descriptor
        self._segment = segment
        self._seq = end.next_seq - 1
        self._chain = end.chain
        self._segment_size = end.sound_bytes
        try:
            if end.sound_bytes == 0:
                self._begin_segment()
            self._retire()
        except OSError:
            os.close(descriptor)
            raise
        if self._syncer is not None:
            self._syncer.start(descriptor)

    def _begin_segment(self) -> None:
        line, self._chain = header_line(self._segment, self._seq + 1, self._chain)
        self._buffer += line
        self._write_buffer()

    def _write_buffer(self) -> None:
        view = memoryview(self._buffer)
        written = 0
        try:
            while written < len(view):
                written += os.write(self._descriptor, view[written:])
        finally:
            view.release()
        self._segment_size += written
        self._buffer.clear()

    def _rotate(self) -> None:
        self._segment += 1
        descriptor = open_segment(self.run, self._segment)
        if self._syncer is None:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
        else:
            self._syncer.rotate(descriptor)
        self._descriptor = descriptor
        self._segment_size = 0
        self._begin_segment()
        if self._syncer is None:
            self._retire()

    def _retire(self) -> None:
        retire_oldest(self.run, self._mode, self._segment, self._retain_bytes)

    def _remember(self, market: str) -> bytes:
        if len(self._markets) >= MARKET_CACHE_LIMIT:
            self._markets.clear()
        self._markets[market] = text = _encode_text(market)
        return text

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is None and self._syncer is not None:
            failure = self._syncer.failure
        if failure is not None:
            raise JournalError(f"journal {self.run.name} cannot be written: {failure}") from failure


def _lock_run(run: Path, locks: list[int]) -> None:
    locks.append(lock(run / WRITER_LOCK, f"another writer holds {run}"))
