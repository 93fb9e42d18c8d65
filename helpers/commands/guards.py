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

from helpers.clock import RealClock
from helpers.commands.stop_signals import StopSignals
from helpers.lease import Lease, LeaseHolder
from helpers.logs import Tag, logger, utc
from helpers.outside_heartbeat import OutsideHeartbeat
from helpers.settings import Settings
from helpers.watchdog import LIMIT_SECONDS, STOP_LIMIT_SECONDS, Vital, Watchdog

LEASE_LOOK_SECONDS: Final = 0.5


class WatchLimits(NamedTuple):
    """How long a run may stand still, in real time."""

    still_seconds: float = LIMIT_SECONDS
    stop_seconds: float = STOP_LIMIT_SECONDS
    held_up: Callable[[], int] = lambda: 0
    """Changes while simulated time waits for a thread: nothing can advance then, and nothing is
    stuck."""


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
        self._holder = LeaseHolder(os.getpid(), socket.gethostname(), utc(RealClock().now_ns()))

    def __enter__(self) -> Self:
        """Take the lease; raises ``LeaseTakenError``."""
        self._lease.acquire(self._holder)
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
        self._lease.sign(LeaseHolder(self._holder.pid, self._holder.host, self._holder.since, run))

    async def watch(
        self, vitals: Sequence[Vital], stop: Callable[[str], None], lose: Callable[[str], None]
    ) -> None:
        """Watch until cancelled.

        ``vitals`` must all advance; a signal calls ``stop``, the loss of the lease ``lose``.
        """
        held_up = self._limits.held_up
        watched = [Vital(one.problem, _sum(one.read, held_up)) for one in vitals]
        self._watchdog.watch(watched, self._limits.still_seconds)
        self._stopping = False
        self._signals.listen(asyncio.get_running_loop(), stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_lease(lose))
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

    async def _keep_lease(self, lose: Callable[[str], None]) -> None:
        while not (why := self._lease.loss()):
            await asyncio.sleep(LEASE_LOOK_SECONDS)
        logger(Tag.SAFETY).error("lease_lost", why=why)
        lose(why)


def _sum(one: Callable[[], int], other: Callable[[], int]) -> Callable[[], int]:
    return lambda: one() + other()
