"""Signals: the first stops, the others are heard and interrupt nothing (I32)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import logs
from helpers.clock import RealClock
from helpers.commands.run import new_event_loop
from helpers.commands.stop_signals import StopSignals
from simulator.simulated_loop import SimulatedLoop

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [new_event_loop, SimulatedLoop]


@pytest.fixture(name="log")
def log_of_the_test(tmp_path: Path) -> Iterator[Callable[[], str]]:
    lines = logs.configure(clock=RealClock(), json_lines=True, directory=tmp_path, quiet=True)
    yield lambda: (tmp_path / "worker.log").read_text()
    lines.close()


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_the_first_signal_stops_and_the_second_is_told(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    log: Callable[[], str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """On the loop, between loop and end, and not any more after it."""
    asked: list[str] = []
    signals = StopSignals(lambda: 41.6)
    before = signal.getsignal(signal.SIGTERM)

    async def run() -> None:
        stopping = asyncio.Event()

        def stop(why: str) -> None:
            asked.append(why)
            stopping.set()

        signals.listen(asyncio.get_running_loop(), stop)
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await stopping.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.05)
        signals.leave_loop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())
    assert asked == ["SIGTERM asked for it"]
    assert '"event":"stop_goes_on","signal":"SIGINT","seconds_left_at_most":42' in log()
    os.kill(os.getpid(), signal.SIGTERM)
    assert (
        capfd.readouterr().err == "worker.py: SIGTERM was heard; the stop goes on, 42 s at most\n"
    )
    assert signals.heard == 3
    signals.close()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_does_not_end_what_is_being_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    """The disk is waited for as long as it needs, whatever is pressed meanwhile."""
    signals, heard = StopSignals(lambda: 5.0), list[str]()

    def press(_number: int, _frame: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    async def listen() -> None:
        signals.listen(asyncio.get_running_loop(), heard.append)
        signals.leave_loop()

    asyncio.run(listen())
    old = signal.signal(signal.SIGALRM, press)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    began = time.monotonic()
    time.sleep(0.2)
    signal.signal(signal.SIGALRM, old)
    signals.close()
    assert time.monotonic() - began >= 0.2
    assert heard == []
    assert "SIGINT was heard" in capfd.readouterr().err


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_is_a_stop_unless_it_is_to_be_outlived(
    ignored: bool, log: Callable[[], str]
) -> None:
    """It was a kill, with orders left at the venue; ``nohup`` says to go on."""
    asked: list[str] = []
    signals = StopSignals(lambda: 5.0)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

    async def run() -> None:
        signals.listen(asyncio.get_running_loop(), asked.append)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)
        signals.leave_loop()

    try:
        asyncio.run(run())
        signals.close()
        assert signal.getsignal(signal.SIGHUP) == (signal.SIG_IGN if ignored else signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert asked == ([] if ignored else ["SIGHUP asked for it"])
