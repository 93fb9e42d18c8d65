"""Fetching the books of suspects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from helpers.clock import SimulatedClock, monotonic_seconds
from helpers.domain import BookSnapshot, Source
from helpers.feeds import book_refetch
from helpers.feeds.book_refetch import PENDING_MAXIMUM, BookRefetcher
from helpers.feeds.http import HttpTimings, VenueHttp, new_client
from helpers.feeds.ingest import Ingest
from helpers.feeds.problems import FeedProblem
from helpers.feeds.retry import VenueRefused
from helpers.venues import Venues
from tests.servers import ScriptedHttp, answer, web

BOOK = (
    b'{"market":"0x1","asset_id":"7","timestamp":"1790000000000","hash":"h",'
    b'"bids":[{"price":"0.4","size":"10"}],"asks":[{"price":"0.6","size":"5"}]}'
)


class State:
    """A refetcher and everything it said, in order."""

    def __init__(self, server: ScriptedHttp, http: VenueHttp, interval_seconds: float) -> None:
        self.server = server
        self.news: asyncio.Queue[FeedProblem | tuple[Source, str]] = asyncio.Queue()
        self.refetcher = BookRefetcher(
            http,
            Venues(clob_rest=server.url),
            clock=SimulatedClock(),
            frames=self.on_frame,
            on_problem=self.news.put_nowait,
            token_interval_seconds=interval_seconds,
        )

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        self.news.put_nowait((source, raw if isinstance(raw, str) else raw.decode()))

    async def next(self) -> FeedProblem | tuple[Source, str]:
        async with asyncio.timeout(3):
            return await self.news.get()


@asynccontextmanager
async def state(interval_seconds: float = 60.0) -> AsyncGenerator[State]:
    timings = HttpTimings(host_interval_seconds=0.0, whole_seconds=1.0)
    async with web() as server, new_client(timings) as client:
        yield State(server, VenueHttp(client, SimulatedClock(), timings), interval_seconds)


async def test_delivers_the_book_as_a_rest_answer() -> None:
    """The body goes to the sink with path and token, so a replay sees it too."""
    async with state() as now, asyncio.TaskGroup() as group:
        running = group.create_task(now.refetcher.run())
        now.server.on("/book", answer(200, BOOK))
        assert now.refetcher.request("7")
        source, raw = await now.next()  # pyright: ignore[reportGeneralTypeIssues]
        running.cancel()
    assert source is Source.CLOB_REST
    (book,) = Ingest().parse(Source.CLOB_REST, str(raw), 9)
    assert isinstance(book, BookSnapshot)
    assert book.token == "7"
    assert now.server.requests == ["/book?token_id=7"]


async def test_one_token_is_not_asked_for_in_a_storm() -> None:
    """A suspect that waits, or was just fetched, is not queued again; the queue is bounded."""
    async with state() as now:
        assert now.refetcher.request("7")
        assert not now.refetcher.request("7")
        for number in range(PENDING_MAXIMUM - 1):
            assert now.refetcher.request(f"8{number}")
        assert not now.refetcher.request("9")
        now.server.on("/book", answer(200, BOOK))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(now.refetcher.run())
            await now.next()
            running.cancel()
        assert not now.refetcher.request("7")


async def test_what_cannot_be_fetched_is_said() -> None:
    """A 404 after the resolution and a server error are problems with the token's name."""
    async with state(0.0) as now, asyncio.TaskGroup() as group:
        running = group.create_task(now.refetcher.run())
        now.server.on("/book", answer(404, b"{}"), answer(500, b""))
        now.refetcher.request("7")
        gone = await now.next()
        now.refetcher.request("7")
        failed = await now.next()
        running.cancel()
    assert isinstance(gone, FeedProblem)
    assert isinstance(failed, FeedProblem)
    assert (gone.subject, failed.subject) == ("7", "7")
    assert "no book" in gone.what
    assert "HTTP 500" in failed.what


async def test_a_refusal_is_raised() -> None:
    """I11: obeyed by the caller, not tried again."""
    async with state() as now:
        now.server.on("/book", answer(451, b"{}"))
        now.refetcher.request("7")
        with pytest.raises(VenueRefused):
            await now.refetcher.run()


async def test_a_rate_limit_is_waited_out() -> None:
    """The next suspect is fetched after the time the venue asked for, here a second."""
    async with state(0.0) as now, asyncio.TaskGroup() as group:
        running = group.create_task(now.refetcher.run())
        now.server.on("/book", answer(429, b"{}", Retry_After="1"), answer(200, BOOK))
        now.refetcher.request("7")
        limited = await now.next()
        now.refetcher.request("7")
        started = monotonic_seconds()
        assert not isinstance(await now.next(), FeedProblem)
        assert monotonic_seconds() - started > 0.9
        running.cancel()
    assert isinstance(limited, FeedProblem)
    assert "429" in limited.what


async def test_what_was_asked_for_is_remembered_for_a_bounded_number_of_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(book_refetch, "TOKENS_REMEMBERED", 1)
    async with state() as now, asyncio.TaskGroup() as group:
        running = group.create_task(now.refetcher.run())
        now.server.on("/book", answer(404, b"{}"))
        for token in ("7", "8"):
            assert now.refetcher.request(token)
            await now.next()
        assert now.refetcher.request("7")
        assert not now.refetcher.request("8")
        running.cancel()
