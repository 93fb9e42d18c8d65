"""Frames as they come in: counted, taped where that is wanted, and parsed.

Must not: read a clock, or know who is given the events.
"""

from __future__ import annotations

from collections.abc import Iterable

from helpers.domain import FeedEvent, Mode, Source
from helpers.feeds.ingest import Ingest, WorkerEvent, encode_worker_event
from helpers.recorder import TapeWriter
from helpers.settings import Settings


class Arrivals:
    """Frames of one source so far, and when the latest came."""

    __slots__ = ("frames", "last_ns")

    def __init__(self) -> None:
        self.frames = 0
        self.last_ns = 0


class Intake:
    """Owner of a run's parser and of its tape."""

    def __init__(self, settings: Settings, mode: Mode) -> None:
        """Open the tape where one is wanted; raises what opening it raises."""
        path = settings.tape_directory / f"{mode.value}.jsonl.gz"
        self._tape = TapeWriter(path) if settings.record else None
        self._ingest = Ingest()
        self.place = str(path) if settings.record else "off"
        self.arrivals = {source: Arrivals() for source in Source}

    @property
    def frames(self) -> int:
        """Return the frames of all sources."""
        return sum(one.frames for one in self.arrivals.values())

    def skipped(self) -> tuple[tuple[str, int], ...]:
        """Return (source and kind, count) of what became no event."""
        return self._ingest.skipped_rows()

    @property
    def dropped(self) -> int:
        """Return the frames that the tape could not keep."""
        return self._tape.dropped if self._tape is not None else 0

    def events(self, source: Source, raw: str | bytes, now_ns: int) -> Iterable[FeedEvent]:
        """Return the events of a frame, in order."""
        arrived = self.arrivals[source]
        arrived.frames += 1
        arrived.last_ns = now_ns
        if self._tape is not None:
            text = raw if isinstance(raw, str) else raw.decode(errors="replace")
            self._tape.write(now_ns, source, text)
        return self._ingest.parse(source, raw, now_ns)

    def note(self, event: WorkerEvent, now_ns: int) -> None:
        """Put an event of our own on the tape, which would lack it otherwise."""
        if self._tape is not None:
            self._tape.write(now_ns, Source.WORKER, encode_worker_event(event))

    def close(self) -> None:
        """Close the tape."""
        if self._tape is not None:
            self._tape.close()
