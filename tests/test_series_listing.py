"""Listing windows page by page."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from helpers.clock import SimulatedClock
from helpers.domain import NS_PER_SECOND, Asset
from helpers.feeds.http import HttpTimings, VenueHttp, new_client
from helpers.feeds.retry import Unreachable
from helpers.feeds.series_listing import PAGES_MAXIMUM, list_windows
from helpers.feeds.windows import FOUR_HOURS_SECONDS, Series
from helpers.venues import Venues
from tests.servers import ScriptedHttp, answer, web

PATH = "/events/keyset"
BTC = Series(Asset.BTC, FOUR_HOURS_SECONDS)


def market(slug: str) -> dict[str, object]:
    return {
        "slug": slug,
        "conditionId": "0x1",
        "clobTokenIds": '["1", "2"]',
        "outcomes": '["Up", "Down"]',
        "endDate": "2026-09-21T16:00:00Z",
    }


def page(*slugs: str, cursor: str | None = None) -> bytes:
    events = [{"slug": slug, "markets": [market(slug)]} for slug in slugs]
    return answer(200, json.dumps({"events": events, "next_cursor": cursor}).encode())


async def listed(server: ScriptedHttp) -> list[str]:
    async with new_client() as client:
        http = VenueHttp(client, SimulatedClock(), HttpTimings(host_interval_seconds=0.0))
        found = await list_windows(
            http, Venues(gamma_rest=server.url), [BTC], 0, 3600 * NS_PER_SECOND
        )
    return [window.slug for window in found]


async def test_keeps_only_the_windows_of_the_series() -> None:
    """Other lengths, assets and markets in the same tag are left out; pages are followed."""
    async with web() as server:
        server.on(
            PATH,
            page("btc-updown-15m-1789992000", "eth-updown-4h-1789992000", cursor="AB=="),
            page("btc-updown-4h-1789992000", "will-it-rain", cursor="LTE="),
        )
        assert await listed(server) == ["btc-updown-4h-1789992000"]
        first, second = (parse_qs(one.partition("?")[2]) for one in server.requests)
    assert first["end_date_max"] == ["1970-01-01T01:00:00Z"]
    assert first["closed"] == ["false"]
    assert second["after_cursor"] == ["AB=="]


async def test_pages_without_end_are_left_after_a_bound() -> None:
    """A cursor that never ends, or never moves, costs a bounded number of requests."""
    async with web() as server:
        server.on(PATH, *(page(cursor=f"c{number}") for number in range(PAGES_MAXIMUM + 5)))
        assert await listed(server) == []
        assert len(server.requests) == PAGES_MAXIMUM
    async with web() as server:
        server.on(PATH, page(cursor="same"))
        assert await listed(server) == []
        assert len(server.requests) == 2


async def test_a_page_that_is_none_is_an_error() -> None:
    """Nonsense is not an empty listing."""
    async with web() as server:
        server.on(PATH, answer(200, b"<html>"))
        with pytest.raises(Unreachable, match="unreadable"):
            await listed(server)
