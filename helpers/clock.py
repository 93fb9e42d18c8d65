"""The only reader of time: real or simulated.

Nothing else in the project reads a clock, so the same events give the same decisions live and in
replay.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


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
