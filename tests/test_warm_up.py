"""History for the fast market from a local REST server."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from helpers.clock import SimulatedClock
from helpers.domain import NS_PER_SECOND, Asset, Candles, Source
from helpers.feeds import warm_up
from helpers.feeds.http import HttpTimings, VenueHttp, new_client
from helpers.feeds.ingest import Ingest
from helpers.feeds.warm_up import ATTEMPTS_MAXIMUM, WarmUp
from helpers.venues import Venues
from tests.servers import ScriptedHttp, answer, web

NOW_SECONDS = 1_790_000_130
FUTURES = "/fapi/v1/klines"
SPOT = "/api/v3/klines"


def klines(count: int, opens_ms: int = 1_790_000_100_000) -> bytes:
    rows = [
        [
            opens_ms + index * 60_000,
            "1.0",
            "1.0",
            "1.0",
            "64000.5",
            "2.0",
            opens_ms + index * 60_000 + 59_999,
            "128001.0",
            7,
            "1.0",
            "64000.5",
            "0",
        ]
        for index in range(count)
    ]
    return json.dumps(rows).encode()


class Warmed:
    """A warm-up against a local server, and what reached the sink."""

    def __init__(self, server: ScriptedHttp, http: VenueHttp, clock: SimulatedClock) -> None:
        self.server = server
        self.frames: list[str] = []
        self.warm_up = WarmUp(
            http,
            Venues(binance_futures_rest=server.url, binance_spot_rest=server.url),
            clock=clock,
            frames=self.on_frame,
            rng=random.Random(1),
            backoff_base_seconds=0.001,
        )

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        assert source is Source.BINANCE_REST
        self.frames.append(raw if isinstance(raw, str) else raw.decode())

    def candles(self) -> list[Candles]:
        ingest = Ingest()
        events = [
            event for raw in self.frames for event in ingest.parse(Source.BINANCE_REST, raw, 5)
        ]
        return [event for event in events if isinstance(event, Candles)]

    def query(self, index: int) -> dict[str, list[str]]:
        return parse_qs(self.server.requests[index].partition("?")[2])


@asynccontextmanager
async def warming() -> AsyncGenerator[Warmed]:
    timings = HttpTimings(host_interval_seconds=0.0, whole_seconds=1.0)
    clock = SimulatedClock(NOW_SECONDS * NS_PER_SECOND)
    async with web() as server, new_client(timings) as client:
        yield Warmed(server, VenueHttp(client, clock, timings), clock)


async def test_futures_give_a_day_in_one_page() -> None:
    """1,500 one-minute bars per asset, on the tape as Binance REST answers."""
    async with warming() as state:
        state.server.on(FUTURES, answer(200, klines(3)))
        rows = await state.warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC, Asset.ETH])
    assert [(row.asset, row.bars, row.outcome) for row in rows] == [
        (Asset.BTC, 3, "warmed"),
        (Asset.ETH, 3, "warmed"),
    ]
    assert [(event.source, event.asset) for event in state.candles()] == [
        (Source.BINANCE_PUBLIC, Asset.BTC),
        (Source.BINANCE_PUBLIC, Asset.ETH),
    ]
    assert state.query(0) == {
        "symbol": ["BTCUSDT"],
        "interval": ["1m"],
        "startTime": [str((NOW_SECONDS // 60 - 1499) * 60_000)],
        "limit": ["1500"],
    }


async def test_spot_gives_it_in_two_pages_oldest_first() -> None:
    """Spot pages hold 1,000 bars; the second starts where the first ends."""
    async with warming() as state:
        state.server.on(SPOT, answer(200, klines(2)))
        rows = await state.warm_up.fetch(Source.BINANCE_SPOT, [Asset.BTC])
    assert rows[0].bars == 4
    starts = [int(state.query(index)["startTime"][0]) for index in (0, 1)]
    assert starts[1] - starts[0] == 1000 * 60_000
    assert [state.query(index)["limit"] for index in (0, 1)] == [["1000"], ["500"]]
    assert {event.source for event in state.candles()} == {Source.BINANCE_SPOT}


async def test_a_venue_without_history_says_so() -> None:
    """Coinbase and OKX leave features cold, in words."""
    async with warming() as state:
        rows = await state.warm_up.fetch(Source.COINBASE, [Asset.BTC])
    assert "no warm-up" in rows[0].outcome
    assert state.frames == []


async def test_server_errors_are_tried_again_a_few_times() -> None:
    """A 503 may pass; after the last attempt the asset stays cold and the next is still asked."""
    async with warming() as state:
        state.server.on(
            FUTURES,
            *[answer(503, b"")] * (1 + ATTEMPTS_MAXIMUM),
            answer(200, klines(1)),
        )
        rows = await state.warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC, Asset.ETH])
    assert "HTTP 503" in rows[0].outcome
    assert rows[1].outcome == "warmed"
    assert len(state.server.requests) == ATTEMPTS_MAXIMUM + 2


async def test_a_refusal_or_a_limit_stops_every_further_request() -> None:
    """451, 403, 418 and 429: not one more request to that host (binance 4.3)."""
    for status in (451, 403, 418, 429):
        async with warming() as state:
            state.server.on(FUTURES, answer(status, b"{}"))
            rows = await state.warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC, Asset.ETH])
        assert f"HTTP {status}" in rows[0].outcome
        assert rows[1].outcome.startswith("not asked for")
        assert len(state.server.requests) == 1


async def test_nonsense_is_not_sent_to_the_board() -> None:
    """A body that is no klines leaves the asset cold with the reason."""
    async with warming() as state:
        state.server.on(FUTURES, answer(200, b"<html>"), answer(404, b"{}"))
        rows = await state.warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC, Asset.HYPE])
    assert "no klines" in rows[0].outcome
    assert "HTTP 404" in rows[1].outcome
    assert state.frames == []


async def test_a_used_up_weight_waits_for_the_next_minute() -> None:
    """Above the share, the rest of the minute is left to others; here it ends in 0.02 s."""
    timings = HttpTimings(host_interval_seconds=0.0, whole_seconds=1.0)
    nearly = SimulatedClock((NOW_SECONDS // 60 + 1) * 60 * NS_PER_SECOND - 20_000_000)
    async with web() as server, new_client(timings) as client:
        state = Warmed(server, VenueHttp(client, nearly, timings), nearly)
        limit = warm_up.WEIGHT_LIMITS[Source.BINANCE_PUBLIC]
        server.on(FUTURES, answer(200, klines(1), X_MBX_USED_WEIGHT_1M=str(limit)))
        rows = await state.warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC, Asset.ETH])
    assert [row.outcome for row in rows] == ["warmed", "warmed"]
