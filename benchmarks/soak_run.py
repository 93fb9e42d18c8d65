"""One phase of the soak: the ordinary worker at the simulated venues, for days of simulated time.

Real HTTP and WebSocket traffic on loopback, journal, log files, alerts and the projector's process
as in production; only time, prices and addresses are not. A full phase is what the demo serves. In
a thin one the world tells about one update a second of every stream and the policy is asked every
five seconds, so that a month fits into an afternoon. That is done to the engine from outside, and
is no setting: the 0.5 s grid is part of what a model has learned, and whoever could change it would
trade with a policy that means something else. Must not: judge what it measures.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from collections.abc import Callable, MutableSequence, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.soak_bounds import Peaks
from benchmarks.soak_census import (
    count_types,
    descriptors,
    find_containers,
    objects_of_ours,
    read_vitals,
    resident_bytes_of,
)
from benchmarks.soak_report import PhaseReport, Reading
from benchmarks.soak_rows import check_rows
from db.journal import SEGMENT_BYTES, Journal
from db.journal_reading import list_segments
from db.records import KIND_OF_TYPE
from helpers import logs
from helpers.clock import system_seconds
from helpers.commands.demo import with_demo_wallet
from helpers.commands.evaluating import LIFTED
from helpers.commands.long_lived import set_aside
from helpers.commands.operator_control import POLL_SECONDS
from helpers.commands.paper_side import PaperSide
from helpers.commands.progress_bar import ProgressBar
from helpers.commands.projecting import Projecting
from helpers.commands.trading_worker import Worker
from helpers.domain import NS_PER_SECOND, Body, Market, Message, Mode
from helpers.heap import keep_large_pieces_apart
from helpers.settings import Settings, load_settings
from simulator.demo_world import ServedSettings, ServedWorld
from simulator.servers.discord import Posted
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.world_settings import DEFAULT_START_NS

DAY_SECONDS: Final = 86_400.0
ASSETS: Final = "BTC,ETH,SOL,XRP"
"""As the settings have it unless told otherwise."""
THIN_ASSETS: Final = "BTC"
"""One asset for a month, four for two days: a day of each costs so much that length and width do
not fit together."""
RETAIN_BYTES: Final = 512 * 1024 * 1024
"""Of the journal; less than a worker keeps, so that the oldest segments are removed here, too."""
READINGS: Final = 480
"""Of memory, in a phase."""
READINGS_PER_CENSUS: Final = 20
REST_SECONDS: Final = 5.0
"""Simulated, from the end of the worker and its venues until their tasks must be gone."""
THIN_WORLD: Final = ServedSettings(
    step_seconds=1.0,
    quotes_per_second=1.0,
    trades_per_second=1.0,
    quietness=30.0,
    depth_interval_ns=NS_PER_SECOND,
)
"""Marks and reference prices come once a second as it is; so quiet, a book changes as often."""


class Phase(Message, frozen=True):
    """How long, how busy, and how small the files are."""

    name: str
    days: float
    world: ServedSettings = ServedSettings()
    assets: str = ASSETS
    steps_per_decision: int = 1
    """Grid steps of 0.5 s from one decision on the grid to the next."""
    operator_poll_seconds: float = POLL_SECONDS
    book_age_critical_seconds: float = 60.0
    """At this age everything is closed, and nothing entered until an operator resumes."""
    segment_bytes: int = SEGMENT_BYTES
    retain_bytes: int = RETAIN_BYTES


def full_phase(days: float, assets: str = ASSETS) -> Phase:
    """Return a phase at the rates of the demo."""
    return Phase("full", days, assets=assets)


def thin_phase(days: float, assets: str = THIN_ASSETS) -> Phase:
    """Return a phase on a thinned feed, with a decision every five seconds and at every move.

    There a book rests for minutes, so its critical age is at its widest: ten days were once soaked
    of which the worker traded for six hours.
    """
    return Phase(
        "thin",
        days,
        THIN_WORLD,
        assets,
        steps_per_decision=10,
        operator_poll_seconds=1.0,
        book_age_critical_seconds=1200.0,
    )


class SoakJournal(Journal):
    """The ordinary journal; it counts what it was given."""

    written: Counter[str]

    def append(self, at_ns: int, market: str, body: Body) -> int:
        """Add a row, and count it once it is taken."""
        seq = super().append(at_ns, market, body)
        self.written[KIND_OF_TYPE[type(body)]] += 1
        return seq


class SoakWorker(Worker):
    """The ordinary worker; it says what it has done."""

    def ask_policy_every(self, steps: int) -> None:
        """Let only every so manieth grid step be a decision; moves are answered as ever."""
        engine, tick = self._engine, self._engine.tick

        def seldom(now_ns: int, markets: Sequence[Market], on_grid: bool) -> None:
            if not on_grid or engine.grid_steps % steps == 0:
                tick(now_ns, markets, on_grid)

        if steps > 1:
            engine.tick = seldom  # type: ignore[method-assign]

    def figures(self) -> tuple[int, int, int, int]:
        """Return frames taken, decisions, round trips, and what they came to, in micro-dollars."""
        trips = self._flow.ledger.report()
        decisions = self._flow.scorecard.decisions.total()
        return self._intake.frames, decisions, trips.trades, trips.realised_micros


class Witness:
    """Looks at the process while simulated time goes by."""

    def __init__(self, days: float) -> None:
        self._days = days
        self.readings: list[Reading] = []
        self.peaks: dict[str, Peaks] = {}
        self.types: list[Counter[str]] = []
        """After the warm-up, and at the last census."""
        self.older: list[object] = []
        """What a run begins with, which the collector does not tell of meanwhile."""
        self.edges: list[Reading] = []
        """Before anything was started, and when all had ended."""
        self.projector: Callable[[], int | None] = lambda: None
        """Returns the number of the projector's process."""
        self.trades: Callable[[], int] = lambda: 0
        """Returns the round trips so far."""

    def let_go(self) -> None:
        """Hold nothing of the run any more: what it left open would be its own."""
        self.older.clear()
        self.projector, self.trades = lambda: None, lambda: 0

    def look(self) -> Reading:
        """Return the processes as they are now."""
        day, projector = asyncio.get_running_loop().time() / DAY_SECONDS, self.projector()
        projector_bytes = None if projector is None else resident_bytes_of(projector)
        return Reading(day, *read_vitals(), projector_bytes, self.trades())

    async def watch(self, messages: MutableSequence[Posted]) -> None:
        """Look around until cancelled; what Discord was told is forgotten: it is not ours."""
        pause = self._days * DAY_SECONDS / READINGS
        total = max(1, round(self._days * DAY_SECONDS / 60))
        with ProgressBar(total, "simulated minutes") as bar:
            while True:
                await asyncio.sleep(pause)
                messages.clear()
                seen = self.look()
                self.readings.append(seen)
                if len(self.readings) % READINGS_PER_CENSUS == 0:
                    self._count(late=seen.day > self._days / 2)
                bar.show(min(total, round(seen.day * DAY_SECONDS / 60)))

    def _count(self, *, late: bool) -> None:
        for name, found in find_containers(self.older).items():
            known = self.peaks.get(name, Peaks())
            self.peaks[name] = known.with_seen(found, late=late)
        if len(self.readings) >= READINGS // 4:
            self.types = [*self.types[:1], count_types()]


