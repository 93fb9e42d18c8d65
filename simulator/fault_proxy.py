"""A TCP proxy that can be cut, restored and slowed: outages of Postgres, Discord, anything.

Put before any server; what is behind it never knows. Must not: understand what it carries.
"""

from __future__ import annotations

import asyncio
from typing import Final

CHUNK_BYTES: Final = 65_536
LOOPBACK: Final = "127.0.0.1"


class FaultProxy:
    """One listener in front of one server; start it inside a running loop."""

    def __init__(self, host: str, port: int) -> None:
        self.latency_seconds = 0.0
        self.accepted = 0
        self._target = (host, port)
        self._cut = False
        self._server: asyncio.Server | None = None
        self._serving = 0
        self._idle = asyncio.Event()
        # A dict as an ordered set: a cut resets connections in the order they came.
        self._writers: dict[asyncio.StreamWriter, None] = {}

    @property
    def port(self) -> int:
        """Return the port to connect to; raise ``RuntimeError`` before the start."""
        if self._server is None:
            raise RuntimeError("the proxy was not started")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)

    async def stop(self) -> None:
        """Close the listener and every connection."""
        self.cut()
        while self._serving:
            self._idle.clear()
            await self._idle.wait()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Reset every connection and every new one until ``restore``."""
        self._cut = True
        for writer in tuple(self._writers):
            writer.transport.abort()

    def restore(self) -> None:
        """Let connections through again."""
        self._cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._serving += 1
        try:
            await self._carry(reader, writer)
        finally:
            self._serving -= 1
            self._idle.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            await _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            await _reset(writer)  # The server behind is gone: so is the connection.
            return
        if self._cut:  # The outage began while the server was called.
            await _reset(writer)
            await _reset(far_writer)
            return
        pair = (writer, far_writer)
        self._writers |= dict.fromkeys(pair)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, far_writer))
                tasks.create_task(self._pump(far_reader, writer))
        finally:
            for end in pair:
                await _close(end)
                self._writers.pop(end, None)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if self.latency_seconds:
                    await asyncio.sleep(self.latency_seconds)
                writer.write(chunk)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()  # One end was reset: the other hears of it.


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        writer.transport.abort()  # It was reset: there is nothing left to close in order.


async def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await _close(writer)
