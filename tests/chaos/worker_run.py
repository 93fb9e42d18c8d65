"""One seeded run of the whole worker against the simulated venues, on simulated time.

Real HTTP and WebSocket traffic, the worker's own feeds, journal, supervision and stop; it is killed
and started again while the world lives on, told to halt and to resume, and everything goes wrong
that DESIGN section 6 lists. What must hold afterwards is in ``tests.chaos.invariants``.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from db.control import ControlLog, ControlReader
from db.control_state import ControlEntry, ControlRequest, ControlState, Damage
from db.journal_reading import read_journal
from db.records import Record
from db.recovery import read_left_behind
from helpers import logs
from helpers.clob.account import AccountDone, AccountOutcome, AccountUnknown
from helpers.commands.composition import TradingSide
from helpers.commands.live_side import LiveSide
from helpers.commands.paper_side import PAPER_WALLET, PaperSide
from helpers.commands.run import leaves
from helpers.domain import Mode, OperatorVerb
from helpers.feeds.probe import NoFastMarket
from helpers.settings import Settings
from simulator.demo_world import ServedWorld
from simulator.exchange_messages import ExchangeEvent
from simulator.simulated_loop import LoopClock, SimulatedLoop
from simulator.world_settings import DEFAULT_START_NS, WALLET
from tests.chaos.taps import (
    JournalTap,
    Killed,
    VenueTap,
    WatchedJournal,
    WatchedWorker,
    WireTap,
)
from tests.chaos.worker_plan import ASSETS, MINUTES, WINDOWS_SECONDS, Life, Plan, draw_plan
from tests.chaos.worker_plan import settings_of as settings_of_plan

REST_SECONDS: Final = 12.0
"""From the last halt to the stop: a trade settles within seconds, an exit is tried again."""
CLAIM_SECONDS: Final = 900.0
"""Longest wait for pay-outs at the end: one that nobody answered is looked for a minute later, and
may be lost more than once (seed 1285)."""
STOP_SECONDS: Final = 60.0
HEARD_SECONDS: Final = 1.0
"""From an operator's word to the end of the process that heard it."""
HALTED_SECONDS: Final = 25.0
"""Until somebody resumes: the next process has warmed up, and would enter."""


class LifeSeen(NamedTuple):
    """One worker process and what it left."""

    worker: WatchedWorker
    live: LiveSide | None
    run: Path
    started_ns: int
    ended_ns: int
    killed: bool
    tasks_left: tuple[str, ...]


class Evidence(NamedTuple):
    """Everything the invariants are judged by."""

    plan: Plan
    settings: Settings
    lives: tuple[LifeSeen, ...]
    records: tuple[tuple[Record, ...], ...]
    """Of each life, read back from its folder."""
    served: ServedWorld
    journals: JournalTap
    venue: VenueTap
    told: tuple[ControlRequest, ...]
    """What an operator asked for, whether a process ran or not."""
    control: ControlState
    """The control log as the run left it."""
    entries: tuple[ControlEntry | Damage, ...]
    """Every line of it: ends of latched halts and answers are on the disk before their rows are."""
    folder: Path
    tasks_left: tuple[str, ...]


class Played(NamedTuple):
    """What a run came to, for people."""

    seed: int
    minutes: float
    market_hours: float
    """Hours of simulated time in which an open market was watched, summed over the markets."""
    rows: int
    entries: int
    exits: int
    fills: int
    lives: int
    killed: int
    live: bool
    faults: Counter[str]
    violations: tuple[str, ...]
    """Name of the invariant and what was found."""


