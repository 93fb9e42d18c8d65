"""The proxy carries, cuts, restores and slows."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from simulator.fault_proxy import LOOPBACK, FaultProxy

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
