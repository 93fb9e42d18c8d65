"""Discovery, roll and resolution against a small local Gamma."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from helpers.clock import SimulatedClock
from helpers.domain import NS_PER_SECOND, Asset, Market, MarketOpened, Source
from helpers.feeds.gamma import GammaParser
from helpers.feeds.http import HttpTimings, VenueHttp, new_client
from helpers.feeds.market_channel import MarketChannel, market_endpoint
from helpers.feeds.problems import FeedProblem
from helpers.feeds.retry import VenueRefused
from helpers.feeds.windows import FOUR_HOURS_SECONDS, HOUR_SECONDS, Series
from helpers.markets import DirectoryTimings, MarketDirectory
from helpers.venues import Venues
from tests.servers import Peer, ScriptedHttp, answer, sockets, web

OPENS = 1_790_000_100  # a multiple of 300
FIVE = Series(Asset.BTC, 300)
HTTP_TIMINGS = HttpTimings(host_interval_seconds=0.0, whole_seconds=0.5)
TIMINGS = DirectoryTimings(look_seconds=0.002)


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def slug(opens: int) -> str:
    return f"btc-updown-5m-{opens}"


def event(opens: int, seconds: int = 300, name: str = "", **changes: object) -> bytes:
    """Return a synthetic event of one window; tokens are its start with 1 and 2 in front."""
    market: dict[str, object] = {
        "slug": name or slug(opens),
        "conditionId": f"0x{opens}",
        "clobTokenIds": json.dumps([f"1{opens}", f"2{opens}"]),
        "outcomes": '["Up", "Down"]',
        "outcomePrices": '["0.5", "0.5"]',
        "eventStartTime": iso(opens),
        "endDate": iso(opens + seconds),
        "active": True,
        "closed": False,
        "acceptingOrders": True,
        "enableOrderBook": True,
        "negRisk": False,
        "version": "v1",
        "orderMinSize": 5,
        "orderPriceMinTickSize": 0.01,
        "feesEnabled": True,
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True},
    }
    return json.dumps(
        {"slug": market["slug"], "volume": random.random(), "markets": [market | changes]}
    ).encode()


def resolved(opens: int, final_price: float = 0.0) -> bytes:
    body = json.loads(event(opens, closed=True, outcomePrices='["1", "0"]'))
    if final_price:
        body["eventMetadata"] = {"priceToBeat": 1.0, "finalPrice": final_price}
    return json.dumps(body).encode()


def path(name: str) -> str:
    return f"/events/slug/{name}"


def tokens(*starts: int) -> frozenset[str]:
    return frozenset(f"{side}{start}" for start in starts for side in (1, 2))


class World:
    """A directory, its clock and what it said."""

    def __init__(self, gamma: ScriptedHttp, client: httpx.AsyncClient, *series: Series) -> None:
        self.gamma = gamma
        self.clock = SimulatedClock(OPENS * NS_PER_SECOND)
        http = VenueHttp(client, self.clock, HTTP_TIMINGS)
        self.delivered: list[bytes] = []
        self.problems: list[FeedProblem] = []
        self.tokens: list[frozenset[str]] = [frozenset()]
        self.held: list[Market] = []
        self.roll: Callable[[frozenset[str]], None] = lambda _: None
        self.directory = MarketDirectory(
            series or (FIVE,),
            http,
            Venues(gamma_rest=gamma.url),
            clock=self.clock,
            frames=self.on_frame,
            on_problem=self.problems.append,
            set_tokens=self.set_tokens,
            held_markets=lambda: self.held,
            rng=random.Random(5),
            timings=TIMINGS,
        )

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        assert source is Source.GAMMA
        assert received_ns == self.clock.now_ns()
        self.delivered.append(raw if isinstance(raw, bytes) else raw.encode())

    def set_tokens(self, wanted: frozenset[str]) -> None:
        self.roll(wanted)
        if wanted != self.tokens[-1]:
            self.tokens.append(wanted)

    def at(self, seconds: float) -> None:
        """Move the clock to so many seconds after the first window opened."""
        self.clock.advance_to(round((OPENS + seconds) * NS_PER_SECOND))

    async def until(self, condition: Callable[[], bool], moving: float = 0.0) -> None:
        """Wait until the directory has done something; the clock may go on meanwhile."""
        async with asyncio.timeout(3):
            while not condition():
                self.clock.advance_to(self.clock.now_ns() + round(moving * NS_PER_SECOND))
                never = asyncio.Event()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(never.wait(), 0.002)

    def asked(self, name: str) -> int:
        return self.gamma.requests.count(path(name))


@asynccontextmanager
async def world(*series: Series) -> AsyncGenerator[World]:
    """Run a directory for the length of the block."""
    async with web() as gamma, new_client(HTTP_TIMINGS) as client:
        state = World(gamma, client, *series)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(state.directory.run())
            yield state
            running.cancel()


async def test_delivers_the_raw_bodies_of_current_and_next_windows_ahead_of_time() -> None:
    """The running window and the two after it are fetched at once, byte for byte."""
    async with world() as state:
        bodies = {start: event(start) for start in (OPENS, OPENS + 300, OPENS + 600)}
        for start, body in bodies.items():
            state.gamma.on(path(slug(start)), answer(200, body))
        await state.until(lambda: len(state.delivered) >= 3, moving=1.0)
        assert sorted(state.delivered) == sorted(bodies.values())
        assert [market.slug for market in state.directory.markets()] == [
            slug(start) for start in bodies
        ]


async def test_delivers_again_only_what_changed() -> None:
    """Cached volumes change on every look and are no news; a new tick is."""
    async with world() as state:
        state.gamma.on(
            path(slug(OPENS)),
            answer(200, event(OPENS)),
            answer(200, event(OPENS)),
            answer(200, event(OPENS, orderPriceMinTickSize=0.001)),
        )
        await state.until(lambda: len(state.delivered) == 1)
        await state.until(lambda: state.asked(slug(OPENS)) == 3, moving=1.0)
        await state.until(lambda: len(state.delivered) == 2)
        assert b"0.001" in state.delivered[-1]


async def test_asks_again_politely_until_gamma_has_the_window() -> None:
    """A 404 ahead of time is no problem and is asked for again after a while, not at once."""
    async with world() as state:
        missing = slug(OPENS + 600)
        state.gamma.on(path(missing), answer(404, b"{}"), answer(200, event(OPENS + 600)))
        await state.until(lambda: state.asked(missing) == 1)
        await state.until(lambda: state.asked(slug(OPENS + 300)) == 1)
        assert state.asked(missing) == 1
        await state.until(lambda: len(state.delivered) == 1, moving=0.5)
        assert state.asked(missing) == 2
        assert state.problems == []


async def test_rolls_without_a_gap_and_keeps_a_held_market() -> None:
    """The next window's tokens come a minute before it opens, the old go after its close; a held
    market stays until it is resolved (I14, I15).
    """
    async with world() as state:
        for start in (OPENS, OPENS + 300, OPENS + 600):
            state.gamma.on(path(slug(start)), answer(200, event(start)))
        await state.until(lambda: len(state.directory.markets()) == 3)
        await state.until(lambda: state.tokens[-1] == tokens(OPENS))
        state.at(241)
        await state.until(lambda: state.tokens[-1] == tokens(OPENS, OPENS + 300))
        state.held = [state.directory.markets()[0]]
        state.at(320)
        await state.until(lambda: state.asked(slug(OPENS + 900)) > 0, moving=0.1)
        assert state.tokens[-1] == tokens(OPENS, OPENS + 300)
        state.gamma.on(path(slug(OPENS)), answer(200, resolved(OPENS, 2.0)))
        await state.until(lambda: state.tokens[-1] == tokens(OPENS + 300), moving=0.2)
        assert state.tokens == [
            frozenset(),
            tokens(OPENS),
            tokens(OPENS, OPENS + 300),
            tokens(OPENS + 300),
        ]
        assert slug(OPENS) in [market.slug for market in state.directory.markets()]


async def test_polls_after_the_close_until_resolved_with_its_final_price() -> None:
    """Every few seconds after the end; forgotten once resolution and final price are told."""
    async with world() as state:
        state.gamma.on(path(slug(OPENS)), answer(200, event(OPENS)))
        await state.until(lambda: len(state.delivered) == 1)
        state.gamma.on(
            path(slug(OPENS)),
            answer(200, event(OPENS)),
            answer(200, resolved(OPENS)),
            answer(200, resolved(OPENS, 64_000.0)),
        )
        state.at(300)
        started = state.asked(slug(OPENS))
        await state.until(lambda: len(state.delivered) == 3, moving=0.2)
        assert state.clock.now_ns() < (OPENS + 330) * NS_PER_SECOND
        await state.until(lambda: state.directory.markets() == ())
        asked = state.asked(slug(OPENS))
        assert asked >= started + 3
        state.at(400)
        others = state.asked(slug(OPENS + 300))
        await state.until(lambda: state.asked(slug(OPENS + 300)) > others, moving=1.0)
        assert state.asked(slug(OPENS)) == asked


async def test_a_resolution_on_the_socket_ends_the_subscription() -> None:
    """``market_resolved`` may come before Gamma; the facts are still followed there."""
    async with world() as state:
        state.gamma.on(path(slug(OPENS)), answer(200, event(OPENS)))
        await state.until(lambda: state.tokens[-1] == tokens(OPENS))
        state.directory.note_resolved(f"0x{OPENS}")
        await state.until(lambda: state.tokens[-1] == frozenset())
        await state.until(lambda: state.asked(slug(OPENS)) >= 2, moving=1.0)


async def test_a_failed_lookup_takes_nothing_away() -> None:
    """I15: a 404, nonsense or an error for a known window leaves its facts and tokens."""
    async with world() as state:
        state.gamma.on(
            path(slug(OPENS)),
            answer(200, event(OPENS)),
            answer(404, b"{}"),
            answer(200, b"<html>maintenance</html>"),
            answer(500, b""),
            answer(200, event(OPENS + 300)),
        )
        await state.until(lambda: len(state.delivered) == 1)
        await state.until(lambda: len(state.problems) >= 4, moving=1.0)
        assert state.tokens[-1] == tokens(OPENS)
        assert len(state.delivered) == 1
        words = " / ".join(problem.what for problem in state.problems)
        assert "does not know" in words
        assert "no market of that name" in words
        assert "HTTP 500" in words


async def test_follows_a_held_market_it_never_discovered() -> None:
    """After a restart the ledger's market is listened to and asked for, however old it is."""
    async with world() as state:
        (fact, *_) = GammaParser().parse(event(OPENS - 3000), 0)
        assert isinstance(fact, MarketOpened)
        state.held = [fact.market]
        state.gamma.on(path(slug(OPENS - 3000)), answer(200, event(OPENS - 3000)))
        await state.until(lambda: state.tokens[-1] == tokens(OPENS - 3000))
        await state.until(lambda: state.asked(slug(OPENS - 3000)) == 1)


