"""The reconnecting reader against real servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidURI

from helpers.clock import RealClock
from helpers.domain import Connected, Disconnected, Source
from helpers.feeds.retry import VenueRefused
from helpers.feeds.socket import SocketReader, SocketTimings
from helpers.feeds.subscription import MISSES_MAXIMUM, Endpoint, FixedSubscription
from tests.servers import Peer, sockets

TIMINGS = SocketTimings(
    open_seconds=1.0,
    close_seconds=0.2,
    send_seconds=0.5,
    backoff_base_seconds=0.005,
    backoff_cap_seconds=0.01,
    good_seconds=0.05,
)


def letter_in(raw: bytes) -> Sequence[str]:
    """Frames of these tests are a stream's letter and a number; '!' marks an answer."""
    return () if raw.startswith(b"!") else (raw[:1].decode(),)


class Outcome:
    """What a reader delivered, with a way to wait for it."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.links: list[Connected | Disconnected] = []
        self.stamps: list[int] = []
        self._news = asyncio.Event()

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        assert source is Source.BINANCE_PUBLIC
        self.frames.append(raw if isinstance(raw, str) else raw.decode())
        self.stamps.append(received_ns)
        self._news.set()

    def on_link(self, event: Connected | Disconnected) -> None:
        self.links.append(event)
        self._news.set()

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.links if isinstance(event, Disconnected)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(3):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    # A condition on the reader itself brings no news: look again soon.
                    await asyncio.wait_for(self._news.wait(), 0.01)


def endpoint(url: str, **rules: object) -> Endpoint:
    values: dict[str, object] = {
        "source": Source.BINANCE_PUBLIC,
        "url": url,
        "streams_in": letter_in,
        "silence_seconds": 1.0,
        "first_data_seconds": 1.0,
    }
    return Endpoint(**(values | rules))  # pyright: ignore[reportArgumentType]


@asynccontextmanager
async def reading(
    point: Endpoint, names: str = "a", frames: tuple[str, ...] = ()
) -> AsyncGenerator[tuple[Outcome, SocketReader]]:
    """Run a reader for the length of the block, then cancel it."""
    outcome = Outcome()
    reader = SocketReader(
        point,
        FixedSubscription(frozenset(names), frames),
        clock=RealClock(),
        frames=outcome.on_frame,
        on_link=outcome.on_link,
        rng=random.Random(7),
        timings=TIMINGS,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(reader.run())
        yield outcome, reader
        running.cancel()


def says(*frames: str) -> Callable[[Peer], Awaitable[None]]:
    """Return a behaviour that sends these frames and stays."""

    async def behaviour(peer: Peer) -> None:
        for frame in frames:
            await peer.send(frame)
        await peer.stay()

    return behaviour


PACED = {"keepalive": "next", "keepalive_seconds": 0.005}
"""The client's keepalive sets the pace of a server that sends one frame for each."""


def echoes(*first: str) -> Callable[[Peer], Awaitable[None]]:
    """Return a behaviour that sends these frames, then one of stream a for each of ours."""

    async def behaviour(peer: Peer) -> None:
        for frame in first:
            await peer.send(frame)
        async for _ in peer.connection:
            await peer.send("a1")

    return behaviour


async def test_subscribes_then_delivers_raw_frames_with_stamps() -> None:
    """The opening frames arrive first, ``Connected`` is said, frames reach the sink as sent."""
    heard: list[str] = []

    async def behaviour(peer: Peer) -> None:
        heard.extend([await peer.receive(), await peer.receive()])
        await peer.send("!ack")
        await peer.send("a1")
        await peer.stay()

    async with (
        sockets(behaviour) as server,
        reading(endpoint(server.url), frames=("one", "two")) as (got, _),
    ):
        await got.until(lambda: "a1" in got.frames)
    assert heard == ["one", "two"]
    assert got.frames == ["!ack", "a1"]
    assert isinstance(got.links[0], Connected)
    assert got.stamps == sorted(got.stamps)
    assert got.stamps[0] > 0


async def test_reconnects_after_a_drop() -> None:
    """A closed socket is said with its reason and opened again."""

    async def drops(peer: Peer) -> None:
        await peer.send("a1")
        await peer.connection.close(1008, "Too many requests")

    async with sockets(drops, says("a2")) as server, reading(endpoint(server.url)) as (got, _):
        await got.until(lambda: "a2" in got.frames)
    assert got.frames == ["a1", "a2"]
    assert [type(event) for event in got.links] == [Connected, Disconnected, Connected]
    assert "1008" in got.reasons[0]
    assert "Too many requests" in got.reasons[0]


