"""Shapes of Binance's frames (reference 2), decoded and checked in C; no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import field

from helpers.domain import AssetPrice, PriceSize, Size
from helpers.feeds.wire import Milliseconds, Wire

USD_M: Final = 1
"""``st`` of a USD-M row; COIN-M rows carry 2 and are dropped (reference 0, fact 8)."""
ORDER_BOOK_TRADE: Final = "MARKET"
"""``X`` of a trade on the book; RPI, NA, INSURANCE_FUND and ADL are none (reference 0, fact 6)."""
NO_PREVIOUS: Final = -1
"""Stands for ``pu`` on spot, which sends none."""

Levels = tuple[PriceSize, ...]


class BookTicker(Wire, frozen=True, tag_field="e", tag="bookTicker"):
    """Best bid and ask of USD-M futures."""

    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: AssetPrice = field(name="b")
    bid_size: Size = field(name="B")
    ask: AssetPrice = field(name="a")
    ask_size: Size = field(name="A")
    transaction_ms: Milliseconds = field(name="T")
    margin: int = field(name="st", default=USD_M)


class SpotBookTicker(Wire, frozen=True):
    """Best bid and ask of spot: no kind, no time."""

    update_id: int = field(name="u")
    symbol: str = field(name="s")
    bid: AssetPrice = field(name="b")
    bid_size: Size = field(name="B")
    ask: AssetPrice = field(name="a")
    ask_size: Size = field(name="A")


class BookTrade(Wire, frozen=True, tag_field="e", tag="trade"):
    """One trade."""

    trade_id: int = field(name="t")
    symbol: str = field(name="s")
    price: AssetPrice = field(name="p")
    quantity: Size = field(name="q")
    trade_ms: Milliseconds = field(name="T")
    buyer_is_maker: bool = field(name="m")
    execution: str = field(name="X", default=ORDER_BOOK_TRADE)
    margin: int = field(name="st", default=USD_M)


class AggregateTrade(Wire, frozen=True, tag_field="e", tag="aggTrade"):
    """Fills of one price and taker side within 100 ms."""

    trade_id: int = field(name="a")
    symbol: str = field(name="s")
    price: AssetPrice = field(name="p")
    quantity: Size = field(name="q")
    trade_ms: Milliseconds = field(name="T")
    buyer_is_maker: bool = field(name="m")
    margin: int = field(name="st", default=USD_M)


class DepthUpdate(Wire, frozen=True, tag_field="e", tag="depthUpdate"):
    """Changed levels, or the top levels: only the stream name tells (reference 2.4)."""

    symbol: str = field(name="s")
    first_update_id: int = field(name="U")
    last_update_id: int = field(name="u")
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")
    event_ms: Milliseconds = field(name="E")
    transaction_ms: Milliseconds = field(name="T", default=0)
    previous_update_id: int = field(name="pu", default=NO_PREVIOUS)
    margin: int = field(name="st", default=USD_M)


class MarkPriceUpdate(Wire, frozen=True, tag_field="e", tag="markPriceUpdate"):
    """Mark and index price."""

    symbol: str = field(name="s")
    mark: AssetPrice = field(name="p")
    event_ms: Milliseconds = field(name="E")
    """``T`` is the next funding time (reference 0, fact 9)."""
    index: AssetPrice | None = field(name="i", default=None)
    margin: int = field(name="st", default=USD_M)


class KlineBar(Wire, frozen=True):
    """One bar."""

    opens_ms: Milliseconds = field(name="t")
    interval: str = field(name="i")
    close: AssetPrice = field(name="c")
    quote_volume: Size = field(name="q")


class Kline(Wire, frozen=True, tag_field="e", tag="kline"):
    """One bar of a stream."""

    symbol: str = field(name="s")
    bar: KlineBar = field(name="k")
    margin: int = field(name="st", default=USD_M)


class ServerShutdown(Wire, frozen=True, tag_field="e", tag="serverShutdown"):
    """The server goes down: reconnect at once (reference 1.5)."""


Payload = (
    BookTicker | BookTrade | AggregateTrade | DepthUpdate | MarkPriceUpdate | Kline | ServerShutdown
)


class Frame(Wire, frozen=True):
    """A combined frame."""

    stream: str
    data: Payload


class SpotQuoteFrame(Wire, frozen=True):
    """A combined frame of a spot quote."""

    data: SpotBookTicker


class DepthBody(Wire, frozen=True):
    """A REST depth body; spot sends it as partial depth, too."""

    last_update_id: int = field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    transaction_ms: Milliseconds = field(name="T", default=0)
    event_ms: Milliseconds = field(name="E", default=0)


KINDS: Final[Mapping[str, type[Payload]]] = {
    "bookTicker": BookTicker,
    "trade": BookTrade,
    "aggTrade": AggregateTrade,
    "depthUpdate": DepthUpdate,
    "markPriceUpdate": MarkPriceUpdate,
    "kline": Kline,
    "serverShutdown": ServerShutdown,
}
