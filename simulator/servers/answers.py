"""The HTTP side of the seam: one wrapper around every route; it knows no venue's rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from helpers.domain import Message
from simulator.clob_bodies import HttpAnswer
from simulator.servers.fault_seam import Answer, Close, Deliver, Surface
from simulator.servers.surroundings import Surroundings

BODY_BYTES_MAX: Final = 1_048_576
"""Request bodies; fifteen signed orders take about 20 kB."""
OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
TOO_LARGE: Final = 413
TOO_MANY_REQUESTS: Final = 429
JSON: Final = "application/json"


class Reply(Message, frozen=True):
    """An answer as it goes out: status, body text, extra headers."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Reply]]


def ok(body: str) -> Reply:
    """Return a 200 answer with a finished JSON text."""
    return Reply(OK, body)


def error(status: int, text: str) -> Reply:
    """Return an error as the CLOB and the relayer write it (reference B.4)."""
    return Reply(status, msgspec.json.encode({"error": text}).decode())


def reply_of(answer: HttpAnswer) -> Reply:
    """Return an engine's answer with its ``Retry-After`` header, if it has one."""
    wait = answer.retry_after_seconds
    return Reply(answer.status, answer.body, (("Retry-After", str(wait)),) if wait else ())


async def read_body(request: Request) -> bytes:
    """Return a request's body; raise ``HTTPException`` 413 beyond 1 MiB."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(TOO_LARGE, f"body was over {BODY_BYTES_MAX} bytes, expected less")
    return bytes(body)


class HttpSurface:
    """Builds the routes of one surface, each of them behind the seam."""

    def __init__(self, surface: Surface, surroundings: Surroundings) -> None:
        self.surface = surface
        self._surroundings = surroundings

    def route(self, method: str, path: str, handler: Handler) -> Route:
        """Return a route whose answers pass the faults and whose handler finds the present."""
        kind = f"{self.surface}:{method} {path}"

        async def endpoint(request: Request) -> Response:
            surroundings = self._surroundings
            connection_id = surroundings.connection_id(self.surface)
            ending = surroundings.faults.incoming(connection_id, kind)
            if ending is not None:
                return await self._ended(request, ending)
            surroundings.advance()
            reply = await handler(request)
            surroundings.advance()
            fate = surroundings.faults.outgoing(connection_id, kind, reply.body)
            if isinstance(fate, str):
                return _response(reply, fate)
            return await self._fated(request, reply, fate)

        return Route(path, endpoint, methods=[method])

    async def _fated(
        self, request: Request, reply: Reply, fate: Deliver | Close | Answer
    ) -> Response:
        if isinstance(fate, Deliver):
            await self._surroundings.wait(fate.after_ns)
            if fate.payloads:
                return _response(reply, fate.payloads[0])
            while (await request.receive())["type"] != "http.disconnect":
                pass  # The answer is lost: the client waits until it gives up.
            return Response()
        return await self._ended(request, fate)

    async def _ended(self, request: Request, ending: Answer | Close) -> Response:
        if isinstance(ending, Close):
            if request.client is not None:
                self._surroundings.cut((request.client.host, request.client.port))
            return Response()  # Nobody is there to read it.
        wait = ending.retry_after_seconds
        headers = {"Retry-After": str(wait)} if wait else {}
        return Response(ending.body, ending.status, headers, media_type=JSON)


def http_app(routes: list[BaseRoute]) -> Starlette:
    """Return an application whose own errors are JSON like the venue's."""
    return Starlette(routes=routes, exception_handlers={HTTPException: _explain})


async def _explain(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    text = "not found" if problem.status_code == NOT_FOUND else problem.detail
    return _response(error(problem.status_code, text), None)


def _response(reply: Reply, body: str | None) -> Response:
    text = reply.body if body is None else body
    return Response(text, reply.status, dict(reply.headers), media_type=JSON)
