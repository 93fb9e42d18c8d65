"""Fetches whole books over REST for tokens under suspicion; must not judge who is suspect."""

from __future__ import annotations

import asyncio
from typing import Final

from helpers.clock import Clock, monotonic_seconds
from helpers.domain import Source
from helpers.feeds.http import VenueHttp
from helpers.feeds.ingest import encode_rest
from helpers.feeds.problems import FeedProblem, OnProblem
from helpers.feeds.retry import RateLimited, Unreachable
from helpers.feeds.subscription import Frames
from helpers.venues import Venues

PENDING_MAXIMUM: Final = 64
"""Suspects that wait at most; a later one is refused and will be suspected again."""
TOKEN_INTERVAL_SECONDS: Final = 3.0
"""Between two fetches of one token: a book that stays wrong must not become a storm."""
TOKENS_REMEMBERED: Final = 512
LIMIT_SILENCE_SECONDS_MAXIMUM: Final = 3600.0
"""Longest single wait for a rate limit; the host itself stays closed as long as it asked."""


class BookRefetcher:
    """A bounded queue of suspects, fetched one after another."""

    def __init__(
        self,
        http: VenueHttp,
        venues: Venues,
        *,
        clock: Clock,
        frames: Frames,
        on_problem: OnProblem,
        token_interval_seconds: float = TOKEN_INTERVAL_SECONDS,
    ) -> None:
        self._http = http
        self._url = f"{venues.clob_rest}/book"
        self._clock = clock
        self._frames = frames
        self._on_problem = on_problem
        self._token_interval_seconds = token_interval_seconds
        self._queue: asyncio.Queue[str] = asyncio.Queue(PENDING_MAXIMUM)
        self._pending: set[str] = set()
        self._asked_seconds: dict[str, float] = {}

    def request(self, token: str) -> bool:
        """Queue a token; return False when it waits already, was just asked for, or none fit."""
        last = self._asked_seconds.get(token, float("-inf"))
        too_soon = monotonic_seconds() - last < self._token_interval_seconds
        if token in self._pending or too_soon or self._queue.full():
            return False
        self._pending.add(token)
        self._queue.put_nowait(token)
        return True

    async def run(self) -> None:
        """Fetch until cancelled; raises ``VenueRefused`` when the venue says no."""
        while True:
            token = await self._queue.get()
            self._pending.discard(token)
            self._remember(token)
            try:
                reply = await self._http.get(self._url, (("token_id", token),))
            except (RateLimited, Unreachable) as failed:
                self._say(token, str(failed))
                if isinstance(failed, RateLimited):
                    await asyncio.sleep(min(failed.seconds, LIMIT_SILENCE_SECONDS_MAXIMUM))
                continue
            if not reply.found:
                self._say(token, "no book: the market is resolved or not open yet (B.2)")
                continue
            text = reply.body.decode(errors="replace")
            self._frames(Source.CLOB_REST, encode_rest("/book", token, text), reply.received_ns)

    def _remember(self, token: str) -> None:
        if len(self._asked_seconds) >= TOKENS_REMEMBERED:
            oldest = min(self._asked_seconds, key=self._asked_seconds.__getitem__)
            del self._asked_seconds[oldest]
        self._asked_seconds[token] = monotonic_seconds()

    def _say(self, token: str, what: str) -> None:
        self._on_problem(FeedProblem(Source.CLOB_REST, token, what, self._clock.now_ns()))
