"""Writes tapes without ever holding up the loop; reading is in ``helpers.tape``, named here too.

Must not: block the caller, or lose a frame silently: what the queue could not take is counted and
told in the tape itself, by a line of source ``worker``. So is the beginning of every file.

A tape named ``tapes/paper.jsonl.gz`` is written as ``tapes/paper_20261125T03_001.jsonl.gz`` and so
on: one file a UTC hour, or less when it grows large. A file carries ``.part`` until it is whole.
"""

from __future__ import annotations

import os
import queue
import threading
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Self

import msgspec

from helpers.domain import NS_PER_SECOND, Source
from helpers.tape import (
    PART_SUFFIX,
    TAPE_SUFFIX,
    TapeError,
    TapeFaults,
    TapeFrame,
    read_hftbacktest,
    read_tape,
    tape_files,
    written_parts,
)

__all__ = [
    "TapeError",
    "TapeFaults",
    "TapeFrame",
    "TapeWriter",
    "read_hftbacktest",
    "read_tape",
    "tape_files",
]

QUEUE_FRAMES: Final = 8192
"""Frames that may wait for the thread: three of the worst seconds recorded on one venue."""
QUEUE_CHARACTERS: Final = 16 * 1024 * 1024
"""Text that may wait; keeps a stalled disk from filling the memory of the worker (I34)."""
FLUSH_SECONDS: Final = 1.0
"""A crash loses at most about this much of the tape."""
BATCH_FRAMES: Final = 256
"""Frames compressed at once: some 0.1 ms of work between looks at the queue."""
SEGMENT_BYTES: Final = 256 * 1024 * 1024
"""Compressed size at which a file ends before its hour does."""
RETAIN_BYTES: Final = 8 * 1024 * 1024 * 1024
"""All files of one tape together, about a week of both venues; the oldest go first."""
CLOSE_TIMEOUT_SECONDS: Final = 30.0
"""How long closing waits for the disk."""
FIRST_LINE: Final = '{"event":"tape_begun","format":1}'
"""Frame of source ``worker`` that every file begins with."""
_COMPRESSION_LEVEL: Final = 1
"""The fastest: frames repeat themselves enough to shrink six-fold anyway."""
_GZIP_WINDOW: Final = 31
_NS_PER_HOUR: Final = 3600 * NS_PER_SECOND

_encode = msgspec.json.Encoder().encode
_Item = TapeFrame | threading.Event | None


class TapeWriter:
    """Takes frames from one thread and writes them on another.

    ``dropped`` counts the frames that the queue could not take.
    """

    def __init__(
        self,
        path: Path,
        *,
        queue_frames: int = QUEUE_FRAMES,
        segment_bytes: int = SEGMENT_BYTES,
        retain_bytes: int = RETAIN_BYTES,
    ) -> None:
        """Start the thread; raise ``TapeError`` when the folder cannot be made."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TapeError(f"tape folder {path.parent} cannot be used: {error}") from error
        self.dropped = 0
        self._untold = 0
        self._last_ns = 0
        self._queue_frames = queue_frames
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._put_characters = 0
        self._taken_characters = 0
        self._failure: Exception | None = None
        self._closed = False
        self._files = _TapeFiles(path, segment_bytes, retain_bytes)
        self._thread = threading.Thread(target=self._run, name="tape-writer", daemon=True)
        self._thread.start()

    def write(self, received_ns: int, source: Source, raw: str) -> bool:
        """Queue a frame and return at once; ``False`` when there was no room and it was dropped.

        Raises ``TapeError`` once the thread has failed (disk full) or the tape is closed.
        """
        self._raise_failure()
        waiting = self._put_characters - self._taken_characters
        if self._queue.qsize() >= self._queue_frames or waiting > QUEUE_CHARACTERS:
            self.dropped += 1
            self._untold += 1
            return False
        if self._untold:
            self._tell_dropped(received_ns)
        self._last_ns = received_ns
        self._put_characters += len(raw)
        self._queue.put(TapeFrame(received_ns=received_ns, source_text=source.value, raw=raw))
        return True

    def flush(self) -> None:
        """Block until every frame queued so far is with the operating system."""
        self._raise_failure()
        reached = threading.Event()
        self._queue.put(reached)
        for _ in range(int(CLOSE_TIMEOUT_SECONDS / FLUSH_SECONDS)):
            done = reached.wait(FLUSH_SECONDS)
            self._raise_failure()
            if done:
                return
        raise TapeError(f"tape was not flushed within {CLOSE_TIMEOUT_SECONDS} s")

    def close(self) -> None:
        """Write what is queued and give the file its final name; a second call does nothing."""
        if self._closed:
            return
        if self._untold and self._failure is None:
            self._tell_dropped(self._last_ns)
        self._closed = True
        self._queue.put(None)
        self._thread.join(CLOSE_TIMEOUT_SECONDS)
        if self._thread.is_alive():
            raise TapeError(f"tape was not written within {CLOSE_TIMEOUT_SECONDS} s")
        if self._failure is not None:
            raise TapeError(f"tape could not be written: {self._failure}") from self._failure

    def __enter__(self) -> Self:
        """Return the writer; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _tell_dropped(self, received_ns: int) -> None:
        raw = f'{{"event":"tape_overflow","dropped":{self._untold}}}'
        self._queue.put(
            TapeFrame(received_ns=received_ns, source_text=Source.WORKER.value, raw=raw)
        )
        self._put_characters += len(raw)
        self._untold = 0

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise TapeError(f"tape could not be written: {self._failure}") from self._failure
        if self._closed:
            raise TapeError("the tape is closed")

    def _run(self) -> None:
        failure: Exception | None = TapeError("the tape thread ended unexpectedly")
        waiting: list[threading.Event] = []
        try:
            while self._round(waiting):
                pass
            self._files.finish()
            failure = None
        except OSError as error:
            failure = error
        finally:
            self._failure = failure
            for event in waiting:
                event.set()

    def _round(self, waiting: list[threading.Event]) -> bool:
        batch, events, more = self._take()
        waiting.extend(events)
        if batch:
            self._files.write(batch)
            self._taken_characters += sum(len(frame.raw) for frame in batch)
        if not batch or events:
            self._files.flush()
        for event in events:
            event.set()
        waiting.clear()
        return more

    def _take(self) -> tuple[list[TapeFrame], list[threading.Event], bool]:
        frames: list[TapeFrame] = []
        events: list[threading.Event] = []
        try:
            item = self._queue.get(timeout=FLUSH_SECONDS)
            while item is not None:
                if isinstance(item, TapeFrame):
                    frames.append(item)
                else:
                    events.append(item)
                if len(frames) >= BATCH_FRAMES:
                    return frames, events, True
                item = self._queue.get_nowait()
        except queue.Empty:
            return frames, events, True
        return frames, events, False


