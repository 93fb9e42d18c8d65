"""The market, user and reference sockets without a vendor's client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from helpers.domain import Asset, Outcome, Side
from simulator.servers import sockets
from tests.simulator.served import CONDITION, DOWN, UP, Served, rest, served

Json = Any
"""Whatever a frame holds."""


async def receive(socket: ClientConnection) -> Json:
    """Return the next frame, parsed; it must come within five seconds."""
    return json.loads(await asyncio.wait_for(socket.recv(), 5))


async def ask(socket: ClientConnection, **request: object) -> None:
    """Send a request."""
    await socket.send(json.dumps(request))


async def closed_with(socket: ClientConnection) -> int:
    """Read until the server closes; return its code."""
    while True:
        try:
            await asyncio.wait_for(socket.recv(), 5)
        except ConnectionClosed:
            assert socket.close_code is not None
            return socket.close_code


def auth(world: Served) -> dict[str, str]:
    """Return the test key's credentials as frames carry them."""
    accounts = world.exchange.accounts
    credentials = accounts.create_key(accounts.get("me"), 0)
    return {
        "apiKey": credentials.api_key,
        "secret": credentials.secret,
        "passphrase": credentials.passphrase,
    }


async def test_books_come_in_one_array_then_objects() -> None:
    """The first frame is an array of books, later ones are objects of what was asked for."""
    async with served() as world, connect(world.venue.urls().market_socket) as socket:
        await ask(socket, type="market", assets_ids=[UP, DOWN, "unknown"])
        books = await receive(socket)
        assert [book["asset_id"] for book in books] == [UP, DOWN]
        assert {book["event_type"] for book in books} == {"book"}
        world.house(Outcome.UP, Side.BUY, 0.5, 7)
        changed = await receive(socket)
        assert (changed["event_type"], len(changed["price_changes"])) == ("price_change", 2)


async def test_tokens_are_added_and_dropped_on_the_way() -> None:
    """A later subscription brings only the new book; after an unsubscription all is quiet."""
    async with served() as world, connect(world.venue.urls().market_socket) as socket:
        await ask(socket, type="market", assets_ids=[UP])
        assert [book["asset_id"] for book in await receive(socket)] == [UP]
        await ask(socket, operation="subscribe", assets_ids=[UP, DOWN])
        assert [book["asset_id"] for book in await receive(socket)] == [DOWN]
        await ask(socket, operation="unsubscribe", assets_ids=[UP, DOWN])
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        world.house(Outcome.UP, Side.BUY, 0.5, 7)
        await socket.send("PING")
        assert await socket.recv() == "PONG"


async def test_no_dump_when_none_is_wanted() -> None:
    """``initial_dump`` false leaves the books out."""
    async with served() as world, connect(world.venue.urls().market_socket) as socket:
        await ask(socket, type="market", assets_ids=[UP], initial_dump=False)
        await socket.send("PING")
        assert await socket.recv() == "PONG"


async def test_global_news_only_with_the_custom_feature() -> None:
    """Best prices and resolutions go only to whoever enabled the feature, also later."""
    async with served() as world:
        url = world.venue.urls().market_socket
        async with connect(url) as plain, connect(url) as custom:
            await ask(plain, type="market", assets_ids=[UP])
            await ask(custom, type="market", assets_ids=[UP])
            await receive(plain)
            await receive(custom)
            await ask(custom, operation="subscribe", assets_ids=[UP], custom_feature_enabled=True)
            await custom.send("PING")
            assert await custom.recv() == "PONG"
            world.house(Outcome.UP, Side.BUY, 0.5, 7)
            world.exchange.resolve(CONDITION, Outcome.DOWN, world.time.now_ns())
            world.advance()
            kinds = [(await receive(custom))["event_type"] for _ in range(3)]
            assert kinds == ["price_change", "best_bid_ask", "market_resolved"]
            assert (await receive(plain))["event_type"] == "price_change"
            await plain.send("PING")
            assert await plain.recv() == "PONG"


