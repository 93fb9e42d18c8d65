"""Binance and Coinbase as real servers on loopback: sockets, REST, refusals (DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace
from starlette.routing import WebSocketRoute

from helpers.domain import NS_PER_SECOND, Asset, Candle, Message, Source
from helpers.venues import Venues
from simulator.actions import FastQuote
from simulator.frame import Frame
from simulator.servers.answers import http_app
from simulator.servers.binance_rest import BinanceRest
from simulator.servers.binance_socket import LIFETIME_NS, Streams
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Answer, Close, Fate, Faults, NoFaults, Surface
from simulator.servers.serving import LoopbackServer, LoopbackServers
from simulator.servers.sockets import POLICY, Outbox, socket_route
from simulator.servers.surroundings import Surroundings

PING_SECONDS: Final = 180.0
"""The futures host pings every three minutes, spot every 20 s (binance 1.5)."""
RESTRICTED: Final = '{"code":0,"msg":"Service unavailable from a restricted location"}'
SUBSCRIBE_WITHIN_NS: Final = 5 * NS_PER_SECOND


class FastVenues:
    """USD-M futures, spot and Coinbase; whoever drives time publishes their frames."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        advance: Callable[[], None],
        candles: Callable[[Asset], Sequence[Candle]],
        faults: Faults | None = None,
        speed: float = 1.0,
        lifetime_ns: int = LIFETIME_NS,
    ) -> None:
        self._refusals: dict[Surface, int] = {}
        self._quotes: dict[Asset, FastQuote] = {}
        guarded = _Refusing(faults or NoFaults(), self._refusals)
        near = Surroundings(now_ns, advance, guarded, speed)
        spot_near = near.beside(faults)
        self.futures = Streams(near, lifetime_ns)
        self.spot = Streams(spot_near, lifetime_ns)
        self.coinbase = Coinbase(spot_near)
        self.futures_rest = BinanceRest("futures", near, candles, self._quotes.get)
        self.spot_rest = BinanceRest("spot", spot_near, candles, self._quotes.get)
        futures_app = http_app([*self.futures.futures_routes(), *self.futures_rest.routes()])
        spot_app = http_app([*self.spot.spot_routes(), *self.spot_rest.routes()])
        self._futures = LoopbackServer(futures_app, near, PING_SECONDS)
        self._spot = LoopbackServer(spot_app, spot_near, PING_SECONDS)
        self._coinbase = LoopbackServer(http_app([self.coinbase.route()]), spot_near)
        self._servers = LoopbackServers((self._futures, self._spot, self._coinbase))

    def refuse_futures(self, status: int) -> None:
        """Refuse this address on the futures host (451 or 403); 0 takes it back."""
        self._refusals[Surface.BINANCE_SOCKET] = status
        self.futures_rest.refuse_with = status

    def publish(self, frames: Iterable[Frame]) -> None:
        """Deliver frames to whoever listens."""
        for frame in frames:
            if frame.source is Source.COINBASE:
                self.coinbase.publish(frame)
            elif frame.source is Source.BINANCE_SPOT:
                self.spot.publish(frame)
            else:
                self.futures.publish(frame)

    def note_quote(self, quote: FastQuote) -> None:
        """Remember the quote that REST answers are made from."""
        self._quotes[quote.asset] = quote

    def venues(self, others: Venues) -> Venues:
        """Return the worker's addresses with these hosts put in."""
        futures, spot = self._futures.address, self._spot.address
        return replace(
            others,
            binance_futures_socket=f"ws://{futures}",
            binance_futures_rest=f"http://{futures}",
            binance_spot_socket=f"ws://{spot}",
            binance_spot_rest=f"http://{spot}",
            coinbase_socket=f"ws://{self._coinbase.address}",
        )

    async def start(self) -> None:
        """Serve from now on."""
        await self._servers.start()

    async def stop(self) -> None:
        """Stop serving."""
        await self._servers.stop()