class _TapeFiles:
    """The files of one tape; used by the thread only."""

    def __init__(self, path: Path, segment_bytes: int, retain_bytes: int) -> None:
        self._folder = path.parent
        self._stem = path.name.removesuffix(TAPE_SUFFIX)
        self._segment_bytes = segment_bytes
        self._retain_bytes = retain_bytes
        self._file: BinaryIO | None = None
        self._part = path
        self._zipper = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._hour = -1
        self._size = 0
        self._flushed_ns = 0
        self._dirty = False

    def write(self, batch: list[TapeFrame]) -> None:
        """Compress frames into the file of their hour."""
        start = 0
        for index, frame in enumerate(batch):
            # An hour that goes back stays in the file: the tape is in order of receipt.
            if frame.received_ns // _NS_PER_HOUR > self._hour or self._size >= self._segment_bytes:
                self._add(batch[start:index])
                start = index
                self.finish()
                self._begin(frame.received_ns)
        self._add(batch[start:])
        if batch[-1].received_ns - self._flushed_ns >= FLUSH_SECONDS * NS_PER_SECOND:
            self._flushed_ns = batch[-1].received_ns
            self.flush()

    def flush(self) -> None:
        """Hand everything so far to the operating system, readable to the last frame."""
        if self._file is None or not self._dirty:
            return
        self._put(self._zipper.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()
        self._dirty = False

    def finish(self) -> None:
        """Make the file whole and durable, then give it its final name."""
        if self._file is None:
            return
        self._put(self._zipper.flush(zlib.Z_FINISH))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._part.rename(self._part.with_name(self._part.name.removesuffix(PART_SUFFIX)))
        directory = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _add(self, frames: list[TapeFrame]) -> None:
        if frames:
            lines = b"".join([_line(frame) for frame in frames])
            self._put(self._zipper.compress(lines))
            self._dirty = True

    def _put(self, compressed: bytes) -> None:
        assert self._file is not None  # write() begins a file before it adds to it.
        self._file.write(compressed)
        self._size += len(compressed)

    def _begin(self, received_ns: int) -> None:
        self._hour = max(self._hour, received_ns // _NS_PER_HOUR)
        opens = datetime.fromtimestamp(self._hour * 3600, tz=UTC)
        number = 1
        while True:
            name = f"{self._stem}_{opens:%Y%m%dT%H}_{number:03d}{TAPE_SUFFIX}"
            if not (self._folder / name).exists() and not self._part_exists(name):
                break
            number += 1
        self._part = self._folder / (name + PART_SUFFIX)
        self._file = self._part.open("xb")
        self._zipper = zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._size = 0
        self._retire_oldest()
        # Says to a replay that this worker recorded it, warm-up included.
        self._add(
            [TapeFrame(received_ns=received_ns, source_text=Source.WORKER.value, raw=FIRST_LINE)]
        )

    def _part_exists(self, name: str) -> bool:
        return (self._folder / (name + PART_SUFFIX)).exists()

    def _retire_oldest(self) -> None:
        parts = written_parts(self._folder / f"{self._stem}{TAPE_SUFFIX}")
        files = [(path, path.stat().st_size) for path in parts]
        excess = sum(size for _, size in files) - self._retain_bytes
        for path, size in files:
            if excess <= 0:
                return
            if path != self._part:
                path.unlink(missing_ok=True)
                excess -= size


def _line(frame: TapeFrame) -> bytes:
    try:
        return _encode(frame) + b"\n"
    except UnicodeEncodeError:
        # Half a surrogate pair is no text; what is left of the frame is still worth keeping.
        raw = frame.raw.encode("utf-8", "replace").decode("utf-8")
        return _encode(msgspec.structs.replace(frame, raw=raw)) + b"\n"
