"""Bodies of Binance's REST answers (reference 4.1, 4.2) to events; sends no request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec
from msgspec import field

from helpers.domain import (
    NS_PER_MS,
    Asset,
    AssetPrice,
    Candle,
    Candles,
    DepthSnapshot,
    FeedEvent,
    Size,
    Source,
    Trade,
)
from helpers.feeds.binance_wire import DepthBody
from helpers.feeds.rest_lines import RestLine, read_rest_line
from helpers.feeds.skipped import Skipped
from helpers.feeds.symbols import BINANCE_SYMBOLS
from helpers.feeds.wire import UNREADABLE, Milliseconds, Wire

_MS_PER_SECOND: Final = 1_000

_PATH_SOURCES: Final[Mapping[str, Source]] = {
    "/fapi/v1/klines": Source.BINANCE_PUBLIC,
    "/fapi/v1/depth": Source.BINANCE_PUBLIC,
    # Aggregate trades number themselves like the stream of that name, which is on /market.
    "/fapi/v1/aggTrades": Source.BINANCE_MARKET,
    "/api/v3/klines": Source.BINANCE_SPOT,
    "/api/v3/depth": Source.BINANCE_SPOT,
    "/api/v3/aggTrades": Source.BINANCE_SPOT,
}


class _KlineRow(Wire, frozen=True, array_like=True):
    opens_ms: Milliseconds
    open: AssetPrice
    high: AssetPrice
    low: AssetPrice
    close: AssetPrice
    volume: Size
    closes_ms: Milliseconds
    quote_volume: Size


class _AggregateTradeRow(Wire, frozen=True):
    trade_id: int = field(name="a")
    price: AssetPrice = field(name="p")
    quantity: Size = field(name="q")
    trade_ms: Milliseconds = field(name="T")
    buyer_is_maker: bool = field(name="m")


_decode_depth = msgspec.json.Decoder(DepthBody, strict=False).decode
_decode_klines = msgspec.json.Decoder(tuple[_KlineRow, ...], strict=False).decode
_decode_trades = msgspec.json.Decoder(tuple[_AggregateTradeRow, ...], strict=False).decode


def parse_depth_snapshot(
    raw: bytes | str, asset: Asset, source: Source, received_ns: int
) -> DepthSnapshot | None:
    """Return a bare REST depth body as the snapshot of an asset that the caller knows.

    The body names no symbol. ``None`` when it is not one. Spot sends no time: ``venue_ns`` is 0.
    """
    try:
        body = _decode_depth(raw)
    except UNREADABLE:
        return None
    return DepthSnapshot(
        source,
        asset,
        body.last_update_id,
        body.bids,
        body.asks,
        (body.transaction_ms or body.event_ms) * NS_PER_MS,
        received_ns,
    )


def parse_klines(
    raw: bytes | str, asset: Asset, source: Source, received_ns: int
) -> Candles | None:
    """Return a klines body, futures or spot, as candles oldest first.

    ``None`` when it is not one, is empty, or its bars do not ascend at one interval.
    """
    try:
        rows = _decode_klines(raw)
    except UNREADABLE:
        return None
    if not rows:
        return None
    interval_ms = rows[0].closes_ms + 1 - rows[0].opens_ms
    if interval_ms < _MS_PER_SECOND:
        return None
    if any(later.opens_ms <= row.opens_ms for row, later in pairwise(rows)):
        return None
    candles = tuple(Candle(row.opens_ms * NS_PER_MS, row.close, row.quote_volume) for row in rows)
    return Candles(source, asset, interval_ms // _MS_PER_SECOND, candles, received_ns)


def parse_aggregate_trades(
    raw: bytes | str, asset: Asset, source: Source, received_ns: int
) -> tuple[Trade, ...] | None:
    """Return an aggTrades body as trades in the venue's order, or ``None`` when it is not one."""
    try:
        rows = _decode_trades(raw)
    except UNREADABLE:
        return None
    return tuple(
        Trade(
            source,
            asset,
            row.trade_id,
            row.price,
            row.quantity,
            not row.buyer_is_maker,
            row.trade_ms * NS_PER_MS,
            received_ns,
        )
        for row in rows
    )


class BinanceRestParser:
    """Turns recorded REST answers (``encode_rest``) into events; the rest is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of one recorded answer; never raises."""
        line = read_rest_line(raw)
        if line is None:
            self.skipped.count("malformed:line")
            return ()
        path = line.path.partition("?")[0]
        source = _PATH_SOURCES.get(path)
        if source is None:
            self.skipped.count(f"unknown:path {path}")
            return ()
        asset = BINANCE_SYMBOLS.get(line.symbol)
        if asset is None:
            self.skipped.count(f"unknown:symbol {line.symbol}")
            return ()
        events = _read_body(line, path, asset, source, received_ns)
        if events is None:
            self.skipped.count(f"malformed:{path}")
            return ()
        return events


def _read_body(
    line: RestLine, path: str, asset: Asset, source: Source, received_ns: int
) -> Sequence[FeedEvent] | None:
    body = bytes(line.body)
    if path.endswith("/aggTrades"):
        return parse_aggregate_trades(body, asset, source, received_ns)
    read: Callable[[bytes, Asset, Source, int], FeedEvent | None] = (
        parse_klines if path.endswith("/klines") else parse_depth_snapshot
    )
    event = read(body, asset, source, received_ns)
    return None if event is None else (event,)
