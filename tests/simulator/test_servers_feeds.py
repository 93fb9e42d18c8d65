"""Our own feeds against the served venue, pointed at it by ``Venues`` alone."""

from __future__ import annotations

import asyncio
import random

import httpx

from helpers.domain import (
    Asset,
    BookChange,
    BookSnapshot,
    Connected,
    Disconnected,
    Outcome,
    ReferencePrice,
    Side,
    Source,
)
from helpers.feeds.http import VenueHttp
from helpers.feeds.market_channel import MarketChannel, market_endpoint
from helpers.feeds.polymarket_market import PolymarketMarketParser
from helpers.feeds.reference_channel import Credentials, reference_feed
from helpers.feeds.reference_price import ReferencePriceParser
from helpers.feeds.series_listing import list_windows
from helpers.feeds.socket import SocketReader
from helpers.feeds.venue_time import measure_skew
from helpers.feeds.windows import Series
from tests.simulator.served import DOWN, UP, served
from tests.simulator.venue import LISTING


class Sink:
    """Keeps raw frames and wakes whoever waits for more."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.links: list[Connected | Disconnected] = []
        self._more = asyncio.Event()

    def take(self, _source: Source, frame: str | bytes, _received_ns: int) -> None:
        self.frames.append(frame.encode() if isinstance(frame, str) else frame)
        self._more.set()

    async def wait_for(self, count: int) -> list[bytes]:
        """Return the frames once there are so many, within five seconds."""
        async with asyncio.timeout(5):
            while len(self.frames) < count:
                self._more.clear()
                await self._more.wait()
        return self.frames


async def until_cancelled(work: asyncio.Task[None]) -> None:
    """End a reader and wait for its end."""
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_discovery_and_clock() -> None:
    """The listing finds the window, the market parses, and the clocks agree."""
    async with served() as world, httpx.AsyncClient() as client:
        http = VenueHttp(client, world.time)
        venues, now_ns = world.venue.venues(), world.time.now_ns()
        series = [Series(Asset.BTC, 900)]
        closes_ns = now_ns + 1_400 * 1_000_000_000
        windows = await list_windows(http, venues, series, now_ns, closes_ns)
        assert [window.slug for window in windows] == [LISTING.slug]
        (skew,) = await measure_skew(http, venues, Source.COINBASE)
        assert (skew.problem, abs(skew.skew_seconds) <= 1) == ("", True)


async def test_market_socket() -> None:
    """Our reader subscribes, gets books and changes, and our parser reads them all."""
    async with served() as world:
        sink = Sink()
        channel = MarketChannel(
            market_endpoint(world.venue.venues()),
            clock=world.time,
            frames=sink.take,
            on_link=sink.links.append,
            rng=random.Random(1),
        )
        channel.set_tokens(frozenset({UP, DOWN}))
        work = asyncio.get_running_loop().create_task(channel.run())
        await sink.wait_for(1)
        world.house(Outcome.UP, Side.BUY, 0.5, 7)
        frames = await sink.wait_for(2)
        parser = PolymarketMarketParser()
        events = [event for frame in frames for event in parser.parse(frame, 1)]
        kinds = [type(event) for event in events]
        assert kinds.count(BookSnapshot) == 2
        assert BookChange in kinds
        await until_cancelled(work)


async def test_reference_socket() -> None:
    """Our reader logs in, subscribes and reads the prices."""
    async with served() as world:
        accounts = world.exchange.accounts
        key = accounts.create_key(accounts.get("me"), 0)
        world.venue.publish_reference(Asset.BTC, 64_000.5, 64_000.25, world.time.now_ns())
        feed = reference_feed(
            [Asset.BTC],
            world.venue.venues(),
            Credentials(key.api_key, key.secret, key.passphrase),
        )
        sink = Sink()
        reader = SocketReader(
            feed.endpoint,
            feed.subscription,
            clock=world.time,
            frames=sink.take,
            on_link=sink.links.append,
            rng=random.Random(1),
        )
        work = asyncio.get_running_loop().create_task(reader.run())
        frames = await sink.wait_for(5)
        parser = ReferencePriceParser()
        events = [event for frame in frames for event in parser.parse(frame, 1)]
        assert {event.price for event in events if isinstance(event, ReferencePrice)} == {
            64_000.5,
            64_000.25,
        }
        await until_cancelled(work)
