"""Binance's WebSocket streams: paths, control frames, limits and the 24 h cut (binance 1).

A stream that is unknown, upper-case or asked for on the wrong path is acknowledged and silent,
like the venue's. Texts come from the frames of the world; this module decides who gets them.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import msgspec
from starlette.routing import WebSocketRoute

from helpers.domain import NS_PER_SECOND, Message, Source
from simulator.frame import Frame
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Surface
from simulator.servers.sockets import POLICY, Outbox, socket_route
from simulator.servers.surroundings import Surroundings

STREAMS_MAX: Final = 1024
"""Of one connection; the next is answered with error 4 and the end (binance 1.5)."""
REQUESTS_PER_SECOND: Final = 10
LIFETIME_NS: Final = 24 * 3600 * NS_PER_SECOND
GOING_AWAY: Final = 1001
PATH_SOURCES: Final = {
    "/public": Source.BINANCE_PUBLIC,
    "/market": Source.BINANCE_MARKET,
    "": Source.BINANCE_PUBLIC,
}
"""Futures paths; the unrouted one delivers what ``/public`` does since April 2026 (binance 1.1)."""


class Request(Message, frozen=True):
    """A control frame of a client."""

    method: str = ""
    params: tuple[str | bool, ...] = ()
    id: int | str | None = None


class Session:
    """One connection: its path, its streams, its age."""

    def __init__(self, outbox: Outbox, streams: Streams, source: Source, combined: bool) -> None:
        self.outbox = outbox
        self.names: set[str] = set()
        self.combined = combined
        self.source = source
        self.opened_ns = streams.now_ns()
        self._streams = streams
        self._asked_ns: deque[int] = deque()

    def received(self, text: str) -> None:
        """Take a control frame; too many of them end the connection (binance 1.5)."""
        now_ns = self._streams.now_ns()
        while self._asked_ns and self._asked_ns[0] <= now_ns - NS_PER_SECOND:
            self._asked_ns.popleft()
        self._asked_ns.append(now_ns)
        if len(self._asked_ns) > REQUESTS_PER_SECOND:
            self.outbox.close(POLICY)
            return
        try:
            request = msgspec.json.decode(text, type=Request)
        except UNREADABLE as error:
            self._answer({"code": 3, "msg": f"Invalid JSON: {error}"})
            return
        self._obey(request)

    def ended(self) -> None:
        """Forget the client."""
        self._streams.remove(self)

    def _obey(self, request: Request) -> None:
        names = [name for name in request.params if isinstance(name, str)]
        match request.method:
            case "SUBSCRIBE":
                if self._streams.subscribe(self, names):
                    self._answer({"result": None, "id": request.id})
                else:
                    self._answer({"error": {"code": 4, "msg": "Too many subscriptions"}})
                    self.outbox.close(POLICY)
            case "UNSUBSCRIBE":
                self._streams.unsubscribe(self, names)
                self._answer({"result": None, "id": request.id})
            case "LIST_SUBSCRIPTIONS":
                self._answer({"result": sorted(self.names), "id": request.id})
            case "SET_PROPERTY" if request.params[:1] == ("combined",):
                self._set_combined(request)
            case "GET_PROPERTY" if request.params == ("combined",):
                self._answer({"result": self.combined, "id": request.id})
            case "SET_PROPERTY" | "GET_PROPERTY":
                self._answer({"code": 0, "msg": "Unknown property"})
            case _:
                self._answer({"code": 2, "msg": f"Invalid request: unknown {request.method}"})

    def _set_combined(self, request: Request) -> None:
        value = request.params[1] if len(request.params) > 1 else None
        if not isinstance(value, bool):
            self._answer({"code": 1, "msg": "Invalid value type: expected Boolean"})
            return
        self.combined = value
        self._answer({"result": None, "id": request.id})

    def _answer(self, body: dict[str, object]) -> None:
        self.outbox.send("control", msgspec.json.encode(body).decode())


class Streams:
    """Who listens to what on one of the venue's hosts."""

    def __init__(self, surroundings: Surroundings, lifetime_ns: int = LIFETIME_NS) -> None:
        self.now_ns = surroundings.now_ns
        self.sent: Counter[str] = Counter()
        """Frames delivered, by stream."""
        self._surroundings = surroundings
        self._lifetime_ns = lifetime_ns
        # Dicts as ordered sets: whoever came first is served first, in every run.
        self._sessions: dict[Session, None] = {}
        self._listeners: dict[tuple[Source, str], dict[Session, None]] = {}

    def futures_routes(self) -> list[WebSocketRoute]:
        """Return ``/public``, ``/market`` and the legacy root, raw and combined."""
        return [
            route
            for prefix, source in PATH_SOURCES.items()
            for route in self._routes(prefix, source)
        ]

    def spot_routes(self) -> list[WebSocketRoute]:
        """Return the market-data-only host's paths, which are not split."""
        return self._routes("", Source.BINANCE_SPOT)

    def publish(self, frame: Frame) -> None:
        """Deliver a frame to whoever asked for its stream on the right path."""
        for session in tuple(self._listeners.get((frame.source, frame.key), ())):
            text = frame.text
            if not session.combined:
                text = text[text.index('"data":') + 7 : -1]
            self.sent[frame.key] += 1
            session.outbox.send(frame.key.partition("@")[2], text)

    def retire_old(self) -> None:
        """Cut connections that reached the venue's 24 h (binance 1.5)."""
        oldest_ns = self.now_ns() - self._lifetime_ns
        for session in tuple(self._sessions):
            if session.opened_ns <= oldest_ns:
                session.outbox.close(GOING_AWAY)

    def announce_shutdown(self) -> None:
        """Tell every spot client that the server goes down (binance 1.5)."""
        event = f'{{"e":"serverShutdown","E":{self.now_ns() // 1_000_000}}}'
        for session in tuple(self._sessions):
            combined = f'{{"stream":"!serverShutdown","data":{event}}}'
            session.outbox.send("serverShutdown", combined if session.combined else event)

    def subscribe(self, session: Session, names: list[str]) -> bool:
        """Add streams, acknowledged whatever they are called; False beyond the limit."""
        if len(session.names | set(names)) > STREAMS_MAX:
            return False
        for name in names:
            session.names.add(name)
            self._listeners.setdefault((session.source, name), {})[session] = None
        return True

    def unsubscribe(self, session: Session, names: list[str]) -> None:
        """Take streams away; unknown ones are no error."""
        for name in names:
            session.names.discard(name)
            listeners = self._listeners.get((session.source, name))
            if listeners is not None:
                listeners.pop(session, None)
                if not listeners:
                    del self._listeners[session.source, name]

    def remove(self, session: Session) -> None:
        """Forget a client."""
        self.unsubscribe(session, list(session.names))
        self._sessions.pop(session, None)

    def _routes(self, prefix: str, source: Source) -> list[WebSocketRoute]:
        def open_combined(outbox: Outbox) -> Session:
            return self._open(outbox, source, outbox.query("streams"), combined=True)

        def open_raw(outbox: Outbox) -> Session:
            names = outbox.path.removeprefix(f"{prefix}/ws").strip("/")
            return self._open(outbox, source, names, combined=False)

        surface, near = Surface.BINANCE_SOCKET, self._surroundings
        return [
            socket_route(f"{prefix}/stream", surface, near, open_combined),
            socket_route(f"{prefix}/ws", surface, near, open_raw),
            socket_route(f"{prefix}/ws/{{names:path}}", surface, near, open_raw),
        ]

    def _open(self, outbox: Outbox, source: Source, names: str, *, combined: bool) -> Session:
        session = Session(outbox, self, source, combined)
        self._sessions[session] = None
        if not self.subscribe(session, [name for name in names.split("/") if name]):
            outbox.close(POLICY)
        return session
