"""The running worker: frames into the engine, time forward, signals, heartbeat, orderly stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from db.control import ControlLog
from db.journal import Journal
from helpers.clock import Clock
from helpers.commands.alerting import Alerting
from helpers.commands.closing_table import closing_table, shadows_table
from helpers.commands.composition import (
    TradingSide,
    build_flow,
    finish,
    run_started,
    run_stopped,
)
from helpers.commands.failures import leaves
from helpers.commands.guards import Guards, OneTrader
from helpers.commands.intake import Intake
from helpers.commands.live_feeds import LiveFeeds
from helpers.commands.model_side import ModelSide
from helpers.commands.observed_run import ObservedRun, Observer
from helpers.commands.operator_control import POLL_SECONDS, OperatorControl
from helpers.commands.paper_side import PaperSide
from helpers.commands.shadows import Shadows
from helpers.domain import (
    NS_PER_SECOND,
    AlertSent,
    Connected,
    HoldCause,
    Market,
    MarketResolved,
    ModelChanged,
    ShadowWindow,
    Source,
    from_micros,
)
from helpers.feeds.ingest import WorkerEvent
from helpers.lease import LeaseLostError
from helpers.logs import Tag, logger
from helpers.settings import Settings
from helpers.stages import Outlet
from helpers.venues import Venues
from helpers.watchdog import LoopBeat, Vital
from strategies.models import Model

LONGEST_SLEEP_SECONDS: Final = 0.05
"""The engine's time is moved at least this often."""
SUSPECTS_INTERVAL_SECONDS: Final = 0.25
HEARTBEAT_SECONDS: Final = 30.0
SYNC_SECONDS: Final = 1.0
FLATTEN_SECONDS: Final = 20.0
"""Longest wait for the exits of ``FLATTEN_ON_STOP``; cancelling may take 15 s more, and platforms
kill a minute after they asked."""


class _Stopped(Exception):  # noqa: N818
    """Somebody asked for the end of the run."""


