"""The proxy carries, cuts, restores and slows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from simulator.fault_proxy import LOOPBACK, FaultProxy
from simulator.simulated_loop import SimulatedLoop

GONE = (ConnectionError, asyncio.IncompleteReadError)
"""A reset is seen as an error or as an end, as the timing goes."""


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            writer.write(line.upper())
    await _close(writer)


async def _say(port: int, word: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(word + b"\n")
        return await reader.readline()
    finally:
        await _close(writer)


async def test_an_outage_begins_and_ends() -> None:
    """Open connections are reset, new ones too, until it is restored."""
    server = await asyncio.start_server(_echo, LOOPBACK, 0)
    proxy = FaultProxy(LOOPBACK, server.sockets[0].getsockname()[1])
    await proxy.start()
    assert await _say(proxy.port, b"hello") == b"HELLO\n"
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    writer.write(b"held\n")
    assert await reader.readline() == b"HELD\n"
    proxy.cut()
    with pytest.raises(GONE):
        await reader.readexactly(1)
    await _close(writer)
    refused, refused_writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    with pytest.raises(GONE):
        await refused.readexactly(1)
    await _close(refused_writer)
    proxy.restore()
    proxy.latency_seconds = 0.01
    assert await _say(proxy.port, b"again") == b"AGAIN\n"
    assert proxy.accepted == 4
    await proxy.stop()
    server.close()
    await server.wait_closed()


async def test_the_port_is_known_after_the_start() -> None:
    """Asking before is a bug."""
    with pytest.raises(RuntimeError, match="not started"):
        _ = FaultProxy(LOOPBACK, 1).port


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def proxied(serve: Serve) -> AsyncGenerator[FaultProxy]:
    """Put a proxy in front of a server; both are gone at the end."""
    server = await asyncio.start_server(serve, LOOPBACK, 0)
    proxy = FaultProxy(LOOPBACK, server.sockets[0].getsockname()[1])
    await proxy.start()
    try:
        async with asyncio.timeout(5):
            yield proxy
    finally:
        await proxy.stop()
        server.close()
        await server.wait_closed()


async def test_the_end_of_one_direction_leaves_the_other_open() -> None:
    """A client that says it is done still gets its answer, whole and in order."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        whole = await reader.read()
        writer.write(b"%d bytes " % len(whole) + whole[::-1])
        await _close(writer)

    sent = bytes(range(256)) * 4_000
    async with proxied(count) as proxy:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b"%d bytes " % len(sent) + sent[::-1]
        await _close(writer)


async def test_a_reset_by_the_server_reaches_the_client() -> None:
    """The client is not left waiting for a server that hung up on it."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    async with proxied(hang_up) as proxy:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        writer.write(b"hello\n")
        with pytest.raises(GONE):
            await reader.readexactly(1)
        await _close(writer)


async def test_a_reset_by_the_client_reaches_the_server() -> None:
    """The server is not left with a connection nobody is at the end of."""
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.set()
        await _close(writer)

    async with proxied(listen) as proxy:
        _, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        writer.write(b"hello\n")
        writer.transport.abort()
        await ended.wait()


async def test_a_server_that_is_gone_is_a_reset() -> None:
    """The proxy accepts, finds nobody, and lets go; it serves when the server is back."""
    server = await asyncio.start_server(_echo, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    proxy = FaultProxy(LOOPBACK, port)
    await proxy.start()
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    with pytest.raises(GONE):
        await reader.readexactly(1)
    await _close(writer)
    server = await asyncio.start_server(_echo, LOOPBACK, port)
    assert await _say(proxy.port, b"back") == b"BACK\n"
    await proxy.stop()
    server.close()
    await server.wait_closed()


async def test_a_cut_catches_a_connection_that_is_being_made() -> None:
    """One that reached the proxy before the outage does not live through it."""
    async with proxied(_echo) as proxy:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        while not proxy.accepted:
            await asyncio.sleep(0)
        proxy.cut()
        writer.write(b"hello\n")
        with pytest.raises(GONE):
            await reader.readexactly(1)
        await _close(writer)


def test_stopping_waits_for_what_is_on_its_way_in_simulated_time() -> None:
    """A slow proxy stops when its chunk is through; looking without end would stop time itself."""

    async def stop_while_slow() -> None:
        async with proxied(_echo) as proxy:
            proxy.latency_seconds = 0.5
            _, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
            writer.write(b"hello\n")
            await asyncio.sleep(0.1)
            await proxy.stop()
            await _close(writer)
        assert asyncio.get_running_loop().time() == pytest.approx(0.5, abs=0.2)

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(stop_while_slow())
