"""One open socket from subscribe to end."""

from __future__ import annotations

import asyncio

import pytest

from helpers.clock import RealClock
from helpers.domain import Source
from helpers.feeds.link import Link
from helpers.feeds.retry import Unreachable
from helpers.feeds.socket import SocketTimings, open_link
from helpers.feeds.subscription import Endpoint, FixedSubscription
from tests.servers import Peer, ScriptedSockets, sockets

TIMINGS = SocketTimings(open_seconds=1.0, close_seconds=0.2, send_seconds=0.5)


def first_letter(raw: bytes) -> tuple[str, ...]:
    return (raw[:1].decode(),)


async def opened(server: ScriptedSockets, names: str, *frames: str) -> Link:
    endpoint = Endpoint(
        source=Source.OKX,
        url=server.url,
        streams_in=first_letter,
        silence_seconds=0.0,
        first_data_seconds=0.5,
    )
    return await open_link(
        endpoint,
        FixedSubscription(frozenset(names), frames),
        clock=RealClock(),
        frames=lambda _source, _raw, _received_ns: None,
        timings=TIMINGS,
    )


async def stays(peer: Peer) -> None:
    """Serve one frame and wait."""
    await peer.send("a1")
    await peer.stay()


async def test_is_ready_once_every_judged_stream_has_spoken() -> None:
    """With nothing to await a link is ready at once; with one silent stream it is not."""
    async with sockets(stays) as server:
        nothing, one, two = [await opened(server, names) for names in ("", "a", "ab")]
        assert nothing.ready.is_set()
        assert not one.ready.is_set()
        async with asyncio.TaskGroup() as group:
            for link in (nothing, one, two):
                group.create_task(link.serve())
            async with asyncio.timeout(2):
                await one.ready.wait()
                assert one.ended is None
                await two.ready.wait()
            for link in (nothing, one):
                link.retire()
    assert (nothing.ended, one.ended, two.ended) == ("retired", "retired", "no_data:b")
    assert all(link.attention.is_set() for link in (nothing, one, two))


async def test_a_socket_that_goes_while_subscribing_is_unreachable() -> None:
    """The attempt fails in a way that may pass, and leaves nothing open."""

    async def leaves(peer: Peer) -> None:
        peer.connection.transport.abort()

    async with sockets(leaves) as server:
        with pytest.raises(Unreachable):
            await opened(server, "a", *["frame" * 1000] * 200)
