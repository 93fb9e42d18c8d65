"""The only reader of time: real or simulated.

Nothing else in the project reads a clock, so the same events give the same decisions live and in
replay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from helpers.domain import NS_PER_SECOND


class Clock(Protocol):
    """What the flow needs of time."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch; never goes back."""
        ...


class RealClock:
    """Wall time that never goes back: a step back of the system clock is held, and counted."""

    def __init__(self) -> None:
        self._last_ns = 0
        self.steps_back = 0

    def now_ns(self) -> int:
        """Return wall time, or the last one given if the system clock was set back."""
        now = time.time_ns()
        if now < self._last_ns:
            self.steps_back += 1
            return self._last_ns
        self._last_ns = now
        return now


class SimulatedClock:
    """Time that is moved by whoever owns it."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the simulated time."""
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        """Move forward; an earlier time is ignored, as the real clock ignores a step back."""
        self._now_ns = max(self._now_ns, now_ns)


def monotonic_seconds() -> float:
    """Return a clock for durations only: the running event loop's, outside of one the system's.

    A loop on simulated time is thereby simulated whole: waits and the durations they are judged by
    come from one clock.
    """
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.perf_counter()


def system_seconds() -> float:
    """Return the system's clock for durations, whatever loop runs: for pacing a simulated one."""
    return time.perf_counter()


def pause_seconds(seconds: float) -> None:
    """Wait. For commands that pace a replay; nothing that runs on an event loop may call it."""
    time.sleep(seconds)


async def wait_seconds(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, for so many seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class Pace:
    """Lets recorded moments come at a multiple of real time; what is late is not waited for."""

    def __init__(
        self,
        speed: float,
        seconds: Callable[[], float] = system_seconds,
        pause: Callable[[float], None] = pause_seconds,
    ) -> None:
        """Take recorded seconds in a real one, what tells real seconds, and what waits them."""
        if not speed > 0:
            raise ValueError(f"speed was {speed}, expected above 0")
        self._speed = speed
        self._seconds = seconds
        self._pause = pause
        self._start: tuple[int, float] | None = None

    def wait_for(self, at_ns: int) -> None:
        """Wait until a moment is due; the first one asked for is due at once."""
        if self._start is None:
            self._start = (at_ns, self._seconds())
        start_ns, began_seconds = self._start
        due_seconds = began_seconds + (at_ns - start_ns) / NS_PER_SECOND / self._speed
        left_seconds = due_seconds - self._seconds()
        if left_seconds > 0:
            self._pause(left_seconds)
