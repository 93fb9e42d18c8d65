"""What a run begins with is set aside and comes back; its heap is not torn by large pieces."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from db.journal import Journal
from helpers.clock import SimulatedClock
from helpers.commands.long_lived import set_aside
from helpers.commands.run import supervise
from helpers.commands.trading_worker import Worker
from helpers.domain import Mode
from helpers.settings import load_settings
from helpers.venues import Venues

MAPPED_AFTER_A_FREED_PIECE: Final = """
import ctypes
from helpers.commands.long_lived import keep_large_pieces_apart

class Memory(ctypes.Structure):
    # mallinfo2(3): the fourth is how many pieces are mapped on their own.
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

look = ctypes.CDLL(None).mallinfo2
look.restype = Memory
{told}
bytearray(1024 * 1024)
before = look().d
held = bytearray(256 * 1024)
print(look().d - before)
"""


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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc's allocator")
def test_large_pieces_of_memory_are_mapped_on_their_own() -> None:
    """Also after one of them was freed, from which glibc would learn to do otherwise."""
    kept_apart, otherwise = (
        int(subprocess.run(
            [sys.executable, "-c", MAPPED_AFTER_A_FREED_PIECE.format(told=told)],
            check=True, capture_output=True, text=True,
        ).stdout)
        for told in ("keep_large_pieces_apart()", "")
    )  # fmt: skip
    assert (kept_apart, otherwise) == (1, 0)
