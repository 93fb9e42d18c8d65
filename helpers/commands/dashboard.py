"""The server beside a run: publishes what the worker does, ten times a second at most looks why.

It runs on the worker's loop. In a demo the pages are served by a thread with a loop of its own:
simulated time then knows of no viewer, so that the same seed gives the same run, viewed or not.
A port that is taken, or whatever else goes wrong here, is told and the worker trades on: positions
need their supervisor more than a page. Must not: change anything but the control log.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from db.control import ControlLog
from helpers.clock import Clock, monotonic_seconds, system_seconds
from helpers.commands.dashboard_control import asking
from helpers.commands.dashboard_thread import InThread
from helpers.commands.observed_run import ObservedRun, build_view, equity_micros
from helpers.commands.run_readings import ServerFacts, build_readings
from helpers.commands.shadows import Pairings
from helpers.domain import MarketState, Mode, Position, Snapshot
from helpers.evaluation.comparison import Duel, duel
from helpers.logs import Log, Tag, logger
from helpers.server.access import Access
from helpers.server.app import Health, Site, read_assets
from helpers.server.health import ALIVE_SECONDS, Pulse, ReadinessLimits, failing_conditions
from helpers.server.hub import Hub, Published
from helpers.server.memory import Memory
from helpers.server.serving import Serving, listen
from helpers.server.tally import Histogram, Tally
from helpers.server.view import LagView
from helpers.settings import Settings
from helpers.stages import FeatureFunction, Outlet

LOOK_SECONDS: Final = 0.1
"""Between two looks whether somebody wants something; also how often the loop's lag is measured."""
VIEW_SECONDS: Final = 0.5
"""Real time between two views, whoever and however many look."""
FAILURE_LOG_SECONDS: Final = 60.0
"""Between two lines about views that could not be made."""
ASSETS_FOLDER: Final = Path(__file__).resolve().parents[1] / "web" / "dashboard"

_encode = msgspec.json.encode


