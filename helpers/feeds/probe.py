"""Finds the first fast market that can be reached; must not try one that has refused us again.

A venue's block is obeyed and said (I11): the next *venue* is tried, never another way to the same
one. "Connected, no data" counts as unreachable: how a block shows on a socket is not known (4.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from helpers.clock import Clock, monotonic_seconds
from helpers.domain import FAST_SOURCES, Asset, Message, Source
from helpers.feeds.retry import RateLimited, Unreachable, VenueRefused
from helpers.feeds.socket import SocketTimings, open_link
from helpers.feeds.streams import fast_feeds
from helpers.venues import Venues

PROBE_DATA_SECONDS: Final = 8.0
"""From subscribed to the first quote: the busiest venues need milliseconds, the others a second."""


class ProbeAttempt(Message, frozen=True):
    """What came of one venue, in words for the log."""

    source: Source
    works: bool
    outcome: str


class ProbeResult(Message, frozen=True):
    """The fast market to use, and every attempt on the way to it."""

    source: Source
    attempts: tuple[ProbeAttempt, ...]


class NoFastMarket(Exception):  # noqa: N818
    """No fast market can be reached: nothing is decided without one."""

    def __init__(self, attempts: tuple[ProbeAttempt, ...]) -> None:
        said = "; ".join(f"{attempt.source}: {attempt.outcome}" for attempt in attempts)
        super().__init__(f"no fast market can be reached ({said})")
        self.attempts = attempts


class FastMarketProbe:
    """Tries the fast markets in order of preference, and remembers who refused us."""

    def __init__(
        self,
        venues: Venues,
        clock: Clock,
        *,
        sources: Sequence[Source] = FAST_SOURCES,
        data_seconds: float = PROBE_DATA_SECONDS,
        timings: SocketTimings | None = None,
    ) -> None:
        self._venues = venues
        self._clock = clock
        self._sources = tuple(sources)
        self._data_seconds = data_seconds
        self._timings = timings or SocketTimings()
        self._refusals: dict[Source, str] = {}
        self._silent_until_seconds: dict[Source, float] = {}

    def note_refusal(self, source: Source, refused: VenueRefused) -> None:
        """Remember a refusal that a running reader met; that source is not tried again."""
        self._refusals[source] = str(refused)

    async def choose_fast_source(self, assets: Sequence[Asset]) -> ProbeResult:
        """Return the first venue that sends data; raises ``NoFastMarket`` when none does."""
        attempts: list[ProbeAttempt] = []
        for source in self._sources:
            attempt = await self._attempt(source, assets)
            attempts.append(attempt)
            if attempt.works:
                return ProbeResult(source, tuple(attempts))
        raise NoFastMarket(tuple(attempts))

    async def _attempt(self, source: Source, assets: Sequence[Asset]) -> ProbeAttempt:
        if source in self._refusals:
            return ProbeAttempt(source, False, f"not asked again: {self._refusals[source]}")
        wait_seconds = self._silent_until_seconds.get(source, 0.0) - monotonic_seconds()
        if wait_seconds > 0:
            return ProbeAttempt(source, False, f"wants silence for {wait_seconds:.0f} s more")
        started = monotonic_seconds()
        try:
            await self._first_data(source, assets)
        except VenueRefused as refused:
            self.note_refusal(source, refused)
            return ProbeAttempt(source, False, str(refused))
        except RateLimited as limited:
            self._silent_until_seconds[source] = monotonic_seconds() + limited.seconds
            return ProbeAttempt(source, False, str(limited))
        except Unreachable as failed:
            return ProbeAttempt(source, False, str(failed))
        took_ms = (monotonic_seconds() - started) * 1e3
        return ProbeAttempt(source, True, f"first data after {took_ms:.0f} ms")

    async def _first_data(self, source: Source, assets: Sequence[Asset]) -> None:
        feed = fast_feeds(source, assets, self._venues)[0]
        heard = asyncio.Event()
        streams_in = feed.endpoint.streams_in

        def listen(_source: Source, raw: str | bytes, _received_ns: int) -> None:
            if streams_in(raw if isinstance(raw, bytes) else raw.encode()):
                heard.set()
                link.attention.set()

        link = await open_link(
            feed.endpoint,
            feed.subscription,
            clock=self._clock,
            frames=listen,
            timings=self._timings,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.serve())
            try:
                async with asyncio.timeout(self._data_seconds):
                    await link.attention.wait()
                why = f"connected, then {link.ended}"
            except TimeoutError:
                why = f"connected, no data within {self._data_seconds:g} s"
            link.retire()
        if not heard.is_set():
            raise Unreachable(feed.endpoint.url, why)
