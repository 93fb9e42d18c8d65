"""The token set of Polymarket's market socket: exact frames, and what silence costs."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import ConnectionClosed

from helpers.clock import RealClock
from helpers.domain import Connected, Disconnected, Source
from helpers.feeds.market_channel import (
    TOKENS_MAXIMUM,
    TOKENS_PER_FRAME,
    MarketChannel,
    TokenSubscription,
    market_endpoint,
    tokens_in,
)
from helpers.feeds.socket import SocketTimings
from helpers.feeds.subscription import MISSES_MAXIMUM, Endpoint
from helpers.venues import Venues
from tests.servers import Peer, sockets

TIMINGS = SocketTimings(
    open_seconds=1.0, close_seconds=0.1, backoff_base_seconds=0.002, backoff_cap_seconds=0.004
)


class Venue:
    """Answers subscribes with a book per token, except for those that are dead."""

    def __init__(self, *dead: str) -> None:
        self.dead = frozenset(dead)
        self.frames: asyncio.Queue[object] = asyncio.Queue()
        self.opened = 0

    async def play(self, peer: Peer) -> None:
        self.opened += 1
        async for raw in peer.connection:
            if raw == "PING":
                await peer.send("PONG")
                continue
            frame = json.loads(raw)
            self.frames.put_nowait(frame)
            if frame.get("operation") != "unsubscribe":
                books = [
                    {"asset_id": token, "event_type": "book"}
                    for token in frame["assets_ids"]
                    if token not in self.dead
                ]
                await peer.send(json.dumps(books))

    async def next(self) -> object:
        async with asyncio.timeout(3):
            return await self.frames.get()


class Seen:
    """Links and raw frames of a channel."""

    def __init__(self) -> None:
        self.links: asyncio.Queue[Connected | Disconnected] = asyncio.Queue()
        self.raw: list[bytes] = []

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        assert source is Source.POLYMARKET_MARKET
        self.raw.append(raw if isinstance(raw, bytes) else raw.encode())

    async def lost(self) -> str:
        async with asyncio.timeout(3):
            while True:
                event = await self.links.get()
                if isinstance(event, Disconnected):
                    return event.reason


@asynccontextmanager
async def channel(
    url: str, first_data_seconds: float = 1.0, silence_seconds: float = 1.0
) -> AsyncGenerator[tuple[MarketChannel, Seen]]:
    described = market_endpoint(Venues(polymarket_socket=url))
    endpoint = Endpoint(
        source=described.source,
        url=described.url,
        streams_in=described.streams_in,
        silence_seconds=silence_seconds,
        first_data_seconds=first_data_seconds,
        keepalive="PING",
        keepalive_answer=b"PONG",
        keepalive_seconds=0.02,
    )
    seen = Seen()
    opened = MarketChannel(
        endpoint,
        clock=RealClock(),
        frames=seen.on_frame,
        on_link=seen.links.put_nowait,
        rng=random.Random(3),
        timings=TIMINGS,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(opened.run())
        yield opened, seen
        running.cancel()


def opening(*tokens: str) -> object:
    return {"type": "market", "assets_ids": list(tokens), "custom_feature_enabled": True}


def more(*tokens: str) -> object:
    return {"operation": "subscribe", "assets_ids": list(tokens), "custom_feature_enabled": True}


def fewer(*tokens: str) -> object:
    return {"operation": "unsubscribe", "assets_ids": list(tokens)}


async def test_sends_only_the_difference_new_tokens_first() -> None:
    """I14: a roll adds the next window's tokens, then drops the old; the kept one is not named."""
    venue = Venue()
    async with sockets(venue.play) as server, channel(server.url) as (market, _):
        market.set_tokens(frozenset({"1", "2", "9"}))
        assert await venue.next() == opening("1", "2", "9")
        market.set_tokens(frozenset({"9", "3", "4"}))
        assert await venue.next() == more("3", "4")
        assert await venue.next() == fewer("1", "2")
        market.set_tokens(frozenset({"4", "3", "9"}))
        market.set_tokens(frozenset({"9", "3", "4", "5"}))
        assert await venue.next() == more("5")
    assert venue.opened == 1
    assert server.paths == ["/ws/market"]


async def test_asks_for_everything_after_a_reconnect() -> None:
    """The venue replays nothing: a fresh socket subscribes to the tokens of now (C.8)."""
    venue = Venue()
    cut = asyncio.Event()

    async def drops(peer: Peer) -> None:
        venue.frames.put_nowait(json.loads(await peer.receive()))
        await cut.wait()
        await peer.connection.close()

    async with sockets(drops, venue.play) as server, channel(server.url) as (market, seen):
        market.set_tokens(frozenset({"1", "2"}))
        assert await venue.next() == opening("1", "2")
        cut.set()
        await seen.lost()
        market.set_tokens(frozenset({"2", "3"}))
        while (frame := await venue.next()) != opening("2", "3"):
            assert frame in (opening("1", "2"), more("3"), fewer("1"))


