"""Prices of the settlement source: PolyBolt frames and the legacy RTDS ones; opens no socket.

Shapes: reference E.1 (PolyBolt) and E.2 (RTDS, kept for tapes: its price topics are deprecated).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Raw

from helpers.domain import NS_PER_MS, Asset, AssetPrice, FeedEvent, Message, ReferencePrice
from helpers.feeds.skipped import Skipped
from helpers.feeds.wire import UNREADABLE, Milliseconds, Wire

PING: Final = '{"op":"ping"}'
"""Optional: the server pings the socket itself every 25 s (reference E.1)."""
RTDS_PING: Final = "PING"
"""Text to send every 5 s on the legacy socket; nothing comes back (reference E.2)."""

SETTLEMENT_WINDOW_SECONDS: Final = 60
"""Length of the TWAP that 5m, 15m and 4h markets settle on (reference E.4)."""

_SILENT: Final = ("PONG", "", b"PONG", b"")

_SYMBOLS: Final[Mapping[str, Asset]] = {
    f"{asset.lower()}{quote}": asset for asset in Asset for quote in ("usd", "/usd", "usdt")
}

_SPOT_CHANNEL: Final = "price.crypto"
_TWAP_CHANNEL: Final = "price.crypto.twap"
_RTDS_TOPICS: Final = frozenset(
    {
        "crypto_prices",
        "crypto_prices_chainlink",
        "crypto_prices_twap_sixty",
        "crypto_prices_twap_thirty",
    }
)


class _Envelope(Wire, frozen=True):
    op: str = ""
    code: str = ""
    channel: str = ""
    topic: str = ""
    payload: Raw = Raw(b"")
    dropped: int = 0
    statusCode: int = 0  # noqa: N815 - the venue's spelling.


class _Tick(Wire, frozen=True):
    value: AssetPrice
    timestamp: Milliseconds


class _Prices(Wire, frozen=True):
    """Payload of an update (``value``) or of a snapshot (``data``)."""

    symbol: str
    source: str = ""
    window_seconds: int = 0
    window_s: int = 0
    value: AssetPrice | None = None
    timestamp: Milliseconds | None = None
    data: tuple[_Tick, ...] | None = None


class ReferenceControl(Message, frozen=True):
    """An answer to what we sent: ``authed``, ``subscribed``, ``pong`` or ``error`` with a code."""

    op: str
    code: str
    channel: str


class ReferencePriceParser:
    """Turns frames of both reference sockets into events; what it cannot use is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()
        self._decode = msgspec.json.Decoder(_Envelope).decode
        self._decode_prices = msgspec.json.Decoder(_Prices).decode

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the prices of one frame, several for a snapshot; never raises."""
        if raw in _SILENT:
            return ()
        try:
            frame = self._decode(raw)
        except UNREADABLE:
            self.skipped.count("malformed:frame")
            return ()
        if frame.dropped > 0:
            # Frames the server lost because we were slow (reference E.1).
            self.skipped.count("control:dropped by the server", frame.dropped)
        if frame.op:
            self.skipped.count(f"control:{frame.op} {frame.code}".rstrip())
            return ()
        if frame.channel in (_SPOT_CHANNEL, _TWAP_CHANNEL) or frame.topic in _RTDS_TOPICS:
            return self._prices(frame, received_ns)
        if frame.statusCode:
            self.skipped.count(f"control:error {frame.statusCode}")
        else:
            self.skipped.count(f"unknown:{frame.channel or frame.topic or 'no channel'}")
        return ()

    def _prices(self, frame: _Envelope, received_ns: int) -> Sequence[FeedEvent]:
        name = frame.channel or frame.topic
        try:
            prices = self._decode_prices(frame.payload)
        except UNREADABLE:
            self.skipped.count(f"malformed:{name}")
            return ()
        asset = _SYMBOLS.get(prices.symbol)
        if asset is None:
            self.skipped.count(f"unknown:symbol {prices.symbol}")
            return ()
        kind = self._kind(name, prices)
        if kind is None:
            return ()
        provider = prices.source if frame.channel else _rtds_provider(prices.symbol)
        ticks = _ticks(prices)
        if ticks is None:
            self.skipped.count(f"malformed:{name}")
            return ()
        return [
            ReferencePrice(
                asset, kind, provider, tick.value, tick.timestamp * NS_PER_MS, received_ns
            )
            for tick in ticks
        ]

    def _kind(self, name: str, prices: _Prices) -> Literal["spot", "twap60"] | None:
        if "twap" not in name:
            return "spot"
        seconds = prices.window_seconds or prices.window_s
        if seconds == SETTLEMENT_WINDOW_SECONDS:
            return "twap60"
        self.skipped.count(f"ignored:twap of {seconds} s")
        return None


def read_control(raw: bytes | str) -> ReferenceControl | None:
    """Return the answer a PolyBolt frame is, or ``None`` for prices and anything else.

    A reader waits for ``authed`` before it subscribes, and gives up on ``error`` ``auth_invalid``.
    """
    try:
        frame = msgspec.json.decode(raw, type=_Envelope)
    except UNREADABLE:
        return None
    return ReferenceControl(frame.op, frame.code, frame.channel) if frame.op else None


def auth_frame(api_key: str, secret: str, passphrase: str) -> str:
    """Return the first frame on a PolyBolt socket (reference E.1).

    The frame holds the credentials: it must be sent and never be logged or kept (invariant 11).
    """
    credentials = {"apiKey": api_key, "secret": secret, "passphrase": passphrase}
    return msgspec.json.encode({"op": "auth", "rid": "auth", "auth": credentials}).decode()


def subscribe_frame(assets: Iterable[Asset]) -> str:
    """Return the frame that asks PolyBolt for each asset's 60 s TWAP and Chainlink spot."""
    return _subscribe([stream for asset in assets for stream in _streams(asset)])


