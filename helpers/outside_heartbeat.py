"""Tells a monitor elsewhere that the worker still decides; its silence is the alarm.

Like healthchecks.io: a GET every minute, and only if ticks and the position supervisor advanced
since the last one, so that a process that merely runs is not taken for one that works (I1). Must
not: raise, wait without a bound, or let its address be seen: whoever knows it can keep the alarm
quiet (I35).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import httpx

from helpers.feeds.http import new_client
from helpers.logs import Tag, logger
from helpers.watchdog import Vital

INTERVAL_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 10.0
"""Bound of one ping from the look-up of the name to the answer's status."""
FAILURES_MERGED: Final = 60
"""A monitor that does not answer is told of at once, and then once an hour."""


class OutsideHeartbeat:
    """Pings one address while every vital advances."""

    def __init__(
        self,
        url: str,
        vitals: Sequence[Vital],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        client: Callable[[], httpx.AsyncClient] = new_client,
    ) -> None:
        self._url = url
        self._vitals = tuple(vitals)
        self._interval_seconds = interval_seconds
        self._answer_seconds = answer_seconds
        self._client = client
        self._log = logger(Tag.HEALTH)
        self._failures = 0
        self.pings = 0

    async def run(self) -> None:
        """Ping until cancelled."""
        async with self._client() as client:
            seen = self._counts()
            while True:
                await asyncio.sleep(self._interval_seconds)
                counts = self._counts()
                advanced = all(new != old for new, old in zip(counts, seen, strict=True))
                seen = counts
                if advanced:
                    self._note(await self._ping(client))

    def _counts(self) -> tuple[int, ...]:
        return tuple(vital.read() for vital in self._vitals)

    async def _ping(self, client: httpx.AsyncClient) -> str:
        """Return what was wrong, empty when nothing was."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                # The body is nobody's business, and may be of any length.
                async with client.stream("GET", self._url) as answer:
                    return "" if answer.is_success else f"HTTP {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failed:
            return type(failed).__name__  # its text may hold the address

    def _note(self, problem: str) -> None:
        self.pings += 1
        if not problem:
            if self._failures:
                self._log.info("outside_heartbeat_answered", after_failures=self._failures)
            self._failures = 0
            return
        self._failures += 1
        if self._failures % FAILURES_MERGED == 1:
            merged = min(self._failures, FAILURES_MERGED) - 1
            self._log.warning("outside_heartbeat_failed", why=problem, merged=merged)
