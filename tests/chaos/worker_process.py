"""A live worker process at the simulated venues of another process; it may kill itself on the way.

It is the ordinary worker with the ordinary journal. One JSON object on the command line says where
the venues are, how their clock differs from ours, and at which journal row to die, if at any.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from db.journal import Journal
from db.recovery import read_left_behind
from helpers import logs
from helpers.clock import RealClock
from helpers.commands.demo import throw_away_key, throw_away_signer
from helpers.commands.guards import Guards
from helpers.commands.live_side import LiveSide
from helpers.commands.run import new_event_loop, supervise, with_journal
from helpers.commands.trading_worker import Worker
from helpers.domain import Body, Decision, Mode, Refused, StrikeSeen, Unsized
from helpers.settings import Settings, load_settings
from helpers.venues import Venues

UNINTERESTING = (Decision, Refused, Unsized, StrikeSeen)
"""Rows that say nothing about money: killing at them is killing at a random instant."""


class ShiftedClock:
    """The venue process's time."""

    def __init__(self, offset_ns: int) -> None:
        self._clock = RealClock()
        self._offset_ns = offset_ns

    def now_ns(self) -> int:
        return self._clock.now_ns() + self._offset_ns


class DeadlyJournal(Journal):
    """Kills its own process before or after a row of a number, as SIGKILL would."""

    deadly_row = 0
    after = False
    rows = 0

    def append(self, at_ns: int, market: str, body: Body) -> int:
        if not isinstance(body, UNINTERESTING):
            type(self).rows += 1
            if self.rows == self.deadly_row:
                if self.after:
                    super().append(at_ns, market, body)
                    super().commit()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().append(at_ns, market, body)


def settings_of(spec: dict[str, Any]) -> Settings:
    """Return settings that trade as often as they can."""
    signer = throw_away_signer(spec["seed"])
    return load_settings(
        _env_file=None,
        database="off",
        strategy="random",
        random_seed=spec["life"],
        assets="BTC,ETH",
        windows="5m,15m",
        execution_style=("taker", "maker", "auto")[spec["life"] % 3],
        maker_lifetime_seconds=2,
        trade_size=12,
        maximum_exposure=2_000,
        maximum_positions=8,
        entry_stop_seconds=20,
        position_timeout_seconds=10,
        maximum_position_age_seconds=10,
        reentry_cooldown_seconds=0,
        reject_streak_limit=100,
        losing_streak_limit=100,
        order_rate_per_minute=600,
        daily_loss_limit=1_000,
        maximum_spread=0.5,
        journal_directory=Path(spec["folder"]) / "journal",
        log_directory=Path(spec["folder"]),
        log_format="json",
        live_enabled=True,
        live_ack=signer.wallet,
        polymarket_private_key=SecretStr(throw_away_key(spec["seed"])),
        polymarket_wallet=signer.wallet,
        polymarket_relayer_key=SecretStr("any"),
        polymarket_relayer_address=signer.address,
    )


def main() -> int:
    """Trade until killed or told to stop."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    settings, venues = settings_of(spec), Venues(**spec["venues"])
    clock, rng = ShiftedClock(spec["offset_ns"]), random.Random(f"{spec['seed']}/{spec['life']}")
    signer = throw_away_signer(spec["seed"])
    lines = logs.configure(
        clock=clock,
        level="info",
        json_lines=True,
        directory=settings.log_directory,
        secrets=settings.secrets(),
        quiet=True,
    )
    DeadlyJournal.deadly_row, DeadlyJournal.after = spec["deadly_row"], spec["after"]

    def trade(journal: Journal, guards: Guards) -> int:
        journal.__class__ = DeadlyJournal
        left = read_left_behind(settings.journal_directory, Mode.LIVE, signer.wallet)
        live = LiveSide(settings, signer, clock, venues, rng, left)
        worker = Worker(settings, clock, journal, venues, rng, live, allow_cold=True, guards=guards)
        return supervise(worker, worker.run(), new_event_loop)

    try:
        return with_journal(settings, Mode.LIVE, clock.now_ns(), trade)
    finally:
        lines.close()


if __name__ == "__main__":
    sys.exit(main())