def soak_settings(folder: Path, strategy: str, phase: Phase) -> Settings:
    """Return what trades for days without stopping: limits of the account are at their widest."""
    chosen: dict[str, Any] = {
        "strategy": strategy,
        "shadow": "",
        "assets": phase.assets,
        "windows": "15m",
        "live_enabled": False,
        "heartbeat_url": None,
        "database": "auto",
        "database_url": None,
        "database_direct_url": None,
        "embedded_postgres_directory": folder / "postgres",
        # By the real date all of this is old; what is retired is retired at the end, by its own.
        "database_detail_days": 3650,
        "record": False,
        "log_directory": folder / "logs",
        "log_level": "info",
        "book_age_critical_seconds": phase.book_age_critical_seconds,
    }
    return load_settings(**chosen, **LIFTED)


def run_phase(phase: Phase, seed: int, folder: Path, strategy: str = "rl") -> PhaseReport:
    """Run a phase in a folder of its own and return what was seen.

    Raises what ends a worker, and ``ModelError`` for a model that cannot be loaded.
    """
    gc.collect()
    opened = descriptors()
    witness = Witness(phase.days)
    done = _trade(phase, seed, folder, strategy, witness)
    witness.let_go()
    gc.collect()
    left_open = descriptors() - opened
    middle_ns = DEFAULT_START_NS + round(phase.days / 2 * DAY_SECONDS * NS_PER_SECOND)
    rows = asyncio.run(check_rows(folder, done.run, done.written, middle_ns))
    segments = list_segments(done.run)
    return PhaseReport(
        phase=phase.name,
        days=phase.days,
        seed=seed,
        strategy=strategy,
        assets=phase.assets,
        wall_seconds=done.wall_seconds,
        cpu_seconds=done.cpu_seconds,
        frames=done.frames,
        decisions=done.decisions,
        trades=done.trades,
        pnl_micros=done.pnl_micros,
        alerts=done.messages,
        readings=tuple(witness.readings),
        before=witness.edges[0],
        after=witness.edges[-1],
        peaks=witness.peaks,
        types=tuple(dict(counted) for counted in witness.types),
        left_open=dict(left_open),
        segments_written=int(segments[-1].stem),
        segments_kept=len(segments),
        segment_bytes=phase.segment_bytes,
        journal_bytes=sum(path.stat().st_size for path in segments),
        retain_bytes=phase.retain_bytes,
        log_bytes=tuple(path.stat().st_size for path in sorted((folder / "logs").iterdir())),
        rows=rows,
    )


