"""Serves an application with uvicorn in the running loop; no signal, log or exit of its own.

Must not: stop the worker, whatever happens here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

import h11
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAXIMUM: Final = 64
"""Connections and requests at once; more are answered 503."""
SEND_BUFFER_BYTES: Final = 64 * 1024
"""What the system may hold for a viewer that does not read: some ten views, then it is dropped."""
REQUEST_BYTES_MAXIMUM: Final = 16 * 1024
"""Of a request, its head and body together: a browser's are 1 or 2 KiB. Whoever may ask nothing
can send one, and the loop that reads it trades."""
REQUEST_LINES_MAXIMUM: Final = 128
"""Each costs 10 us to take apart."""
KEEP_ALIVE_SECONDS: Final = 30
REQUEST_SECONDS: Final = 10.0
"""From the connection, or a request's first byte, until the request is there as a whole. uvicorn
waits for ever: 64 silent connections would keep the health checks out."""
STOP_SECONDS: Final = 1.0
BACKLOG: Final = 64


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise ``OSError`` for an address that cannot be had."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            # "::" answers IPv4, too, whatever the system's default is.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Accepted connections inherit it.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


class PunctualProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, and whoever does not say what they want is cut."""

    _due: asyncio.TimerHandle | None = None
    _bytes = 0
    _lines = 0
    """Of the request that is being received."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Take some bytes, and wait for the rest of a request that is not whole."""
        if self._grows_too_long(data):
            self._expect_nothing()
            self._refuse()
            return
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._expect_nothing()
        elif self._due is None:
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _grows_too_long(self, received: bytes) -> bool:
        """Count a piece of a request; h11 itself bounds only what it waits for the rest of."""
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._bytes = self._lines = 0
        self._bytes += len(received)
        self._lines += received.count(b"\n")
        return self._bytes > REQUEST_BYTES_MAXIMUM or self._lines > REQUEST_LINES_MAXIMUM

    def _refuse(self) -> None:
        if self.conn.our_state is h11.IDLE:
            self.send_400_response("the request was too long")
        else:
            self.transport.abort()  # In the middle of an answer there is no place for another.

    def _expect_request(self) -> None:
        self._due = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class Serving:
    """One application on one listening socket."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._listener = listener
        config = Config(
            app,
            http=PunctualProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # What others send wrongly is no line of ours.
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAXIMUM,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            h11_max_incomplete_event_size=REQUEST_BYTES_MAXIMUM,
        )
        self._server = uvicorn.Server(config)

    async def start(self) -> None:
        """Serve from now on, in the running loop."""
        # Not ``serve``: it takes the process's signals and looks ten times a second for its end.
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup([self._listener])

    def cut(self, client: tuple[str, int]) -> None:
        """Cut a client's connection at once, with whatever waits in it."""
        for connection in tuple(self._server.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()

    async def stop(self) -> None:
        """Stop serving; requests that run get a second, then every connection is cut."""
        state = self._server.server_state
        for server in getattr(self._server, "servers", ()):
            server.close()
        for connection in tuple(state.connections):
            connection.shutdown()
        if running := set(state.tasks):
            _, late = await asyncio.wait(running, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for connection in tuple(state.connections):
            self.cut(connection.client)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
        await asyncio.sleep(0)  # Connections close in the loop's next round.
        self._listener.close()
