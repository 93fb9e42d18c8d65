"""The worker's own readers against the simulated Binance: paths, control frames, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from helpers.clock import RealClock
from helpers.domain import NS_PER_SECOND, Asset, Candle, Connected, Disconnected, Quote, Source
from helpers.feeds.http import VenueHttp, new_client
from helpers.feeds.ingest import Ingest
from helpers.feeds.probe import FastMarketProbe
from helpers.feeds.retry import VenueRefused
from helpers.feeds.socket import SocketReader
from helpers.feeds.streams import fast_feeds
from helpers.feeds.warm_up import WarmUp
from helpers.venues import Venues
from simulator.actions import FastQuote, FastTrade
from simulator.binance_frames import CoinbaseFrames, FuturesFrames, SpotFrames
from simulator.faults import Fault, FaultKind, FaultSchedule
from simulator.servers.binance import FastVenues
from simulator.servers.fault_seam import Answer, Close, Fate, Faults

QUOTE = FastQuote(Asset.BTC, 83_000.1, 4.215, 83_000.2, 3.763)
CLIENTS = 12
TRADE = FastTrade(Asset.BTC, 83_000.2, 0.022, True)


class World:
    """Venues whose time is set by hand."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.now_ns = RealClock().now_ns()  # what the worker's own clock says
        self.frames = FuturesFrames([Asset.BTC])
        self.spot_frames = SpotFrames([Asset.BTC])
        self.coinbase_frames = CoinbaseFrames([Asset.BTC])
        self.venues = FastVenues(lambda: self.now_ns, lambda: None, self.candles, faults)
        self.venues.note_quote(QUOTE)

    def candles(self, _asset: Asset) -> list[Candle]:
        minute = 60 * NS_PER_SECOND
        start = self.now_ns // minute * minute - 1499 * minute
        return [Candle(start + i * 60 * NS_PER_SECOND, 83_000.0, 1e7) for i in range(1500)]

    def quote(self) -> None:
        """Publish one more quote everywhere."""
        self.now_ns += 1_000_000
        self.venues.publish(
            [self.frames.quote(self.now_ns, QUOTE), self.spot_frames.quote(self.now_ns, QUOTE)]
        )
        self.venues.publish(self.frames.due(self.now_ns))

    async def keep_quoting(self) -> None:
        """Publish for as long as somebody listens."""
        while True:
            self.quote()
            await asyncio.sleep(0.005)

    def address(self) -> Venues:
        return self.venues.venues(Venues())


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.venues.start()
    yield made
    await made.venues.stop()


def _drop(_source: Source, _raw: str | bytes, _received_ns: int) -> None:
    """Take a frame and forget it."""


async def _read_on(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


async def ask(url: str, *requests: object) -> list[dict[str, object]]:
    """Send control frames and return their answers."""
    async with connect(url) as socket:
        answers: list[dict[str, object]] = []
        for request in requests:
            await socket.send(request if isinstance(request, str) else json.dumps(request))
            answers.append(json.loads(await socket.recv()))
        return answers


async def test_wrong_paths_and_names_are_acknowledged_and_silent(world: World) -> None:
    """A stream on the wrong path or in upper case gets an answer and never a frame."""
    base = world.address().binance_futures_socket
    async with (
        connect(f"{base}/market/stream?streams=btcusdt@bookTicker") as wrong,
        connect(f"{base}/public/stream?streams=btcusdt@bookTicker") as right,
    ):
        subscribe = {"method": "SUBSCRIBE", "params": ["BTCUSDT@bookTicker"], "id": 1}
        await wrong.send(json.dumps(subscribe))
        assert json.loads(await wrong.recv()) == {"result": None, "id": 1}
        world.quote()
        assert "bookTicker" in str(await right.recv())
        mark = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 2})
        await wrong.send(mark)
        assert json.loads(await wrong.recv())["id"] == 2
        world.now_ns += NS_PER_SECOND
        world.quote()
        assert "markPriceUpdate" in str(await wrong.recv())


