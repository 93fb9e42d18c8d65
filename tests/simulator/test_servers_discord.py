"""Discord's webhook and the website's geoblock."""

from __future__ import annotations

import httpx
import pytest

from simulator.servers import discord
from tests.simulator.served import ByHand, Served, served


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


async def test_what_discord_does_not_show_is_refused() -> None:
    """Limits of embeds: 256, 4096, and 6000 over all of a message."""
    async with served() as world:
        wrong: list[object] = [
            [{"title": "x" * 257}],
            [{"description": "x" * 4_097}],
            [{"description": "x" * 3_001}] * 2,
            [{"color": 1}],
        ]
        for embeds in wrong:
            assert (await post(world, {"embeds": embeds})).json()["code"] == 50035
        assert (
            await post(world, {"embeds": [{"description": "x" * 3_000}] * 2})
        ).status_code == 204
        assert world.venue.discord.answers == {400: 4, 204: 1}


async def test_thirty_in_a_minute_are_the_hidden_limit() -> None:
    """The headers say nothing of it before."""
    async with served(ByHand()) as world:
        for _ in range(6):
            assert [(await post(world, {"content": "x"})).status_code for _ in range(5)] == [
                204
            ] * 5
            world.pass_seconds(2)
        limited = await post(world, {"content": "x"})
        assert (limited.status_code, limited.headers["X-RateLimit-Remaining"]) == (429, "5")
        assert limited.json()["retry_after"] == 48


async def test_a_file_comes_with_its_message_in_a_form() -> None:
    """``payload_json`` and ``files[0]``; anything else is no form."""
    async with served() as world, httpx.AsyncClient() as http:
        url = world.venue.urls().discord_webhook
        form = {"payload_json": '{"embeds":[{"title":"day"}]}'}
        files = {"files[0]": ("a.png", b"\x89PNG\r\n--x", "image/png")}
        assert (await http.post(url, data=form, files=files)).status_code == 204
        (message,) = world.venue.discord.messages
        assert (message.embeds[0].title, message.files) == ("day", (b"\x89PNG\r\n--x",))
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await http.post(url, content=b"--x\r\n\r\n{", headers=kind)
        assert answer.json()["code"] in (50006, 50035)


async def test_discord_can_be_away_and_limit_everybody() -> None:
    """An outage answers a status without words; a global limit says so in header and body."""
    async with served() as world:
        world.venue.discord.away_status = 502
        assert (await post(world, {"content": "x"})).status_code == 502
        world.venue.discord.away_status = 0
        world.venue.discord.limit_next(1, 3.0, everywhere=True)
        limited = await post(world, {"content": "x"})
        assert limited.json()["global"] is True
        assert limited.headers["X-RateLimit-Global"] == "true"
        assert (await post(world, {"content": "x"})).status_code == 204
