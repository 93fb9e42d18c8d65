"""Starts and stops the surfaces on free ports of loopback; it knows no venue's rules."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final, cast

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from simulator.servers.surroundings import PeerAddress, Surroundings

LOOPBACK: Final = "127.0.0.1"
STOP_SECONDS: Final = 1
"""Requests still running at the stop get this long."""
KEEP_ALIVE_SECONDS: Final = 75
"""Idle connections live longer than any client of ours keeps them."""
CONNECTIONS_MAX: Final = 512
"""Connections and requests of one surface; more are answered 503."""
FRAME_BYTES_MAX: Final = 1_048_576


class LoopbackServer:
    """One surface on one port."""

    def __init__(
        self, app: Starlette, surroundings: Surroundings, ping_seconds: float | None = None
    ) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind((LOOPBACK, 0))
        config = Config(
            app,
            http=_cuttable(surroundings),
            ws="websockets-sansio",
            ws_ping_interval=ping_seconds,
            ws_max_size=FRAME_BYTES_MAX,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # Wall time, which would contradict the venue's.
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._server = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"{LOOPBACK}:{cast('int', self._listener.getsockname()[1])}"

    async def start(self) -> None:
        """Serve from now on, in the running loop."""
        # Not ``serve``: it takes the process's signals and looks ten times a second for its end.
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup([self._listener])

    async def stop(self) -> None:
        """Stop serving; requests that run get a second, then every connection is closed."""
        if not self._server.started:
            self._listener.close()
            return
        for server in self._server.servers:
            server.close()
        state = self._server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        running = set(state.tasks)
        if running:
            _, late = await asyncio.wait(running, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.sleep(0)  # Connections close in the loop's next round.
        self._listener.close()  # A loop may have served on a copy of it.


class LoopbackServers:
    """Several surfaces, started and stopped together."""

    def __init__(self, servers: Sequence[LoopbackServer]) -> None:
        self._servers = tuple(servers)

    async def start(self) -> None:
        """Start all."""
        await asyncio.gather(*(server.start() for server in self._servers))

    async def stop(self) -> None:
        """Stop all."""
        await asyncio.gather(*(server.stop() for server in self._servers))


def _cuttable(surroundings: Surroundings) -> type[H11Protocol]:
    class Cuttable(H11Protocol):
        """Tells the surroundings about its connection, so that a fault can cut it."""

        _peer: PeerAddress | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._peer = self.client
            if self._peer is not None:
                surroundings.connected(self._peer, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self._peer is not None:
                surroundings.disconnected(self._peer)

    return Cuttable