async def test_cuts_a_socket_that_answers_pings_but_sends_no_data() -> None:
    """I16: pongs, acknowledgements and keepalive answers are no sign of life."""

    async def ponging(peer: Peer) -> None:
        await peer.send("a1")
        while await peer.receive() == "PING":
            await peer.send("PONG")
            await peer.send("!ack")

    point_rules = {
        "silence_seconds": 0.15,
        "ping_seconds": 0.03,
        "keepalive": "PING",
        "keepalive_answer": b"PONG",
        "keepalive_seconds": 0.02,
    }
    async with (
        sockets(ponging, says("a2")) as server,
        reading(endpoint(server.url, **point_rules)) as (got, _),
    ):
        await got.until(lambda: "a2" in got.frames)
    assert got.reasons == ["silent for 0.15 s"]
    assert "PONG" not in got.frames


async def test_cuts_a_socket_with_one_stream_that_never_speaks() -> None:
    """A stream asked for on the wrong path is silent while others flow (binance 6)."""
    async with (
        sockets(echoes(), says("a2", "b2")) as server,
        reading(endpoint(server.url, first_data_seconds=0.12, **PACED), names="ab") as (got, _),
    ):
        await got.until(lambda: "b2" in got.frames)
    assert got.reasons[0] == "no_data:b"


async def test_cuts_a_socket_whose_stream_falls_silent_later() -> None:
    """Partial silence after a good start is seen within two periods (binance 6)."""
    async with (
        sockets(echoes("b1"), says("a2", "b2")) as server,
        reading(endpoint(server.url, stream_silence_seconds=0.1, **PACED), names="ab") as (got, _),
    ):
        await got.until(lambda: "b2" in got.frames)
    assert got.reasons[0] == "no_data:b"


async def test_rotates_make_before_break_without_losing_a_frame() -> None:
    """The successor has spoken before the old socket goes; both feed the sink in between."""
    peers: set[Peer] = set()
    count = iter(range(1_000_000))

    async def joins(peer: Peer) -> None:
        peers.add(peer)
        async for _ in peer.connection:
            frame = f"a{next(count)}"
            for each in tuple(peers):
                with contextlib.suppress(ConnectionClosed):
                    await each.send(frame)
        peers.discard(peer)

    async with sockets(joins) as server:
        point = endpoint(server.url, rotate_seconds=0.1, **PACED)
        async with reading(point) as (got, reader):
            await got.until(lambda: reader.rotated >= 2)
        assert server.most_open == 2
    numbers = sorted({int(frame[1:]) for frame in got.frames})
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert len(got.frames) > len(numbers), "both sockets fed the sink for a while"
    assert [type(event) for event in got.links] == [Connected]


async def test_keeps_the_old_socket_while_its_successor_is_silent() -> None:
    """A replacement that sends no data never replaces what flows."""
    async with (
        sockets(echoes(), says(), says("a2")) as server,
        reading(
            endpoint(
                server.url,
                rotate_seconds=0.05,
                first_data_seconds=0.06,
                silence_seconds=0.06,
                **PACED,
            )
        ) as (got, reader),
    ):
        await got.until(lambda: "a2" in got.frames)
        await got.until(lambda: reader.rotated == 1)
    assert reader.opened >= 3


async def test_replaces_a_socket_whose_venue_says_goodbye() -> None:
    """A shutdown notice opens the replacement at once (binance 1.5)."""
    async with (
        sockets(says("a1", "!bye"), says("a2")) as server,
        reading(endpoint(server.url, farewell_prefixes=(b"!bye",))) as (got, reader),
    ):
        await got.until(lambda: "a2" in got.frames)
        await got.until(lambda: reader.rotated == 1)
        assert got.reasons == []


