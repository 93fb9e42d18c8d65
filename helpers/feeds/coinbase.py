"""Coinbase Exchange feed: tickers to quotes, matches to trades; opens no socket.

Shapes: reference 5.3. A ticker comes once per match, not per change of the quote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from helpers.domain import Asset, AssetPrice, FeedEvent, Quote, Size, Source, Trade
from helpers.feeds.skipped import Skipped
from helpers.feeds.symbols import COINBASE_PRODUCTS
from helpers.feeds.wire import UNREADABLE, Wire, as_object, as_text, datetime_ns, read_json

STREAM_URL: Final = "wss://ws-feed.exchange.coinbase.com"
SUBSCRIBE_WITHIN_SECONDS: Final = 5.0
"""The server closes a socket that has not subscribed by then."""

_Moment = Annotated[datetime, Meta(tz=True)]


class _Ticker(Wire, frozen=True, tag_field="type", tag="ticker"):
    product_id: str
    best_bid: AssetPrice
    best_ask: AssetPrice
    time: _Moment
    sequence: int
    best_bid_size: Size = 0.0
    best_ask_size: Size = 0.0


class _Match(Wire, frozen=True, tag_field="type", tag="match"):
    product_id: str
    trade_id: int
    side: Literal["buy", "sell"]
    size: Size
    price: AssetPrice
    time: _Moment


class CoinbaseParser:
    """Turns frames of the Exchange feed into events; what it cannot use is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()
        self._decode: Callable[[bytes | str], _Ticker | _Match] = msgspec.json.Decoder(
            _Ticker | _Match, strict=False
        ).decode

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:
        """Return the event of one frame; never raises."""
        try:
            frame = self._decode(raw)
        except UNREADABLE:
            self._explain(raw)
            return ()
        asset = COINBASE_PRODUCTS.get(frame.product_id)
        if asset is None:
            self.skipped.count(f"unknown:product {frame.product_id}")
            return ()
        venue_ns = datetime_ns(frame.time)
        if venue_ns <= 0:
            self.skipped.count("malformed:time before the epoch")
            return ()
        if isinstance(frame, _Match):
            return (_trade(frame, asset, venue_ns, received_ns),)
        return (_quote(frame, asset, venue_ns, received_ns),)

    def _explain(self, raw: bytes | str) -> None:
        fields = as_object(read_json(raw))
        if fields is None:
            self.skipped.count("malformed:not a JSON object")
            return
        kind = as_text(fields.get("type"))
        if kind in ("ticker", "match"):
            self.skipped.count(f"malformed:{kind}")
        elif kind == "last_match":
            # An old trade, repeated on subscription (reference 5.3): it is not news.
            self.skipped.count("ignored:last_match")
        elif kind == "subscriptions":
            self.skipped.count("control:subscriptions")
        elif kind == "error":
            self.skipped.count(f"control:error {as_text(fields.get('message'))}")
        else:
            self.skipped.count(f"unknown:{kind or 'no type'}")


def subscribe_frame(assets: Iterable[Asset]) -> str:
    """Return the frame that asks for quotes and trades of some assets; needs no credentials."""
    frame = {
        "type": "subscribe",
        "product_ids": [f"{asset}-USD" for asset in assets],
        "channels": ["matches", "ticker", "heartbeat"],
    }
    return msgspec.json.encode(frame).decode()


def _quote(frame: _Ticker, asset: Asset, venue_ns: int, received_ns: int) -> Quote:
    return Quote(
        Source.COINBASE,
        asset,
        frame.best_bid,
        frame.best_bid_size,
        frame.best_ask,
        frame.best_ask_size,
        frame.sequence,
        venue_ns,
        received_ns,
    )


def _trade(frame: _Match, asset: Asset, venue_ns: int, received_ns: int) -> Trade:
    return Trade(
        Source.COINBASE,
        asset,
        frame.trade_id,
        frame.price,
        frame.size,
        # ``side`` is the maker's: a resting sell was bought by the taker.
        frame.side == "sell",
        venue_ns,
        received_ns,
    )
