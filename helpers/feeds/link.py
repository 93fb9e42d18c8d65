"""One open socket from subscribe to end; must not reconnect or decide what is wanted.

Liveness is data: neither a pong nor an acknowledgement counts (I16, reference C.8).
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from helpers.clock import Clock, monotonic_seconds
from helpers.feeds.subscription import Endpoint, Frames, Subscription

CHECKS_PER_DEADLINE: Final = 8
"""How often the shortest deadline is looked at within its length: an error of an eighth."""
IDLE_CHECK_SECONDS: Final = 1.0
"""Between looks where no deadline is set."""


class LinkLost(Exception):  # noqa: N818
    """This socket is of no more use; the text is the reason in words."""


class Link:
    """An open socket: feeds the sink until it is lost or retired.

    ``attention`` is set when the owner should look: the link has ended, or the venue said goodbye.
    ``ready`` is set once every judged stream has sent something, or at the end.
    """

    def __init__(
        self,
        connection: ClientConnection,
        endpoint: Endpoint,
        subscription: Subscription,
        *,
        clock: Clock,
        frames: Frames,
        send_seconds: float,
    ) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._subscription = subscription
        self._clock = clock
        self._frames = frames
        self._send_seconds = send_seconds
        self._check_seconds = _check_seconds(endpoint)
        self._names: frozenset[str] = frozenset()
        self._awaited: dict[str, int] = {}
        self._retired = asyncio.Event()
        self.attention = asyncio.Event()
        self.ready = asyncio.Event()
        self.ended: str | None = None
        self.opened_seconds = monotonic_seconds()
        self._unproven = True

    async def subscribe(self) -> None:
        """Ask for everything that is wanted now; raises what a send raises."""
        self._names = self._subscription.names()
        self._expect(self._names, self._endpoint.first_data_seconds)
        if not self._awaited:
            self.ready.set()
        for frame in self._subscription.opening_frames(self._names):
            await self._send(frame)

    async def serve(self) -> None:
        """Feed the sink until the link is lost; ``ended`` then says why. Closes the socket."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._watch())
                tasks.create_task(self._follow())
                tasks.create_task(self._retire_when_asked())
                if self._endpoint.keepalive_seconds:
                    tasks.create_task(self._keep_alive())
        except* (LinkLost, ConnectionClosed, OSError) as lost:
            # Time-outs of a send are OSErrors (``TimeoutError``) and lose the link as well.
            self.ended = _words(lost.exceptions[0])
        finally:
            self.attention.set()
            self.ready.set()
            await self.close()

    def retire(self) -> None:
        """End this link in good order."""
        self._retired.set()

    async def close(self) -> None:
        """Close the socket; bounded by the connection's own close time-out."""
        await self._connection.close()

    async def _read(self) -> None:
        source, clock, frames = self._endpoint.source, self._clock, self._frames
        receive = self._connection.recv
        answer = self._endpoint.keepalive_answer
        farewell = self._endpoint.farewell_prefixes
        while True:
            raw = await receive(decode=False)
            received_ns = clock.now_ns()
            if raw == answer:
                continue
            frames(source, raw, received_ns)
            # Looking for stream names costs more than the rest of this loop: only until the
            # first data after each look of the watch, and while a stream is awaited.
            if self._unproven or self._awaited:
                self._inspect(raw)
            if raw.startswith(farewell):
                self.attention.set()

    def _inspect(self, raw: bytes) -> None:
        names = self._endpoint.streams_in(raw)
        if not names:
            return
        self._unproven = False
        for name in names:
            self._awaited.pop(name, None)
            self._subscription.heard(name)
        if not self._awaited:
            self.ready.set()

    async def _watch(self) -> None:
        # Silence is counted in looks, not in seconds of a clock: after a stall of our own loop
        # the frames that waited in the socket are read before the next look (I13).
        silence_looks = self._looks(self._endpoint.silence_seconds)
        period_looks = self._looks(self._endpoint.stream_silence_seconds)
        quiet = age = 0
        while True:
            await asyncio.sleep(self._check_seconds)
            age += 1
            quiet = quiet + 1 if self._unproven and self._names else 0
            self._unproven = True
            if silence_looks and quiet >= silence_looks:
                raise LinkLost(f"silent for {self._endpoint.silence_seconds:g} s")
            if period_looks and age % period_looks == 0:
                self._expect(self._names, self._endpoint.stream_silence_seconds)
            await self._count_down()

    async def _count_down(self) -> None:
        for name, looks in list(self._awaited.items()):
            if looks > 1:
                self._awaited[name] = looks - 1
                continue
            again = self._subscription.second_try(name)
            if not again:
                raise LinkLost(f"no_data:{name}")
            self._awaited[name] = self._looks(self._endpoint.first_data_seconds)
            for frame in again:
                await self._send(frame)

    async def _follow(self) -> None:
        while True:
            await self._subscription.changed_from(self._names)
            wanted = self._subscription.names()
            added, removed = wanted - self._names, self._names - wanted
            self._names = wanted
            for name in removed:
                self._awaited.pop(name, None)
            self._expect(added, self._endpoint.first_data_seconds)
            for frame in self._subscription.change_frames(added, removed):
                await self._send(frame)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._endpoint.keepalive_seconds)
            await self._send(self._endpoint.keepalive)

    async def _retire_when_asked(self) -> None:
        await self._retired.wait()
        raise LinkLost("retired")

    async def _send(self, frame: str) -> None:
        async with asyncio.timeout(self._send_seconds):
            await self._connection.send(frame)

    def _expect(self, names: frozenset[str], within_seconds: float) -> None:
        if not within_seconds:
            return
        for name in self._subscription.judged(names):
            self._awaited.setdefault(name, self._looks(within_seconds))

    def _looks(self, seconds: float) -> int:
        return math.ceil(seconds / self._check_seconds)


def _check_seconds(endpoint: Endpoint) -> float:
    deadlines = (
        endpoint.silence_seconds,
        endpoint.first_data_seconds,
        endpoint.stream_silence_seconds,
    )
    shortest = min((seconds for seconds in deadlines if seconds), default=0.0)
    return shortest / CHECKS_PER_DEADLINE if shortest else IDLE_CHECK_SECONDS


def _words(error: BaseException) -> str:
    if isinstance(error, LinkLost):
        return str(error)
    return f"{type(error).__name__}: {error}"