async def test_control_frames_have_both_shapes_of_errors(world: World) -> None:
    """Subscriptions are listed, properties get and set, mistakes answered (binance 1.4)."""
    url = f"{world.address().binance_futures_socket}/public/ws/btcusdt@trade"
    answers = await ask(
        url,
        {"method": "LIST_SUBSCRIPTIONS", "id": 3},
        {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5},
        {"method": "GET_PROPERTY", "params": ["combined"], "id": 2},
        {"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 2},
        {"method": "GET_PROPERTY", "params": ["other"], "id": 2},
        {"method": "DANCE"},
        "{",
    )
    assert answers[0] == {"result": ["btcusdt@trade"], "id": 3}
    assert answers[1] == {"result": None, "id": 5}
    assert answers[2] == {"result": True, "id": 2}
    assert [answer["code"] for answer in answers[3:]] == [1, 0, 2, 3]


async def test_too_many_streams_end_the_connection(world: World) -> None:
    """The 1,025th stream is error 4 and the end."""
    url = f"{world.address().binance_futures_socket}/public/ws"
    names = [f"s{number}@trade" for number in range(1025)]
    async with connect(url) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}))
        assert json.loads(await socket.recv()) == {
            "error": {"code": 4, "msg": "Too many subscriptions"}
        }
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_a_talkative_client_is_cut(world: World) -> None:
    """More than ten requests a second end the connection with 1008."""
    async with connect(f"{world.address().binance_futures_socket}/public/ws") as socket:
        for number in range(12):
            await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        with pytest.raises(ConnectionClosed) as closed:
            await _read_on(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_the_24_h_cut_is_followed_by_a_reconnect(world: World) -> None:
    """The worker's reader comes back and its frames go on."""
    links: list[Connected | Disconnected] = []
    got = asyncio.Event()
    (feed, _) = fast_feeds(Source.BINANCE_PUBLIC, [Asset.BTC], world.address())

    def take(_source: Source, _raw: str | bytes, _received_ns: int) -> None:
        got.set()

    reader = SocketReader(
        feed.endpoint,
        feed.subscription,
        clock=RealClock(),
        frames=take,
        on_link=links.append,
        rng=random.Random(1),
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run()), tasks.create_task(world.keep_quoting())]
        await got.wait()
        world.now_ns += 25 * 3600 * NS_PER_SECOND
        world.venues.futures.retire_old()
        while len(links) < 3:
            await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
    assert [type(link) for link in links[:3]] == [Connected, Disconnected, Connected]


async def test_a_geoblock_is_obeyed_and_the_probe_falls_back_to_spot(world: World) -> None:
    """I11: 451 at the handshake is a refusal, not a failure; spot is tried next."""
    world.venues.refuse_futures(451)
    probe = FastMarketProbe(world.address(), RealClock())
    async with asyncio.TaskGroup() as tasks:
        quoting = tasks.create_task(world.keep_quoting())
        result = await probe.choose_fast_source([Asset.BTC])
        quoting.cancel()
    assert result.source is Source.BINANCE_SPOT
    assert "451" in result.attempts[0].outcome


async def test_warm_up_fills_a_day_of_bars(world: World) -> None:
    """The worker's warm-up reads klines from both hosts; a block is told, not fatal."""
    raws: list[tuple[Source, str | bytes, int]] = []
    async with new_client() as client:
        warm_up = WarmUp(
            VenueHttp(client, RealClock()),
            world.address(),
            clock=RealClock(),
            frames=lambda source, raw, ns: raws.append((source, raw, ns)),
            rng=random.Random(1),
        )
        (row,) = await warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC])
        assert row.outcome == "warmed"
        assert row.bars >= 1000
        world.venues.refuse_futures(451)
        (row,) = await warm_up.fetch(Source.BINANCE_PUBLIC, [Asset.BTC])
        assert row.bars == 0
        assert "451" in row.outcome
    ingest = Ingest()
    assert all(ingest.parse(source, raw, ns) for source, raw, ns in raws)


async def test_weights_limits_and_bans(world: World) -> None:
    """Used weight is told; beyond the limit 429 with a wait, then a ban that grows."""
    base = world.address().binance_futures_rest
    async with httpx.AsyncClient() as client:
        url = f"{base}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1500"
        assert (await client.get(url)).headers["X-MBX-USED-WEIGHT-1M"] == "10"
        world.venues.futures_rest.used_weight = 2400
        limited = await client.get(url)
        assert limited.status_code == 429
        assert 0 < int(limited.headers["Retry-After"]) <= 60
        statuses = [(await client.get(url)).status_code for _ in range(12)]
        assert statuses[-1] == 418
        first = int((await client.get(url)).headers["Retry-After"])
        assert int((await client.get(url)).headers["Retry-After"]) > first
        for query, code in (("symbol=NO&interval=1m", -1121), ("symbol=BTCUSDT", -1120)):
            world.now_ns += 7200 * NS_PER_SECOND
            answer = await client.get(f"{base}/fapi/v1/klines?{query}")
            assert answer.json()["code"] == code


