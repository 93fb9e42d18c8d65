"""Hears SIGTERM, SIGINT and SIGHUP: the first asks for the stop, no later one interrupts it.

From the first moment of trading until everything is given back, also after the event loop is gone:
a second signal would otherwise kill between the last order's end and the last row. SIGKILL is for
the impatient: a start after it is a start like any other.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

from helpers.logs import Tag, logger

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The last when a terminal is closed; not heard where it is ignored (``nohup``)."""
STANDARD_ERROR: Final = 2


class StopSignals:
    """The signal handlers of one run; belongs to the main thread."""

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        """Take what tells how long a stop under way may still last."""
        self._seconds_left = seconds_left
        self._stop: Callable[[str], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}
        self.heard = 0

    def listen(self, loop: asyncio.AbstractEventLoop, stop: Callable[[str], None]) -> None:
        """Give the first signal to ``stop``, called on the loop."""
        self._loop, self._stop = loop, stop
        for number in STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)

    def leave_loop(self) -> None:
        """Go on listening without the loop: it will end."""
        self._loop = None

    def close(self) -> None:
        """Let signals have the effect they had before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Between two instructions of whatever runs: on the loop there is room to say something.
        self.heard += 1
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, signal.Signals(number).name, self.heard)
            return
        name, seconds = signal.Signals(number).name, round(self._seconds_left())
        line = f"worker.py: {name} was heard; the stop goes on, {seconds} s at most\n"
        with suppress(OSError):  # The terminal may be what is gone.
            os.write(STANDARD_ERROR, line.encode())

    def _tell(self, name: str, heard: int) -> None:
        assert self._stop is not None, "listening came first"
        if heard == 1:
            self._stop(f"{name} asked for it")
            return
        seconds = round(self._seconds_left())
        logger(Tag.HEALTH).warning("stop_goes_on", signal=name, seconds_left_at_most=seconds)
