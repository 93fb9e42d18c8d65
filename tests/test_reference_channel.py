"""The reference socket's subscription: what is sent, and asked again when the login was late."""

from __future__ import annotations

import asyncio
import json
import random

from msgspec.structs import replace

from helpers.clock import RealClock
from helpers.domain import Asset, Connected, Disconnected, Source
from helpers.feeds.reference_channel import (
    Credentials,
    ReferenceFeed,
    reference_feed,
    streams_in,
)
from helpers.feeds.socket import SocketReader, SocketTimings
from helpers.feeds.subscription import MISSES_MAXIMUM
from helpers.venues import Venues
from tests.servers import Peer, sockets

ASSETS = (Asset.BTC, Asset.ETH)
CREDENTIALS = Credentials("the-key", "the-secret", "the-passphrase")
STREAMS = frozenset(
    {
        "price.crypto.twap:btcusd",
        "price.crypto:btcusd",
        "price.crypto.twap:ethusd",
        "price.crypto:ethusd",
    }
)
TIMINGS = SocketTimings(close_seconds=0.1, backoff_base_seconds=0.002, backoff_cap_seconds=0.004)


def feed(url: str = "ws://nowhere", first_data_seconds: float = 0.1) -> ReferenceFeed:
    """Return the feed of two assets, with a short patience."""
    made = reference_feed(ASSETS, Venues(polymarket_reference_socket=url), CREDENTIALS)
    return replace(made, endpoint=replace(made.endpoint, first_data_seconds=first_data_seconds))


def asked_for(frame: str) -> frozenset[str]:
    """Return the streams that a request names."""
    request = json.loads(frame)
    assert request["op"] == "subscribe"
    return frozenset(
        f"{one['channel']}:{one['filter']['symbol']}" for one in request["subscriptions"]
    )


def test_a_fresh_socket_logs_in_and_asks_for_every_stream() -> None:
    """The login is first; the streams are those whose data is waited for."""
    subscription = feed().subscription
    assert subscription.names() == STREAMS
    login, request = subscription.opening_frames(STREAMS)
    assert json.loads(login)["op"] == "auth"
    assert asked_for(request) == STREAMS


def test_each_stream_is_asked_for_once_more_and_then_gives_the_socket_up() -> None:
    """All of them miss their deadline in one look: one's try must not use up another's."""
    subscription = feed().subscription
    (request,) = subscription.opening_frames(STREAMS)[1:]
    whole = {(one["channel"], str(one["filter"])) for one in json.loads(request)["subscriptions"]}
    again: set[tuple[str, str]] = set()
    for name in sorted(STREAMS):
        (frame,) = subscription.second_try(name)
        assert asked_for(frame) == {name}
        again |= {
            (one["channel"], str(one["filter"])) for one in json.loads(frame)["subscriptions"]
        }
    assert again == whole
    assert {subscription.second_try(name) for name in STREAMS} == {()}


def test_a_new_socket_starts_afresh_and_a_dead_stream_is_given_up_in_the_end() -> None:
    """A stream the venue does not have must not cost the others a new socket for ever."""
    subscription = feed().subscription
    name = "price.crypto:ethusd"
    for _ in range(MISSES_MAXIMUM):
        assert name in subscription.judged(STREAMS)
        subscription.opening_frames(STREAMS)
        assert subscription.second_try(name)
        assert not subscription.second_try(name)
    assert subscription.judged(STREAMS) == STREAMS - {name}
    subscription.heard(name)
    assert subscription.judged(STREAMS) == STREAMS


async def test_a_login_that_is_late_costs_no_new_socket() -> None:
    """The first request is refused before the login; the second, of each stream, is served."""
    served = asyncio.Event()
    requests: list[str] = []

    async def late_login(peer: Peer) -> None:
        await peer.receive()
        await peer.receive()
        await peer.send('{"op":"error","rid":"prices","code":"auth_required"}')
        await peer.send('{"op":"authed","rid":"login"}')
        for _ in STREAMS:
            requests.append(await peer.receive())
            (name,) = asked_for(requests[-1])
            channel, _, symbol = name.partition(":")
            await peer.send(f'{{"channel":"{channel}","payload":{{"symbol":"{symbol}"}}}}')
        served.set()
        await peer.stay()

    links: list[Connected | Disconnected] = []
    raws: list[str | bytes] = []

    def take(source: Source, raw: str | bytes, _received_ns: int) -> None:
        assert source is Source.POLYMARKET_REFERENCE
        raws.append(raw)

    async with sockets(late_login) as venue:
        made = feed(venue.url)
        reader = SocketReader(
            made.endpoint,
            made.subscription,
            clock=RealClock(),
            frames=take,
            on_link=links.append,
            rng=random.Random(1),
            timings=TIMINGS,
        )
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(reader.run())
            await served.wait()
            reading.cancel()
        assert venue.attempts == 1
        assert venue.paths == ["/ws"]
    assert frozenset().union(*map(asked_for, requests)) == STREAMS
    assert [type(link) for link in links] == [Connected]


def test_only_price_frames_name_a_stream() -> None:
    """Answers and errors are no data, whatever channel they speak of."""
    price = b'{"v":1,"channel":"price.crypto","payload":{"symbol": "btcusd","value":1}}'
    assert streams_in(price) == ("price.crypto:btcusd",)
    assert streams_in(b'{"op":"subscribed","channel":"price.crypto"}') == ()
    assert streams_in(b'{"op":"authed"}') == ()


def test_credentials_are_never_shown() -> None:
    """I35: not in a repr, nor in the feed's."""
    for text in (repr(CREDENTIALS), repr(feed())):
        assert "the-" not in text
