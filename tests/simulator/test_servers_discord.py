"""Discord's webhook and the website's geoblock."""

from __future__ import annotations

import httpx
import pytest

from simulator.servers import discord
from tests.simulator.served import Served, served


async def post(world: Served, body: object, **query: str) -> httpx.Response:
    """Post a message to the webhook."""
    async with httpx.AsyncClient() as http:
        return await http.post(world.venue.urls().discord_webhook, json=body, params=query)


async def test_messages_are_kept_and_limited() -> None:
    """Five messages pass with falling headers, the sixth says how long to wait."""
    async with served() as world:
        answers = [await post(world, {"content": f"hello {n}"}) for n in range(6)]
        assert [answer.status_code for answer in answers] == [204] * 5 + [429]
        remaining = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
        assert remaining == ["4", "3", "2", "1", "0", "0"]
        assert 0 < answers[-1].json()["retry_after"] <= discord.BUCKET_SECONDS
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert [message.content for message in world.venue.discord.messages] == [
            f"hello {n}" for n in range(5)
        ]


async def test_switches() -> None:
    """The webhook can be limited and deleted on demand."""
    async with served() as world:
        world.venue.discord.limit_next(1, 7.5)
        limited = await post(world, {"content": "hello"})
        assert (limited.status_code, limited.json()["retry_after"]) == (429, 7.5)
        assert limited.headers["Retry-After"] == "8"
        answer = await post(world, {"content": "hello"}, wait="true")
        assert answer.json()["content"] == "hello"
        world.venue.discord.gone = True
        gone = await post(world, {"content": "hello"})
        assert (gone.status_code, gone.json()["code"]) == (404, 10015)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 50006),
        ({"content": ""}, 50006),
        ({"content": 5}, 50035),
        ({"content": "x" * 2_001}, 50035),
        ({"embeds": [{}] * 11}, 50035),
        ([], 50035),
    ],
)
async def test_bad_messages(body: object, code: int) -> None:
    """A message that is none is refused with Discord's code and not kept."""
    async with served() as world:
        answer = await post(world, body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert not world.venue.discord.messages


async def test_other_webhooks_do_not_exist() -> None:
    """Another id is unknown, another token is not allowed."""
    async with served() as world, httpx.AsyncClient() as http:
        url = world.venue.urls().discord_webhook
        assert (await http.post(url + "x", json={"content": "a"})).status_code == 401
        other = url.replace(discord.WEBHOOK_ID, "1")
        assert (await http.post(other, json={"content": "a"})).status_code == 404


async def test_geoblock_is_settable() -> None:
    """The helper says what it was told to say."""
    async with served() as world, httpx.AsyncClient(base_url=world.venue.urls().website) as http:
        assert (await http.get("/api/geoblock")).json()["blocked"] is False
        world.venue.website.blocked = True
        answer = (await http.get("/api/geoblock")).json()
        assert (answer["blocked"], answer["ip"]) == (True, "127.0.0.1")