@pytest.mark.parametrize("path", ["market_socket", "user_socket", "reference_socket"])
async def test_nonsense_is_counted_and_survived(path: str) -> None:
    """Frames that mean nothing leave the socket open and are counted."""
    async with served() as world, connect(getattr(world.venue.urls(), path)) as socket:
        for frame in (
            "{",
            '{"x":' + "[" * 60_000,
            '{"operation":"dance"}',
            b"\x00",
            '{"assets_ids":5,"op":"x"}',
        ):
            await socket.send(frame)
        await socket.send('{"op":"ping","rid":"1"}' if path == "reference_socket" else "PING")
        answer = ""
        while "PONG" not in answer.upper():
            answer = str(await asyncio.wait_for(socket.recv(), 5))
        assert world.venue.surroundings.unread[f"{path}: binary frame"] == 1
        assert sum(world.venue.surroundings.unread.values()) == 5


async def test_wrong_credentials_close_the_user_socket() -> None:
    """A wrong secret is answered by the end of the connection."""
    async with served() as world, connect(world.venue.urls().user_socket) as socket:
        await ask(socket, type="user", auth=auth(world) | {"secret": "other"}, markets=[])
        assert await closed_with(socket) == 1008


async def test_user_socket_is_of_one_account_and_its_markets() -> None:
    """Only markets asked for are told; leaving the last one means all of them again."""
    async with served() as world, connect(world.venue.urls().user_socket) as socket:
        await ask(socket, type="user", auth=auth(world), markets=["0xother"])
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        rest(world, 0.40)
        await ask(socket, operation="subscribe", markets=[CONDITION])
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        order_id = rest(world, 0.41)
        told = await receive(socket)
        assert (told["id"], told["type"]) == (order_id, "PLACEMENT")


async def test_reference_prices_need_credentials() -> None:
    """Without them a subscription is refused by name; with them it is accepted."""
    async with served() as world, connect(world.venue.urls().reference_socket) as socket:
        wanted = [{"channel": "price.crypto", "filter": {"symbol": "btcusd"}}]
        await ask(socket, op="subscribe", rid="s1", subscriptions=wanted)
        assert await receive(socket) == {
            "op": "error",
            "code": "auth_required",
            "channel": "price.crypto",
            "rid": "s1",
        }
        await ask(socket, op="auth", rid="a1", auth=auth(world) | {"passphrase": "other"})
        assert (await receive(socket))["code"] == "auth_invalid"
        await ask(socket, op="auth", rid="a2", auth=auth(world))
        assert await receive(socket) == {"op": "authed", "rid": "a2"}
        await ask(socket, op="subscribe", rid="s2", subscriptions=wanted)
        assert (await receive(socket))["op"] == "subscribed"
        snapshot = await receive(socket)
        assert (snapshot["seq"], snapshot["snapshot"], snapshot["payload"]["data"]) == (1, True, [])


@pytest.mark.parametrize(
    "subscription",
    [
        {"channel": "price.crypto", "filter": {"symbol": "nothing"}},
        {"channel": "price.crypto", "filter": '{"symbol":"btcusd"}'},
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd"}},
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 30}},
        {"channel": "price.tea", "filter": {"symbol": "btcusd"}},
    ],
)
async def test_bad_filters(subscription: dict[str, object]) -> None:
    """A filter that is none is refused by name."""
    async with served() as world, connect(world.venue.urls().reference_socket) as socket:
        await ask(socket, op="auth", rid="a", auth=auth(world))
        await ask(socket, op="subscribe", rid="s", subscriptions=[subscription])
        await receive(socket)
        assert (await receive(socket))["code"] == "bad_filter"


