"""Shapes of Binance's frames (reference 2), decoded and checked in C; no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import field

from helpers.domain import AssetPrice, PriceSize, Size
from helpers.feeds.symbols import BinanceSymbol
from helpers.feeds.wire import Milliseconds, Wire

USD_M: Final = 1
"""``st`` of a USD-M row; COIN-M rows carry 2 and are dropped (reference 0, fact 8)."""
ORDER_BOOK_TRADE: Final = "MARKET"
"""``X`` of a trade on the book; RPI, NA, INSURANCE_FUND and ADL are none (reference 0, fact 6)."""
Execution = Literal["MARKET", "RPI", "NA", "INSURANCE_FUND", "ADL"]
"""Known values of ``X``: a literal costs no string; an unknown value takes the slow way."""
NO_PREVIOUS: Final = -1
"""Stands for ``pu`` on spot, which sends none."""

INTERVAL_SECONDS: Final[Mapping[str, int]] = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "8h": 28800,
    "12h": 43200,
    "1d": 86400,
}
"""Lengths of ``kline`` bars; weeks and months are not fixed and not here."""

Levels = tuple[PriceSize, ...]


class BookTicker(Wire, frozen=True, tag_field="e", tag="bookTicker"):
    """Best bid and ask of USD-M futures."""

    update_id: int = field(name="u")
    symbol: BinanceSymbol = field(name="s")
    bid: AssetPrice = field(name="b")
    bid_size: Size = field(name="B")
    ask: AssetPrice = field(name="a")
    ask_size: Size = field(name="A")
    transaction_ms: Milliseconds = field(name="T")
    margin: Literal[1] = field(name="st", default=USD_M)


class SpotQuoteOrTrade(Wire, frozen=True):
    """Best bid and ask of spot, which has no kind and no time, or a spot trade.

    One flat shape, so that both cost one decode; what a frame lacks keeps its default.
    """

    symbol: BinanceSymbol = field(name="s")
    kind: Literal["", "trade"] = field(name="e", default="")
    update_id: int = field(name="u", default=0)
    bid: AssetPrice = field(name="b", default=0.0)
    bid_size: Size = field(name="B", default=0.0)
    ask: AssetPrice = field(name="a", default=0.0)
    ask_size: Size = field(name="A", default=0.0)
    trade_id: int = field(name="t", default=0)
    price: AssetPrice = field(name="p", default=0.0)
    quantity: Size = field(name="q", default=0.0)
    trade_ms: Milliseconds = field(name="T", default=0)
    buyer_is_maker: bool | None = field(name="m", default=None)


class BookTrade(Wire, frozen=True, tag_field="e", tag="trade"):
    """One trade."""

    trade_id: int = field(name="t")
    symbol: BinanceSymbol = field(name="s")
    price: AssetPrice = field(name="p")
    quantity: Size = field(name="q")
    trade_ms: Milliseconds = field(name="T")
    buyer_is_maker: bool = field(name="m")
    execution: Execution = field(name="X", default=ORDER_BOOK_TRADE)
    margin: Literal[1] = field(name="st", default=USD_M)


class AggregateTrade(Wire, frozen=True, tag_field="e", tag="aggTrade"):
    """Fills of one price and taker side within 100 ms."""

    trade_id: int = field(name="a")
    symbol: BinanceSymbol = field(name="s")
    price: AssetPrice = field(name="p")
    quantity: Size = field(name="q")
    trade_ms: Milliseconds = field(name="T")
    buyer_is_maker: bool = field(name="m")
    margin: Literal[1] = field(name="st", default=USD_M)


class DepthUpdate(Wire, frozen=True, tag_field="e", tag="depthUpdate"):
    """Changed levels, or the top levels: only the stream name tells (reference 2.4)."""

    symbol: BinanceSymbol = field(name="s")
    first_update_id: int = field(name="U")
    last_update_id: int = field(name="u")
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")
    event_ms: Milliseconds = field(name="E")
    transaction_ms: Milliseconds = field(name="T", default=0)
    previous_update_id: int = field(name="pu", default=NO_PREVIOUS)
    margin: Literal[1] = field(name="st", default=USD_M)


class MarkPriceUpdate(Wire, frozen=True, tag_field="e", tag="markPriceUpdate"):
    """Mark and index price."""

    symbol: BinanceSymbol = field(name="s")
    mark: AssetPrice = field(name="p")
    event_ms: Milliseconds = field(name="E")
    """``T`` is the next funding time (reference 0, fact 9)."""
    index: AssetPrice | None = field(name="i", default=None)
    margin: Literal[1] = field(name="st", default=USD_M)


class KlineBar(Wire, frozen=True):
    """One bar."""

    opens_ms: Milliseconds = field(name="t")
    interval: str = field(name="i")
    close: AssetPrice = field(name="c")
    quote_volume: Size = field(name="q")


class Kline(Wire, frozen=True, tag_field="e", tag="kline"):
    """One bar of a stream."""

    symbol: BinanceSymbol = field(name="s")
    bar: KlineBar = field(name="k")
    margin: Literal[1] = field(name="st", default=USD_M)


class ServerShutdown(Wire, frozen=True, tag_field="e", tag="serverShutdown"):
    """The server goes down: reconnect at once (reference 1.5)."""


Payload = (
    BookTicker | BookTrade | AggregateTrade | DepthUpdate | MarkPriceUpdate | Kline | ServerShutdown
)


class Frame(Wire, frozen=True):
    """A combined frame; its stream name is read only where it says something."""

    data: Payload


class StreamName(Wire, frozen=True):
    """The other half of a combined frame."""

    stream: str


class SpotFrame(Wire, frozen=True):
    """A combined frame of spot, if it is a quote or a trade."""

    data: SpotQuoteOrTrade


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
