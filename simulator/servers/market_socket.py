"""The market channel: who asked for which books, and what each is sent (protocol reference C).

Texts come from the engine's frames; this module decides only who gets them.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.routing import WebSocketRoute

from helpers.domain import Message
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    BookChanged,
    BookPublished,
    MarketListed,
    MarketResolved,
    MarketTraded,
    TickSizeChanged,
)
from simulator.polymarket_frames import MarketFrames
from simulator.servers.client_text import UNREADABLE
from simulator.servers.fault_seam import Surface
from simulator.servers.sockets import OUTBOX_FRAMES_MAX, Outbox, socket_route
from simulator.servers.surroundings import Surroundings

PATH: Final = "/ws/market"
ASSETS_MAX: Final = 500
"""Tokens of one connection; more are ignored without a word (reference C.7)."""
FRAMES_KEPT_MAX: Final = 256
"""Markets whose frames are remembered before retired ones are forgotten."""
SURFACE: Final = Surface.MARKET_SOCKET

MarketEvent = (
    BookChanged | BookPublished | MarketTraded | TickSizeChanged | MarketListed | MarketResolved
)


class MarketRequest(Message, frozen=True):
    """What a client sends: the first frame has a type, later ones an operation."""

    type: str = ""
    operation: str = ""
    assets_ids: tuple[str, ...] = ()
    custom_feature_enabled: bool | None = None
    initial_dump: bool = True


class MarketSession:
    """One client of the market channel."""

    def __init__(self, outbox: Outbox, channel: MarketChannel) -> None:
        self.outbox = outbox
        self.assets: set[str] = set()
        self.custom = False
        self._channel = channel

    def received(self, text: str) -> None:
        """Take a request; what cannot be read is counted and ignored."""
        if text == "PING":
            self.outbox.send("pong", "PONG")
            return
        try:
            request = msgspec.json.decode(text, type=MarketRequest)
        except UNREADABLE:
            self._channel.unread("malformed request")
            return
        if request.custom_feature_enabled is not None:
            self.custom = request.custom_feature_enabled
        if request.operation == "unsubscribe":
            self._channel.unsubscribe(self, request.assets_ids)
        elif request.operation == "subscribe" or request.type.lower() == "market":
            self._channel.subscribe(self, request.assets_ids, dump=request.initial_dump)
        else:
            self._channel.unread("unknown request")

    def ended(self) -> None:
        """Forget the client."""
        self._channel.remove(self)


class MarketChannel:
    """All clients of the market channel, and their tokens."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings) -> None:
        self._exchange = exchange
        self._surroundings = surroundings
        self._sessions: dict[MarketSession, None] = {}
        self._by_token: dict[str, dict[MarketSession, None]] = {}
        self._frames: dict[str, MarketFrames] = {}

    def route(self, frames_max: int = OUTBOX_FRAMES_MAX) -> WebSocketRoute:
        """Return the route of this channel."""
        return socket_route(PATH, SURFACE, self._surroundings, self._open, frames_max=frames_max)

    def clients(self) -> tuple[MarketSession, ...]:
        """Return who is connected, oldest first."""
        return tuple(self._sessions)

    def unread(self, reason: str) -> None:
        """Count a frame that meant nothing."""
        self._surroundings.unread[f"{SURFACE}: {reason}"] += 1

    def subscribe(self, session: MarketSession, tokens: tuple[str, ...], *, dump: bool) -> None:
        """Add tokens and send the books of those that are new, all in one array."""
        books: list[str] = []
        for token in tokens:
            if token in session.assets or len(session.assets) >= ASSETS_MAX:
                continue
            session.assets.add(token)
            self._by_token.setdefault(token, {})[session] = None
            found = self._exchange.market_of_token(token)
            if dump and found is not None and not found[0].resolved:
                frames = self._frames_of(found[0].listing.condition_id)
                books.append(frames.book(*found, self._surroundings.now_ns()))
        if books:
            session.outbox.send("book", f"[{','.join(books)}]")

    def unsubscribe(self, session: MarketSession, tokens: tuple[str, ...]) -> None:
        """Drop tokens."""
        for token in tokens:
            session.assets.discard(token)
            listeners = self._by_token.get(token, {})
            listeners.pop(session, None)
            if not listeners:
                self._by_token.pop(token, None)

    def remove(self, session: MarketSession) -> None:
        """Drop a client."""
        self.unsubscribe(session, tuple(session.assets))
        self._sessions.pop(session, None)

    def publish(self, event: MarketEvent) -> None:
        """Send what an event means to whoever asked for it."""
        if isinstance(event, MarketListed):
            self._announce_listing(event)
        elif isinstance(event, MarketResolved):
            text = self._frames_of(event.condition_id).market_resolved(event)
            self._to_custom("market_resolved", text)
        elif self._sessions:
            self._publish_book_event(event)

    def _publish_book_event(
        self, event: BookChanged | BookPublished | MarketTraded | TickSizeChanged
    ) -> None:
        frames = self._frames_of(event.condition_id)
        up, down = frames.listing.up_token, frames.listing.down_token
        both = {**self._by_token.get(up, {}), **self._by_token.get(down, {})}
        if not both:
            return
        if isinstance(event, BookChanged):
            text = frames.price_change(event)
            for session in both:
                session.outbox.send("price_change", text)
            for token, best in zip((up, down), frames.best_bid_ask(event), strict=False):
                for session in self._by_token.get(token, {}):
                    if session.custom:
                        session.outbox.send("best_bid_ask", best)
        elif isinstance(event, MarketTraded):
            self._to_token(event.token, "last_trade_price", frames.last_trade_price(event))
        elif isinstance(event, TickSizeChanged):
            for token, text in zip((up, down), frames.tick_size_change(event), strict=True):
                self._to_token(token, "tick_size_change", text)
        else:
            found = self._exchange.market_of_token(up)
            if found is None:
                return  # Retired since; its book has no hash any more.
            for token, text in zip((up, down), frames.books(found[0], event), strict=True):
                self._to_token(token, "book", text)

    def _to_token(self, token: str, kind: str, text: str) -> None:
        for session in self._by_token.get(token, {}):
            session.outbox.send(kind, text)

    def _to_custom(self, kind: str, text: str) -> None:
        for session in self._sessions:
            if session.custom:
                session.outbox.send(kind, text)

    def _announce_listing(self, event: MarketListed) -> None:
        self._forget_retired()
        frames = self._frames[event.listing.condition_id] = MarketFrames(event.listing)
        self._to_custom("new_market", frames.new_market(event.at_ns))

    def _frames_of(self, condition_id: str) -> MarketFrames:
        frames = self._frames.get(condition_id)
        if frames is None:
            listing = self._exchange.market(condition_id).listing
            frames = self._frames[condition_id] = MarketFrames(listing)
        return frames

    def _forget_retired(self) -> None:
        if len(self._frames) < FRAMES_KEPT_MAX:
            return
        known = {market.listing.condition_id for market in self._exchange.markets()}
        for condition_id in [each for each in self._frames if each not in known]:
            del self._frames[condition_id]

    def _open(self, outbox: Outbox) -> MarketSession:
        session = MarketSession(outbox, self)
        self._sessions[session] = None
        return session
