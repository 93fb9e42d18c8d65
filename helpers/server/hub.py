"""Hands what the worker publishes to whoever views: one encoded view for all, slow ones dropped.

Belongs to the server's loop. The worker only ever looks at ``wanted``; it waits for nobody. Must
not: keep more than the latest publication, or let one viewer's speed matter to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from helpers.clock import system_seconds
from helpers.domain import Message
from helpers.metrics import Readings
from helpers.server.health import Condition

VIEWERS_MAXIMUM: Final = 16
"""People and screens of one owner; more would cost the worker's loop."""
QUEUE_MAXIMUM: Final = 2
"""Views a viewer may be behind, a second: the next one finds the queue full and the viewer goes."""
FRESH_SECONDS: Final = 1.0
"""A publication of this age still answers a question."""
ANSWER_SECONDS: Final = 3.0
"""How long the worker may take to publish; it looks ten times a second."""


class Published(Message, frozen=True):
    """What the worker shows at one moment, encoded and copied: nothing of it changes any more."""

    seq: int
    view: bytes
    """JSON of a ``View``."""
    history: bytes
    """JSON of a ``History``."""
    readings: Readings
    failing: tuple[Condition, ...]
    at_seconds: float
    """When it was made, on the system's clock for durations."""

    def event(self) -> bytes:
        """Return the view as a server-sent event."""
        return b"id: %d\nevent: view\ndata: %b\n\n" % (self.seq, self.view)


class Viewer:
    """One open stream of views."""

    def __init__(self, cut: Callable[[], None]) -> None:
        """Take what cuts its connection at once, whatever waits in it."""
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_MAXIMUM)
        self.cut = cut


class Hub:
    """Owner of the viewers and of the latest publication."""

    def __init__(self) -> None:
        self.latest: Published | None = None
        self.dropped = 0
        self._viewers: set[Viewer] = set()
        self._asking = 0
        self._closed = False
        self._came = asyncio.Event()

    @property
    def wanted(self) -> bool:
        """Return whether anybody waits for a publication; read from any thread."""
        return bool(self._viewers) or self._asking > 0

    @property
    def viewers(self) -> int:
        """Return how many follow."""
        return len(self._viewers)

    def publish(self, published: Published) -> None:
        """Give a publication to everybody; drop the viewers that did not take the ones before."""
        self.latest = published
        self._came.set()
        self._came = asyncio.Event()
        event = published.event() if self._viewers else b""
        for viewer in tuple(self._viewers):
            try:
                viewer.queue.put_nowait(event)
            except asyncio.QueueFull:
                self.dropped += 1
                self._viewers.discard(viewer)
                viewer.cut()

    async def fresh(self) -> Published:
        """Return a publication of now; raise ``TimeoutError`` when the worker does not publish."""
        self._asking += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not self._is_fresh(self.latest):
                    await self._came.wait()
        finally:
            self._asking -= 1
        assert self.latest is not None, "it is fresh"
        return self.latest

    def _is_fresh(self, published: Published | None) -> bool:
        return published is not None and system_seconds() - published.at_seconds <= FRESH_SECONDS

    def join(self, cut: Callable[[], None]) -> Viewer | None:
        """Take in a viewer; ``None`` when there are ``VIEWERS_MAXIMUM`` or it is the end."""
        if self._closed or len(self._viewers) >= VIEWERS_MAXIMUM:
            return None
        viewer = Viewer(cut)
        if self.latest is not None and self._is_fresh(self.latest):
            viewer.queue.put_nowait(self.latest.event())
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self._viewers.discard(viewer)

    def close(self) -> None:
        """End every stream, once what waits in it was read; one that is behind is cut."""
        self._closed = True
        for viewer in tuple(self._viewers):
            self._viewers.discard(viewer)
            try:
                viewer.queue.put_nowait(None)
            except asyncio.QueueFull:
                viewer.cut()