def subscribe_frames(assets: Iterable[Asset]) -> Mapping[str, str]:
    """Return a frame for each single stream, by channel, colon and symbol."""
    return {
        f"{channel}:{filters['symbol']}": _subscribe([(channel, filters)])
        for asset in assets
        for channel, filters in _streams(asset)
    }


def _streams(asset: Asset) -> tuple[tuple[str, dict[str, object]], ...]:
    symbol = f"{asset.lower()}usd"
    return (
        (_TWAP_CHANNEL, {"symbol": symbol, "window_seconds": SETTLEMENT_WINDOW_SECONDS}),
        (_SPOT_CHANNEL, {"symbol": symbol, "provider": "chainlink"}),
    )


def _subscribe(streams: list[tuple[str, dict[str, object]]]) -> str:
    subscriptions = [{"channel": channel, "filter": filters} for channel, filters in streams]
    frame = {"op": "subscribe", "rid": "prices", "subscriptions": subscriptions}
    return msgspec.json.encode(frame).decode()


def rtds_subscribe_frame(asset: Asset, topic: str = "crypto_prices_twap_sixty") -> str:
    """Return the frame that asks the legacy socket for one asset (reference E.2).

    One symbol a subscription, one subscription a frame (a bad topic kills its whole batch), and the
    filter is compact JSON in a string: one space in it means silence.
    """
    filters = msgspec.json.encode({"symbol": f"{asset.lower()}/usd"}).decode()
    subscription = {"topic": topic, "type": "update", "filters": filters}
    return msgspec.json.encode({"action": "subscribe", "subscriptions": [subscription]}).decode()


def _ticks(prices: _Prices) -> tuple[_Tick, ...] | None:
    if prices.value is None:
        return prices.data
    if prices.timestamp is None:
        return None
    return (*(prices.data or ()), _Tick(prices.value, prices.timestamp))


def _rtds_provider(symbol: str) -> str:
    # A backfill of Chainlink spot is mislabelled ``crypto_prices``: the symbol's form tells.
    return "chainlink" if "/" in symbol else "binance"
