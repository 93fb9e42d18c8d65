"""The network between us and Postgres, and what can happen to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

KEY_DATA = re.compile(rb"K\x00\x00\x00\x0c(.{4})(.{4})Z", re.DOTALL)
"""BackendKeyData, before ReadyForQuery: the process id a server greets with."""
INVENTED = b"K\x00\x00\x00\x0c" + struct.pack("!i", 7)


class Proxy:
    """Carries bytes to a server's unix socket."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._writers: list[asyncio.StreamWriter] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.accepts = True
        self.invents_process_ids = False
        """As a pooler does."""
        self.connections = 0

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def go_silent(self) -> None:
        """Carry nothing any more, and say nothing of it."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Carry again what waits."""
        self._flowing.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.accepts:
            writer.transport.abort()
            return
        self.connections += 1
        back_reader, back_writer = await asyncio.open_unix_connection(self._socket_path)
        self._writers += [writer, back_writer]
        await asyncio.gather(
            self._pump(reader, back_writer), self._pump(back_reader, writer, answers=True)
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1 << 16):
                await self._flowing.wait()
                if answers and self.invents_process_ids:
                    chunk = KEY_DATA.sub(lambda found: INVENTED + found[2] + b"Z", chunk)
                writer.write(chunk)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[tuple[str, Proxy], None]:
    """Yield the address of a database through a proxy, and the proxy."""
    place = parse_qs(urlsplit(url).query)["host"][0]
    proxy = Proxy(Path(place) / ".s.PGSQL.5432")
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    name = urlsplit(url).path.removeprefix("/")
    try:
        # The server sees the proxy's socket, which is ours: it lets us in.
        yield f"postgresql://worker@127.0.0.1:{port}/{name}?sslmode=disable", proxy
    finally:
        server.close()
        proxy.go_on()
        proxy.cut()
