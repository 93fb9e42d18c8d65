"""Reading the venues' clocks."""

from __future__ import annotations

import pytest

from helpers.clock import SimulatedClock
from helpers.domain import NS_PER_SECOND, Source
from helpers.feeds.http import HttpTimings, VenueHttp, new_client
from helpers.feeds.venue_time import measure_skew
from helpers.venues import Venues
from tests.servers import answer, web

NOW_SECONDS = 1_790_000_000


async def test_tells_each_venues_clock_minus_ours() -> None:
    """The CLOB sends whole seconds, Binance milliseconds; only the one in use is asked."""
    async with web() as server, new_client() as client:
        clock = SimulatedClock(NOW_SECONDS * NS_PER_SECOND)
        http = VenueHttp(client, clock, HttpTimings(host_interval_seconds=0.0))
        venues = Venues(
            clob_rest=server.url, binance_futures_rest=server.url, binance_spot_rest=server.url
        )
        server.on("/time", answer(200, b"1790000003"))
        server.on("/fapi/v1/time", answer(200, b'{"serverTime":1789999999250}'))
        server.on("/api/v3/time", answer(200, b'{"serverTime":1790000000500}'))
        clob, futures = await measure_skew(http, venues, Source.BINANCE_PUBLIC)
        _, spot = await measure_skew(http, venues, Source.BINANCE_SPOT)
        only = await measure_skew(http, venues, Source.OKX)
    assert (clob.skew_seconds, clob.problem) == (3.5, "")
    assert futures.skew_seconds == -0.75
    assert spot.skew_seconds == 0.5
    assert len(only) == 1


@pytest.mark.parametrize("body", [b"", b"soon", b"-5", b"9" * 30, b"<html>"])
async def test_an_unreadable_clock_is_a_row_that_says_so(body: bytes) -> None:
    """No default stands for a clock that could not be read."""
    async with web() as server, new_client() as client:
        http = VenueHttp(client, SimulatedClock(), HttpTimings(host_interval_seconds=0.0))
        server.on("/time", answer(200, body))
        server.on("/fapi/v1/time", answer(451, b"{}"))
        venues = Venues(clob_rest=server.url, binance_futures_rest=server.url)
        clob, futures = await measure_skew(http, venues, Source.BINANCE_PUBLIC)
    assert "expected seconds" in clob.problem
    assert "451" in futures.problem
