"""Polymarket's market channel: frames to book events, and the frames to send; opens no socket.

Shapes: reference C. The usual frame costs one typed decode; what does not decode is read a second
time, slowly, to keep what is right of it and to count what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from helpers.domain import (
    NS_PER_MS,
    BestPrice,
    BestPrices,
    BookChange,
    BookSnapshot,
    FeedEvent,
    Level,
    LevelChange,
    MarketResolved,
    OutcomePrice,
    OutcomeTrade,
    Side,
    Size,
    Source,
    TickSize,
    to_micros,
)
from helpers.feeds.skipped import Skipped
from helpers.feeds.wire import (
    UNREADABLE,
    Milliseconds,
    Wire,
    as_list,
    as_object,
    as_text,
    read_as,
    read_json,
)

PING: Final = "PING"
"""Text to send every ``PING_INTERVAL_SECONDS``; answered by the text ``PONG`` (reference C.1)."""
PING_INTERVAL_SECONDS: Final = 10.0

_SILENT: Final = ("PONG", "", b"PONG", b"")
_BLANK: Final = ("", None)


class _Book(Wire, frozen=True, tag_field="event_type", tag="book"):
    market: str
    asset_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    timestamp: Milliseconds
    tick_size: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0


class _PriceChange(Wire, frozen=True, tag_field="event_type", tag="price_change"):
    market: str
    price_changes: tuple[LevelChange, ...]
    timestamp: Milliseconds


class _TickSizeChange(Wire, frozen=True, tag_field="event_type", tag="tick_size_change"):
    market: str
    asset_id: str
    new_tick_size: OutcomePrice
    timestamp: Milliseconds


class _LastTradePrice(Wire, frozen=True, tag_field="event_type", tag="last_trade_price"):
    market: str
    asset_id: str
    price: OutcomePrice
    size: Size
    side: Side
    timestamp: Milliseconds


class _BestBidAsk(Wire, frozen=True, tag_field="event_type", tag="best_bid_ask"):
    market: str
    asset_id: str
    timestamp: Milliseconds
    best_bid: BestPrice = 0.0
    best_ask: BestPrice = 0.0


class _NewMarket(Wire, frozen=True, tag_field="event_type", tag="new_market"):
    pass


class _MarketResolved(Wire, frozen=True, tag_field="event_type", tag="market_resolved"):
    market: str
    winning_asset_id: Annotated[str, Meta(min_length=1)]
    timestamp: Milliseconds
    assets_ids: tuple[str, ...] = ()


_Element = (
    _Book
    | _PriceChange
    | _TickSizeChange
    | _LastTradePrice
    | _BestBidAsk
    | _NewMarket
    | _MarketResolved
)

_KINDS: Final[Mapping[str, type[_Element]]] = {
    "book": _Book,
    "price_change": _PriceChange,
    "tick_size_change": _TickSizeChange,
    "last_trade_price": _LastTradePrice,
    "best_bid_ask": _BestBidAsk,
    "new_market": _NewMarket,
    "market_resolved": _MarketResolved,
}
_MAY_BE_BLANK: Final = ("tick_size", "best_bid", "best_ask")
"""Fields that say nothing when they are an empty string: an empty side, a tick not stated."""


class PolymarketMarketParser:
    """Turns frames of the market channel into events; what it cannot use is in ``skipped``."""

    __slots__ = ("_convert", "_decode", "skipped")

    def __init__(self) -> None:
        self.skipped = Skipped()
        self._decode: Callable[[bytes | str], _Element | tuple[_Element, ...]] = (
            msgspec.json.Decoder(_Element | tuple[_Element, ...], strict=False).decode
        )
        self._convert: Mapping[type, Callable[..., tuple[FeedEvent, ...]]] = {
            _Book: _book,
            _PriceChange: _price_change,
            _TickSizeChange: _tick_size_change,
            _LastTradePrice: _last_trade_price,
            _BestBidAsk: _best_bid_ask,
            _NewMarket: self._new_market,
            _MarketResolved: self._market_resolved,
        }

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of one frame, an object or an array (reference C.1); never raises."""
        try:
            frame = self._decode(raw)
        except UNREADABLE:
            return self._salvage(raw, received_ns)
        if type(frame) is _PriceChange:
            return (
                BookChange(
                    frame.market, frame.price_changes, frame.timestamp * NS_PER_MS, received_ns
                ),
            )
        if isinstance(frame, tuple):
            convert = self._convert
            return [event for part in frame for event in convert[type(part)](part, received_ns)]
        return self._convert[type(frame)](frame, received_ns)

    def _new_market(self, _frame: _NewMarket, _received_ns: int) -> tuple[FeedEvent, ...]:
        # Discovery is by slug: the frame is global and lacks the window's facts (reference C.5).
        self.skipped.count("ignored:new_market")
        return ()

    def _market_resolved(self, frame: _MarketResolved, received_ns: int) -> tuple[FeedEvent, ...]:
        if frame.assets_ids and frame.winning_asset_id not in frame.assets_ids:
            self.skipped.count("malformed:market_resolved")
            return ()
        return (
            MarketResolved(
                frame.market,
                frame.winning_asset_id,
                0.0,
                Source.POLYMARKET_MARKET,
                frame.timestamp * NS_PER_MS,
                received_ns,
            ),
        )

    def _salvage(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        if raw in _SILENT:
            return ()
        found = read_json(raw)
        if found is None:
            self.skipped.count("malformed:not JSON")
            return ()
        elements = as_list(found)
        events: list[FeedEvent] = []
        for element in [found] if elements is None else elements:
            events.extend(self._salvage_element(element, received_ns))
        return events

    def _salvage_element(self, element: object, received_ns: int) -> Sequence[FeedEvent]:
        fields = as_object(element)
        if fields is None:
            self.skipped.count("malformed:not an object")
            return ()
        kind = as_text(fields.get("event_type"))
        if not kind and "bids" in fields and "asks" in fields:
            kind = "book"  # The body of GET /book, which has the same fields and no kind.
        shape = _KINDS.get(kind)
        if shape is None:
            self.skipped.count(f"unknown:{kind or 'no event_type'}")
            return ()
        if shape is _PriceChange:
            return self._salvage_price_change(fields, received_ns)
        part = read_as({**fields, "event_type": kind}, shape)
        if part is None:
            part = read_as(_without_blanks({**fields, "event_type": kind}), shape)
            if part is None:
                self.skipped.count(f"malformed:{kind}")
                return ()
            self.skipped.count(f"repaired:{kind}")
        return self._convert[shape](part, received_ns)

    def _salvage_price_change(
        self, fields: Mapping[str, object], received_ns: int
    ) -> Sequence[FeedEvent]:
        listed = as_list(fields.get("price_changes"))
        if listed is None:
            # The format with one change at the top level is dead since 2025-09 (reference C.3).
            self.skipped.count("unknown:price_change without price_changes")
            return ()
        whole = read_as(fields, _PriceChange)
        if whole is not None:
            return _price_change(whole, received_ns)
        frame = read_as({**fields, "price_changes": ()}, _PriceChange)
        if frame is None:
            self.skipped.count("malformed:price_change")
            return ()
        changes = [change for item in listed if (change := self._salvage_change(item))]
        if not changes:
            return ()
        return (BookChange(frame.market, tuple(changes), frame.timestamp * NS_PER_MS, received_ns),)

    def _salvage_change(self, item: object) -> LevelChange | None:
        change = read_as(item, LevelChange)
        if change is not None:
            return change
        fields = as_object(item)
        if fields is not None:
            change = read_as(_without_blanks(fields), LevelChange)
        self.skipped.count(
            "malformed:price_change level" if change is None else "repaired:price_change level"
        )
        return change


def _without_blanks(fields: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in fields.items()
        if not (name in _MAY_BE_BLANK and value in _BLANK)
    }


def _book(frame: _Book, received_ns: int) -> tuple[FeedEvent, ...]:
    return (
        BookSnapshot(
            frame.market,
            frame.asset_id,
            frame.bids,
            frame.asks,
            to_micros(frame.tick_size),
            frame.timestamp * NS_PER_MS,
            received_ns,
        ),
    )


def _price_change(frame: _PriceChange, received_ns: int) -> tuple[FeedEvent, ...]:
    return (
        BookChange(frame.market, frame.price_changes, frame.timestamp * NS_PER_MS, received_ns),
    )


def _tick_size_change(frame: _TickSizeChange, received_ns: int) -> tuple[FeedEvent, ...]:
    return (
        TickSize(
            frame.market,
            frame.asset_id,
            to_micros(frame.new_tick_size),
            frame.timestamp * NS_PER_MS,
            received_ns,
        ),
    )


def _last_trade_price(frame: _LastTradePrice, received_ns: int) -> tuple[FeedEvent, ...]:
    return (
        OutcomeTrade(
            frame.market,
            frame.asset_id,
            frame.price,
            frame.size,
            frame.side,
            frame.timestamp * NS_PER_MS,
            received_ns,
        ),
    )


def _best_bid_ask(frame: _BestBidAsk, received_ns: int) -> tuple[FeedEvent, ...]:
    return (
        BestPrices(
            frame.market,
            frame.asset_id,
            frame.best_bid,
            frame.best_ask,
            frame.timestamp * NS_PER_MS,
            received_ns,
        ),
    )


def subscribe_frame(tokens: Iterable[str]) -> str:
    """Return the first frame on a socket: its tokens, custom features on (reference C.1)."""
    frame = {"type": "market", "assets_ids": list(tokens), "custom_feature_enabled": True}
    return msgspec.json.encode(frame).decode()


def subscribe_more_frame(tokens: Iterable[str]) -> str:
    """Return the frame that adds tokens to an open socket (reference C.1).

    Naming an active token with another ``custom_feature_enabled`` toggles it, so it is always on.
    """
    frame = {
        "operation": "subscribe",
        "assets_ids": list(tokens),
        "custom_feature_enabled": True,
    }
    return msgspec.json.encode(frame).decode()


def unsubscribe_frame(tokens: Iterable[str]) -> str:
    """Return the frame that drops tokens from an open socket (reference C.1)."""
    frame = {"operation": "unsubscribe", "assets_ids": list(tokens)}
    return msgspec.json.encode(frame).decode()
