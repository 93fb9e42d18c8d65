"""Gamma over HTTP: slugs, lists, what closed hides."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from helpers.domain import Outcome
from simulator.gamma_bodies import ReferencePrices
from tests.simulator.served import CONDITION, DOWN, UP, Served, served
from tests.simulator.venue import LISTING

SLUG = LISTING.slug


async def get(world: Served, path: str) -> httpx.Response:
    """Ask Gamma."""
    async with httpx.AsyncClient(base_url=world.venue.urls().gamma) as http:
        return await http.get(path)


async def test_by_slug() -> None:
    """Events and markets are found by slug, and absent ones are 404."""
    async with served() as world:
        event = (await get(world, f"/events/slug/{SLUG}")).json()
        assert event["markets"][0]["conditionId"] == CONDITION
        assert (await get(world, f"/markets/slug/{SLUG}")).json()["slug"] == SLUG
        assert [e["slug"] for e in (await get(world, f"/events?slug={SLUG}")).json()] == [SLUG]
        for path in ("/events/slug/other", "/markets/slug/other", "/nothing"):
            assert (await get(world, path)).status_code == 404
        assert (await get(world, "/events?slug=other")).json() == []


async def test_closed_markets_are_hidden_until_asked_for() -> None:
    """/markets hides what is closed, also by condition id; slugs and events show it."""
    async with served() as world:
        query = f"/markets?condition_ids={CONDITION}"
        assert len((await get(world, query)).json()) == 1
        assert (await get(world, f"{query}&closed=true")).json() == []
        world.exchange.resolve(CONDITION, Outcome.UP, world.time.now_ns())
        assert (await get(world, query)).json() == []
        found = (await get(world, f"{query}&closed=true")).json()
        assert msgspec.json.decode(found[0]["outcomePrices"]) == ["1", "0"]
        assert (await get(world, f"/events/slug/{SLUG}")).json()["closed"] is True


async def test_strike_appears_when_published() -> None:
    """``eventMetadata`` is absent until a price to beat is published."""
    async with served() as world:
        assert "eventMetadata" not in (await get(world, f"/events/slug/{SLUG}")).json()
        world.venue.gamma.publish_prices(CONDITION, ReferencePrices("64000.5"))
        event = (await get(world, f"/events/slug/{SLUG}")).json()
        assert event["eventMetadata"] == {"priceToBeat": 64000.5}


async def test_keyset_pages_follow_the_cursor() -> None:
    """Pages are cut at the limit and followed by cursor; a wrong cursor is a 400."""
    async with served() as world:
        second = msgspec.structs.replace(
            LISTING, slug="second", condition_id="0xsecond", up_token="3", down_token="4"
        )
        world.exchange.list_market(second, world.time.now_ns())
        path = "/events/keyset?tag_slug=up-or-down&closed=false&limit=1"
        first_page = (await get(world, path)).json()
        assert [event["slug"] for event in first_page["events"]] == [SLUG]
        rest_page = (await get(world, f"{path}&after_cursor={first_page['next_cursor']}")).json()
        assert [event["slug"] for event in rest_page["events"]] == ["second"]
        assert "next_cursor" not in rest_page
        assert (await get(world, f"{path}&after_cursor=other")).status_code == 400
        tokens = (await get(world, f"/markets/keyset?clob_token_ids={DOWN}")).json()["markets"]
        assert [market["conditionId"] for market in tokens] == [CONDITION]
        assert (await get(world, f"/markets?clob_token_ids={UP}")).json()[0]["slug"] == SLUG


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("closed=perhaps", 400),
        ("limit=-1", 400),
        ("end_date_min=soon", 400),
        ("offset=2001", 422),
        ("end_date_min=2020-01-01T00:00:00Z", 200),
        ("end_date_max=2020-01-01T00:00:00Z", 200),
        ("tag_slug=sports", 200),
    ],
)
async def test_parameters(query: str, status: int) -> None:
    """Malformed parameters are refused; dates and tags filter."""
    async with served() as world:
        answer = await get(world, f"/markets?{query}")
        assert answer.status_code == status
        if status == 200:
            assert len(answer.json()) == (1 if "min" in query else 0)
