"""Holds a live run's entries until everything a trade needs was found right, and says what is not.

A worker that refused to start would leave the positions of its last run alone, so it starts, looks
after them, and enters nothing. Must not: trade, or go on looking once all is right.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from helpers.clock import Clock
from helpers.commands.preflight import Preflight
from helpers.domain import HoldCause
from helpers.live.ports import Holder
from helpers.logs import Log
from helpers.settings import Settings
from helpers.venues import Venues

AGAIN_SECONDS: Final = 30.0
BENIGN: Final = frozenset({"redeeming"})
"""Worth a warning: won positions wait for their owner, and nothing is lost by it."""


async def hold_until_right(
    settings: Settings,
    clock: Clock,
    venues: Venues,
    rng: random.Random,
    holder: Holder,
    log: Log,
) -> None:
    """Return once every look is ok; until then entries are held and each failure is told."""
    while True:
        rows = await Preflight(settings, clock, venues, rng).examine(feeds=False)
        failed = [row for row in rows if row.state == "failed"]
        for row in failed:
            log.warning("preflight_failed", line=row.name, found=row.found, fix=row.fix)
        grave = [f"{row.name}: {row.found}" for row in failed if row.name not in BENIGN]
        now_ns = clock.now_ns()
        if not grave:
            holder.release_entries(HoldCause.PREFLIGHT, now_ns)
            log.info("preflight_ok", lines=len(rows) - len(failed))
            return
        holder.hold_entries(HoldCause.PREFLIGHT, "; ".join(grave), now_ns)
        await asyncio.sleep(AGAIN_SECONDS)
