"""Makes written journal bytes durable on a thread of its own, so that no loop waits for a disk.

Must not: write records, or hide a failure. The thread's first error ends it, is kept in
``failure``, and is raised by the journal's next append.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from db.journal_format import JournalError

SYNC_INTERVAL_SECONDS: Final = 1.0
"""What was written is durable after this long even if nobody asked."""
STOP_TIMEOUT_SECONDS: Final = 30.0
"""How long stopping waits for the last fsync; a disk that needs longer is broken."""
WAITERS_LIMIT: Final = 1024
"""Orders that can wait for durability at once; far above what a gate lets through."""


class Syncer:
    """Fsyncs the current segment when woken, and closes the segments that were rotated away."""

    def __init__(self, on_retired: Callable[[], None]) -> None:
        self.failure: Exception | None = None
        self.synced_seq = 0
        self._on_retired = on_retired
        self._condition = threading.Condition()
        self._descriptor = -1
        self._written_seq = 0
        self._retired: deque[int] = deque()
        self._wanted = False
        self._stopping = False
        self._waiters: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)

    def start(self, descriptor: int) -> None:
        """Begin with the segment that is open now."""
        self._descriptor = descriptor
        self._thread.start()

    def written(self, seq: int) -> None:
        """Note that everything up to ``seq`` is with the operating system."""
        self._written_seq = seq

    def wake(self) -> None:
        """Ask for an fsync now; returns at once."""
        with self._condition:
            self._wanted = True
            self._condition.notify()

    def rotate(self, descriptor: int) -> None:
        """Hand over the finished segment, to be synced and closed, and go on with the next."""
        with self._condition:
            self._retired.append(self._descriptor)
            self._descriptor = descriptor
            self._wanted = True
            self._condition.notify()

    async def wait(self, seq: int) -> None:
        """Return once ``seq`` is on the disk; raise ``JournalError`` if it never will be."""
        future: asyncio.Future[None] | None = None
        with self._condition:
            if self.failure is not None:
                raise JournalError(f"journal was not synced: {self.failure}") from self.failure
            if self.synced_seq >= seq:
                return
            if self._stopping or len(self._waiters) >= WAITERS_LIMIT:
                raise JournalError(
                    f"cannot wait for row {seq}: {len(self._waiters)} waiters, "
                    f"limit {WAITERS_LIMIT}, stopping {self._stopping}"
                )
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self._waiters.append((seq, loop, future))
            self._wanted = True
            self._condition.notify()
        await future

    def wait_blocking(self, seq: int) -> None:
        """Block until ``seq`` is on the disk; raise ``JournalError`` if it never will be."""
        with self._condition:
            self._wanted = True
            self._condition.notify_all()
            self._condition.wait_for(
                lambda: self.synced_seq >= seq or self.failure is not None, STOP_TIMEOUT_SECONDS
            )
        if self.synced_seq < seq:
            raise JournalError(f"journal was not synced to row {seq}: {self.failure or 'timeout'}")

    def stop(self) -> None:
        """Sync what is left and end the thread; the current segment stays open for the caller."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(STOP_TIMEOUT_SECONDS)
        if self._thread.is_alive():
            raise JournalError(f"journal was not synced within {STOP_TIMEOUT_SECONDS} s")

    def _run(self) -> None:
        failure: Exception | None = JournalError("the sync thread ended unexpectedly")
        try:
            while self._round():
                pass
            failure = None
        except OSError as error:
            failure = error
        finally:
            self.failure = failure
            self._release(failure)

    def _round(self) -> bool:
        with self._condition:
            if not (self._wanted or self._stopping):
                self._condition.wait(SYNC_INTERVAL_SECONDS)
            stopping, self._wanted = self._stopping, False
            retired = tuple(self._retired)
            # Read before the fsync: it covers at least what had been written by now.
            descriptor, seq = self._descriptor, self._written_seq
        for old in retired:
            os.fsync(old)
            os.close(old)
            self._retired.popleft()
        if seq > self.synced_seq or retired:
            os.fsync(descriptor)
            self.synced_seq = seq
            self._release(None)
        if retired:
            self._on_retired()
        return not stopping

    def _release(self, failure: Exception | None) -> None:
        with self._condition:
            ended = failure is not None or self._stopping
            ready = [w for w in self._waiters if ended or w[0] <= self.synced_seq]
            self._waiters = [w for w in self._waiters if w not in ready]
            reached = self.synced_seq
            self._condition.notify_all()
        for seq, loop, future in ready:
            error = None if seq <= reached else JournalError(f"row {seq} was not synced: {failure}")
            # A loop that was closed meanwhile has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future, error)


def _settle(future: asyncio.Future[None], error: JournalError | None) -> None:
    if future.done():  # Its waiter was cancelled.
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