class WorkerRun:
    """The venues, and one worker after the other."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.loop = SimulatedLoop()
        self.clock = LoopClock(self.loop, DEFAULT_START_NS)
        self._rng = random.Random(f"worker run/{plan.seed}")
        self.served = ServedWorld(
            plan.seed,
            self.clock,
            ASSETS,
            WINDOWS_SECONDS,
            plan.faults,
            plan.signer if plan.live else None,
            plan.served,
        )
        key = self.served.credentials()
        keys = (key.api_key, key.secret, key.passphrase)
        self.settings = settings_of_plan(plan, folder, keys)
        self.mode = Mode.LIVE if plan.live else Mode.PAPER
        self.wire = WireTap()
        self.journals = JournalTap(self.wire)
        self.venue = VenueTap(self.served.world.exchange, self.journals)
        self._publish = self.served.world.on_exchange_events
        self.served.world.on_exchange_events = self._hear
        self.lives: list[LifeSeen] = []
        self._control = ControlLog(self.settings.journal_directory, self.mode)
        self._told: list[ControlRequest] = []
        self._tasks_left: tuple[str, ...] = ()

    def _hear(self, events: Sequence[ExchangeEvent]) -> None:
        self.venue.note(events)
        if self._publish is not None:
            self._publish(events)

    async def play(self) -> None:
        """Trade through the faults, life after life, and stop in order at the end."""
        await self.served.start()
        beside = [self.loop.create_task(self.served.drive())]
        beside += [self.loop.create_task(self._operate())]
        try:
            for number, life in enumerate(self.plan.lives, 1):
                await self._live(life, last=number == len(self.plan.lives))
                await asyncio.sleep(life.pause_seconds)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self.served.stop()
        mine = asyncio.current_task()
        self._tasks_left = tuple(repr(t) for t in asyncio.all_tasks() if t is not mine)

    def evidence(self) -> Evidence:
        """Return what the invariants are judged by."""
        return Evidence(
            self.plan,
            self.settings,
            tuple(self.lives),
            tuple(tuple(read_journal(life.run)) for life in self.lives),
            self.served,
            self.journals,
            self.venue,
            tuple(self._told),
            self._control.read(),
            ControlReader(self._control.path).read(),
            self.folder,
            self._tasks_left,
        )

    # --- One process ----------------------------------------------------------------------------

    async def _live(self, life: Life, *, last: bool) -> None:
        started_ns = self.clock.now_ns()
        journal = WatchedJournal.open_run(
            self.settings.journal_directory, self.mode, started_ns, background=True
        )
        journal.watch(
            self.journals, life.row if life.ending == "row" else 0, before_row=life.before_row
        )
        worker, live = self._process(journal)
        running = self.loop.create_task(worker.run())
        seconds = max(life.seconds, self.plan.seconds - self.loop.time()) if last else life.seconds
        if life.last_word is not None:
            await asyncio.wait((running,), timeout=seconds - HEARD_SECONDS)
            self._say(life.last_word)
            self.loop.call_later(HALTED_SECONDS, self._say, OperatorVerb.RESUME)
            seconds = HEARD_SECONDS
        await asyncio.wait((running,), timeout=seconds)
        if life.ending == "instant" and not running.done():
            self._kill(journal)
        elif not running.done():
            await self._stop(worker, live, running, last=last)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if not journal.dead:
            self._require_sound(running)
            worker.close("stopped")
        killed = journal.dead
        journal.bury()
        seen = LifeSeen(
            worker,
            live,
            journal.run,
            started_ns,
            self.clock.now_ns(),
            killed,
            _tasks_of_ours(),
        )
        self.lives.append(seen)

    def _process(self, journal: WatchedJournal) -> tuple[WatchedWorker, LiveSide | None]:
        """Build what a start builds (``helpers.commands.run``)."""
        rng = random.Random(f"process/{self.plan.seed}/{len(self.lives)}")
        settings, venues, signer = self.settings, self.served.venues(), self.plan.signer
        whose = signer.wallet if self.plan.live else PAPER_WALLET
        left = read_left_behind(settings.journal_directory, self.mode, whose)
        side: TradingSide
        live: LiveSide | None = None
        if not self.plan.live:
            side = PaperSide(settings, self.clock, left)
        else:
            side = live = LiveSide(
                settings, signer, self.clock, venues, rng, left, self._redeem, self._merge
            )
        worker = WatchedWorker(settings, self.clock, journal, venues, rng, side)
        worker.wire = self.wire
        return worker, live

    def _kill(self, journal: WatchedJournal) -> None:
        try:
            journal.die()
        except Killed:
            return

    async def _stop(
        self,
        worker: WatchedWorker,
        live: LiveSide | None,
        running: asyncio.Task[None],
        *,
        last: bool,
    ) -> None:
        """End a process as SIGTERM does; the last one after a while without entries."""
        if last:
            # The end must be exact: nothing under way, everything won paid out.
            self._say(self._rng.choice((OperatorVerb.HALT, OperatorVerb.FLATTEN)))
            await asyncio.wait((running,), timeout=REST_SECONDS)
            until = self.loop.time() + CLAIM_SECONDS
            while live is not None and live.claims.owed() and self.loop.time() < until:
                await asyncio.wait((running,), timeout=1.0)
        worker.stop("the run is over")
        await asyncio.wait((running,), timeout=STOP_SECONDS)
        assert running.done(), "a stop takes no longer than a platform waits"

    @staticmethod
    def _require_sound(running: asyncio.Task[None]) -> None:
        """Raise what ended a process, unless it is what the platform starts it again for."""
        error = None if running.cancelled() else running.exception()
        if error is None:
            return
        group = error if isinstance(error, BaseExceptionGroup) else None
        for leaf in leaves(group) if group is not None else (error,):
            if not isinstance(leaf, NoFastMarket):
                raise leaf

    # --- The operator, and the wallet's relayer -------------------------------------------------

    async def _operate(self) -> None:
        for word in self.plan.words:
            await asyncio.sleep(max(0.0, word.at_seconds - self.loop.time()))
            self._say(word.verb)

    def _say(self, verb: OperatorVerb) -> None:
        """Ask as ``worker.py halt`` does; whoever trades now or next hears it."""
        now_ns = self.clock.now_ns()
        request = ControlRequest(f"{verb}-{now_ns}", now_ns, verb, "chaos")
        self._control.append(request)
        self._told.append(request)

    async def _redeem(self, condition_id: str) -> AccountOutcome:
        """Redeem as the relayer would: mostly it works, sometimes nobody knows."""
        await asyncio.sleep(1.0)
        if self._rng.random() < 0.8:
            self.served.world.exchange.redeem(WALLET, condition_id, self.clock.now_ns())
        if self._rng.random() < 0.3:
            return AccountUnknown("no answer")
        return AccountDone("0xredeem", "submitted")

    async def _merge(self, condition_id: str) -> AccountOutcome:
        """Merge every pair, as the relayer would; sometimes nothing comes of it."""
        await asyncio.sleep(1.0)
        exchange = self.served.world.exchange
        listing = exchange.market(condition_id).listing
        account = exchange.accounts.get(WALLET)
        pairs = min(account.free_micros(t) for t in (listing.up_token, listing.down_token))
        if self._rng.random() < 0.8 and pairs > 0:
            exchange.merge(WALLET, condition_id, pairs, self.clock.now_ns())
        return AccountDone("0xmerge", "submitted")


def _tasks_of_ours() -> tuple[str, ...]:
    """Name the tasks that run the worker's own code."""
    found = (task for task in asyncio.all_tasks() if not task.done())
    codes = [(task, getattr(task.get_coro(), "cr_code", None)) for task in found]
    return tuple(repr(t) for t, code in codes if code and "/helpers/" in code.co_filename)


def unplayed(seed: int, minutes: float, why: str) -> Played:
    """Return what a run came to that broke off."""
    return Played(seed, minutes, 0.0, 0, 0, 0, 0, 0, 0, False, Counter(), (f"broke off: {why}",))


def play(seed: int, minutes: float = MINUTES) -> tuple[Played, Evidence]:
    """Play a seed to its end and judge it; the evidence's folder is gone by then."""
    # Here, because the invariants read what this module describes.
    from tests.chaos.invariants import played

    folder = Path(tempfile.mkdtemp(prefix="chaos-worker-"))
    plan = draw_plan(seed, minutes)
    run = WorkerRun(plan, folder)
    lines = logs.configure(
        clock=run.clock,
        level=run.settings.log_level,
        json_lines=True,
        directory=run.settings.log_directory,
        secrets=run.settings.secrets(),
        quiet=True,
    )
    try:
        with asyncio.Runner(loop_factory=lambda: run.loop) as runner:
            runner.run(run.play())
        evidence = run.evidence()
        return played(evidence), evidence
    finally:
        lines.close()
        shutil.rmtree(folder)