async def test_coinbase_needs_a_subscription_and_tells_the_last_match(world: World) -> None:
    """Subscriptions are confirmed, the last match comes first, the idle are closed."""
    world.coinbase_frames.quote(QUOTE)
    world.venues.publish(world.coinbase_frames.trade(world.now_ns, TRADE))
    url = world.address().coinbase_socket
    async with connect(url) as socket, connect(url) as idle:
        request = {
            "type": "subscribe",
            "product_ids": ["BTC-USD"],
            "channels": ["matches", "ticker"],
        }
        await socket.send(json.dumps(request))
        assert json.loads(await socket.recv())["type"] == "subscriptions"
        assert json.loads(await socket.recv())["type"] == "last_match"
        world.venues.publish(world.coinbase_frames.trade(world.now_ns, TRADE))
        assert json.loads(await socket.recv())["type"] == "match"
        (quote,) = Ingest().parse(Source.COINBASE, str(await socket.recv()), world.now_ns)
        assert isinstance(quote, Quote)
        world.now_ns += 6 * NS_PER_SECOND
        world.venues.coinbase.close_idle()
        with pytest.raises(ConnectionClosed):
            await idle.recv()


async def test_a_refusal_reaches_the_reader_as_one(world: World) -> None:
    """The running reader raises what the probe can remember."""
    world.venues.refuse_futures(403)
    (feed, _) = fast_feeds(Source.BINANCE_PUBLIC, [Asset.BTC], world.address())
    reader = SocketReader(
        feed.endpoint,
        feed.subscription,
        clock=RealClock(),
        frames=_drop,
        on_link=[].append,
        rng=random.Random(1),
    )
    with pytest.raises(VenueRefused) as refused:
        await reader.run()
    assert refused.value.status == 403


class _Order:
    """No fault at all: it notes to whom each frame goes."""

    def __init__(self) -> None:
        self.served: dict[str, list[str]] = {}

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        self.served.setdefault(kind, []).append(connection_id)
        return payload

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        return None


async def test_clients_are_served_in_the_order_they_came() -> None:
    """Who hears first is the same in every run, on both of Binance's hosts and Coinbase's."""
    order = _Order()
    world = World(order)
    await world.venues.start()
    address = world.address()
    wanted = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["ticker"]}
    futures, spot = f"{address.binance_futures_socket}/public", address.binance_spot_socket
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CLIENTS):
            for url in (futures, spot):
                await stack.enter_async_context(connect(f"{url}/ws/btcusdt@bookTicker"))
            client = await stack.enter_async_context(connect(address.coinbase_socket))
            await client.send(json.dumps(wanted))
            await client.recv()
        world.quote()
        world.coinbase_frames.quote(QUOTE)
        world.venues.publish(world.coinbase_frames.trade(world.now_ns, TRADE))
        world.venues.spot.announce_shutdown()
    await world.venues.stop()
    futures_ids = [f"binance_socket-{2 * number + 1}" for number in range(CLIENTS)]
    spot_ids = [f"binance_socket-{2 * number + 2}" for number in range(CLIENTS)]
    coinbase_ids = [f"coinbase_socket-{number}" for number in range(1, CLIENTS + 1)]
    assert order.served == {
        "binance_socket:bookTicker": [*futures_ids, *spot_ids],
        "binance_socket:serverShutdown": spot_ids,
        "coinbase_socket:subscriptions": coinbase_ids,
        "coinbase_socket:ticker": coinbase_ids,
    }


async def test_a_fault_does_not_take_one_host_for_the_other() -> None:
    """A frame held back on one host must not come out on the other's socket."""
    clock = RealClock()
    fault = Fault(kind=FaultKind.REORDER, where="binance_socket:*", times=1, for_seconds=600)
    world = World(FaultSchedule([fault], 1, clock.now_ns(), clock.now_ns))
    await world.venues.start()
    address = world.address()
    async with (
        asyncio.timeout(5),
        connect(f"{address.binance_futures_socket}/public/ws/btcusdt@bookTicker") as futures,
        connect(f"{address.binance_spot_socket}/ws/btcusdt@bookTicker") as spot,
    ):
        for _ in range(2):
            world.quote()
        both = [json.loads(await futures.recv()) for _ in range(2)]
        assert all("T" in frame for frame in both)
        assert both[0]["u"] > both[1]["u"]
        own = [json.loads(await spot.recv()) for _ in range(2)]
        assert not any("T" in frame for frame in own)
        assert own[0]["u"] < own[1]["u"]
    await world.venues.stop()
