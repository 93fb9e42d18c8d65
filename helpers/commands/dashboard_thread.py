"""Serves from a thread with an event loop of its own: for runs whose own loop is on simulated time.

Its owner waits for its start and its end while simulated time stands still. Must not: let the two
loops share anything but the hub, which belongs to this one.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final, Self

from helpers.server.hub import Hub, Published
from helpers.server.serving import STOP_SECONDS, Serving

WAIT_SECONDS: Final = 5.0 + STOP_SECONDS
"""For the thread to begin, or to end."""


class InThread:
    """A serving thread, for as long as the context lasts."""

    def __init__(self, serving: Serving, hub: Hub) -> None:
        self._serving = serving
        self._hub = hub
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)

    def __enter__(self) -> Self:
        """Begin to serve; raise ``TimeoutError`` when that takes too long."""
        self._thread.start()
        if not self._started.wait(WAIT_SECONDS):
            raise TimeoutError(f"the dashboard's thread did not start in {WAIT_SECONDS:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving, and wait for it."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(WAIT_SECONDS)

    def publish(self, published: Published) -> None:
        """Hand a publication over."""
        self._loop.call_soon_threadsafe(self._hub.publish, published)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._serving.start()
        self._started.set()
        await self._ending.wait()
        self._hub.close()
        await self._serving.stop()
