"""Which windows there are, what they are, which tokens to listen to; must not own a position.

Facts come from Gamma by slug, ahead of time, and go to the sink raw. Discovery only ever adds: a
position owns its market's facts, and no failed lookup or roll takes them away (I15).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Final

from helpers.clock import Clock
from helpers.domain import (
    NS_PER_SECOND,
    FeedEvent,
    Market,
    MarketOpened,
    MarketResolved,
    Message,
    Source,
)
from helpers.feeds.gamma import GammaParser
from helpers.feeds.http import HttpReply, VenueHttp
from helpers.feeds.problems import FeedProblem, OnProblem
from helpers.feeds.retry import Backoff, RateLimited, Unreachable, VenueRefused
from helpers.feeds.series_listing import list_windows
from helpers.feeds.subscription import Frames
from helpers.feeds.windows import (
    FOUR_HOURS_SECONDS,
    ExpectedWindow,
    Series,
    expected_windows,
)
from helpers.venues import Venues

WINDOWS_MAXIMUM: Final = 256
"""Windows known at once; eight assets of four lengths are about a hundred."""
RATE_LIMIT_WAIT_SECONDS_MAXIMUM: Final = 3600.0
"""Longest single wait; the host itself stays closed as long as it asked."""
JITTER: Final = 0.2
"""Share by which every interval varies, so that the assets do not ask in step."""


class DirectoryTimings(Message, frozen=True):
    """Durations of the directory, in seconds."""

    look_seconds: float = 0.25
    """Between looks at what is due."""
    lead_seconds: float = 60.0
    """A window's tokens are listened to so long before it opens: its book and mids are warm."""
    linger_seconds: float = 10.0
    """And so long after its close; then its stream is silent (reference C.8)."""
    known_seconds: float = 60.0
    """Between looks at known facts: tick, fees and acceptance can change."""
    missing_seconds: float = 5.0
    """First wait for a window Gamma does not have yet; doubles up to the next."""
    missing_maximum_seconds: float = 30.0
    resolving_seconds: float = 3.0
    """After the close, until ``resolving_for_seconds``: 5 and 15 m take 20 to 90 s (E.6)."""
    resolving_for_seconds: float = 300.0
    late_seconds: float = 30.0
    """After that, until resolved: hourly windows take 13 minutes."""
    remember_seconds: float = 86_400.0
    """An unresolved window nobody holds is forgotten so long after its close."""
    listing_seconds: float = 1800.0
    """Between listings of the windows whose names only Gamma knows."""


class _Entry:
    """What is known of one window."""

    def __init__(self, slug: str, closes_ns: int) -> None:
        self.slug = slug
        self.closes_ns = closes_ns
        self.market: Market | None = None
        self.facts: tuple[FeedEvent, ...] = ()
        self.resolved = False
        self.resolved_on_socket = False
        self.final_price_known = False
        self.misses = 0
        self.due_ns = 0

    @property
    def over(self) -> bool:
        """Return whether its stream has nothing more to say."""
        return self.resolved or self.resolved_on_socket


