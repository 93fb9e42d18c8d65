"""OKX public channels: trades and top of book; opens no socket.

Shapes: reference 5.1. Swap sizes are in contracts and become base asset here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from helpers.domain import NS_PER_MS, Asset, AssetPrice, FeedEvent, Quote, Size, Source, Trade
from helpers.feeds.skipped import Skipped
from helpers.feeds.symbols import OKX_INSTRUMENTS
from helpers.feeds.wire import UNREADABLE, Milliseconds, Wire, as_object, as_text, read_json

STREAM_URL: Final = "wss://ws.okx.com:8443/ws/v5/public"
PING: Final = "ping"
"""Text to send when nothing came for ``PING_AFTER_SECONDS``; answered by the text ``pong``."""
PING_AFTER_SECONDS: Final = 20.0
"""The server drops a socket after 30 s of silence."""

_SILENT: Final = ("pong", "", b"pong", b"")


class _Argument(Wire, frozen=True):
    channel: str
    instId: str = ""  # noqa: N815 - the venue's spelling, as below.


class _TradeRow(Wire, frozen=True):
    tradeId: Annotated[int, Meta(ge=0)]  # noqa: N815
    px: AssetPrice
    sz: Size
    side: Literal["buy", "sell"]
    ts: Milliseconds


class _BookLevel(Wire, frozen=True, array_like=True):
    price: AssetPrice
    size: Size


class _BookRow(Wire, frozen=True):
    bids: tuple[_BookLevel, ...]
    asks: tuple[_BookLevel, ...]
    ts: Milliseconds
    seqId: int = 0  # noqa: N815


class _Frame(Wire, frozen=True):
    arg: _Argument
    data: msgspec.Raw


class OkxParser:
    """Turns frames of OKX's public socket into events; what it cannot use is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()
        self._decode: Callable[[bytes | str], _Frame] = msgspec.json.Decoder(_Frame).decode
        self._decode_trades: Callable[[msgspec.Raw], tuple[_TradeRow, ...]] = msgspec.json.Decoder(
            tuple[_TradeRow, ...], strict=False
        ).decode
        self._decode_books: Callable[[msgspec.Raw], tuple[_BookRow, ...]] = msgspec.json.Decoder(
            tuple[_BookRow, ...], strict=False
        ).decode

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the events of one frame; never raises."""
        if raw in _SILENT:
            return ()
        try:
            frame = self._decode(raw)
        except UNREADABLE:
            self._explain(raw)
            return ()
        channel = frame.arg.channel
        if channel not in ("trades", "bbo-tbt"):
            self.skipped.count(f"unknown:channel {channel}")
            return ()
        instrument = OKX_INSTRUMENTS.get(frame.arg.instId)
        if instrument is None:
            self.skipped.count(f"unknown:instrument {frame.arg.instId}")
            return ()
        asset, contract_size = instrument
        try:
            if channel == "trades":
                trades = self._decode_trades(frame.data)
                return [_trade(row, asset, contract_size, received_ns) for row in trades]
            books = self._decode_books(frame.data)
        except UNREADABLE:
            self.skipped.count(f"malformed:{channel}")
            return ()
        return self._quotes(books, asset, contract_size, received_ns)

    def _quotes(
        self, books: tuple[_BookRow, ...], asset: Asset, contract_size: float, received_ns: int
    ) -> Sequence[FeedEvent]:
        events: list[FeedEvent] = []
        for row in books:
            if row.bids and row.asks:
                events.append(_quote(row, asset, contract_size, received_ns))
            else:
                self.skipped.count("ignored:one-sided book")
        return events

    def _explain(self, raw: bytes | str) -> None:
        fields = as_object(read_json(raw))
        event = as_text(fields.get("event")) if fields is not None else ""
        if fields is None or not event:
            self.skipped.count("malformed:frame")
        elif event in ("error", "notice"):
            self.skipped.count(f"control:{event} {as_text(fields.get('code'))}")
        else:
            self.skipped.count(f"control:{event}")


def subscribe_frame(assets: Iterable[Asset]) -> str:
    """Return the frame that asks for trades and top of book of some assets."""
    wanted = frozenset(assets)
    arguments = [
        {"channel": channel, "instId": instrument}
        for instrument, (asset, _) in OKX_INSTRUMENTS.items()
        if asset in wanted
        for channel in ("trades", "bbo-tbt")
    ]
    return msgspec.json.encode({"op": "subscribe", "args": arguments}).decode()


def _trade(row: _TradeRow, asset: Asset, contract_size: float, received_ns: int) -> Trade:
    return Trade(
        Source.OKX,
        asset,
        row.tradeId,
        row.px,
        row.sz * contract_size,
        row.side == "buy",
        row.ts * NS_PER_MS,
        received_ns,
    )


def _quote(row: _BookRow, asset: Asset, contract_size: float, received_ns: int) -> Quote:
    bid, ask = row.bids[0], row.asks[0]
    return Quote(
        Source.OKX,
        asset,
        bid.price,
        bid.size * contract_size,
        ask.price,
        ask.size * contract_size,
        row.seqId,
        row.ts * NS_PER_MS,
        received_ns,
    )