async def test_opens_no_socket_before_a_token_is_wanted() -> None:
    """An empty set asks for nothing; losing the last token keeps the socket without complaint."""
    venue = Venue()
    async with (
        sockets(venue.play) as server,
        channel(server.url, silence_seconds=0.05, first_data_seconds=0.05) as (market, seen),
    ):
        market.set_tokens(frozenset({"1"}))
        await venue.next()
        market.set_tokens(frozenset())
        assert await venue.next() == fewer("1")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await seen.lost()


async def test_a_token_without_a_book_is_asked_for_again_then_costs_the_socket() -> None:
    """One silent token: its own frames once more, then a new socket; the others are unharmed."""
    venue = Venue("2")
    async with (
        sockets(venue.play) as server,
        channel(server.url, first_data_seconds=0.04) as (market, seen),
    ):
        market.set_tokens(frozenset({"1", "2"}))
        assert await venue.next() == opening("1", "2")
        assert await venue.next() == fewer("2")
        assert await venue.next() == more("2")
        assert await seen.lost() == "no_data:2"
        assert await venue.next() == opening("1", "2")


async def test_a_dead_token_is_given_up_and_no_longer_cuts_the_others() -> None:
    """After three sockets the token is left to its age."""
    venue = Venue("2")
    async with (
        sockets(venue.play) as server,
        channel(server.url, first_data_seconds=0.02) as (market, seen),
    ):
        market.set_tokens(frozenset({"1", "2"}))
        for _ in range(MISSES_MAXIMUM):
            assert await seen.lost() == "no_data:2"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await seen.lost()
    assert venue.opened == MISSES_MAXIMUM + 1


async def test_global_messages_do_not_keep_a_dead_socket_alive() -> None:
    """I16: ``new_market`` goes on while the books are silent, and proves nothing (C.8)."""

    async def bookless(peer: Peer) -> None:
        try:
            await peer.receive()
            await peer.send('[{"asset_id":"1","event_type":"book"}]')
            async for _ in peer.connection:
                await peer.send('{"event_type":"new_market","assets_ids":["1","2"]}')
        except ConnectionClosed:
            return

    venue = Venue()
    async with (
        sockets(bookless, venue.play) as server,
        channel(server.url, silence_seconds=0.1) as (market, seen),
    ):
        market.set_tokens(frozenset({"1"}))
        assert await seen.lost() == "silent for 0.1 s"
        assert await venue.next() == opening("1")


def test_frames_name_at_most_so_many_tokens() -> None:
    """A large set is asked for in several frames, each token once."""
    tokens = frozenset(str(number) for number in range(2 * TOKENS_PER_FRAME + 1))
    subscription = TokenSubscription()
    frames = [json.loads(frame) for frame in subscription.opening_frames(tokens)]
    assert [len(frame["assets_ids"]) for frame in frames] == [
        TOKENS_PER_FRAME,
        TOKENS_PER_FRAME,
        1,
    ]
    assert [token for frame in frames for token in frame["assets_ids"]] == sorted(tokens)
    assert "type" in frames[0]
    assert all(frame["operation"] == "subscribe" for frame in frames[1:])


def test_more_tokens_than_a_socket_carries_are_refused() -> None:
    """The venue would leave some of them silent (C.7)."""
    too_many = frozenset(str(number) for number in range(TOKENS_MAXIMUM + 1))
    with pytest.raises(ValueError, match="expected at most"):
        TokenSubscription().set_tokens(too_many)


def test_a_spoken_token_starts_afresh() -> None:
    """Misses are counted in a row, and forgotten with the token."""
    subscription = TokenSubscription()
    subscription.set_tokens(frozenset({"1"}))
    for _ in range(2 * MISSES_MAXIMUM):
        subscription.second_try("1")
    assert subscription.judged(frozenset({"1"})) == frozenset()
    subscription.heard("1")
    assert subscription.judged(frozenset({"1"})) == {"1"}
    for _ in range(2 * MISSES_MAXIMUM):
        subscription.second_try("1")
    subscription.set_tokens(frozenset({"2"}))
    assert subscription.judged(frozenset({"1"})) == {"1"}


def test_tokens_in_names_what_a_frame_has_news_of() -> None:
    """Books, changes and trades name tokens wherever the key stands; global events name none."""
    change = b'{"market":"0x1","price_changes":[{"asset_id":"40"},{"asset_id": "79"}]}'
    assert tokens_in(change) == ["40", "79"]
    assert tokens_in(b'{"winning_asset_id":"1","event_type":"market_resolved"}') == []
    assert tokens_in(b"PONG") == []