async def test_obeys_451_and_leaves_the_host_alone_after_403() -> None:
    """I11: 451 ends the directory; a 403 silences the host for a long time and is said."""
    async with world() as state:
        state.gamma.on(path(slug(OPENS)), answer(403, b"error code: 1010"))
        await state.until(lambda: len(state.problems) >= 2)
        assert "403" in state.problems[0].what
        assert "silent for" in state.problems[1].what
        assert len(state.gamma.requests) == 1
    async with web() as gamma, new_client(HTTP_TIMINGS) as client:
        other = World(gamma, client)
        gamma.on(path(slug(OPENS)), answer(451, b"{}"))
        with pytest.raises(VenueRefused):
            await other.directory.run()
        assert len(gamma.requests) == 1


async def test_finds_hourly_windows_by_name_and_four_hourly_ones_by_listing() -> None:
    """The hourly slug is an hour in US Eastern time; four-hourly ones come from Gamma's pages."""
    start = OPENS // 3600 * 3600
    listed = f"btc-updown-4h-{start}"
    async with world(Series(Asset.BTC, HOUR_SECONDS), Series(Asset.BTC, FOUR_HOURS_SECONDS)) as (
        state
    ):
        page = json.loads(event(start, FOUR_HOURS_SECONDS, listed))
        state.gamma.on(
            "/events/keyset",
            answer(200, json.dumps({"events": [], "next_cursor": "AB=="}).encode()),
            answer(200, json.dumps({"events": [page], "next_cursor": None}).encode()),
        )
        state.gamma.on(path(listed), answer(200, event(start, FOUR_HOURS_SECONDS, listed)))
        await state.until(lambda: len(state.delivered) == 1)
        assert [market.slug for market in state.directory.markets()] == [listed]
        await state.until(lambda: any("-et" in request for request in state.gamma.requests))
        pages = [one for one in state.gamma.requests if one.startswith("/events/keyset")]
        assert "after_cursor=AB" in pages[1]
        assert len(pages) == 2
        await state.until(
            lambda: path("bitcoin-up-or-down-september-21-2026-10am-et") in state.gamma.requests
        )


