"""The application: health, metrics, the page and its data, login and control.

Everything shown was published by the worker; nothing here reads its owners. Must not: answer
anybody who may not ask, or let a browser do on another page's behalf what its owner did not want.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from helpers.domain import Message, Mode
from helpers.metrics import CONTENT_TYPE, Exposition
from helpers.server.access import COOKIE, COOKIE_SECONDS, Access
from helpers.server.control import (
    BODY_BYTES_MAXIMUM,
    LOOK_ONLY,
    AskOperator,
    ControlReply,
    read_wish,
)
from helpers.server.guard import Guarded
from helpers.server.health import Condition, Pulse
from helpers.server.hub import Hub, Published, Viewer

ASSET_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
"""What the page may consist of; other files are not served."""
ASSETS_BYTES_MAXIMUM: Final = 4 * 1024 * 1024
WRONG_TOKEN_SECONDS: Final = 1.0
"""Whoever guesses waits."""
RETRY_MS: Final = 2_000
"""How long a browser waits before it comes back after a restart."""
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

_encode = msgspec.json.encode


class Asset(NamedTuple):
    """One file of the page."""

    content: bytes
    media_type: str


class Ready(Message, frozen=True):
    """The body of ``/readyz``."""

    ready: bool
    failing: tuple[Condition, ...]


class Health(NamedTuple):
    """What is read of a run without asking it."""

    mode: Mode
    pulse: Pulse


def read_assets(folder: Path) -> Mapping[str, Asset]:
    """Return the files of the page by their path under the folder; none when it is not there.

    Raises ``ValueError`` when they are too large to be kept in memory.
    """
    found = {
        path.relative_to(folder).as_posix(): Asset(path.read_bytes(), ASSET_TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in ASSET_TYPES
    }
    size = sum(len(asset.content) for asset in found.values())
    if size > ASSETS_BYTES_MAXIMUM:
        raise ValueError(f"{folder} was {size} bytes, expected at most {ASSETS_BYTES_MAXIMUM}")
    return found


class Site:
    """The handlers, and what they answer from."""

    def __init__(
        self,
        hub: Hub,
        access: Access,
        health: Health,
        ask: AskOperator,
        assets: Mapping[str, Asset],
        cut: Callable[[tuple[str, int]], None],
    ) -> None:
        self._hub = hub
        self._access = access
        self._health = health
        self._ask = ask
        self._assets = assets
        self._cut = cut
        self._exposition = Exposition()
        self._scraped = (-1, b"")
        self._scraping = asyncio.Lock()
        self._asking = asyncio.Lock()

    def app(self) -> Guarded:
        """Return the application, behind its guard."""
        routes = [
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route("/view", self._view),
            Route("/history", self._history),
            Route("/events", EventStream(self._hub, self._cut), methods=["GET"]),
            Route("/control", self._control, methods=["POST"]),
            Route("/login", self._login, methods=["POST"]),
            Route("/", self._page),
            Route("/static/{path:path}", self._static),
        ]
        return Guarded(Starlette(routes=routes), self._access)

    async def _livez(self, _request: Request) -> Response:
        pulse = self._health.pulse
        if pulse.alive:
            return PlainTextResponse("alive\n")
        return PlainTextResponse(f"no grid step for {pulse.still_seconds:.0f} s\n", 503)

    async def _readyz(self, _request: Request) -> Response:
        try:
            failing = (await self._hub.fresh()).failing
        except TimeoutError:
            failing = (Condition("not_answering", "the worker did not answer in time"),)
        body = _encode(Ready(not failing, failing))
        return Response(body, 503 if failing else 200, media_type=JSON)

    async def _metrics(self, _request: Request) -> Response:
        published = await self._published()
        if published is None:
            return _busy()
        async with self._scraping:
            if self._scraped[0] != published.seq:
                text = await self._exposition.text(published.readings)
                self._scraped = (published.seq, text)
        return Response(self._scraped[1], headers={"content-type": CONTENT_TYPE})

    async def _view(self, _request: Request) -> Response:
        published = await self._published()
        return _busy() if published is None else Response(published.view, media_type=JSON)

    async def _history(self, _request: Request) -> Response:
        published = await self._published()
        return _busy() if published is None else Response(published.history, media_type=JSON)

    async def _published(self) -> Published | None:
        try:
            return await self._hub.fresh()
        except TimeoutError:
            return None

    async def _control(self, request: Request) -> Response:
        if not self._access.has_token:
            return _reply(403, ok=False, text=LOOK_ONLY)
        if not self._access.bearer(request.headers.get("authorization", "")):
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return _reply(401, ok=False, text="the token was wrong or missing")
        body = await _body(request)
        if body is None:
            return _reply(413, ok=False, text="the request was too long")
        wish = read_wish(body, self._health.mode)
        if isinstance(wish, str):
            return _reply(400, ok=False, text=wish)
        if self._asking.locked():
            return _reply(409, ok=False, text="another request waits for the worker's answer")
        async with self._asking:
            reply = await self._ask(wish.verb, wish.reason)
        return _reply(200 if reply.ok else 503, ok=reply.ok, text=reply.text)

    async def _login(self, request: Request) -> Response:
        body = await _body(request)
        given = parse_qs((body or b"").decode("utf-8", "replace")).get("token", [""])[0]
        if not self._access.is_token(given.strip()):
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return PlainTextResponse("the token was wrong; go back and try again\n", 401)
        answer = Response(status_code=303, headers={"location": "/"})
        answer.set_cookie(
            COOKIE, self._access.cookie, max_age=COOKIE_SECONDS, httponly=True, samesite="strict"
        )
        return answer

    async def _page(self, _request: Request) -> Response:
        return self._asset("index.html")

    async def _static(self, request: Request) -> Response:
        return self._asset(str(request.path_params["path"]))

    def _asset(self, path: str) -> Response:
        asset = self._assets.get(path)
        if asset is None:
            return PlainTextResponse("there is nothing here\n", 404)
        return Response(asset.content, headers={"content-type": asset.media_type})


class EventStream:
    """``/events``: views as server-sent events until the viewer goes, or does not keep up."""

    def __init__(self, hub: Hub, cut: Callable[[tuple[str, int]], None]) -> None:
        self._hub = hub
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one viewer."""
        if scope["method"] == "HEAD":
            # It would hold a viewer's place and never fall behind: nothing is sent to it.
            await Response(media_type=EVENTS)(scope, receive, send)
            return
        client: Any = scope.get("client")
        viewer = self._hub.join(lambda: self._cut(tuple(client)))
        if viewer is None:
            await PlainTextResponse("too many viewers\n", 503)(scope, receive, send)
            return
        try:
            stream = StreamingResponse(_views(viewer), media_type=EVENTS)
            await stream(scope, receive, send)
        finally:
            self._hub.leave(viewer)


async def _views(viewer: Viewer) -> AsyncGenerator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS
    while (event := await viewer.queue.get()) is not None:
        yield event


async def _body(request: Request) -> bytes | None:
    """Return a request's body; ``None`` for one that is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAXIMUM:
            return None
    return body


def _reply(status: int, *, ok: bool, text: str) -> Response:
    return Response(_encode(ControlReply(ok, text)), status, media_type=JSON)


def _busy() -> Response:
    return PlainTextResponse("the worker did not answer in time\n", 503)
