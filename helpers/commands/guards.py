"""What watches over a run and is outside its flow: lease, watchdog, signals, outside heartbeat.

Composition only. Order at the end: the journal is closed by then, the lease is given back, the
watchdog sleeps, and only then a signal kills again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

from msgspec.structs import replace

from helpers.clock import RealClock
from helpers.commands.stop_signals import StopSignals
from helpers.lease import (
    Lease,
    LeaseError,
    LeaseHolder,
    LeaseTakenError,
    LeaseUnavailableError,
)
from helpers.logs import Tag, logger, utc
from helpers.outside_heartbeat import OutsideHeartbeat
from helpers.settings import Settings
from helpers.watchdog import LIMIT_SECONDS, STOP_LIMIT_SECONDS, Vital, Watchdog

LEASE_LOOK_SECONDS: Final = 0.5
LEASE_RETAKE_SECONDS: Final = 2.0
"""Between two attempts to have a lost lease again."""


class WatchLimits(NamedTuple):
    """How long a run may stand still, in real time."""

    still_seconds: float = LIMIT_SECONDS
    stop_seconds: float = STOP_LIMIT_SECONDS
    held_up: Callable[[], int] = lambda: 0
    """Changes while simulated time waits for a thread: nothing can advance then, and nothing is
    stuck."""


class OneTrader(NamedTuple):
    """What whoever must be the only one that trades is told (I31)."""

    hold: Callable[[str], None]
    """Enter nothing, for this reason: another worker may have the lease."""
    release: Callable[[], None]
    """Go on: the lease is ours again."""
    give_up: Callable[[str], None]
    """End the run: another worker has the lease."""


class Guards:
    """The guards of one run, from before its journal is opened until after it is closed."""

    def __init__(
        self,
        settings: Settings,
        lease: Lease,
        remember: Callable[[str], None],
        *,
        limits: WatchLimits | None = None,
    ) -> None:
        """Take the lease to hold, and what makes the next start know of a stuck process."""
        self._settings = settings
        self._lease = lease
        self._limits = limits or WatchLimits()
        self._watchdog = Watchdog(settings.log_directory, remember)
        self._signals = StopSignals(lambda: self._watchdog.seconds_left)
        self._stopping = False
        self.lease_missing = ""
        """Why the lease is not held, empty while it is."""
        self._holder = LeaseHolder(os.getpid(), socket.gethostname(), utc(RealClock().now_ns()))

    def __enter__(self) -> Self:
        """Take the lease; raises ``LeaseTakenError``.

        When nobody can be asked, the run begins without it: positions need their supervisor, and
        whatever is an entry waits for the lease.
        """
        try:
            self._lease.acquire(self._holder)
        except LeaseUnavailableError as error:
            self.lease_missing = str(error)
            logger(Tag.SAFETY).error("lease_unavailable", why=self.lease_missing)
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back."""
        try:
            self._lease.release()
        finally:
            self._watchdog.close()
            self._signals.close()

    def name_run(self, run: str) -> None:
        """Write into the lease which run it is for."""
        self._holder = replace(self._holder, run=run)
        self._lease.sign(self._holder)

    async def watch(
        self, vitals: Sequence[Vital], stop: Callable[[str], None], trader: OneTrader
    ) -> None:
        """Watch until cancelled.

        ``vitals`` must all advance; a signal calls ``stop``, and ``trader`` hears of the lease.
        """
        held_up = self._limits.held_up
        watched = [Vital(one.problem, _sum(one.read, held_up)) for one in vitals]
        self._watchdog.watch(watched, self._limits.still_seconds)
        self._stopping = False
        self._signals.listen(asyncio.get_running_loop(), stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_lease(trader))
                if self._settings.heartbeat_url is not None:
                    url = self._settings.heartbeat_url.get_secret_value()
                    tasks.create_task(OutsideHeartbeat(url, vitals).run())
        finally:
            self.stopping()
            self._signals.leave_loop()

    def stopping(self) -> None:
        """Allow what the run does from now on a bounded time."""
        if not self._stopping:
            self._stopping = True
            self._watchdog.expect_end(self._limits.stop_seconds)

    async def _keep_lease(self, trader: OneTrader) -> None:
        while True:
            why = self.lease_missing or self._lease.loss()
            if why and not await self._win_back(why, trader):
                return
            await asyncio.sleep(LEASE_LOOK_SECONDS)

    async def _win_back(self, why: str, trader: OneTrader) -> bool:
        """Ask for the lease until it is ours again; return false when it is another worker's."""
        log = logger(Tag.SAFETY)
        self.lease_missing = why
        log.error("lease_lost", why=why)
        trader.hold(why)
        while self.lease_missing:
            try:
                await asyncio.to_thread(self._lease.retake, self._holder)
            except LeaseTakenError as error:
                log.error("lease_taken", why=str(error))
                trader.give_up(str(error))
                return False
            except LeaseError as error:
                self.lease_missing = str(error)
                await asyncio.sleep(LEASE_RETAKE_SECONDS)
            else:
                self.lease_missing = ""
        log.warning("lease_retaken")
        trader.release()
        return True


def _sum(one: Callable[[], int], other: Callable[[], int]) -> Callable[[], int]:
    return lambda: one() + other()