class Companion(Protocol):
    """What runs beside the flow and hears its rows; nothing of it may hold the flow up."""

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row."""
        ...

    async def run(self) -> None:
        """Do what it is for, until cancelled."""
        ...


class Worker:
    """A run on live feeds, on paper or with real money."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        journal: Journal,
        venues: Venues,
        rng: random.Random,
        side: TradingSide | None = None,
        *,
        allow_cold: bool = False,
        guards: Guards | None = None,
        operator_poll_seconds: float = POLL_SECONDS,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Build the flow; without a side it trades on paper, from ``PAPER_CASH`` on.

        ``allow_cold`` lets entries before the windows are filled (tests). Without ``guards``
        nothing watches over the run. ``operator_poll_seconds`` is on the loop's time.
        """
        self._guards = guards
        self._side = side or PaperSide(settings, clock, None)
        self._mode = self._side.mode
        self._settings = settings
        self._clock = clock
        self._journal = journal
        self._venues = venues
        self._rng = rng
        self._health = logger(Tag.HEALTH)
        log = ControlLog(settings.journal_directory, self._mode)
        self._operator = OperatorControl(log, Path(journal.run).name)
        self._operator_poll_seconds = operator_poll_seconds
        self._alerting = Alerting(settings, self._mode, clock, rng, self._write_down)
        self._shadows = Shadows(settings, self._write_shadow, allow_cold=allow_cold)
        trading = self._side.trading()
        self.models = ModelSide(settings, clock, operator_poll_seconds)
        self._companions: tuple[Companion, ...] = (self._shadows, self.models, *observers)
        beside = (outlet for one in self._companions for outlet in one.listeners)
        listeners = (*trading.listeners, *beside, *self._alerting.listeners)
        self._flow = build_flow(
            settings,
            self._mode,
            journal,
            allow_cold=allow_cold,
            trading=trading._replace(listeners=listeners),
            keepers=(self._operator,),
            strategy=self.models.strategy,
            watched=[one.watched for one in observers],
        )
        self.models.attach(self._flow, self.change_model)
        self._engine = self._flow.engine
        self._intake = Intake(settings, self._mode)
        self._observers = tuple(observers)
        self._feeds: LiveFeeds | None = None
        self._now_ns = 0
        self._beat = LoopBeat()
        self._build_id = ""
        self._stop = asyncio.Event()
        self._why = self._lease_lost = ""

    async def run(self) -> None:
        """Trade until told to stop; raises a group of what made a task fail.

        A lease that is lost stops the run in order and raises ``LeaseLostError`` at its end.
        """
        self.begin()
        try:
            await self._alerting.around(
                self._trade, self._ending, lambda why: run_stopped(self._flow, why)
            )
        except* _Stopped:
            self._health.info("stopping", why=self._why)

    def _ending(self, group: BaseExceptionGroup[BaseException]) -> tuple[str, bool]:
        """Return what ended the run, and whether nobody had asked for it."""
        if self._lease_lost:
            return "the lease was lost", True
        found = {type(error).__name__ for error in leaves(group) if not isinstance(error, _Stopped)}
        return (f"failed: {', '.join(sorted(found))}", True) if found else (self._why, False)

    async def _trade(self) -> None:
        feeds = self._feeds = LiveFeeds(
            self._settings,
            self,
            self._held_markets,
            venues=self._venues,
            clock=self._clock,
            rng=self._rng,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feeds.run())
            tasks.create_task(self._follow_clock())
            tasks.create_task(self._beat.run())
            if self._guards is not None:
                trader = OneTrader(self._hold_for_lease, self._release_for_lease, self._give_up)
                tasks.create_task(self._guards.watch(self._vitals(), self.stop, trader))
            tasks.create_task(self._keep_journal())
            tasks.create_task(self._refetch_suspects(feeds))
            tasks.create_task(self._say_alive())
            tasks.create_task(self._hear_operator())
            tasks.create_task(self._end_when_stopped())
            tasks.create_task(self._side.run())
            for companion in self._companions:
                tasks.create_task(companion.run())

    @property
    def entries_stopped(self) -> str:
        """Return why no entry is allowed, empty when they are."""
        return self._engine.halts.reason

    def closing_table(self, title: str) -> str:
        """Return what the run came to, for people."""
        ledger = self._flow.ledger
        table = closing_table(title, ledger.report(), ledger.positions(), self._flow.scorecard)
        return table + shadows_table(self._shadows.duels(), self._shadows.endings())

    def stop(self, why: str) -> None:
        """End the run in order."""
        self._why = self._why or why
        self._engine.halts.hold_entries(HoldCause.STOPPING, "shutting down", self._now_ns)
        if self._guards is not None:
            self._guards.stopping()
        self._stop.set()

    def _write_down(self, alert: AlertSent) -> None:
        self._flow.outlets.write(self._advance_clock(self._clock.now_ns()), "", alert)

    def _write_shadow(self, market: str, window: ShadowWindow) -> None:
        self._flow.outlets.write(self._now_ns, market, window)

    def _hold_for_lease(self, why: str) -> None:
        # Another worker may trade from now on (I31): whatever this one does ends something.
        self._engine.halts.hold_entries(HoldCause.LEASE, why, self._now_ns)

    def _release_for_lease(self) -> None:
        self._engine.halts.release_entries(HoldCause.LEASE, self._now_ns)

    def _give_up(self, why: str) -> None:
        self._lease_lost = why
        self.stop("another worker has the lease")

    def _vitals(self) -> tuple[Vital, ...]:
        engine, beat = self._engine, self._beat
        return (
            Vital("the event loop has not turned", lambda: beat.beats),
            Vital("no grid step was done", lambda: engine.grid_steps),
            Vital("the position supervisor has not looked", lambda: engine.supervisor.ticks),
        )

    def close(self, why: str) -> None:
        """Bring every order to its end, write the last row and close the tape."""
        now_ns = self._advance_clock(self._clock.now_ns())
        self._shadows.catch_up()
        for position in self._flow.ledger.positions():
            self._health.warning(
                "position_left_open",
                market=position.market,
                outcome=str(position.outcome),
                shares=from_micros(position.shares_micros),
            )
        finish(self._flow, self._settings, why, now_ns)
        self._intake.close()
        self.models.close()

    # --- What the feeds bring -------------------------------------------------------------------

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        """Record a frame and give its events to the engine."""
        now_ns = self._advance_clock(received_ns)
        for event in self._intake.events(source, raw, now_ns):
            self._engine.on_event(event)
            self._shadows.hear(event)
            if isinstance(event, MarketResolved) and self._feeds is not None:
                self._feeds.directory.note_resolved(event.condition_id)

    def on_worker_event(self, event: WorkerEvent) -> None:
        """Record an event of our own and give it to the engine."""
        self._advance_clock(event.received_ns)
        self._intake.note(event, self._now_ns)
        self._engine.on_event(event)
        self._shadows.hear(event)

    def _advance_clock(self, now_ns: int) -> int:
        # Frames of two sockets can be stamped in one order and delivered in another.
        self._now_ns = max(self._now_ns, now_ns)
        return self._now_ns

    # --- Tasks ----------------------------------------------------------------------------------

    def move_time(self, now_ns: int) -> None:
        """Let everything due up to a moment happen."""
        self._engine.advance(self._advance_clock(now_ns))
        self._shadows.hear(self._now_ns)

    async def _follow_clock(self) -> None:
        while True:
            self.move_time(self._clock.now_ns())
            wait = (self._engine.next_due_ns() - self._now_ns) / NS_PER_SECOND
            await asyncio.sleep(min(max(wait, 0.0), LONGEST_SLEEP_SECONDS))

    async def _keep_journal(self) -> None:
        # Decisions wait in a buffer; a crash of the machine loses no more than this.
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            self._journal.sync_soon()

    async def _refetch_suspects(self, feeds: LiveFeeds) -> None:
        while True:
            for token in self._flow.board.drain_suspects():
                feeds.books.request(token)
            await asyncio.sleep(SUSPECTS_INTERVAL_SECONDS)

    def hear_operator(self) -> None:
        """Do what an operator asked for since the last look."""
        self._operator.poll(self._advance_clock(self._clock.now_ns()))

    async def _hear_operator(self) -> None:
        while True:
            self.hear_operator()
            await asyncio.sleep(self._operator_poll_seconds)

    def change_model(self, changed: ModelChanged, model: Model | None) -> None:
        """Let another model decide from now on, or none; the row is written either way."""
        self.move_time(self._clock.now_ns())  # what is due was decided by the model before
        if model is not None:
            self.models.adopt(changed, model)
        self._flow.outlets.write(self._now_ns, "", changed)

    async def _say_alive(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._heartbeat()

    async def _end_when_stopped(self) -> None:
        await self._stop.wait()
        if self._settings.flatten_on_stop and not self._lease_lost:
            await self._flatten()
        await self._side.stop()
        if self._lease_lost:
            raise LeaseLostError(self._lease_lost)
        raise _Stopped

    async def _flatten(self) -> None:
        """Close every position, for as long as a platform waits; the rest keeps its deadlines."""
        supervisor = self._engine.supervisor
        supervisor.flatten()
        try:
            async with asyncio.timeout(FLATTEN_SECONDS):
                while not supervisor.flat:
                    await asyncio.sleep(LONGEST_SLEEP_SECONDS)
        except TimeoutError:
            left = [position.market for position in self._flow.ledger.positions()]
            logger(Tag.SAFETY).error("not_flat_at_stop", left=left, next="the next start owns them")

    # --- Beginning, heartbeat -------------------------------------------------------------------

    def begin(self) -> None:
        """Write the first row and the first line."""
        now_ns = self._advance_clock(self._clock.now_ns())
        flow, settings = self._flow, self._settings
        parts = self._journal, self._intake, self._shadows, self.models
        for one in self._observers:
            one.attach(ObservedRun(settings, self._mode, flow, *parts))
        started = run_started(settings, flow.strategy, Path(self._journal.run).name, "")
        flow.outlets.write(now_ns, "", started)
        self._operator.begin(self._engine.halts, self.on_worker_event, now_ns)
        if self._guards is not None and self._guards.lease_missing:
            self._hold_for_lease(self._guards.lease_missing)
        flow.outlets.commit()
        self._build_id = started.build_id
        self._side.attach(flow, self.move_time)
        self.on_worker_event(Connected(Source.WORKER, now_ns))
        self.hear_operator()
        self._health.info(
            "worker_started",
            mode=self._mode.value,
            strategy=flow.strategy.name,
            model=flow.strategy.model_id,
            assets=",".join(settings.assets),
            windows=",".join(settings.windows),
            journal=str(self._journal.run),
            tape=self._intake.place,
        )

    def _held_markets(self) -> Iterable[Market]:
        ledger = self._flow.ledger
        found = (ledger.market(position.market) for position in ledger.positions())
        return [market for market in found if market is not None]

    def _heartbeat(self) -> None:
        ledger, scorecard = self._flow.ledger, self._flow.scorecard
        pnl = ledger.realised_micros + ledger.unrealised_micros
        self._health.info(
            "heartbeat",
            mode=self._mode.value,
            build=self._build_id,
            frames=self._intake.frames,
            decisions=scorecard.decisions.total(),
            refused=scorecard.refusals.total(),
            markets=len(self._flow.board.open_markets(self._now_ns)),
            positions=len(ledger.positions()),
            pnl=f"{from_micros(pnl):+.2f}",
            longest_lag_ms=round(self._beat.take_longest_lag_seconds() * 1000, 1),
            tape_dropped=self._intake.dropped,
        )
