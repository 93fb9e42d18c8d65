"""The watchdog: what counts as stuck, what does not, and how a process ends (I1, I13)."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import logs
from helpers.clock import RealClock
from helpers.watchdog import (
    BEAT_SECONDS,
    LOOK_COUNTED_SECONDS,
    LOOK_SECONDS,
    STACKS_FILE,
    LoopBeat,
    Vital,
    Watch,
    Watchdog,
)

ROOT = Path(__file__).resolve().parents[1]


class Counter:
    """Something that advances when a test says so."""

    def __init__(self, problem: str) -> None:
        self.value = 0
        self.vital = Vital(problem, lambda: self.value)


class Watched:
    """A watch on a loop and a supervisor, and the time it is told."""

    def __init__(self, limit_seconds: float = 20.0) -> None:
        self.loop = Counter("the loop has not turned")
        self.supervisor = Counter("the supervisor has not looked")
        self.now_seconds = 1_000.0
        self.watch = Watch(
            (self.loop.vital, self.supervisor.vital), limit_seconds, self.now_seconds
        )

    def look_until(self, seconds: float, *advancing: Counter) -> str:
        """Look at the watch's own pace for some time; return what is stuck at the end of it."""
        stuck = ""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now_seconds += LOOK_SECONDS
            for counter in advancing:
                counter.value += 1
            stuck = stuck or self.watch.look(self.now_seconds)
        return stuck


def test_nothing_is_stuck_while_everything_advances() -> None:
    """For hours."""
    watched = Watched()
    assert watched.look_until(7_200.0, watched.loop, watched.supervisor) == ""


def test_whatever_stands_still_for_the_limit_is_stuck() -> None:
    """Just under the limit it is not, at the limit it is, and it is named."""
    watched = Watched()
    assert watched.look_until(19.5) == ""
    assert watched.watch.seconds_left == pytest.approx(0.5)
    assert watched.look_until(0.5) == "the loop has not turned for 20 s"


def test_each_vital_is_watched_by_itself() -> None:
    """I1: a supervisor that stands still beside a loop that turns ends the process."""
    watched = Watched()
    assert watched.look_until(60.0, watched.loop, watched.supervisor) == ""
    assert watched.look_until(19.5, watched.loop) == ""
    assert watched.look_until(0.5, watched.loop) == "the supervisor has not looked for 20 s"


def test_one_step_begins_the_limit_anew() -> None:
    """Slow is not stuck."""
    watched = Watched()
    for _ in range(10):
        assert watched.look_until(19.5) == ""
        assert watched.look_until(0.5, watched.loop, watched.supervisor) == ""


def test_a_suspended_machine_is_not_stuck() -> None:
    """The watch itself was late by a night: what stood still meanwhile could not do otherwise."""
    watched = Watched()
    assert watched.look_until(15.0) == ""
    watched.now_seconds += 8 * 3600.0
    assert watched.watch.look(watched.now_seconds) == ""
    assert watched.look_until(20.0 - 15.0 - LOOK_COUNTED_SECONDS - LOOK_SECONDS) == ""
    assert watched.look_until(LOOK_SECONDS) != ""


async def test_a_beat_counts_turns_and_measures_how_late_they_came() -> None:
    """The longest delay since it was asked last, by the loop's own clock."""
    beat = LoopBeat()
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(beat.run())
        await asyncio.sleep(BEAT_SECONDS * 2.5)
        assert beat.beats >= 1
        beat.take_longest_lag_seconds()
        time.sleep(BEAT_SECONDS + 0.1)  # blocks the loop on purpose
        await asyncio.sleep(0.01)
        assert 0.1 <= beat.take_longest_lag_seconds() < 5.0
        assert beat.take_longest_lag_seconds() == 0.0
        beating.cancel()


class Ending:
    """Stands in for the end of the process."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.ended = threading.Event()

    def end(self, code: int) -> None:
        self.codes.append(code)
        self.ended.set()


def test_a_trip_remembers_tells_and_ends_with_70(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The stacks are on standard error and in a file, one SAFETY line says why."""
    lines = logs.configure(clock=RealClock(), json_lines=True, directory=tmp_path)
    ending, remembered = Ending(), list[str]()
    watchdog = Watchdog(tmp_path, remembered.append, end=ending.end)
    watchdog.watch((Counter("nothing was done").vital,), limit_seconds=0.1)
    assert ending.ended.wait(10.0)
    watchdog.close()
    lines.close()
    assert ending.codes == [70]
    assert remembered == ["nothing was done for 0.1 s"]
    stacks = (tmp_path / STACKS_FILE).read_text()
    assert stacks.startswith("watchdog: nothing was done for 0.1 s")
    assert "test_a_trip_remembers_tells_and_ends_with_70" in stacks
    assert stacks in capfd.readouterr().err
    (line,) = (tmp_path / "worker.log").read_text().splitlines()
    assert '"tag":"SAFETY"' in line
    assert '"event":"watchdog_tripped"' in line


def test_the_end_comes_although_nothing_can_be_told(
    tmp_path: Path,
) -> None:
    """What is stuck may be the disk: no step of the end is waited for without a bound."""
    ending, never = Ending(), threading.Event()

    def remember(_why: str) -> None:
        never.wait(20.0)

    watchdog = Watchdog(tmp_path, remember, tell_seconds=0.2, end=ending.end)
    watchdog.watch((Counter("nothing was done").vital,), limit_seconds=0.1)
    assert ending.ended.wait(10.0)
    never.set()
    watchdog.close()
    assert ending.codes == [70]


def test_a_stop_is_bounded_too_and_a_closed_watchdog_sleeps(tmp_path: Path) -> None:
    """While the run ends nothing needs to advance, but the end has to come."""
    ending, still = Ending(), Counter("nothing was done")
    watchdog = Watchdog(tmp_path, lambda _why: None, end=ending.end)
    watchdog.watch((still.vital,), limit_seconds=0.1)
    watchdog.expect_end(30.0)
    assert not ending.ended.wait(3 * LOOK_SECONDS)
    assert 25.0 < watchdog.seconds_left < 30.0
    watchdog.expect_end(0.1)
    assert ending.ended.wait(10.0)
    watchdog.close()
    watchdog.close()


SPINNING = """
import re, sys
from pathlib import Path
from helpers.watchdog import Vital, Watchdog
def computing():
    re.match(r"(a+)+$", "a" * 60 + "b")
watchdog = Watchdog(Path(sys.argv[1]), print, spin_limit_seconds=1.0)
watchdog.watch((Vital("nothing was done", lambda: 0),))
computing()
"""


def test_native_code_that_keeps_the_interpreter_to_itself_is_killed(tmp_path: Path) -> None:
    """No Python thread runs then, not even the watchdog's: the system's timer ends it."""
    done = subprocess.run(
        [sys.executable, "-c", SPINNING, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGPROF
    assert "in computing" in done.stderr
