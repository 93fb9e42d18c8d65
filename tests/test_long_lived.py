"""What a run begins with is set aside from collections, and comes back when it is over."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

from db.journal import Journal
from helpers.clock import SimulatedClock
from helpers.commands.long_lived import set_aside
from helpers.commands.run import supervise
from helpers.commands.trading_worker import Worker
from helpers.domain import Mode
from helpers.settings import load_settings
from helpers.venues import Venues


class Cycle:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def alive() -> int:
    """Return how many cycles the collector looks after."""
    return sum(type(one) is Cycle for one in gc.get_objects())


def test_only_what_comes_later_is_looked_at() -> None:
    """A cycle made in the run is freed in it; everything is looked at again afterwards."""
    held = Cycle()
    with set_aside():
        assert gc.get_freeze_count() > 1_000
        assert alive() == 0
        Cycle()
        assert alive() == 1
        gc.collect()
        assert alive() == 0
    assert gc.get_freeze_count() == 0
    assert alive() == 1
    assert held.itself is held


def test_a_worker_runs_with_its_past_set_aside(tmp_path: Path) -> None:
    """Every verb that trades goes this way."""
    settings = load_settings(
        _env_file=None, strategy="momentum", journal_directory=tmp_path, record=False
    )
    seen: list[int] = []

    async def look() -> None:
        await asyncio.sleep(0)
        seen.append(gc.get_freeze_count())

    with Journal.open_run(tmp_path, Mode.PAPER, 1, background=True) as journal:
        worker = Worker(settings, SimulatedClock(1), journal, Venues(), random.Random(1))
        assert supervise(worker, look(), asyncio.new_event_loop) == 0
    assert seen[0] > 1_000
    assert gc.get_freeze_count() == 0