async def test_refuses_a_series_the_venue_does_not_have() -> None:
    """A wrong setting is said at the start."""
    async with web() as gamma, new_client() as client:
        with pytest.raises(ValueError, match="hourly"):
            World(gamma, client, Series(Asset.ZEC, HOUR_SECONDS))
        with pytest.raises(ValueError, match="window was 60"):
            World(gamma, client, Series(Asset.BTC, 60))


async def test_a_roll_on_the_wire_subscribes_before_it_unsubscribes() -> None:
    """I14: directory and channel together: one socket, exact differences, the held one unnamed."""
    said: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def venue(peer: Peer) -> None:
        async for raw in peer.connection:
            frame = json.loads(raw)
            said.put_nowait(frame)
            if frame.get("operation") != "unsubscribe":
                books = [{"asset_id": token} for token in frame["assets_ids"]]
                await peer.send(json.dumps(books))

    async with sockets(venue) as server, world() as state, asyncio.TaskGroup() as group:
        channel = MarketChannel(
            market_endpoint(Venues(polymarket_socket=server.url)),
            clock=state.clock,
            frames=lambda _source, _raw, _received_ns: None,
            on_link=lambda _: None,
            rng=random.Random(1),
        )
        state.roll = channel.set_tokens
        running = group.create_task(channel.run())
        for start in (OPENS, OPENS + 300, OPENS + 600):
            state.gamma.on(path(slug(start)), answer(200, event(start)))
        heard: list[tuple[object, object]] = []
        for move in (0, 245, 312, 546, 612):
            if move == 312:
                state.held = list(state.directory.markets())[:1]
            state.at(move)
            if move != 312:
                async with asyncio.timeout(3):
                    frame = await said.get()
                heard.append((frame.get("operation", "open"), frame["assets_ids"]))
        running.cancel()
    assert heard == [
        ("open", sorted(tokens(OPENS))),
        ("subscribe", sorted(tokens(OPENS + 300))),
        ("subscribe", sorted(tokens(OPENS + 600))),
        ("unsubscribe", sorted(tokens(OPENS + 300))),
    ]