async def test_a_socket_that_dies_before_its_successor_speaks_is_a_gap_and_is_said() -> None:
    """Between the old socket's end and the new one's first data nothing flowed."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def dies(peer: Peer) -> None:
        await peer.send("a1")
        await peer.send("!bye")
        await arrived.wait()
        await peer.connection.close()
        gone.set()

    async def follows(peer: Peer) -> None:
        arrived.set()
        await gone.wait()
        await peer.send("a2")
        await peer.stay()

    async with (
        sockets(dies, follows) as server,
        reading(endpoint(server.url, farewell_prefixes=(b"!bye",))) as (got, reader),
    ):
        await got.until(lambda: reader.rotated == 1)
    assert [type(event) for event in got.links] == [Connected, Disconnected, Connected]
    assert "1000" in got.reasons[0]


@pytest.mark.parametrize("status", [403, 451])
async def test_raises_a_refusal_and_does_not_try_again(status: int) -> None:
    """I11: 403 and 451 are obeyed: one attempt, then ``VenueRefused`` out of ``run``."""
    outcome = Outcome()
    async with sockets(says("a1")) as server:
        server.refusals = [(status, {})] * 5
        reader = SocketReader(
            endpoint(server.url),
            FixedSubscription(frozenset("a")),
            clock=RealClock(),
            frames=outcome.on_frame,
            on_link=outcome.on_link,
            rng=random.Random(7),
            timings=TIMINGS,
        )
        with pytest.raises(VenueRefused) as refused:
            await reader.run()
        assert server.attempts == 1
    assert refused.value.status == status
    assert str(status) in outcome.reasons[0]


async def test_refusal_of_a_successor_ends_the_reader_and_its_socket() -> None:
    """A venue that refuses at the rotation is obeyed as well."""
    outcome = Outcome()
    async with sockets(says("a1")) as server:
        reader = SocketReader(
            endpoint(server.url, rotate_seconds=0.05),
            FixedSubscription(frozenset("a")),
            clock=RealClock(),
            frames=outcome.on_frame,
            on_link=outcome.on_link,
            rng=random.Random(7),
            timings=TIMINGS,
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(run_to_refusal(reader))
            await outcome.until(lambda: "a1" in outcome.frames)
            server.refusals = [(451, {})]
        assert running.result() == 451


async def run_to_refusal(reader: SocketReader) -> int:
    """Return the status that ended the reader."""
    with pytest.raises(VenueRefused) as refused:
        await reader.run()
    return refused.value.status


async def test_waits_as_long_as_a_rate_limit_asks() -> None:
    """A 429 with Retry-After is waited out before the next attempt."""
    async with sockets(says("a1")) as server:
        server.refusals = [(429, {"Retry-After": "1"})]
        async with reading(endpoint(server.url)) as (got, _):
            await got.until(lambda: bool(got.links))
            started = asyncio.get_running_loop().time()
            await got.until(lambda: "a1" in got.frames)
            assert asyncio.get_running_loop().time() - started > 0.9
    assert "429" in got.reasons[0]


async def test_retries_a_server_error_at_the_handshake() -> None:
    """HTTP 500 and 503 are tried again."""
    async with sockets(says("a1")) as server:
        server.refusals = [(500, {}), (503, {})]
        async with reading(endpoint(server.url)) as (got, _):
            await got.until(lambda: "a1" in got.frames)
        assert server.attempts == 3
    assert [reason.rpartition(": ")[2] for reason in got.reasons] == [
        "HTTP 500 at the handshake",
        "HTTP 503 at the handshake",
    ]


async def test_retries_a_server_that_is_not_there() -> None:
    """Connection refused is retried with back-off, and said each time."""
    async with sockets(says("a1")) as server:
        url = server.url
    async with reading(endpoint(url)) as (got, _):
        await got.until(lambda: len(got.reasons) >= 3)
    assert got.frames == []


async def test_a_frame_past_the_limit_costs_the_socket_not_the_process() -> None:
    """An oversized frame closes the link with a reason; the next one works."""
    async with (
        sockets(says("a" * 200), says("a2")) as server,
        reading(endpoint(server.url, maximum_frame_bytes=100)) as (got, _),
    ):
        await got.until(lambda: "a2" in got.frames)
    assert "1009" in got.reasons[0]


async def test_a_stream_that_never_speaks_is_given_up_after_a_few_sockets() -> None:
    """A stream the venue has dropped must not cost the others their socket for ever."""
    rules = {"first_data_seconds": 0.04, **PACED}
    async with (
        sockets(echoes()) as server,
        reading(endpoint(server.url, **rules), names="ab") as (got, reader),
    ):
        await got.until(lambda: reader.opened == MISSES_MAXIMUM + 1)
        seen = len(got.frames)
        await got.until(lambda: len(got.frames) > seen + 20)
    assert got.reasons == ["no_data:b"] * MISSES_MAXIMUM


async def test_an_error_of_our_own_is_not_swallowed() -> None:
    """What the sink raises ends the reader: it is no fault of the venue's."""

    def broken(source: Source, raw: str | bytes, received_ns: int) -> None:
        raise ArithmeticError("a bug")

    async with sockets(says("a1")) as server:
        reader = SocketReader(
            endpoint(server.url),
            FixedSubscription(frozenset("a")),
            clock=RealClock(),
            frames=broken,
            on_link=lambda _: None,
            rng=random.Random(7),
            timings=TIMINGS,
        )
        with pytest.raises(ExceptionGroup) as failed:
            await reader.run()
    assert failed.group_contains(ArithmeticError)


async def test_an_address_that_is_none_is_fatal() -> None:
    """A wrong setting is said at once, not retried."""
    outcome = Outcome()
    reader = SocketReader(
        endpoint("http://not-a-socket"),
        FixedSubscription(frozenset("a")),
        clock=RealClock(),
        frames=outcome.on_frame,
        on_link=outcome.on_link,
        rng=random.Random(7),
        timings=TIMINGS,
    )
    with pytest.raises(ExceptionGroup) as failed:
        await reader.run()
    assert failed.group_contains(InvalidURI)
