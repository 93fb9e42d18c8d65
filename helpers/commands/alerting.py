"""The owner's alerts around a run: told while it lasts, and how it ended, whatever ended it.

Must not: know what trades, or let an alert hold it up.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from helpers.clock import Clock
from helpers.discord import DiscordAlerts
from helpers.domain import AlertSent, Mode, RunStopped
from helpers.settings import Settings
from helpers.stages import Outlet

Ending = Callable[[BaseExceptionGroup[BaseException]], tuple[str, bool]]
"""Says why a group of errors ended the run, and whether nobody had asked for it."""


class Alerting:
    """Discord alerts of one run, or none where no webhook is set."""

    def __init__(
        self,
        settings: Settings,
        mode: Mode,
        clock: Clock,
        rng: random.Random,
        store: Callable[[AlertSent], None],
    ) -> None:
        """Take who writes down what became of each alert."""
        self._alerts: DiscordAlerts | None = None
        if settings.discord_webhook_url is not None:
            url = settings.discord_webhook_url.get_secret_value()
            # Its jitter is its own: how often Discord is away must not change what feeds draw.
            own = random.Random(rng.getrandbits(64))
            self._alerts = DiscordAlerts(url, mode, clock, own, store)

    @property
    def listeners(self) -> tuple[Outlet, ...]:
        """Return who must be told every row."""
        return () if self._alerts is None else (self._alerts,)

    async def around(
        self,
        trade: Callable[[], Awaitable[None]],
        ending: Ending,
        stopped: Callable[[str], RunStopped],
    ) -> None:
        """Trade, and tell how it ended; raises what trading raises."""
        if self._alerts is None:
            await trade()
            return
        async with self._alerts.running():
            # Whatever ends the run, its owner hears of it: the loop still turns here.
            why, failed = "cancelled", True
            try:
                await trade()
            except BaseExceptionGroup as group:
                why, failed = ending(group)
                raise
            finally:
                await self._alerts.finish(stopped(why), failed=failed)
