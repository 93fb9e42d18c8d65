"""The polite GET against a local server that refuses, limits and dawdles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from helpers.clock import RealClock, monotonic_seconds
from helpers.feeds import http
from helpers.feeds.http import HttpTimings, VenueHttp, new_client, ns_until_next_minute
from helpers.feeds.retry import RateLimited, Unreachable, VenueRefused
from tests.servers import ScriptedHttp, answer, web


@asynccontextmanager
async def asking(
    interval_seconds: float = 0.0, whole_seconds: float = 1.0
) -> AsyncGenerator[tuple[ScriptedHttp, VenueHttp]]:
    timings = HttpTimings(
        host_interval_seconds=interval_seconds,
        connect_seconds=0.5,
        read_seconds=0.5,
        whole_seconds=whole_seconds,
    )
    async with web() as server, new_client(timings) as client:
        yield server, VenueHttp(client, RealClock(), timings)


async def test_returns_body_weight_and_times() -> None:
    """A 200 comes back as bytes with Binance's weight header; the query is sent."""
    async with asking() as (server, venue):
        server.on("/x", answer(200, b"[1]", X_MBX_USED_WEIGHT_1M="37"))
        reply = await venue.get(f"{server.url}/x", (("symbol", "BTCUSDT"), ("limit", 5)))
    assert (reply.body, reply.used_weight, reply.found) == (b"[1]", 37, True)
    assert reply.sent_ns <= reply.received_ns
    assert server.requests == ["/x?symbol=BTCUSDT&limit=5"]


async def test_a_404_is_an_answer() -> None:
    """Absent is known, not an error."""
    async with asking() as (server, venue):
        assert not (await venue.get(f"{server.url}/none")).found


async def test_451_closes_the_host_for_the_process() -> None:
    """I11: one refusal, and no request leaves again."""
    async with asking() as (server, venue):
        server.on("/a", answer(451, b"{}"))
        for _ in range(2):
            with pytest.raises(VenueRefused) as refused:
                await venue.get(f"{server.url}/a")
            assert refused.value.status == 451
        assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "first"), [(429, RateLimited), (418, RateLimited)])
async def test_a_limited_host_is_silent_until_the_time_it_asked_for(
    status: int, first: type[Exception]
) -> None:
    """Requests during a ban would prolong it, so they are not sent (binance 4.3)."""
    async with asking() as (server, venue):
        server.on("/a", answer(status, b"{}", Retry_After="600"))
        with pytest.raises(first):
            await venue.get(f"{server.url}/a")
        with pytest.raises(RateLimited) as limited:
            await venue.get(f"{server.url}/other")
        assert 590 < limited.value.seconds <= 600
        assert len(server.requests) == 1


async def test_403_is_a_refusal_and_a_long_silence() -> None:
    """A firewall's no: not asked again for a long time."""
    async with asking() as (server, venue):
        server.on("/a", answer(403, b"error code: 1010"))
        with pytest.raises(VenueRefused):
            await venue.get(f"{server.url}/a")
        with pytest.raises(RateLimited):
            await venue.get(f"{server.url}/a")
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [202, 301, 400, 500, 503])
async def test_other_statuses_may_pass(status: int) -> None:
    """A firewall's challenge, a redirect and server errors are no answers."""
    async with asking() as (server, venue):
        server.on("/a", answer(status, b""))
        with pytest.raises(Unreachable, match=f"HTTP {status}"):
            await venue.get(f"{server.url}/a")


async def test_broken_answers_are_unreachable() -> None:
    """No HTTP, a cut body and a closed port are typed errors."""
    async with asking() as (server, venue):
        server.on("/nonsense", b"this is not HTTP\r\n\r\n")
        server.on("/cut", answer(200, b"whole")[:-3])
        server.on("/empty", b"")
        for path in ("/nonsense", "/cut", "/empty"):
            with pytest.raises(Unreachable):
                await venue.get(server.url + path)
        with pytest.raises(Unreachable):
            await venue.get("http://127.0.0.1:1/closed")


async def test_an_answer_that_trickles_is_cut_off() -> None:
    """The whole request is bounded, whatever each byte takes."""
    async with asking(whole_seconds=0.05) as (server, venue):
        server.on("/slow", b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n1", b"")
        release = asyncio.Event()
        server.hold = release
        with pytest.raises(Unreachable, match="TimeoutError"):
            await venue.get(f"{server.url}/slow")
        release.set()


async def test_a_body_past_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded whatever a peer sends."""
    monkeypatch.setattr(http, "BODY_BYTES_MAXIMUM", 100)
    async with asking() as (server, venue):
        server.on("/big", answer(200, b"x" * 101))
        with pytest.raises(Unreachable, match="over 100 bytes"):
            await venue.get(f"{server.url}/big")


async def test_requests_to_one_host_keep_their_distance() -> None:
    """Asked for together, sent one by one."""
    async with asking(interval_seconds=0.03) as (server, venue):
        started = monotonic_seconds()
        await asyncio.gather(*(venue.get(f"{server.url}/{number}") for number in range(4)))
        assert monotonic_seconds() - started >= 0.09


class _Keeping(asyncio.Protocol):
    """An HTTP server that keeps its connections open."""

    def __init__(self, opened: list[asyncio.Transport], ended: asyncio.Semaphore) -> None:
        self._opened = opened
        self._ended = ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._opened.append(transport)

    def data_received(self, data: bytes) -> None:
        assert data.endswith(b"\r\n\r\n")
        self._opened[-1].write(answer(200, b"[]").replace(b"Connection: close\r\n", b""))

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.release()


async def test_an_idle_connection_is_kept_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls half a minute apart share a connection; after more than a minute it is a new one."""
    opened: list[asyncio.Transport] = []
    ended = asyncio.Semaphore(0)
    later_seconds, real = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + later_seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Keeping(opened, ended), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, new_client() as client:
        venue = VenueHttp(client, RealClock(), HttpTimings(host_interval_seconds=0.0))
        for idle_seconds, connections in ((0.0, 1), (30.0, 1), (50.0, 1), (65.0, 2)):
            later_seconds += idle_seconds
            assert (await venue.get(url)).body == b"[]"
            assert len(opened) == connections
        await client.aclose()
        for _ in opened:
            await ended.acquire()


def test_the_next_minute_is_at_most_a_minute_away() -> None:
    """Binance's weight starts anew at :00 (binance 4.1)."""
    assert ns_until_next_minute(59 * 10**9) == 10**9
    assert ns_until_next_minute(60 * 10**9) == 60 * 10**9
