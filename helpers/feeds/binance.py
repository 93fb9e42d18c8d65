"""Binance streams, USD-M futures and spot: frames to fast-market events; opens no socket.

Shapes: reference 1.3, 1.4, 2. The usual frame costs one typed decode; what does not decode is read
a second time, slowly, to keep what is right of it and to count what is not. The stamp of a trade,
quote or depth is the matching engine's (``T``) where there is one, of a mark price the push's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from helpers.domain import (
    NS_PER_MS,
    Candle,
    Candles,
    DepthChange,
    FeedEvent,
    MarkPrice,
    PartialDepth,
    Quote,
    Source,
    Trade,
)
from helpers.feeds.binance_rest import parse_depth_snapshot
from helpers.feeds.binance_urls import market_stream_url, public_stream_url, spot_stream_url
from helpers.feeds.binance_wire import (
    INTERVAL_SECONDS,
    KINDS,
    NO_PREVIOUS,
    ORDER_BOOK_TRADE,
    USD_M,
    AggregateTrade,
    BookTicker,
    BookTrade,
    DepthBody,
    DepthUpdate,
    Frame,
    Kline,
    MarkPriceUpdate,
    ServerShutdown,
    SpotFrame,
    SpotQuoteOrTrade,
    StreamName,
)
from helpers.feeds.skipped import Skipped
from helpers.feeds.symbols import BINANCE_SYMBOLS
from helpers.feeds.wire import UNREADABLE, as_list, as_object, as_text, read_as, read_json

__all__ = [
    "BinanceParser",
    "BinanceSpotParser",
    "market_stream_url",
    "parse_depth_snapshot",
    "public_stream_url",
    "spot_stream_url",
]

_HEAD_CHARACTERS: Final = 64
"""How far into a combined frame its stream name reaches, for our symbols."""
_HEAD_QUOTES: Final = 4
"""Quotation marks of ``{"stream":"name"``."""


class BinanceParser:
    """Turns frames of one Binance source into events; what it cannot use is in ``skipped``."""

    __slots__ = ("_convert", "_decode", "_source", "server_shutdowns", "skipped")

    def __init__(self, source: Source) -> None:
        self._source = source
        self.skipped = Skipped()
        self.server_shutdowns = 0
        """How often the server said that it goes down: a reader that sees it grow reconnects."""
        self._decode: Callable[[bytes | str], Frame] = msgspec.json.Decoder(
            Frame, strict=False
        ).decode
        self._convert: Mapping[type, Callable[..., Sequence[FeedEvent]]] = {
            BookTicker: self._book_ticker,
            BookTrade: self._trade,
            AggregateTrade: self._trade,
            DepthUpdate: self._depth_update,
            MarkPriceUpdate: self._mark_price,
            Kline: self._kline,
            ServerShutdown: self._server_shutdown,
        }

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of one combined or raw frame (reference 1.3); never raises."""
        try:
            payload = self._decode(raw).data
        except UNREADABLE:
            return self._salvage(raw, received_ns)
        if type(payload) is BookTicker:
            return (
                Quote(
                    self._source,
                    payload.symbol.asset,
                    payload.bid,
                    payload.bid_size,
                    payload.ask,
                    payload.ask_size,
                    payload.update_id,
                    payload.transaction_ms * NS_PER_MS,
                    received_ns,
                ),
            )
        if type(payload) is BookTrade:
            if payload.execution != ORDER_BOOK_TRADE:
                return self._off_book(payload.execution)
            return (
                Trade(
                    self._source,
                    payload.symbol.asset,
                    payload.trade_id,
                    payload.price,
                    payload.quantity,
                    not payload.buyer_is_maker,
                    payload.trade_ms * NS_PER_MS,
                    received_ns,
                ),
            )
        stream = _stream_name(raw) if type(payload) is DepthUpdate else ""
        return self._convert[type(payload)](payload, stream, received_ns)

    def _skip(self, symbol: str) -> Sequence[FeedEvent]:
        self.skipped.count(f"unknown:symbol {symbol}")
        return ()

    def _off_book(self, execution: str) -> Sequence[FeedEvent]:
        self.skipped.count(f"ignored:trade {execution}")
        return ()

    def _book_ticker(
        self, payload: BookTicker, _stream: str, received_ns: int
    ) -> Sequence[FeedEvent]:
        venue_ns = payload.transaction_ms * NS_PER_MS
        return (self._quote(payload, venue_ns, received_ns),)

    def _quote(
        self, payload: BookTicker | SpotQuoteOrTrade, venue_ns: int, received_ns: int
    ) -> Quote:
        return Quote(
            self._source,
            payload.symbol.asset,
            payload.bid,
            payload.bid_size,
            payload.ask,
            payload.ask_size,
            payload.update_id,
            venue_ns,
            received_ns,
        )

    def _trade(
        self, payload: BookTrade | AggregateTrade, _stream: str, received_ns: int
    ) -> Sequence[FeedEvent]:
        if type(payload) is BookTrade and payload.execution != ORDER_BOOK_TRADE:
            return self._off_book(payload.execution)
        return (
            Trade(
                self._source,
                payload.symbol.asset,
                payload.trade_id,
                payload.price,
                payload.quantity,
                not payload.buyer_is_maker,
                payload.trade_ms * NS_PER_MS,
                received_ns,
            ),
        )

    def _depth_update(
        self, payload: DepthUpdate, stream: str, received_ns: int
    ) -> Sequence[FeedEvent]:
        _, is_depth, suffix = stream.partition("@depth")
        if not is_depth:
            # Top levels and changes look alike and only the stream name tells (reference 2.4).
            self.skipped.count("unknown:depthUpdate of no depth stream")
            return ()
        venue_ns = (payload.transaction_ms or payload.event_ms) * NS_PER_MS
        if suffix[:1].isdigit():
            return (
                PartialDepth(
                    self._source,
                    payload.symbol.asset,
                    payload.last_update_id,
                    payload.bids,
                    payload.asks,
                    venue_ns,
                    received_ns,
                ),
            )
        previous = payload.previous_update_id
        return (
            DepthChange(
                self._source,
                payload.symbol.asset,
                payload.first_update_id,
                payload.last_update_id,
                payload.first_update_id - 1 if previous == NO_PREVIOUS else previous,
                payload.bids,
                payload.asks,
                venue_ns,
                received_ns,
            ),
        )

    def _mark_price(
        self, payload: MarkPriceUpdate, _stream: str, received_ns: int
    ) -> Sequence[FeedEvent]:
        if payload.index is None:
            self.skipped.count("malformed:markPriceUpdate without index")
            return ()
        venue_ns = payload.event_ms * NS_PER_MS
        return (
            MarkPrice(
                self._source,
                payload.symbol.asset,
                payload.mark,
                payload.index,
                venue_ns,
                received_ns,
            ),
        )

    def _kline(self, payload: Kline, _stream: str, received_ns: int) -> Sequence[FeedEvent]:
        bar = payload.bar
        seconds = INTERVAL_SECONDS.get(bar.interval)
        if seconds is None:
            self.skipped.count(f"unknown:kline interval {bar.interval}")
            return ()
        candle = Candle(bar.opens_ms * NS_PER_MS, bar.close, bar.quote_volume)
        return (Candles(self._source, payload.symbol.asset, seconds, (candle,), received_ns),)

    def _server_shutdown(
        self, _payload: ServerShutdown, _stream: str, _received_ns: int
    ) -> Sequence[FeedEvent]:
        self.server_shutdowns += 1
        self.skipped.count("control:serverShutdown")
        return ()

    def _salvage(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        found = read_json(raw)
        fields = as_object(found)
        if fields is None and as_list(found) is None:
            self.skipped.count("malformed:not a JSON object")
            return ()
        if fields is not None and self._is_control(fields):
            return ()
        stream = ""
        content: object = found
        if fields is not None and "stream" in fields:
            stream = as_text(fields["stream"])
            content = fields.get("data")
        rows = as_list(content)
        events: list[FeedEvent] = []
        for row in [content] if rows is None else rows:
            events.extend(self._salvage_row(row, stream, received_ns))
        return events

    def _is_control(self, fields: Mapping[str, object]) -> bool:
        error = as_object(fields.get("error"))
        if error is not None or "code" in fields:
            code = (fields if error is None else error).get("code")
            self.skipped.count(f"control:error {code}")
            return True
        if "result" in fields:
            self.skipped.count("control:ack")
            return True
        return False

    def _salvage_row(self, row: object, stream: str, received_ns: int) -> Sequence[FeedEvent]:
        fields = as_object(row)
        if fields is None:
            self.skipped.count("malformed:not a JSON object")
            return ()
        kind = as_text(fields.get("e"))
        if not kind:
            return self._untagged(fields, stream, received_ns)
        shape = KINDS.get(kind)
        if shape is None:
            self.skipped.count(f"unknown:{kind}")
            return ()
        symbol = as_text(fields.get("s"))
        if symbol and symbol not in BINANCE_SYMBOLS:
            return self._skip(symbol)
        margin = fields.get("st", USD_M)
        if margin != USD_M:
            self.skipped.count(f"ignored:st {margin}")
            return ()
        payload = read_as(fields, shape)
        if payload is not None:
            return self._convert[shape](payload, stream, received_ns)
        execution = as_text(fields.get("X"))
        if shape is BookTrade and execution not in ("", ORDER_BOOK_TRADE):
            return self._off_book(execution)  # ``NA`` has price 0.
        self.skipped.count(f"malformed:{kind}")
        return ()

    def _untagged(
        self, fields: Mapping[str, object], stream: str, received_ns: int
    ) -> Sequence[FeedEvent]:
        if "lastUpdateId" in fields:
            return self._untagged_depth(fields, stream, received_ns)
        symbol = as_text(fields.get("s"))
        if symbol and symbol not in BINANCE_SYMBOLS:
            return self._skip(symbol)
        quote = read_as(fields, SpotQuoteOrTrade) if self._source is Source.BINANCE_SPOT else None
        if quote is None or not (quote.bid and quote.ask):
            self.skipped.count("malformed:no kind")
            return ()
        return (self._quote(quote, received_ns, received_ns),)

    def _untagged_depth(
        self, fields: Mapping[str, object], stream: str, received_ns: int
    ) -> Sequence[FeedEvent]:
        symbol, is_depth, suffix = stream.partition("@depth")
        if not (is_depth and suffix[:1].isdigit()):
            self.skipped.count("ignored:depth body without stream")
            return ()
        asset = BINANCE_SYMBOLS.get(symbol.upper())
        if asset is None:
            return self._skip(symbol.upper())
        body = read_as(fields, DepthBody)
        if body is None:
            self.skipped.count("malformed:depth")
            return ()
        return (
            PartialDepth(
                self._source,
                asset,
                body.last_update_id,
                body.bids,
                body.asks,
                received_ns,
                received_ns,
            ),
        )


class BinanceSpotParser(BinanceParser):
    """The same for spot, whose quotes carry neither kind nor time (reference 2.3)."""

    __slots__ = ("_decode_spot",)

    def __init__(self) -> None:
        super().__init__(Source.BINANCE_SPOT)
        self._decode_spot: Callable[[bytes | str], SpotFrame] = msgspec.json.Decoder(
            SpotFrame, strict=False
        ).decode

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of one frame; a quote is stamped on receipt; never raises."""
        try:
            payload = self._decode_spot(raw).data
        except UNREADABLE:
            return BinanceParser.parse(self, raw, received_ns)
        if not payload.kind and payload.bid and payload.ask:
            return (self._quote(payload, received_ns, received_ns),)
        if payload.kind == "trade" and payload.price and payload.buyer_is_maker is not None:
            return (
                Trade(
                    Source.BINANCE_SPOT,
                    payload.symbol.asset,
                    payload.trade_id,
                    payload.price,
                    payload.quantity,
                    not payload.buyer_is_maker,
                    payload.trade_ms * NS_PER_MS,
                    received_ns,
                ),
            )
        return BinanceParser.parse(self, raw, received_ns)


_decode_stream = msgspec.json.Decoder(StreamName).decode


def _stream_name(raw: bytes | str) -> str:
    head = raw[:_HEAD_CHARACTERS]
    text = head if isinstance(head, str) else head.decode("ascii", errors="replace")
    # The name comes first in every frame seen; the order of keys is no promise (reference 1.3).
    parts = text.split('"', _HEAD_QUOTES)
    if len(parts) > _HEAD_QUOTES and parts[1] == "stream":
        return parts[3]
    try:
        return _decode_stream(raw).stream
    except UNREADABLE:
        return ""