class _Refusing:
    """Refuses handshakes of a surface before any other fault is asked."""

    def __init__(self, inner: Faults, refusals: dict[Surface, int]) -> None:
        self._inner = inner
        self._refusals = refusals

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        return self._inner.outgoing(connection_id, kind, payload)

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        surface, _, what = kind.partition(":")
        status = self._refusals.get(Surface(surface), 0)
        if status and what == "handshake":
            return Answer(status, RESTRICTED)
        return self._inner.incoming(connection_id, kind)


class CoinbaseRequest(Message, frozen=True):
    """What a client asks for."""

    type: str = ""
    product_ids: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class Coinbase:
    """Coinbase's Exchange feed: no login, a subscription within five seconds (binance 5.3)."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        # A dict as an ordered set: whoever came first is served first, in every run.
        self._sessions: dict[CoinbaseSession, None] = {}
        self._last: dict[str, str] = {}

    def route(self) -> WebSocketRoute:
        """Return the feed's only path."""
        return socket_route("/", Surface.COINBASE_SOCKET, self._surroundings, self._open)

    def publish(self, frame: Frame) -> None:
        """Deliver a match or ticker to whoever asked for its product and channel."""
        kind, _, product = frame.key.partition(":")
        if kind == "match":
            self._last[product] = frame.text.replace('"type":"match"', '"type":"last_match"', 1)
        channel = "matches" if kind == "match" else kind
        for session in tuple(self._sessions):
            if (channel, product) in session.wanted:
                session.outbox.send(kind, frame.text)

    def last_match(self, product: str) -> str:
        """Return the last trade before a subscription, empty when there was none."""
        return self._last.get(product, "")

    def close_idle(self) -> None:
        """Close connections that have asked for nothing in five seconds."""
        oldest_ns = self._surroundings.now_ns() - SUBSCRIBE_WITHIN_NS
        for session in tuple(self._sessions):
            if not session.wanted and session.opened_ns <= oldest_ns:
                session.outbox.close(POLICY)

    def remove(self, session: CoinbaseSession) -> None:
        """Forget a client."""
        self._sessions.pop(session, None)

    def _open(self, outbox: Outbox) -> CoinbaseSession:
        session = CoinbaseSession(outbox, self, self._surroundings.now_ns())
        self._sessions[session] = None
        return session


class CoinbaseSession:
    """One client of the feed."""

    def __init__(self, outbox: Outbox, feed: Coinbase, opened_ns: int) -> None:
        self.outbox = outbox
        self.opened_ns = opened_ns
        self.wanted: set[tuple[str, str]] = set()
        self._feed = feed

    def received(self, text: str) -> None:
        """Take a subscription; anything else is answered with an error."""
        try:
            request = msgspec.json.decode(text, type=CoinbaseRequest)
        except UNREADABLE:
            self.outbox.send("error", '{"type":"error","message":"Malformed JSON"}')
            return
        pairs = {(channel, p) for channel in request.channels for p in request.product_ids}
        if request.type == "subscribe":
            self.wanted |= pairs
        elif request.type == "unsubscribe":
            self.wanted -= pairs
        else:
            self.outbox.send("error", '{"type":"error","message":"Type not supported"}')
            return
        self._confirm()
        for product in request.product_ids if "matches" in request.channels else ():
            if last := self._feed.last_match(product):
                self.outbox.send("last_match", last)

    def ended(self) -> None:
        """Forget the client."""
        self._feed.remove(self)

    def _confirm(self) -> None:
        channels: dict[str, list[str]] = {}
        for channel, product in sorted(self.wanted):
            channels.setdefault(channel, []).append(product)
        rows = [{"name": name, "product_ids": ids} for name, ids in channels.items()]
        body = msgspec.json.encode({"type": "subscriptions", "channels": rows}).decode()
        self.outbox.send("subscriptions", body)