class MarketDirectory:
    """Finds windows, follows them to their resolution and rolls the subscription."""

    def __init__(
        self,
        series: Sequence[Series],
        http: VenueHttp,
        venues: Venues,
        *,
        clock: Clock,
        frames: Frames,
        on_problem: OnProblem,
        set_tokens: Callable[[frozenset[str]], None],
        held_markets: Callable[[], Iterable[Market]],
        rng: random.Random,
        timings: DirectoryTimings | None = None,
    ) -> None:
        self._series = tuple(series)
        self._listed = frozenset(one for one in series if one.window_seconds == FOUR_HOURS_SECONDS)
        self._http = http
        self._venues = venues
        self._clock = clock
        self._frames = frames
        self._on_problem = on_problem
        self._set_tokens = set_tokens
        self._held_markets = held_markets
        self._rng = rng
        self._timings = timings or DirectoryTimings()
        self._backoff = Backoff(rng)
        self._parser = GammaParser()
        self._entries: dict[str, _Entry] = {}
        self._listing_due_ns = 0
        for one in self._series:
            # A length or asset the venue does not have is said at the start, not at the roll.
            expected_windows(one, self._clock.now_ns())

    async def run(self) -> None:
        """Follow the windows until cancelled; raises ``VenueRefused`` when Gamma says 451."""
        async with asyncio.TaskGroup() as tasks:
            rolling = tasks.create_task(self._roll())
            refused = await self._follow_until_refused()
            rolling.cancel()
        raise refused

    def markets(self) -> tuple[Market, ...]:
        """Return the windows whose facts are known, by close."""
        known = [entry.market for entry in self._entries.values() if entry.market is not None]
        return tuple(sorted(known, key=lambda market: (market.closes_ns, market.slug)))

    def note_resolved(self, condition_id: str) -> None:
        """Take note of a resolution seen on the socket; Gamma is then asked at leisure."""
        for entry in self._entries.values():
            if entry.market is not None and entry.market.condition_id == condition_id:
                entry.resolved_on_socket = True

    def wanted_tokens(self, now_ns: int) -> frozenset[str]:
        """Return the tokens to listen to: windows that run or soon open, and those held.

        A resolved window's book is gone, so its tokens are left out even while it is held.
        """
        wanted = {market.slug: market for market in self._held_markets()}
        for entry in self._entries.values():
            if entry.over:
                wanted.pop(entry.slug, None)
            elif entry.market is not None and self._listens(entry.market, now_ns):
                wanted[entry.slug] = entry.market
        return frozenset(
            token for market in wanted.values() for token in (market.up_token, market.down_token)
        )

    async def _roll(self) -> None:
        while True:
            self._set_tokens(self.wanted_tokens(self._clock.now_ns()))
            await asyncio.sleep(self._timings.look_seconds)

    async def _follow_until_refused(self) -> VenueRefused:
        while True:
            try:
                fetched = await self._look()
            except VenueRefused as refused:
                self._say("gamma", str(refused))
                if refused.status != HTTPStatus.FORBIDDEN:
                    return refused
                # A 403 is a firewall's more often than a region's: the host is left alone long.
                wait_seconds = self._timings.look_seconds
            except RateLimited as limited:
                self._say("gamma", str(limited))
                wait_seconds = min(limited.seconds, RATE_LIMIT_WAIT_SECONDS_MAXIMUM)
            except Unreachable as failed:
                self._say("gamma", str(failed))
                wait_seconds = self._backoff.next_seconds()
            else:
                wait_seconds = 0.0 if fetched else self._timings.look_seconds
            await asyncio.sleep(wait_seconds)

    async def _look(self) -> bool:
        """Fetch what is most overdue; return whether anything was."""
        now_ns = self._clock.now_ns()
        self._plan(now_ns)
        if self._listed and now_ns >= self._listing_due_ns:
            await self._list(now_ns)
            return True
        due = [entry for entry in self._entries.values() if entry.due_ns <= now_ns]
        if not due:
            return False
        entry = min(due, key=lambda one: (one.due_ns, one.closes_ns))
        # Moved before asking, so that one window that fails does not starve the others.
        entry.due_ns = now_ns + self._jittered_ns(self._timings.missing_seconds)
        reply = await self._http.get(f"{self._venues.gamma_rest}/events/slug/{entry.slug}")
        self._backoff.reset()
        self._take(entry, reply)
        return True

    def _plan(self, now_ns: int) -> None:
        for series in self._series:
            for window in expected_windows(series, now_ns):
                self._add(window)
        held = {market.slug: market for market in self._held_markets()}
        for market in held.values():
            self._add(ExpectedWindow(market.slug, market.closes_ns))
            if self._entries[market.slug].market is None:
                self._entries[market.slug].market = market
        self._forget(now_ns, held)

    def _add(self, window: ExpectedWindow) -> None:
        if window.slug not in self._entries:
            self._entries[window.slug] = _Entry(window.slug, window.closes_ns)

    def _forget(self, now_ns: int, held: Iterable[str]) -> None:
        kept_ns = round(self._timings.remember_seconds * NS_PER_SECOND)
        gone = [
            entry
            for entry in self._entries.values()
            if now_ns > entry.closes_ns
            and (
                entry.market is None
                or self._is_done(entry, now_ns)
                or now_ns > entry.closes_ns + kept_ns
            )
        ]
        excess = len(self._entries) - WINDOWS_MAXIMUM
        if excess > 0:
            oldest = sorted(self._entries.values(), key=lambda entry: entry.closes_ns)
            gone.extend(oldest[:excess])
        for entry in gone:
            if entry.slug not in held:
                self._entries.pop(entry.slug, None)

    def _is_done(self, entry: _Entry, now_ns: int) -> bool:
        # The final price is the next window's price to beat and comes up to a minute after the
        # resolution (E.5): it is waited for, but not for ever.
        waited_ns = round(self._timings.resolving_for_seconds * NS_PER_SECOND)
        waited = now_ns > entry.closes_ns + waited_ns
        return entry.resolved and (entry.final_price_known or waited)

    async def _list(self, now_ns: int) -> None:
        self._listing_due_ns = now_ns + self._jittered_ns(self._timings.missing_maximum_seconds)
        until_ns = now_ns + 3 * FOUR_HOURS_SECONDS * NS_PER_SECOND
        found = await list_windows(self._http, self._venues, self._listed, now_ns, until_ns)
        for window in found:
            self._add(window)
        if found:
            self._listing_due_ns = now_ns + self._jittered_ns(self._timings.listing_seconds)
        else:
            self._say("listing", "Gamma listed no open window of four hours")

    def _take(self, entry: _Entry, reply: HttpReply) -> None:
        facts = tuple(self._parser.parse(reply.body, 0)) if reply.found else ()
        market = next(
            (
                fact.market
                for fact in facts
                if isinstance(fact, MarketOpened) and fact.market.slug == entry.slug
            ),
            None,
        )
        if market is None:
            self._miss(entry, reply)
            return
        entry.misses = 0
        entry.market = market
        entry.closes_ns = market.closes_ns
        resolutions = [fact for fact in facts if isinstance(fact, MarketResolved)]
        entry.resolved = bool(resolutions)
        entry.final_price_known = any(fact.final_price for fact in resolutions)
        if facts != entry.facts:
            entry.facts = facts
            self._frames(Source.GAMMA, reply.body, reply.received_ns)
        entry.due_ns = reply.received_ns + self._wait_ns(entry, reply.received_ns)

    def _miss(self, entry: _Entry, reply: HttpReply) -> None:
        if reply.found:
            self._say(entry.slug, "answer was no market of that name")
        elif entry.market is not None or reply.received_ns >= entry.closes_ns:
            self._say(entry.slug, "Gamma does not know the window (any more)")
        ceiling = self._timings.missing_maximum_seconds
        wait_seconds = min(ceiling, self._timings.missing_seconds * 2.0 ** min(entry.misses, 8))
        entry.misses += 1
        entry.due_ns = reply.received_ns + self._jittered_ns(wait_seconds)

    def _wait_ns(self, entry: _Entry, now_ns: int) -> int:
        timings = self._timings
        since_close_seconds = (now_ns - entry.closes_ns) / NS_PER_SECOND
        if since_close_seconds < 0:
            return self._jittered_ns(min(timings.known_seconds, -since_close_seconds))
        soon = since_close_seconds < timings.resolving_for_seconds
        return self._jittered_ns(timings.resolving_seconds if soon else timings.late_seconds)

    def _listens(self, market: Market, now_ns: int) -> bool:
        lead_ns = round(self._timings.lead_seconds * NS_PER_SECOND)
        linger_ns = round(self._timings.linger_seconds * NS_PER_SECOND)
        return market.opens_ns - lead_ns <= now_ns < market.closes_ns + linger_ns

    def _jittered_ns(self, seconds: float) -> int:
        return round(seconds * self._rng.uniform(1.0 - JITTER, 1.0 + JITTER) * NS_PER_SECOND)

    def _say(self, subject: str, what: str) -> None:
        self._on_problem(FeedProblem(Source.GAMMA, subject, what, self._clock.now_ns()))
