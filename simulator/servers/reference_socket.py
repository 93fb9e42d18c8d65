"""PolyBolt, the socket of reference prices (protocol reference E.1).

It takes prices from whoever drives time and computes none.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec
from msgspec import Struct
from starlette.routing import WebSocketRoute

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Asset, Message
from simulator.accounts import Account, Accounts
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Surface
from simulator.servers.sockets import SLOW_CONSUMER, Outbox, socket_route
from simulator.servers.surroundings import Surroundings
from simulator.servers.user_socket import SocketCredentials, account_of

PATH: Final = "/ws"
SURFACE: Final = Surface.REFERENCE_SOCKET
SPOT: Final = "price.crypto"
TWAP: Final = "price.crypto.twap"
CHANNELS: Final = (SPOT, TWAP)
CHAINLINK: Final = "chainlink"
WINDOW_SECONDS: Final = 60
SNAPSHOT_NS: Final = 120 * NS_PER_SECOND
"""A snapshot is of the two minutes before."""
POINTS_KEPT_MAX: Final = 600
"""Two minutes of spot prices at five a second."""
SUBSCRIPTIONS_MAX: Final = 64
REQUESTS_PER_SECOND_MAX: Final = 20
AUTH_FRAMES_MAX: Final = 8
FRAME_BYTES_MAX: Final = 65_536
AUTH_FAILED: Final = 4001
POLICY_CLOSE: Final = 4008
SYMBOLS: Final = {f"{asset.value.lower()}usd": asset for asset in Asset}


class Filter(Message, frozen=True):
    """What of a channel a client wants."""

    symbol: str
    window_seconds: int | None = None
    provider: str = CHAINLINK


class Subscription(Message, frozen=True):
    """One channel and its filter; the filter is an object, never a string."""

    channel: str
    filter: msgspec.Raw


class PriceRequest(Message, frozen=True):
    """What a client sends."""

    op: str
    rid: str = ""
    auth: SocketCredentials | None = None
    subscriptions: tuple[Subscription, ...] = ()


class Point(Struct, frozen=True):
    """One price of one channel."""

    at_ns: int
    value: float


class PriceSession:
    """One client of the reference prices."""

    def __init__(self, outbox: Outbox, channel: ReferenceChannel) -> None:
        self.outbox = outbox
        self.account: Account | None = None
        self.keys: dict[tuple[str, str], None] = {}
        self._channel = channel
        self._sequences: dict[str, int] = {}
        self._auth_frames = 0
        self._second = 0
        self._requests = 0

    def received(self, text: str) -> None:
        """Take a request and answer it."""
        if len(text) > FRAME_BYTES_MAX:
            self.outbox.close(POLICY_CLOSE)
            return
        try:
            request = msgspec.json.decode(text, type=PriceRequest)
        except UNREADABLE:
            self._channel.unread("malformed request")
            self._say("error", code="bad_request")
            return
        if request.op == "ping":
            self._say("pong", rid=request.rid)
        elif request.op == "auth":
            self._log_in(request)
        elif request.op not in ("subscribe", "unsubscribe"):
            self._channel.unread("unknown op")
            self._say("error", rid=request.rid, code="bad_request")
        elif self._too_many():
            self._say("error", rid=request.rid, code="rate_limited")
        else:
            for subscription in request.subscriptions:
                self._change(request, subscription)

    def price(self, channel: str, symbol: str, point: Point) -> None:
        """Send a price to a client that asked for it."""
        if (channel, symbol) in self.keys:
            payload = _payload(channel, symbol) | _point(point)
            self._data(channel, payload, point.at_ns)

    def ended(self) -> None:
        """Forget the client."""
        self._channel.remove(self)

    def _log_in(self, request: PriceRequest) -> None:
        self._auth_frames += 1
        if self._auth_frames > AUTH_FRAMES_MAX:
            self._say("error", rid=request.rid, code="auth_attempts")
            self.outbox.close(AUTH_FAILED)
            return
        account = account_of(self._channel.accounts, request.auth)
        if account is None:
            self._say("error", rid=request.rid, code="auth_invalid")
            return
        self.account = account
        self._say("authed", rid=request.rid)

    def _change(self, request: PriceRequest, wanted: Subscription) -> None:
        channel, rid = wanted.channel, request.rid
        if self.account is None:
            self._say("error", rid=rid, channel=channel, code="auth_required")
            return
        symbol = _symbol(wanted)
        if symbol is None:
            self._say("error", rid=rid, channel=channel, code="bad_filter")
        elif request.op == "unsubscribe":
            self.keys.pop((channel, symbol), None)
            self._say("unsubscribed", rid=rid, channel=channel)
        elif len(self.keys) >= SUBSCRIPTIONS_MAX:
            self._say("error", rid=rid, channel=channel, code="sub_limit")
        else:
            self.keys[channel, symbol] = None
            self._say("subscribed", rid=rid, channel=channel, provider=CHAINLINK)
            points = self._channel.recent(channel, symbol)
            payload = _payload(channel, symbol) | {"data": [_point(point) for point in points]}
            self._data(channel, payload, self._channel.now_ns(), snapshot=True)

    def _data(
        self, channel: str, payload: dict[str, object], at_ns: int, *, snapshot: bool = False
    ) -> None:
        sequence = self._sequences.get(channel, 0) + 1
        self._sequences[channel] = sequence
        body: dict[str, object] = {
            "v": 1,
            "channel": channel,
            "seq": sequence,
            "ts": at_ns // NS_PER_MS,
        }
        if snapshot:
            body["snapshot"] = True
        body["payload"] = payload
        self.outbox.send(channel, msgspec.json.encode(body).decode())

    def _say(self, op: str, **fields: str) -> None:
        filled = {name: value for name, value in fields.items() if value}
        self.outbox.send(op, msgspec.json.encode({"op": op, **filled}).decode())

    def _too_many(self) -> bool:
        second = self._channel.now_ns() // NS_PER_SECOND
        if second != self._second:
            self._second, self._requests = second, 0
        self._requests += 1
        return self._requests > REQUESTS_PER_SECOND_MAX


class ReferenceChannel:
    """All clients, and the two minutes of prices a snapshot is made of."""

    def __init__(self, accounts: Accounts, surroundings: Surroundings) -> None:
        self.accounts = accounts
        self._surroundings = surroundings
        self._sessions: dict[PriceSession, None] = {}
        self._points: dict[tuple[str, str], deque[Point]] = {}

    def route(self) -> WebSocketRoute:
        """Return the route of this socket."""
        return socket_route(PATH, SURFACE, self._surroundings, self._open, slow_code=SLOW_CONSUMER)

    def now_ns(self) -> int:
        """Return the venue's time."""
        return self._surroundings.now_ns()

    def unread(self, reason: str) -> None:
        """Count a frame that meant nothing."""
        self._surroundings.unread[f"{SURFACE}: {reason}"] += 1

    def publish(self, channel: str, asset: Asset, value: float, at_ns: int) -> None:
        """Send a price, stamped with its own time, and keep it for snapshots."""
        symbol, point = f"{asset.value.lower()}usd", Point(at_ns, value)
        points = self._points.setdefault((channel, symbol), deque(maxlen=POINTS_KEPT_MAX))
        points.append(point)
        for session in self._sessions:
            session.price(channel, symbol, point)

    def recent(self, channel: str, symbol: str) -> list[Point]:
        """Return the prices of the two minutes before now, oldest first."""
        since_ns = self.now_ns() - SNAPSHOT_NS
        return [p for p in self._points.get((channel, symbol), ()) if p.at_ns >= since_ns]

    def remove(self, session: PriceSession) -> None:
        """Drop a client."""
        self._sessions.pop(session, None)

    def _open(self, outbox: Outbox) -> PriceSession:
        session = PriceSession(outbox, self)
        self._sessions[session] = None
        return session


def _symbol(wanted: Subscription) -> str | None:
    """Return the symbol of a sound subscription, ``None`` for a bad filter."""
    try:
        given = msgspec.json.decode(wanted.filter, type=Filter)
    except UNREADABLE:
        return None
    if wanted.channel not in CHANNELS or given.symbol.lower() not in SYMBOLS:
        return None
    if given.provider != CHAINLINK:
        return None  # The other provider's prices are not simulated.
    wrong_window = wanted.channel == TWAP and given.window_seconds != WINDOW_SECONDS
    return None if wrong_window else given.symbol.lower()


def _payload(channel: str, symbol: str) -> dict[str, object]:
    payload: dict[str, object] = {"symbol": symbol, "source": CHAINLINK}
    if channel == TWAP:
        payload["window_seconds"] = WINDOW_SECONDS
    return payload


def _point(point: Point) -> dict[str, object]:
    return {
        "timestamp": point.at_ns // NS_PER_MS,
        "value": point.value,
        "full_accuracy_value": f"{point.value:.18f}",
    }
