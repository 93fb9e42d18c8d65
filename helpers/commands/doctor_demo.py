"""The doctor at the simulated venues: what all green looks like, and each failure."""

from __future__ import annotations

import asyncio
import random

from helpers.commands.alert_check import alert_row
from helpers.commands.checks import CheckRow
from helpers.commands.demo import throw_away_signer, with_demo_wallet
from helpers.commands.preflight import Preflight
from helpers.settings import Settings
from simulator.ailments import AILMENTS
from simulator.demo_world import ServedWorld
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.world_settings import DEFAULT_START_NS

AILMENT_NAMES = tuple(AILMENTS)


def examine_demo(
    settings: Settings, broken: str, seed: int = 7, *, alert: bool = False
) -> tuple[CheckRow, ...]:
    """Return the rows of an examination of simulated venues, with one thing broken if named.

    With ``alert`` a test message goes to the simulated Discord.
    """
    loop = SimulatedLoop()
    clock = LoopClock(loop, DEFAULT_START_NS)
    signer = throw_away_signer(seed)
    served = ServedWorld(seed, clock, settings.assets, settings.window_seconds(), (), signer)
    settings = with_demo_wallet(settings, served, signer, seed)
    if broken:
        settings = settings.model_copy(update=dict(AILMENTS[broken](served)))

    async def look() -> tuple[CheckRow, ...]:
        await served.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                driving = tasks.create_task(served.drive())
                looking = Preflight(settings, clock, served.venues(), random.Random(seed))
                rows = await looking.examine(feeds=True)
                told = (await alert_row(settings, clock),) if alert else ()
                driving.cancel()
            return (*rows, *told)
        finally:
            await served.stop()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(look())
