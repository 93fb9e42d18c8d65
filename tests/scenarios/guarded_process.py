"""A worker process at simulated venues of its own, with something planted that a test asks for.

One JSON object on the command line: the folder it lives in, the watchdog's limit, and how long its
strategy sleeps once (a planted bug: it blocks the event loop) or its journal takes to close (a slow
disk).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from db.journal import Journal
from helpers import logs
from helpers.commands.demo import watch_limits
from helpers.commands.guards import Guards
from helpers.commands.run import supervise, with_journal
from helpers.commands.trading_worker import Worker
from helpers.domain import Decision, MarketState, Mode
from helpers.settings import load_settings
from simulator.demo_world import ServedWorld
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.world_settings import DEFAULT_START_NS
from strategies.random_strategy import RandomStrategy

SPEED = 4.0
HEALTHY_DECISIONS = 10


def plant_sleep(seconds: float) -> None:
    """Let the strategy sleep once, after some decisions."""
    decide, made = RandomStrategy.decide, 0

    def decide_asleep(self: RandomStrategy, states: Sequence[MarketState]) -> Sequence[Decision]:
        nonlocal made
        made += 1
        if made == HEALTHY_DECISIONS:
            time.sleep(seconds)
        return decide(self, states)

    RandomStrategy.decide = decide_asleep


class SlowJournal(Journal):
    """Takes its time to close."""

    seconds = 0.0

    def close(self) -> None:
        time.sleep(self.seconds)
        super().close()


async def play(served: ServedWorld, worker: Worker) -> None:
    """Serve and trade until told to stop."""
    await served.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            driving = tasks.create_task(served.drive())
            await worker.run()
            driving.cancel()
    finally:
        await served.stop()


def main() -> int:
    """Trade until stopped, or stuck."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    folder = Path(spec["folder"])
    settings = load_settings(
        _env_file=None,
        strategy="random",
        assets="BTC",
        windows="5m",
        journal_directory=folder / "journal",
        log_directory=folder,
    )
    loop = SimulatedLoop(SPEED)
    clock = LoopClock(loop, DEFAULT_START_NS)
    served = ServedWorld(7, clock, settings.assets, settings.window_seconds())
    lines = logs.configure(clock=clock, json_lines=True, directory=folder, quiet=True)
    plant_sleep(spec["sleep_seconds"])
    SlowJournal.seconds = spec["close_seconds"]

    def trade(journal: Journal, guards: Guards) -> int:
        journal.__class__ = SlowJournal
        venues, rng = served.venues(), random.Random(7)
        worker = Worker(settings, clock, journal, venues, rng, allow_cold=True, guards=guards)
        return supervise(worker, play(served, worker), lambda: loop)

    limits = watch_limits(loop, SPEED)._replace(still_seconds=spec["limit_seconds"])
    try:
        return with_journal(settings, Mode.PAPER, clock.now_ns(), trade, limits)
    finally:
        lines.close()


if __name__ == "__main__":
    sys.exit(main())
