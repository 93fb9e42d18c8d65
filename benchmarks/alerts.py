"""What alerts cost trading: from a move of the fast market to order bytes, with and without them.

The same ticks and the same rows in both, in turns, so that a busy machine slows both alike: every
second or so 500 rows at once that are all worth an alert. With alerts, they are read, merged and
sent to a simulated Discord in another process; without, they only go to the journal.

    uv run python -m benchmarks.alerts
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import statistics
import sys
import tempfile
from contextlib import AbstractAsyncContextManager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.tick_to_order import Bench
from helpers import logs
from helpers.clock import RealClock
from helpers.commands.run import new_event_loop
from helpers.discord import DiscordAlerts
from helpers.domain import AlertOutcome, AlertSent, BookHealth, Mode, Outcome, RunStopped
from simulator.servers.discord import PATH, DiscordWebhook
from simulator.servers.serving import LoopbackServer
from simulator.servers.surroundings import Surroundings

BUDGET_RATIO: Final = 1.1
TURNS: Final = 8
"""The 32 slowest of 3,200 orders: with fewer the p99 of the same code differs by a tenth."""
BURST_ROWS: Final = 500
BURST_TICKS: Final = 40
"""Ticks between two bursts."""


class BurstBench(Bench):
    """The flow and its ticks, some of which are followed by a burst of rows."""

    _ticks = 0

    async def tick(self) -> float:
        """Move the fast market once; the burst, if one is due, competes with the next tick."""
        taken = await super().tick()
        self._ticks += 1
        if self._ticks % BURST_TICKS == 0:
            for number in range(BURST_ROWS):
                market = f"btc-updown-15m-{self._ticks}{number:04}"
                book = BookHealth(market, Outcome.UP, "degraded", 30.5)
                self.flow.outlets.write(self.at_ns, market, book)
        return taken


def serve(told: Connection) -> None:
    """Be Discord, until killed."""

    async def run() -> None:
        surroundings = Surroundings(RealClock().now_ns, lambda: None)
        server = LoopbackServer(DiscordWebhook(surroundings).app(), surroundings)
        await server.start()
        told.send(f"http://{server.address}{PATH}")
        await asyncio.Event().wait()

    asyncio.run(run())


def measured(url: str) -> tuple[list[float], dict[AlertOutcome, int]]:
    """Return the milliseconds of every tick, and what became of the alerts; no address: none."""
    with tempfile.TemporaryDirectory() as folder:
        listeners: list[DiscordAlerts] = []

        def store(sent: AlertSent) -> None:
            bench.flow.outlets.write(bench.at_ns, "", sent)

        if url:
            listeners.append(DiscordAlerts(url, Mode.LIVE, RealClock(), random.Random(1), store))
        bench = BurstBench(Path(folder), tuple(listeners))

        async def run() -> list[float]:
            running: AbstractAsyncContextManager[None] = nullcontext()
            for alerts in listeners:
                running = alerts.running()
            async with running:
                found = await bench.run()
                for alerts in listeners:
                    await alerts.finish(RunStopped("measured", 0, 0, 0, 0, 0), failed=False)
            return found

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                found = runner.run(run())
        finally:
            bench.journal.close()
        return found, dict(listeners[0].outcomes) if listeners else {}


def main() -> int:
    """Print the table; return 1 when the p99 with alerts is over the budget."""
    lines = logs.configure(clock=RealClock(), level="error", json_lines=True, directory=None)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    discord = context.Process(target=serve, args=(theirs,), daemon=True)
    discord.start()
    url = str(ours.recv())
    taken: dict[str, list[float]] = {"without": [], "with alerts": []}
    became: dict[AlertOutcome, int] = {}
    try:
        for _ in range(TURNS):
            taken["without"] += measured("")[0]
            found, outcomes = measured(url)
            taken["with alerts"] += found
            became = {one: became.get(one, 0) + outcomes.get(one, 0) for one in AlertOutcome}
    finally:
        discord.kill()
        discord.join()
        lines.close()
    p99: dict[str, float] = {}
    for name, found in taken.items():
        found.sort()
        p99[name] = found[int(0.99 * len(found))]
        sys.stdout.write(
            f"{name:<12} p50 {statistics.median(found):.3f} ms, p99 {p99[name]:.3f} ms, "
            f"{len(found)} orders\n"
        )
    ratio = p99["with alerts"] / p99["without"]
    verdict = "ok" if ratio <= BUDGET_RATIO else "over"
    told = ", ".join(f"{count} {outcome.value}" for outcome, count in became.items())
    sys.stdout.write(f"alerts       {told}\n")
    sys.stdout.write(f"p99 ratio    {ratio:.2f} of {BUDGET_RATIO:.2f}  {verdict}\n")
    return 0 if ratio <= BUDGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
