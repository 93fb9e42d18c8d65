"""What people who look cost trading: from a move of the fast market to order bytes, and in CPU.

The same ticks with three viewers and a fourth who does not read, and without a dashboard, in turns,
so that a busy machine slows both alike. The viewers are another process. Then, with no ticks, the
CPU time that three viewers cost the worker.

    uv run python -m benchmarks.dashboard
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import httpx

from benchmarks.tick_to_order import Bench
from helpers import logs
from helpers.clock import RealClock, system_seconds
from helpers.commands.dashboard import Dashboard
from helpers.commands.intake import Intake
from helpers.commands.model_side import ModelSide
from helpers.commands.observed_run import ObservedRun
from helpers.commands.run import new_event_loop
from helpers.commands.shadows import Shadows
from helpers.domain import Mode
from helpers.server.serving import listen
from helpers.settings import load_settings

BUDGET_RATIO: Final = 1.1
BUDGET_CPU: Final = 0.02
TURNS: Final = 8
"""The 32 slowest of 3,200 orders: with fewer the p99 of the same code differs by a tenth."""
VIEWERS: Final = 3
VIEWER_NICENESS: Final = 10
"""People look from another machine: they must not compete for this one's cores."""
IDLE_SECONDS: Final = 10.0
START_SECONDS: Final = 30.0


class WatchedBench(Bench):
    """The flow with a dashboard beside it."""

    def __init__(self, folder: Path, dashboard: Dashboard) -> None:
        super().__init__(folder, dashboard.listeners, (dashboard.watched,))
        settings = load_settings(_env_file=None, journal_directory=folder)
        dashboard.attach(
            ObservedRun(
                settings,
                Mode.LIVE,
                self.flow,
                self.journal,
                Intake(settings, Mode.LIVE),
                Shadows(settings, lambda _market, _window: None, allow_cold=True),
                ModelSide(settings, self.clock, 1.0),
            )
        )


def view(port: int, told: Connection, stalls: bool, leave: Event) -> None:
    """Look at a dashboard until told to leave; one that stalls never reads."""

    async def follow() -> None:
        url = f"http://127.0.0.1:{port}/events"
        async with httpx.AsyncClient(timeout=None) as client, client.stream("GET", url) as stream:  # noqa: S113
            seen = 0
            async for line in stream.aiter_lines():
                seen += line.startswith("data: ")
                if seen == 1:
                    told.send("looking")
                    seen += 1

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            viewers = [tasks.create_task(follow()) for _ in range(VIEWERS)]
            await asyncio.to_thread(leave.wait)
            for viewer in viewers:
                viewer.cancel()

    os.nice(VIEWER_NICENESS)
    if stalls:
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", port))
        stalled.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    with suppress(BaseExceptionGroup):  # the dashboard may end before its viewers
        asyncio.run(run())


class Viewers:
    """Three viewers, and perhaps a stalled one, in a process of their own."""

    def __init__(self, port: int, *, stalls: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe(duplex=False)
        self._leave = context.Event()
        self._process = context.Process(
            target=view, args=(port, theirs, stalls, self._leave), daemon=True
        )

    async def begin(self) -> None:
        """Return once all three have seen a view."""
        self._process.start()
        for _ in range(VIEWERS):
            if not await asyncio.to_thread(self._ours.poll, START_SECONDS):
                raise TimeoutError("the viewers saw nothing")
            self._ours.recv()

    async def end(self) -> None:
        """Let them leave."""
        self._leave.set()
        await asyncio.to_thread(self._process.join)


def free_port() -> int:
    """Return a port that nobody listens on."""
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    listener.close()
    return port


def plain() -> list[float]:
    """Return the milliseconds of every tick without a dashboard."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(bench.run())
        finally:
            bench.journal.close()


def watched(*, ticks: bool) -> tuple[list[float], float]:
    """Return the milliseconds of every tick with viewers, and the CPU that viewers cost idle.

    Without ``ticks`` only the second: seconds of CPU in a second, above the same without viewers.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            _env_file=None, dashboard_port=port, journal_directory=Path(folder)
        )
        dashboard = Dashboard(settings, Mode.LIVE, RealClock())
        bench = WatchedBench(Path(folder), dashboard)

        async def run() -> tuple[list[float], float]:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(dashboard.run())
                await asyncio.sleep(0)
                viewers = Viewers(port, stalls=ticks)
                found: list[float] = []
                alone = 0.0
                if not ticks:
                    await bench.begin()
                    alone = await cpu_share()
                await viewers.begin()
                if ticks:
                    found = await bench.run()
                share = 0.0 if ticks else await cpu_share() - alone
                await viewers.end()
                serving.cancel()
            return found, share

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(run())
        finally:
            bench.journal.close()


async def cpu_share() -> float:
    """Return the CPU time of this process over some idle seconds, as a share of a core."""
    began, used = system_seconds(), time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    return (time.process_time() - used) / (system_seconds() - began)


def main() -> int:
    """Print the table; return 1 when a budget is missed."""
    lines = logs.configure(clock=RealClock(), level="error", json_lines=True, directory=None)
    taken: dict[str, list[float]] = {"without": [], "with viewers": []}
    for _ in range(TURNS):
        taken["without"] += plain()
        taken["with viewers"] += watched(ticks=True)[0]
    share = watched(ticks=False)[1]
    lines.close()
    p99: dict[str, float] = {}
    for name, found in taken.items():
        found.sort()
        p99[name] = found[int(0.99 * len(found))]
        sys.stdout.write(
            f"{name:<14} p50 {statistics.median(found):.3f} ms, p99 {p99[name]:.3f} ms, "
            f"{len(found)} orders\n"
        )
    ratio = p99["with viewers"] / p99["without"]
    sys.stdout.write(
        f"p99 ratio      {ratio:.2f} of {BUDGET_RATIO:.2f}  "
        f"{'ok' if ratio <= BUDGET_RATIO else 'over'}\n"
        f"CPU, {VIEWERS} viewers {share:.2%} of a core, of {BUDGET_CPU:.0%}  "
        f"{'ok' if share <= BUDGET_CPU else 'over'}\n"
    )
    return 0 if ratio <= BUDGET_RATIO and share <= BUDGET_CPU else 1


if __name__ == "__main__":
    sys.exit(main())
