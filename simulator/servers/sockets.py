"""The WebSocket side of the seam: a bounded outbox and one reading loop; no venue's rules.

A client that does not read is cut off once its outbox is full; the venue never waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from helpers.domain import Message
from simulator.servers.answers import JSON
from simulator.servers.fault_seam import Answer, Close, Deliver, Surface
from simulator.servers.surroundings import Surroundings

OUTBOX_FRAMES_MAX: Final = 8_192
"""Frames that wait for one client: some ten seconds at the busiest hour (reference C.1)."""
SLOW_CLOSE_SECONDS: Final = 5.0
"""How long a slow client may take to read its close frame before the connection is cut."""
CUT: Final = 1006
"""The close code that means: no close frame at all."""
POLICY: Final = 1008
SLOW_CONSUMER: Final = 4002


class _Item(Message, frozen=True):
    text: str
    after_ns: int = 0
    close_code: int = 0


class Outbox:
    """Frames on their way to one client, in order."""

    def __init__(
        self,
        websocket: WebSocket,
        surroundings: Surroundings,
        surface: Surface,
        connection_id: str,
        slow_code: int = POLICY,
        frames_max: int = OUTBOX_FRAMES_MAX,
    ) -> None:
        self.connection_id = connection_id
        self.dropped_frames = 0
        self._websocket = websocket
        self._surroundings = surroundings
        self._surface = surface
        self._slow_code = slow_code
        self._frames_max = frames_max
        self._items: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._cutter: asyncio.TimerHandle | None = None

    @property
    def path(self) -> str:
        """Return the path the client asked for."""
        return self._websocket.url.path

    def query(self, name: str) -> str:
        """Return a parameter of the client's URL, empty when it gave none."""
        return self._websocket.query_params.get(name, "")

    def send(self, event: str, text: str) -> None:
        """Put a frame down; ``event`` is what it carries, for the faults to choose by."""
        if self._closing:
            return
        kind = f"{self._surface}:{event}"
        fate = self._surroundings.faults.outgoing(self.connection_id, kind, text)
        if isinstance(fate, str):
            self._put(_Item(fate))
        elif isinstance(fate, Deliver):
            # The wait comes before the first text; a wait for a dropped frame would hold others.
            after_ns = fate.after_ns
            for payload in fate.payloads:
                self._put(_Item(payload, after_ns))
                after_ns = 0
        else:
            self.close(fate.code if isinstance(fate, Close) else CUT)

    def close(self, code: int) -> None:
        """Close after what waits already; 1006 cuts at once."""
        if self._closing:
            return
        self._closing = True
        if code == CUT:
            self.cut()
        self._items.append(_Item("", 0, code))
        self._wake.set()

    def cut(self) -> None:
        """Reset the connection."""
        client = self._websocket.client
        if client is not None:
            self._surroundings.cut((client.host, client.port))

    async def run(self) -> None:
        """Send until the connection ends."""
        try:
            while await self._send_next():
                pass
        except WebSocketDisconnect:
            return  # The reading loop sees the same end and cleans up.

    def stop(self) -> None:
        """Forget the timer that would cut a slow client."""
        if self._cutter is not None:
            self._cutter.cancel()

    def _put(self, item: _Item) -> None:
        if len(self._items) >= self._frames_max:
            self.dropped_frames += len(self._items)
            self._items.clear()
            self.close(self._slow_code)
            loop = asyncio.get_running_loop()
            self._cutter = loop.call_later(SLOW_CLOSE_SECONDS, self.cut)
            return
        self._items.append(item)
        self._wake.set()

    async def _send_next(self) -> bool:
        while not self._items:
            self._wake.clear()
            await self._wake.wait()
        item = self._items.popleft()
        if item.close_code:
            if item.close_code != CUT:
                await self._websocket.close(item.close_code)
            return False
        if item.after_ns:
            await self._surroundings.wait(item.after_ns)
        await self._websocket.send_text(item.text)
        return True


class Session(Protocol):
    """One client of a socket surface."""

    def received(self, text: str) -> None:
        """Take a text frame of the client."""
        ...

    def ended(self) -> None:
        """Forget the client."""
        ...


def socket_route(
    path: str,
    surface: Surface,
    surroundings: Surroundings,
    open_session: Callable[[Outbox], Session],
    *,
    slow_code: int = POLICY,
    frames_max: int = OUTBOX_FRAMES_MAX,
) -> WebSocketRoute:
    """Return the route of a socket surface; every connection gets a session of its own."""

    async def endpoint(websocket: WebSocket) -> None:
        connection_id = surroundings.connection_id(surface)
        ending = surroundings.faults.incoming(connection_id, f"{surface}:handshake")
        if ending is not None:
            await _refuse(websocket, surroundings, ending)
            return
        await websocket.accept()
        outbox = Outbox(websocket, surroundings, surface, connection_id, slow_code, frames_max)
        session = open_session(outbox)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(outbox.run())
                await _read(websocket, surroundings, surface, session)
                writer.cancel()
        finally:
            session.ended()
            outbox.stop()
            if websocket.client is not None:
                surroundings.disconnected((websocket.client.host, websocket.client.port))

    return WebSocketRoute(path, endpoint)


async def _read(
    websocket: WebSocket, surroundings: Surroundings, surface: Surface, session: Session
) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if isinstance(text, str):
            surroundings.advance()
            session.received(text)
        else:
            surroundings.unread[f"{surface}: binary frame"] += 1


async def _refuse(websocket: WebSocket, surroundings: Surroundings, ending: Answer | Close) -> None:
    if isinstance(ending, Answer):
        wait = ending.retry_after_seconds
        headers = {"Retry-After": str(wait)} if wait else {}
        refusal = Response(ending.body, ending.status, headers, media_type=JSON)
        await websocket.send_denial_response(refusal)
        return
    if websocket.client is not None:
        surroundings.cut((websocket.client.host, websocket.client.port))
