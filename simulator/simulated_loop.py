"""An asyncio loop on simulated time with real loopback sockets: the same run every time.

Nothing is polled while a callback waits; once none does, everything that was sent has arrived,
sockets are served in the order they were registered, and only when there is nothing left to do
does time jump to the next timer. Real time paces the jumps and decides nothing. Must not: reach
any host but loopback, or know who runs on it.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

from helpers.clock import pause_seconds, system_seconds
from helpers.domain import NS_PER_SECOND
from simulator.loopback_wire import HOST, HOSTS, Wire

TURNS_BEFORE_A_LOOK: Final = 1_000
"""Sockets are looked at after so many turns even while callbacks wait, or a busy one starves us."""
SETTLE_SECONDS: Final = 2.0
"""Real time that bytes on loopback may take; longer means the accounting is wrong."""
SETTLE_LOOK_SECONDS: Final = 0.001
THREAD_SECONDS: Final = 2.0
"""Real time in which a thread answers at once as far as the run can tell; a bad disk needs less."""
IDLE_LOOK_SECONDS: Final = 1.0
"""Real time between looks while only a thread or a signal can make something happen."""
LATE_SECONDS_MAXIMUM: Final = 1.0
"""A run that fell further behind its pace does not rush to catch up."""

_T = TypeVar("_T")


class UnsettledError(RuntimeError):
    """Bytes sent on loopback did not arrive: the order of events would be left to chance."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop; ``speed`` is simulated seconds in a real one, 0 for as fast as it goes."""

    def __init__(self, speed: float = 0.0) -> None:
        self.wire = Wire()
        self._source = _EventSource(self.wire, speed)
        super().__init__(self._source)
        self._threads = ThreadPoolExecutor(thread_name_prefix="simulated")
        self.set_default_executor(self._threads)

    def time(self) -> float:
        """Return simulated seconds since the loop was made."""
        return self._source.now_seconds

    @property
    def waits_for_threads(self) -> int:
        """Return how often the loop looked around while time stood still for a thread."""
        return self._source.waits_for_threads

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """Run in a thread while simulated time stands still: threads take no time at all.

        Nothing else happens meanwhile, or a slow disk would change what comes first. One that takes
        longer than ``THREAD_SECONDS`` may be waiting for us, and is not waited for any more.
        """
        running = (executor or self._threads).submit(func, *args)
        wait((running,), THREAD_SECONDS)
        future = asyncio.wrap_future(running, loop=self)
        self._source.threads += 1
        future.add_done_callback(self._source.thread_done)
        return future

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:  # type: ignore[override]
        """Resolve loopback without a thread; raise ``OSError`` for any other host."""
        if host not in HOSTS:
            raise OSError(f"host was {host!r}, expected one of {HOSTS}: this loop has no network")
        return socket.getaddrinfo(HOST, port, **hints)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> Any:
        """Connect to loopback in plain text; raise ``OSError`` for anything else."""
        if options.get("ssl"):
            raise OSError("a TLS connection was asked for, expected plain text on loopback")
        made = self.wire.connect(host, port)
        return await super().create_connection(protocol_factory, sock=made)

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,  # noqa: ARG002
        port: int | None = None,
        *,
        sock: socket.socket | None = None,
        **options: Any,
    ) -> asyncio.Server:
        """Serve on loopback, whatever host is named."""
        listener = self.wire.listener(port or 0, sock)
        return await super().create_server(protocol_factory, sock=listener, **options)


class LoopClock:
    """A ``Clock`` on a loop's time, from a start the caller chooses."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_ns: int) -> None:
        self._loop = loop
        self._start_ns = start_ns

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch; the loop's time never goes back."""
        return self._start_ns + round(self._loop.time() * NS_PER_SECOND)


class _EventSource(selectors.DefaultSelector):
    """The selector: what a loop waits on, and therefore where its time passes."""

    def __init__(self, wire: Wire, speed: float) -> None:
        super().__init__()
        self.now_seconds = 0.0
        self.threads = 0
        self.waits_for_threads = 0
        self._wire = wire
        self._speed = speed
        self._turns = 0
        self._order: dict[int, int] = {}
        self._registrations = 0
        # Real seconds at simulated zero; moved forward when the run falls behind.
        self._origin_seconds = system_seconds()

    def thread_done(self, _future: object) -> None:
        """Note that a thread has answered."""
        self.threads -= 1

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Register, remembering the order."""
        key = super().register(fileobj, events, data)
        self._registrations += 1
        self._order[key.fd] = self._registrations
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Unregister."""
        key = super().unregister(fileobj)
        del self._order[key.fd]
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, in a fixed order; nothing ready moves time by ``timeout``."""
        self._turns += 1
        busy = timeout is not None and timeout <= 0
        if busy and self._turns < TURNS_BEFORE_A_LOOK:
            return []
        self._turns = 0
        ready = self._settled()
        if ready or busy:
            return ready
        if timeout is None or self.threads:
            self.waits_for_threads += self.threads > 0
            return self._look(IDLE_LOOK_SECONDS)
        if self._speed:
            pause = self._pause_seconds(self.now_seconds + timeout)
            while pause and not ready:
                ready = self._look(pause)
                pause = self._pause_seconds(self.now_seconds + timeout)
        if not ready:
            self.now_seconds += timeout
        return ready

    def _settled(self) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._look(0)
        if self._arrived(ready):
            return ready
        until_seconds = system_seconds() + SETTLE_SECONDS
        while system_seconds() < until_seconds:
            ready = self._look(SETTLE_LOOK_SECONDS)
            if self._arrived(ready):
                return ready
        raise UnsettledError(f"bytes did not arrive on loopback within {SETTLE_SECONDS:g} s")

    def _arrived(self, ready: list[tuple[selectors.SelectorKey, int]]) -> bool:
        readable = [key.fd for key, events in ready if events & selectors.EVENT_READ]
        return self._wire.has_arrived(self._reads, readable)

    def _reads(self, fd: int) -> bool:
        key = self.get_map().get(fd)
        return key is not None and bool(key.events & selectors.EVENT_READ)

    def _look(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(seconds)
        full = self._wire.full() if ready else ()
        if full:
            ready = [
                (key, left)
                for key, events in ready
                if (left := events & ~selectors.EVENT_WRITE if key.fd in full else events)
            ]
            if not ready and seconds:
                # The system calls these ends ready, so it does not wait for us.
                pause_seconds(min(seconds, SETTLE_LOOK_SECONDS))
        if len(ready) > 1:
            ready.sort(key=lambda one: self._order[one[0].fd])
        return ready

    def _pause_seconds(self, until_seconds: float) -> float:
        due_seconds = self._origin_seconds + until_seconds / self._speed
        left_seconds = due_seconds - system_seconds()
        if left_seconds < -LATE_SECONDS_MAXIMUM:
            self._origin_seconds -= left_seconds
        return max(0.0, left_seconds)