class Dashboard:
    """The server of one run (an ``Observer``)."""

    def __init__(
        self,
        settings: Settings,
        mode: Mode,
        clock: Clock,
        *,
        slower: float | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:
        """Serve on ``DASHBOARD_HOST`` and ``DASHBOARD_PORT`` once ``run`` is called.

        ``slower`` is given in a demo: real time over simulated where that is more than 1, else 1.
        ``told`` hears the address, or why there is none.
        """
        self._settings = settings
        self._mode = mode
        self._clock = clock
        self._simulated = slower is not None
        self._slower = slower or 1.0
        self._told = told
        self._log: Log = logger(Tag.HEALTH)
        self._tally = Tally()
        self._memory = Memory(lambda: equity_micros(self._observed.flow))
        self._hub = Hub()
        self._pulse = Pulse(ALIVE_SECONDS * self._slower)
        self._lag = Histogram()
        self._duels = Duels()
        self._run: ObservedRun | None = None
        self._seq = 0
        self._published_seconds = -VIEW_SECONDS
        self._history = ((-1, -1), b"")
        self._synced = (0, 0.0)
        self._failed_seconds = -FAILURE_LOG_SECONDS

    # --- An observer --------------------------------------------------------------------------

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row."""
        return (self._tally, self._memory)

    def watched(self, features: FeatureFunction) -> FeatureFunction:
        """Return the same function, whose results are remembered."""

        def watch(snapshot: Snapshot, position: Position) -> MarketState:
            state = features(snapshot, position)
            self._memory.see(state)
            self._tally.seen(snapshot.fast.age_seconds)
            return state

        return watch

    def attach(self, run: ObservedRun) -> None:
        """Take the owners that are read."""
        self._run = run

    @property
    def _observed(self) -> ObservedRun:
        assert self._run is not None, "attach comes first"
        return self._run

    # --- The server ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled; return early, having said so, when that cannot be."""
        settings = self._settings
        try:
            listener = listen(settings.dashboard_host, settings.dashboard_port)
        except (OSError, UnicodeError) as error:  # a name that cannot be one is a UnicodeError
            self._say_off(f"{settings.dashboard_host}:{settings.dashboard_port}: {error}")
            return
        host, port = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        try:
            await self._serve(listener, address)
        except Exception as error:  # noqa: BLE001  # the boundary of the page: no error passes it
            self._log.error("dashboard_failed", why=str(error), exc_info=error)
        finally:
            listener.close()
            self._duels.close()

    def _say_off(self, why: str) -> None:
        self._log.warning(
            "dashboard_off", why=why, mend="set DASHBOARD_PORT to a free port, or to 0 for none"
        )
        if self._told is not None:
            self._told(f"off: {why}; set DASHBOARD_PORT to a free port")

    async def _serve(self, listener: socket.socket, address: str) -> None:
        settings = self._settings
        token = settings.dashboard_token
        access = Access(
            settings.dashboard_host,
            token.get_secret_value() if token is not None else None,
            open_metrics=settings.dashboard_open_metrics,
        )
        log = ControlLog(settings.journal_directory, self._mode)
        site = Site(
            self._hub,
            access,
            Health(self._mode, self._pulse),
            asking(log, random.Random()),
            read_assets(ASSETS_FOLDER),
            lambda client: serving.cut(client),
        )
        serving = Serving(site.app(), listener)
        self._log.info(
            "dashboard", address=address, control="on" if access.has_token else "look only"
        )
        if self._told is not None:
            self._told(address)
        if self._simulated:
            with InThread(serving, self._hub) as thread:
                await self._publish(thread.publish)
        else:
            await serving.start()
            try:
                await self._publish(self._hub.publish)
            finally:
                self._hub.close()
                await serving.stop()

    async def _publish(self, deliver: Callable[[Published], None]) -> None:
        period_seconds = LOOK_SECONDS / self._slower
        while True:
            due_seconds = monotonic_seconds() + period_seconds
            await asyncio.sleep(period_seconds)
            self._lag.add(max(0.0, monotonic_seconds() - due_seconds))
            self._look_at_vitals()
            if self._hub.wanted and system_seconds() - self._published_seconds >= VIEW_SECONDS:
                self._published_seconds = system_seconds()
                self._deliver(deliver)

    def _deliver(self, deliver: Callable[[Published], None]) -> None:
        """Publish what there is now; where that fails, health checks and the next view go on."""
        try:
            deliver(self.published())
        except Exception as error:  # noqa: BLE001  # one bad view must not take the page away
            if monotonic_seconds() - self._failed_seconds >= FAILURE_LOG_SECONDS:
                self._failed_seconds = monotonic_seconds()
                self._log.error("dashboard_view_failed", why=str(error), exc_info=error)

    def _look_at_vitals(self) -> None:
        run = self._observed
        self._pulse.note(run.flow.engine.grid_steps)
        synced = run.journal.synced_seq
        if synced != self._synced[0] or synced >= run.journal.seq:
            self._synced = (synced, monotonic_seconds())

    def published(self) -> Published:
        """Return what is shown of this moment."""
        run, memory, tally = self._observed, self._memory, self._tally
        now_ns = self._clock.now_ns()
        self._seq += 1
        view = build_view(
            run,
            tally,
            memory,
            self._duels.latest(run, tally),
            lag=self._lag_view(),
            seq=self._seq,
            now_ns=now_ns,
            simulated=self._simulated,
        )
        server = ServerFacts(self._hub.viewers, self._hub.dropped, self._seq, self._lag)
        settings = self._settings
        limits = ReadinessLimits(
            settings.book_age_degraded_seconds,
            settings.fast_age_seconds,
            settings.clock_skew_seconds,
        )
        # A market that is over has no book any more, and its position waits for the resolution.
        open_states = [s for s in memory.states.values() if s.snapshot.market.closes_ns > now_ns]
        first_model = memory.started.model_id if memory.started is not None else ""
        late_seconds = monotonic_seconds() - self._synced[1]
        return Published(
            self._seq,
            _encode(view),
            self._encoded_history(),
            build_readings(run, tally, view, open_states, server, first_model=first_model),
            failing_conditions(
                open_states,
                view.safety,
                limits,
                now_ns=now_ns,
                journal_late_seconds=late_seconds,
            ),
            system_seconds(),
        )

    def _encoded_history(self) -> bytes:
        key = (self._memory.equity_seq, self._memory.trades_seq)
        if self._history[0] != key:
            self._history = (key, _encode(self._memory.history()))
        return self._history[1]

    def _lag_view(self) -> LagView:
        found = self._lag.percentiles()
        if self._simulated or found is None:
            return LagView(None, None)
        return LagView(1000 * self._lag.latest[-1], 1000 * found[1])


class Duels:
    """Shadows beside the strategy that trades, worked out in a thread when a window has ended."""

    def __init__(self) -> None:
        self._known: tuple[Duel, ...] = ()
        self._windows = 0
        self._thread: ThreadPoolExecutor | None = None
        self._working: Future[tuple[Duel, ...]] | None = None

    def latest(self, run: ObservedRun, tally: Tally) -> tuple[Duel, ...]:
        """Return the latest that is known, and have newer ones worked out where there are any."""
        if self._working is not None and self._working.done():
            self._known, self._working = self._working.result(), None
        windows = tally.shadow_windows.total()
        if windows != self._windows and self._working is None:
            self._windows = windows
            self._thread = self._thread or ThreadPoolExecutor(1, "dashboard")
            self._working = self._thread.submit(_duels, run.shadows.pairings())
        return self._known

    def close(self) -> None:
        """Work out nothing more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)


def _duels(pairings: Pairings) -> tuple[Duel, ...]:
    found = (duel(theirs, ours) for theirs, ours in pairings)
    return tuple(one for one in found if one is not None)