class Done(NamedTuple):
    """What a worker that has ended leaves: nothing of it lives on."""

    run: Path
    written: Counter[str]
    wall_seconds: float
    cpu_seconds: float
    frames: int
    decisions: int
    trades: int
    pnl_micros: int
    messages: int


def _trade(phase: Phase, seed: int, folder: Path, strategy: str, witness: Witness) -> Done:
    loop = SimulatedLoop()
    clock = LoopClock(loop, DEFAULT_START_NS)
    settings = soak_settings(folder, strategy, phase)
    served = ServedWorld(
        seed, clock, settings.assets, settings.window_seconds(), served=phase.world
    )
    settings = with_demo_wallet(settings, served, None, seed)
    # Not among the demos: their rows have another age.
    settings = settings.model_copy(update={"journal_directory": folder / "journal"})
    lines = logs.configure(
        clock=clock,
        level=settings.log_level,
        json_lines=True,
        directory=settings.log_directory,
        secrets=settings.secrets(),
        quiet=True,
    )
    began_seconds, cpu_seconds = system_seconds(), _processor_seconds()
    try:
        # Left in this order: the journal is closed when the projector is told to drain.
        with Projecting(settings) as projecting, _open_journal(phase, settings, clock) as journal:
            projecting.start()
            witness.projector = lambda: projecting.process_id
            worker = _worker(phase, settings, clock, served, journal, seed)
            witness.trades = lambda: worker.figures()[2]
            witness.older = objects_of_ours()
            keep_large_pieces_apart()
            with set_aside(), asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(_play(served, worker, witness, phase.days))
            worker.close("the soak is over")
            wall_seconds = system_seconds() - began_seconds
            cpu_seconds = _processor_seconds() - cpu_seconds
    finally:
        lines.close()
    messages = served.polymarket.discord.answers.total()
    return Done(
        journal.run, journal.written, wall_seconds, cpu_seconds, *worker.figures(), messages
    )


def _open_journal(phase: Phase, settings: Settings, clock: LoopClock) -> SoakJournal:
    journal = SoakJournal.open_run(
        settings.journal_directory,
        Mode.PAPER,
        clock.now_ns(),
        background=True,
        segment_bytes=phase.segment_bytes,
        retain_bytes=phase.retain_bytes,
    )
    journal.written = Counter()
    return journal


def _worker(
    phase: Phase,
    settings: Settings,
    clock: LoopClock,
    served: ServedWorld,
    journal: SoakJournal,
    seed: int,
) -> SoakWorker:
    worker = SoakWorker(
        settings,
        clock,
        journal,
        served.venues(),
        random.Random(seed),
        PaperSide(settings, clock, None),
        operator_poll_seconds=phase.operator_poll_seconds,
    )
    worker.ask_policy_every(phase.steps_per_decision)
    return worker


async def _play(served: ServedWorld, worker: SoakWorker, witness: Witness, days: float) -> None:
    witness.edges.append(witness.look())
    await served.start()
    heard = served.polymarket.discord.messages
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(served.drive()), tasks.create_task(witness.watch(heard))]
            beside.append(tasks.create_task(_end(worker, days * DAY_SECONDS)))
            await worker.run()
            for task in beside:
                task.cancel()
    finally:
        await served.stop()
    await asyncio.sleep(REST_SECONDS)
    witness.edges.append(witness.look())


async def _end(worker: Worker, seconds: float) -> None:
    await asyncio.sleep(seconds)
    worker.stop("the soak is over")


def _processor_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system
