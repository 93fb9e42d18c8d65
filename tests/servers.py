"""Small real servers on loopback for the tests of the I/O side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Behaviour = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one socket."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    async def send(self, frame: str) -> None:
        """Send one text frame."""
        await self.connection.send(frame)

    async def receive(self) -> str:
        """Return the client's next text frame."""
        return str(await self.connection.recv())

    async def stay(self) -> None:
        """Keep the socket open, answering pings and reading, until the client goes."""
        await self.connection.wait_closed()


class ScriptedSockets:
    """A WebSocket server that plays one behaviour per connection; the last one repeats."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours)
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.attempts = 0
        self.open = 0
        self.most_open = 0
        self.paths: list[str] = []
        self.server: Server | None = None
        self.changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Return the address to connect to."""
        assert self.server is not None
        port: int = next(iter(self.server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}"

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer the handshake with the next planned refusal, if there is one."""
        self.attempts += 1
        self.paths.append(request.path)
        if not self.refusals:
            return None
        status, headers = self.refusals.pop(0)
        return Response(status, HTTPStatus(status).phrase, Headers(headers), b"")

    async def play(self, connection: ServerConnection) -> None:
        """Play the next behaviour."""
        behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await behaviour(Peer(connection))
        finally:
            self.open -= 1


@asynccontextmanager
async def sockets(*behaviours: Behaviour) -> AsyncGenerator[ScriptedSockets]:
    """Serve scripted sockets on a free port of loopback."""
    script = ScriptedSockets(*behaviours)
    async with serve(
        script.play, "127.0.0.1", 0, process_request=script.refuse, close_timeout=0.2
    ) as server:
        script.server = server
        yield script


REQUEST_LINES_MAXIMUM: Final = 100


class ScriptedHttp:
    """An HTTP/1.1 server with a queue of answers per path; the last one repeats."""

    def __init__(self) -> None:
        self.answers: dict[str, list[bytes]] = {}
        self.requests: list[str] = []
        self.url = ""
        self.hold: asyncio.Event | None = None
        """When set, an answer is sent and the connection kept open until this event."""

    def on(self, path: str, *answers: bytes) -> None:
        """Plan the answers of a path (without its query)."""
        self.answers[path] = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            target = (await reader.readline()).split()[1].decode()
            while (await reader.readline()).strip():
                pass
            self.requests.append(target)
            planned = self.answers.get(target.partition("?")[0], [answer(404, b"{}")])
            writer.write(planned.pop(0) if len(planned) > 1 else planned[0])
            await writer.drain()
            if self.hold is not None:
                await self.hold.wait()
        finally:
            writer.close()
            await writer.wait_closed()


def answer(status: int, body: bytes, **headers: str) -> bytes:
    """Return the bytes of a whole HTTP answer; underscores in header names become dashes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def web() -> AsyncGenerator[ScriptedHttp]:
    """Serve scripted HTTP on a free port of loopback."""
    script = ScriptedHttp()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield script
