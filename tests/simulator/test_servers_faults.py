"""The seam: every fate an answer, a frame or a handshake can have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from helpers.domain import NS_PER_MS, Outcome, Side
from simulator.servers.fault_seam import Answer, Close, Deliver, Fate
from tests.simulator.served import UP, Served, l2_headers, rest, served


class Scripted:
    """Faults by kind; everything else passes. Remembers what it was asked about."""

    def __init__(self) -> None:
        self.fates: dict[str, Callable[[str], Fate]] = {}
        self.endings: dict[str, Answer | Close] = {}
        self.asked: list[tuple[str, str]] = []

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        self.asked.append((connection_id, kind))
        fate = self.fates.get(kind)
        return payload if fate is None else fate(payload)

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        self.asked.append((connection_id, kind))
        return self.endings.get(kind)


async def version(world: Served, timeout: float = 5.0) -> httpx.Response:
    """Ask the CLOB for its version."""
    async with httpx.AsyncClient(base_url=world.venue.urls().clob, timeout=timeout) as http:
        return await http.get("/version")


async def subscribe(world: Served, socket: ClientConnection) -> None:
    """Ask for the Up book and read it."""
    await socket.send(f'{{"type":"market","assets_ids":["{UP}"]}}')
    await asyncio.wait_for(socket.recv(), 5)


async def test_answers_are_replaced_after_they_were_carried_out() -> None:
    """A 500 after the cancel: the order is gone although the client cannot know."""
    faults = Scripted()
    faults.fates["clob:DELETE /cancel-all"] = lambda _: Answer(500, '{"error":"x"}')
    async with served(faults=faults) as world:
        rest(world)
        async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
            headers = l2_headers(world, "DELETE", "/cancel-all")
            answer = await http.delete("/cancel-all", headers=headers)
        assert (answer.status_code, answer.json()) == (500, {"error": "x"})
        assert world.exchange.open_orders("me") == ()


async def test_requests_end_before_they_are_carried_out() -> None:
    """A 429 on the way in: nothing happened."""
    faults = Scripted()
    faults.endings["clob:DELETE /cancel-all"] = Answer(429, "", 3)
    async with served(faults=faults) as world:
        rest(world)
        async with httpx.AsyncClient(base_url=world.venue.urls().clob) as http:
            headers = l2_headers(world, "DELETE", "/cancel-all")
            answer = await http.delete("/cancel-all", headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
        assert len(world.exchange.open_orders("me")) == 1


async def test_answers_are_cut_dropped_delayed_and_changed() -> None:
    """Each fate of an answer as the client sees it."""
    faults = Scripted()
    async with served(faults=faults) as world:
        faults.fates["clob:GET /version"] = lambda _: Close()
        with pytest.raises(httpx.TransportError):
            await version(world)
        faults.fates["clob:GET /version"] = lambda _: Deliver()
        with pytest.raises(httpx.ReadTimeout):
            await version(world, 0.2)
        faults.fates["clob:GET /version"] = lambda text: Deliver((text,), 100 * NS_PER_MS)
        started = time.perf_counter()
        assert (await version(world)).json() == {"version": 2}
        assert time.perf_counter() - started >= 0.1
        faults.fates["clob:GET /version"] = lambda _: "<html>"
        assert (await version(world)).text == "<html>"
        faults.endings["clob:GET /version"] = Close()
        with pytest.raises(httpx.TransportError):
            await version(world)


async def test_frames_are_dropped_doubled_changed_and_delayed() -> None:
    """Each fate of a frame; the order of what follows is kept."""
    faults = Scripted()
    async with served(faults=faults) as world, connect(world.venue.urls().market_socket) as socket:
        await subscribe(world, socket)
        faults.fates["market_socket:price_change"] = lambda _: Deliver()
        world.house(Outcome.UP, Side.BUY, 0.3, 1)
        faults.fates["market_socket:price_change"] = lambda _: Deliver(("a", "a"), 20 * NS_PER_MS)
        world.house(Outcome.UP, Side.BUY, 0.3, 2)
        faults.fates["market_socket:price_change"] = lambda _: "b"
        world.house(Outcome.UP, Side.BUY, 0.3, 3)
        await socket.send("PING")
        assert [await asyncio.wait_for(socket.recv(), 5) for _ in range(4)] == [
            "a",
            "a",
            "b",
            "PONG",
        ]


@pytest.mark.parametrize(("fate", "code"), [(Close(), 1006), (Close(1012), 1012)])
async def test_sockets_are_cut_and_closed(fate: Close, code: int) -> None:
    """1006 is a cut without a close frame; any other code is said."""
    faults = Scripted()
    async with served(faults=faults) as world, connect(world.venue.urls().market_socket) as socket:
        await subscribe(world, socket)
        faults.fates["market_socket:price_change"] = lambda _: fate
        world.house(Outcome.UP, Side.BUY, 0.3, 1)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)
        assert socket.close_code == code


async def test_handshakes_are_refused_and_cut() -> None:
    """An upgrade can be refused with a status, or the connection cut."""
    faults = Scripted()
    async with served(faults=faults) as world:
        url = world.venue.urls().user_socket
        faults.endings["user_socket:handshake"] = Answer(503, "busy")
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 503
        faults.endings["user_socket:handshake"] = Close()
        with pytest.raises(InvalidMessage):
            await connect(url)


async def test_connections_are_numbered_in_order() -> None:
    """Ids are the surface and a count, so that a script can name the third socket."""
    faults = Scripted()
    async with served(faults=faults) as world:
        for _ in range(2):
            async with connect(world.venue.urls().market_socket) as socket:
                await subscribe(world, socket)
        await version(world)
        assert faults.asked == [
            ("market_socket-1", "market_socket:handshake"),
            ("market_socket-1", "market_socket:book"),
            ("market_socket-2", "market_socket:handshake"),
            ("market_socket-2", "market_socket:book"),
            ("clob-1", "clob:GET /version"),
            ("clob-1", "clob:GET /version"),
        ]
