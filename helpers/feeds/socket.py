"""The one reconnecting socket reader of all feeds; must not parse what it carries.

Retried, with capped exponential back-off and full jitter: no route, DNS, TLS, time-outs, dropped
and closed connections, HTTP 5xx and nonsense at the handshake, silence of the socket or of one of
its streams. Waited out as long as asked: HTTP 429 and 418. Fatal, raised out of ``run``:
``VenueRefused`` (HTTP 403 and 451, I11) and an address that is none (``InvalidURI``).
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from helpers.clock import Clock, monotonic_seconds
from helpers.domain import Connected, Disconnected, Message
from helpers.feeds.connection import SteadyConnection
from helpers.feeds.link import Link
from helpers.feeds.retry import (
    Backoff,
    FeedError,
    RateLimited,
    Unreachable,
    VenueRefused,
    refusal_error,
)
from helpers.feeds.subscription import Endpoint, Frames, OnLink, Subscription
from helpers.venues import USER_AGENT

QUEUE_FRAMES: Final = 64
"""Frames the library holds for us before it stops reading; the sink never waits, so few."""


class SocketTimings(Message, frozen=True):
    """Durations of a reader, in seconds."""

    open_seconds: float = 10.0
    close_seconds: float = 1.0
    send_seconds: float = 5.0
    backoff_base_seconds: float = 0.5
    backoff_cap_seconds: float = 30.0
    good_seconds: float = 60.0
    """A link that served for so long makes the back-off start afresh."""


async def open_connection(
    endpoint: Endpoint, timings: SocketTimings, clock: Clock
) -> ClientConnection:
    """Open a socket once; raises ``VenueRefused``, ``RateLimited`` or ``Unreachable``.

    Environment proxies are not used: only the settings read the environment, and a block is not
    routed around.
    """
    try:
        return await connect(
            endpoint.url,
            user_agent_header=USER_AGENT,
            proxy=None,
            compression=None,
            open_timeout=timings.open_seconds,
            close_timeout=timings.close_seconds,
            ping_interval=endpoint.ping_seconds or None,
            ping_timeout=endpoint.ping_seconds or None,
            max_size=endpoint.maximum_frame_bytes,
            max_queue=QUEUE_FRAMES,
            create_connection=SteadyConnection,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        retry_after = refused.response.headers.get("Retry-After")
        error = refusal_error(status, endpoint.url, retry_after, clock.now_ns())
        raise error or Unreachable(endpoint.url, f"HTTP {status} at the handshake") from refused
    except (OSError, InvalidHandshake) as failed:
        raise Unreachable(endpoint.url, f"{type(failed).__name__}: {failed}") from failed


async def open_link(
    endpoint: Endpoint,
    subscription: Subscription,
    *,
    clock: Clock,
    frames: Frames,
    timings: SocketTimings,
) -> Link:
    """Open a socket and send its subscription; raises as ``open_connection``."""
    connection = await open_connection(endpoint, timings, clock)
    link = Link(
        connection,
        endpoint,
        subscription,
        clock=clock,
        frames=frames,
        send_seconds=timings.send_seconds,
    )
    subscribed = False
    try:
        await link.subscribe()
        subscribed = True
    except (OSError, ConnectionClosed) as failed:
        raise Unreachable(endpoint.url, f"while subscribing: {failed}") from failed
    finally:
        if not subscribed:
            await link.close()
    return link


class SocketReader:
    """Keeps one endpoint connected and its raw frames flowing into the sink."""

    def __init__(
        self,
        endpoint: Endpoint,
        subscription: Subscription,
        *,
        clock: Clock,
        frames: Frames,
        on_link: OnLink,
        rng: random.Random,
        timings: SocketTimings | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._subscription = subscription
        self._clock = clock
        self._frames = frames
        self._on_link = on_link
        self._rng = rng
        self._timings = timings or SocketTimings()
        self._backoff = Backoff(
            rng, self._timings.backoff_base_seconds, self._timings.backoff_cap_seconds
        )
        self.opened = 0
        self.rotated = 0

    async def run(self) -> None:
        """Feed the sink until cancelled; raises ``VenueRefused`` when the venue says no."""
        async with asyncio.TaskGroup() as links:
            refused = await self._run_until_refused(links)
        raise refused

    async def _run_until_refused(self, links: asyncio.TaskGroup) -> VenueRefused:
        try:
            while True:
                link = await self._connect(links)
                ended = await self._keep(link, links)
                self._say_lost(ended.ended or "ended")
                if monotonic_seconds() - ended.opened_seconds >= self._timings.good_seconds:
                    self._backoff.reset()
                await asyncio.sleep(self._backoff.next_seconds())
        except VenueRefused as refused:
            self._say_lost(str(refused))
            return refused

    async def _connect(self, links: asyncio.TaskGroup) -> Link:
        while True:
            if not self._subscription.names():
                await self._subscription.changed_from(frozenset())
            try:
                link = await self._open(links)
            except (RateLimited, Unreachable) as failed:
                self._say_lost(str(failed))
                await asyncio.sleep(self._pause_seconds(failed))
                continue
            self._say_connected()
            return link

    async def _keep(self, link: Link, links: asyncio.TaskGroup) -> Link:
        """Return the link that was lost, after any number of rotations."""
        wait_seconds = self._rotation_seconds()
        while True:
            await _set_within(link.attention, wait_seconds)
            if link.ended is not None:
                return link
            link.attention.clear()
            try:
                successor = await self._open_ready(links)
            except (RateLimited, Unreachable) as failed:
                wait_seconds = self._pause_seconds(failed)
                continue
            except VenueRefused:
                link.retire()
                raise
            self._succeed(link)
            link = successor
            wait_seconds = self._rotation_seconds()

    async def _open_ready(self, links: asyncio.TaskGroup) -> Link:
        link = await self._open(links)
        await link.ready.wait()
        if link.ended is not None:
            raise Unreachable(self._endpoint.url, link.ended)
        return link

    def _succeed(self, old: Link) -> None:
        if old.ended is None:
            # Both fed the sink until now, so there is no gap and nothing to tell the board.
            old.retire()
        else:
            self._say_lost(old.ended)
            self._say_connected()
        self.rotated += 1

    async def _open(self, links: asyncio.TaskGroup) -> Link:
        link = await open_link(
            self._endpoint,
            self._subscription,
            clock=self._clock,
            frames=self._frames,
            timings=self._timings,
        )
        self.opened += 1
        links.create_task(link.serve())
        return link

    def _pause_seconds(self, failed: FeedError) -> float:
        own = self._backoff.next_seconds()
        return max(own, failed.seconds) if isinstance(failed, RateLimited) else own

    def _rotation_seconds(self) -> float | None:
        if not self._endpoint.rotate_seconds:
            return None
        early = self._rng.uniform(0.0, self._endpoint.rotate_jitter_seconds)
        return self._endpoint.rotate_seconds - early

    def _say_connected(self) -> None:
        self._on_link(Connected(self._endpoint.source, self._clock.now_ns()))

    def _say_lost(self, reason: str) -> None:
        self._on_link(Disconnected(self._endpoint.source, reason, self._clock.now_ns()))


async def _set_within(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
