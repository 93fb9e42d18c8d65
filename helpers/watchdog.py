"""Ends a process that is stuck, with the stacks of all its threads, so that it is started again.

A daemon thread looks at counters that the event loop, the grid steps and the position supervisor
advance (I1, I13). One that stands still for ``LIMIT_SECONDS`` ends the process with exit code 70.
Time that the thread itself was not running (a suspended machine, SIGSTOP) is nobody's fault and not
counted.

Second line, for native code that holds the interpreter so that the thread cannot run either: the
thread keeps re-arming a timer of the process's own CPU time, at whose end the system kills it by
SIGPROF (155 for a shell) after the stacks went to standard error. faulthandler's own timer
(``dump_traceback_later``) is not used: it fires as soon as a stopped process goes on, costs a
thread each time it is armed, and on macOS counts the hours of a closed lid. Not covered: native
code that holds the interpreter and waits without computing; the outside heartbeat tells of it.

Must not: wait for anything that may be what is stuck (log, disk, standard error) without a bound.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Final, NamedTuple

from helpers.clock import monotonic_seconds, system_seconds
from helpers.logs import Tag, logger

EXIT_STUCK: Final = 70
LIMIT_SECONDS: Final = 20.0
"""A counter that stands still for so long is stuck; the grid steps advance every half second."""
STOP_LIMIT_SECONDS: Final = 55.0
"""From the order to stop to the end of the process, under the minute that platforms wait (fly.toml,
``kill_timeout``). An orderly stop takes 45 s at most: 20 s to flatten where that is wanted, then
15 s to cancel, while an account operation that began before the cancelling ends (25 s); the rest
is for the disk."""
LOOK_SECONDS: Final = 0.5
LOOK_COUNTED_SECONDS: Final = 2 * LOOK_SECONDS
"""Between two looks no more than this counts: whoever is later than that did not run himself."""
TELL_SECONDS: Final = 3.0
"""Bound of everything that is told and remembered before the process ends."""
SPIN_LIMIT_SECONDS: Final = 60.0
"""CPU seconds of the process without a look of the thread, all threads together."""
BEAT_SECONDS: Final = 0.05
STACKS_FILE: Final = "watchdog_stacks.txt"
"""In the log directory; each trip replaces the one before."""
STANDARD_ERROR: Final = 2


class Vital(NamedTuple):
    """Something that must go on."""

    problem: str
    """What is said when it does not, before "for 20 s"."""
    read: Callable[[], int]
    """Changes while it goes on; called from the watchdog's thread."""


class Watch:
    """Decides whether something is stuck, from counters and times it is given. Pure."""

    def __init__(self, vitals: Sequence[Vital], limit_seconds: float, now_seconds: float) -> None:
        self._vitals = tuple(vitals)
        self._limit_seconds = limit_seconds
        self._looked_seconds = now_seconds
        self._watched_seconds = 0.0
        self._seen = [vital.read() for vital in self._vitals]
        self._changed_seconds = [0.0] * len(self._vitals)

    @property
    def seconds_left(self) -> float:
        """Return for how long the one nearest to its limit may still stand still."""
        since = min(self._changed_seconds, default=self._watched_seconds)
        return max(0.0, self._limit_seconds - (self._watched_seconds - since))

    def look(self, now_seconds: float) -> str:
        """Return what is stuck, empty while everything goes on."""
        passed = now_seconds - self._looked_seconds
        self._looked_seconds = now_seconds
        self._watched_seconds += min(passed, LOOK_COUNTED_SECONDS)
        for at, vital in enumerate(self._vitals):
            count = vital.read()
            if count != self._seen[at]:
                self._seen[at] = count
                self._changed_seconds[at] = self._watched_seconds
            elif self._watched_seconds - self._changed_seconds[at] >= self._limit_seconds:
                return f"{vital.problem} for {self._limit_seconds:g} s"
        return ""


class LoopBeat:
    """Counts turns of the running event loop, and how late it came to them by its own clock.

    On simulated time nothing is late.
    """

    def __init__(self) -> None:
        self.beats = 0
        self._longest_lag_seconds = 0.0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            due_seconds = monotonic_seconds() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            self.beats += 1
            lag_seconds = monotonic_seconds() - due_seconds
            self._longest_lag_seconds = max(self._longest_lag_seconds, lag_seconds)

    def take_longest_lag_seconds(self) -> float:
        """Return the longest delay of a beat since this was asked last."""
        longest, self._longest_lag_seconds = self._longest_lag_seconds, 0.0
        return longest


class Watchdog:
    """The thread that looks, and what it does when something is stuck."""

    def __init__(
        self,
        log_directory: Path,
        remember: Callable[[str], None],
        *,
        spin_limit_seconds: float = SPIN_LIMIT_SECONDS,
        tell_seconds: float = TELL_SECONDS,
        seconds: Callable[[], float] = system_seconds,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """Take what makes the next start know of a trip, and what ends the process at once.

        ``remember`` is called with the reason, in a thread of its own that is given up after
        ``tell_seconds``.
        """
        self._path = log_directory / STACKS_FILE
        self._remember = remember
        self._tell_seconds = tell_seconds
        self._spin_limit_seconds = spin_limit_seconds
        self._seconds = seconds
        self._end = end
        self._watch = Watch((), LIMIT_SECONDS, seconds())
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, vitals: Sequence[Vital], limit_seconds: float = LIMIT_SECONDS) -> None:
        """Look after these from now on."""
        self._watch = Watch(vitals, limit_seconds, self._seconds())
        if self._thread is None:
            faulthandler.register(signal.SIGPROF, file=STANDARD_ERROR, all_threads=True, chain=True)
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def expect_end(self, limit_seconds: float = STOP_LIMIT_SECONDS) -> None:
        """Look after nothing any more but that ``close`` comes in time."""
        ending = Vital("the run was told to stop and has not ended", _standing_still)
        self._watch = Watch((ending,), limit_seconds, self._seconds())

    @property
    def seconds_left(self) -> float:
        """Return how long what stands still now may go on doing so."""
        return self._watch.seconds_left

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(TELL_SECONDS)
            self._thread = None
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            faulthandler.unregister(signal.SIGPROF)

    def _run(self) -> None:
        stuck = ""
        while not stuck:
            signal.setitimer(signal.ITIMER_PROF, self._spin_limit_seconds)
            if self._closed.wait(LOOK_SECONDS):
                return
            stuck = self._watch.look(self._seconds())
        self._trip(stuck)

    def _trip(self, why: str) -> None:
        # Each in a thread of its own: what is stuck may be the log, the disk or the terminal.
        text = f"watchdog: {why}; the process ends with exit code {EXIT_STUCK}\n".encode()
        text += stacks_of_all_threads()
        tell = partial(logger(Tag.SAFETY).error, "watchdog_tripped", why=why, exit_code=EXIT_STUCK)
        steps = (
            partial(self._remember, why),
            tell,
            partial(_write_all, STANDARD_ERROR, text),
            partial(self._path.write_bytes, text),
        )
        until_seconds = self._seconds() + self._tell_seconds
        threads = [threading.Thread(target=step, daemon=True) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until_seconds - self._seconds()))
        self._end(EXIT_STUCK)


def stacks_of_all_threads() -> bytes:
    """Return faulthandler's account of every thread.

    It is written to memory first: faulthandler keeps the interpreter to itself while it writes, and
    a terminal or disk that does not take the bytes would hold the watchdog too.
    """
    with _memory_file() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read()


def _memory_file() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("stacks"), "w+b")
    return tempfile.TemporaryFile()


def _write_all(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


def _standing_still() -> int:
    return 0