async def test_snapshot_is_of_two_minutes_and_sequences_count() -> None:
    """Older prices are not in the snapshot; each channel counts its frames."""
    async with served() as world, connect(world.venue.urls().reference_socket) as socket:
        world.venue.publish_reference(Asset.BTC, None, 1.0, world.time.now_ns())
        world.pass_seconds(130)
        world.venue.publish_reference(Asset.BTC, None, 2.0, world.time.now_ns())
        await ask(socket, op="auth", rid="a", auth=auth(world))
        wanted = {"symbol": "btcusd", "window_seconds": 60}
        channel = "price.crypto.twap"
        await ask(
            socket, op="subscribe", rid="s", subscriptions=[{"channel": channel, "filter": wanted}]
        )
        await receive(socket)
        await receive(socket)
        points = (await receive(socket))["payload"]["data"]
        assert [point["value"] for point in points] == [2.0]
        world.venue.publish_reference(Asset.ETH, None, 5.0, world.time.now_ns())
        world.venue.publish_reference(Asset.BTC, 9.0, 3.0, world.time.now_ns())
        update = await receive(socket)
        assert (update["seq"], update["payload"]["value"]) == (2, 3.0)
        assert update["payload"]["full_accuracy_value"] == "3.000000000000000000"


async def test_reference_socket_limits() -> None:
    """Too many logins end the connection; too many subscriptions and frames are refused."""
    async with served() as world, connect(world.venue.urls().reference_socket) as socket:
        for _ in range(9):
            await ask(socket, op="auth", rid="a", auth=auth(world) | {"secret": "x"})
        assert await closed_with(socket) == 4001
    async with served() as world, connect(world.venue.urls().reference_socket) as socket:
        await ask(socket, op="auth", rid="a", auth=auth(world))
        for _ in range(21):
            await ask(socket, op="unsubscribe", rid="u", subscriptions=[])
        assert (await receive(socket))["op"] == "authed"
        assert (await receive(socket))["code"] == "rate_limited"
        await socket.send(" " * 70_000)
        assert await closed_with(socket) == 4008


async def test_a_burst_beyond_the_outbox_closes_that_client_only() -> None:
    """Frames nobody fetches are bounded: the slow client is closed, the next one is served."""
    async with served(frames_max=50) as world:
        url = world.venue.urls().market_socket
        async with connect(url) as socket:
            await ask(socket, type="market", assets_ids=[UP])
            await receive(socket)
            for number in range(60):
                world.house(Outcome.UP, Side.BUY, 0.4, number + 1)
            assert await closed_with(socket) == 1008
        async with connect(url) as socket:
            await ask(socket, type="market", assets_ids=[UP])
            assert (await receive(socket))[0]["asset_id"] == UP


async def test_a_client_that_never_reads_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not even read its close frame loses the connection."""
    monkeypatch.setattr(sockets, "SLOW_CLOSE_SECONDS", 0.05)
    async with served(frames_max=2_000) as world:
        url = world.venue.urls().market_socket
        reader, writer = await asyncio.open_connection(*url[5:].partition("/")[0].split(":"))
        upgrade = (
            "GET /ws/market HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        writer.write(upgrade.encode())
        await reader.readuntil(b"\r\n\r\n")
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        payload = json.dumps({"type": "market", "assets_ids": [UP]}).encode()
        writer.write(
            bytes([0x81, 0x80 | 126]) + len(payload).to_bytes(2, "big") + bytes(4) + payload
        )
        channel = world.venue.market_channel
        while not channel.clients():
            await asyncio.sleep(0)
        world.house(Outcome.UP, Side.BUY, 0.4, 1)
        big = "x" * 60_000
        session = channel.clients()[0]
        while channel.clients():
            session.outbox.send("price_change", big)
            await asyncio.sleep(0)
        assert session.outbox.dropped_frames >= 2_000
        transport.abort()


async def test_unknown_paths_are_refused() -> None:
    """A handshake on another path is answered 403 or 404, never accepted."""
    async with served() as world:
        with pytest.raises(InvalidStatus) as refused:
            await connect(world.venue.urls().sockets + "/ws/other")
        assert refused.value.response.status_code in (403, 404)
