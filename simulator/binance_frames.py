"""The fast market's actions as the exact wire text of Binance USD-M, spot and Coinbase.

Field names, order of magnitude of ids and quirks are those of the 2026 reference (binance 2, 5.3).
Text is formatted by hand: these frames are most of what a run is made of. Must not: hold a price
of its own beyond the last quote, or know who listens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Asset, Candle, Source
from simulator.actions import FastQuote, FastTrade
from simulator.frame import Frame

AGGREGATION_NS: Final = 150 * NS_PER_MS
"""Isolated prints reach ``@aggTrade`` so long after the trade (binance 0, fact 5)."""
DEPTH_INTERVAL_NS: Final = 100 * NS_PER_MS
DEPTH_LEVELS: Final = 20
FIRST_UPDATE_ID: Final = 11_757_092_630_000
FIRST_TRADE_ID: Final = 8_153_634_000
FUNDING_SECONDS: Final = 8 * 3600
FUTURES_KINDS: Final = ("bookTicker", "trade", "aggTrade", "depth20@100ms", "markPrice@1s")
TICKS: Final = {
    Asset.BTC: 0.1,
    Asset.ETH: 0.01,
    Asset.SOL: 0.01,
    Asset.XRP: 0.0001,
    Asset.DOGE: 0.00001,
    Asset.BNB: 0.01,
    Asset.HYPE: 0.001,
    Asset.ZEC: 0.01,
}
"""Price steps of the perpetuals; they also set the decimals that are written."""


class _Symbol:
    """What the venue knows of one asset."""

    __slots__ = (
        "aggregates",
        "ask",
        "bid",
        "decimals",
        "name",
        "quote",
        "stream",
        "tick",
        "trades",
        "updates",
        "waiting",
    )

    def __init__(self, asset: Asset) -> None:
        self.name = f"{asset}USDT"
        self.stream = self.name.lower()
        self.tick = TICKS[asset]
        self.decimals = max(0, len(f"{self.tick:.8f}".rstrip("0").partition(".")[2]))
        self.updates = FIRST_UPDATE_ID
        self.trades = FIRST_TRADE_ID
        self.aggregates = FIRST_TRADE_ID // 2
        self.quote: FastQuote | None = None
        self.bid = self.ask = ""
        self.waiting: list[tuple[int, int, FastTrade]] = []
        """Trades that ``@aggTrade`` has not told yet: (at_ns, trade id, trade)."""


class FuturesFrames:
    """USD-M ``/public`` and ``/market`` frames of some assets."""

    def __init__(
        self,
        assets: Sequence[Asset],
        kinds: Sequence[str] = FUTURES_KINDS,
        depth_interval_ns: int = DEPTH_INTERVAL_NS,
    ) -> None:
        self._depth_interval_ns = depth_interval_ns
        self._symbols = {asset: _Symbol(asset) for asset in assets}
        self._kinds = frozenset(kinds)
        self._depth_due_ns = 0
        self._mark_due_ns = 0

    def quote(self, at_ns: int, action: FastQuote) -> Frame:
        """Return the bookTicker of a new quote."""
        symbol = self._symbols[action.asset]
        symbol.updates += 17
        symbol.quote = action
        decimals, at_ms = symbol.decimals, at_ns // NS_PER_MS
        symbol.bid = f"{action.bid:.{decimals}f}"
        symbol.ask = f"{action.ask:.{decimals}f}"
        key = f"{symbol.stream}@bookTicker"
        text = (
            f'{{"stream":"{key}","data":{{"e":"bookTicker","u":{symbol.updates},'
            f'"s":"{symbol.name}","ps":"{symbol.name}","b":"{symbol.bid}",'
            f'"B":"{action.bid_size:.3f}","a":"{symbol.ask}","A":"{action.ask_size:.3f}",'
            f'"T":{at_ms},"E":{at_ms},"st":1}}}}'
        )
        return Frame(Source.BINANCE_PUBLIC, at_ns, key, text)

    def trade(self, at_ns: int, action: FastTrade) -> Frame:
        """Return the print of a trade; its aggregate comes with ``due``."""
        symbol = self._symbols[action.asset]
        symbol.trades += 1
        if "aggTrade" in self._kinds:
            symbol.waiting.append((at_ns, symbol.trades, action))
        at_ms = at_ns // NS_PER_MS
        key = f"{symbol.stream}@trade"
        maker = "false" if action.taker_buys else "true"
        text = (
            f'{{"stream":"{key}","data":{{"e":"trade","E":{at_ms},"T":{at_ms},'
            f'"s":"{symbol.name}","t":{symbol.trades},"p":"{action.price:.{symbol.decimals}f}",'
            f'"q":"{action.quantity:.3f}","X":"MARKET","m":{maker},"st":1}}}}'
        )
        return Frame(Source.BINANCE_PUBLIC, at_ns, key, text)

    def due(self, at_ns: int) -> Iterator[Frame]:
        """Yield what the venue sends by its own clock up to a moment."""
        if "depth20@100ms" in self._kinds and at_ns >= self._depth_due_ns:
            self._depth_due_ns = (at_ns // self._depth_interval_ns + 1) * self._depth_interval_ns
            yield from (self._depth(at_ns, s) for s in self._symbols.values() if s.quote)
        if "markPrice@1s" in self._kinds and at_ns >= self._mark_due_ns:
            self._mark_due_ns = (at_ns // NS_PER_SECOND + 1) * NS_PER_SECOND
            yield from (self._mark(at_ns, s) for s in self._symbols.values() if s.quote)
        for symbol in self._symbols.values():
            while symbol.waiting and symbol.waiting[0][0] + AGGREGATION_NS <= at_ns:
                yield self._aggregate(at_ns, symbol)

    def _aggregate(self, at_ns: int, symbol: _Symbol) -> Frame:
        """Merge what has one price and side within 100 ms, as the venue does (binance 2.1)."""
        first_ns, first_id, trade = symbol.waiting[0]
        taken = 0
        quantity = 0.0
        for moment_ns, _, other in symbol.waiting:
            same = other.price == trade.price and other.taker_buys is trade.taker_buys
            if not same or moment_ns > first_ns + DEPTH_INTERVAL_NS:
                break
            quantity += other.quantity
            taken += 1
        last_ns, last_id, _ = symbol.waiting[taken - 1]
        del symbol.waiting[:taken]
        symbol.aggregates += 1
        key = f"{symbol.stream}@aggTrade"
        maker = "false" if trade.taker_buys else "true"
        text = (
            f'{{"stream":"{key}","data":{{"e":"aggTrade","E":{at_ns // NS_PER_MS},'
            f'"a":{symbol.aggregates},"s":"{symbol.name}",'
            f'"p":"{trade.price:.{symbol.decimals}f}","q":"{quantity:.3f}",'
            f'"nq":"{quantity:.3f}","f":{first_id},"l":{last_id},'
            f'"T":{last_ns // NS_PER_MS},"m":{maker},"st":1}}}}'
        )
        return Frame(Source.BINANCE_MARKET, at_ns, key, text)

    def _depth(self, at_ns: int, symbol: _Symbol) -> Frame:
        bids, asks = depth_levels(symbol.quote, symbol.tick, symbol.decimals, DEPTH_LEVELS)
        symbol.updates += 1
        key = f"{symbol.stream}@depth20@100ms"
        at_ms, last = at_ns // NS_PER_MS, symbol.updates
        text = (
            f'{{"stream":"{key}","data":{{"e":"depthUpdate","E":{at_ms},"T":{at_ms},'
            f'"s":"{symbol.name}","ps":"{symbol.name}","U":{last - 9},"u":{last},'
            f'"pu":{last - 10},"b":{bids},"a":{asks},"st":1}}}}'
        )
        return Frame(Source.BINANCE_PUBLIC, at_ns, key, text)

    def _mark(self, at_ns: int, symbol: _Symbol) -> Frame:
        assert symbol.quote is not None, "only quoted symbols are marked"
        seconds = at_ns // NS_PER_SECOND
        mid = (symbol.quote.bid + symbol.quote.ask) / 2
        funding_ms = (seconds // FUNDING_SECONDS + 1) * FUNDING_SECONDS * 1000
        key = f"{symbol.stream}@markPrice@1s"
        text = (
            f'{{"stream":"{key}","data":{{"e":"markPriceUpdate","E":{seconds * 1000},'
            f'"s":"{symbol.name}","p":"{mid:.8f}","ap":"{mid:.8f}","P":"{mid:.8f}",'
            f'"i":"{mid:.8f}","r":"0.00010000","T":{funding_ms},"st":1}}}}'
        )
        return Frame(Source.BINANCE_MARKET, at_ns, key, text)


class SpotFrames:
    """Spot frames of the market-data-only host: quotes carry neither kind nor time (2.3)."""

    def __init__(self, assets: Sequence[Asset]) -> None:
        self._symbols = {asset: _Symbol(asset) for asset in assets}

    def quote(self, at_ns: int, action: FastQuote) -> Frame:
        """Return the bookTicker of a new quote."""
        symbol = self._symbols[action.asset]
        symbol.updates += 3
        key = f"{symbol.stream}@bookTicker"
        text = (
            f'{{"stream":"{key}","data":{{"u":{symbol.updates},"s":"{symbol.name}",'
            f'"b":"{action.bid:.8f}","B":"{action.bid_size:.8f}",'
            f'"a":"{action.ask:.8f}","A":"{action.ask_size:.8f}"}}}}'
        )
        return Frame(Source.BINANCE_SPOT, at_ns, key, text)

    def trade(self, at_ns: int, action: FastTrade) -> Frame:
        """Return the print of a trade."""
        symbol = self._symbols[action.asset]
        symbol.trades += 1
        at_ms = at_ns // NS_PER_MS
        key = f"{symbol.stream}@trade"
        maker = "false" if action.taker_buys else "true"
        text = (
            f'{{"stream":"{key}","data":{{"e":"trade","E":{at_ms},"s":"{symbol.name}",'
            f'"t":{symbol.trades},"p":"{action.price:.8f}","q":"{action.quantity:.8f}",'
            f'"T":{at_ms},"m":{maker},"M":true}}}}'
        )
        return Frame(Source.BINANCE_SPOT, at_ns, key, text)


class CoinbaseFrames:
    """Coinbase Exchange frames: a ticker comes with a match, never with a quote alone (5.3)."""

    def __init__(self, assets: Sequence[Asset]) -> None:
        self._quotes: dict[Asset, FastQuote] = {}
        self._sequences = dict.fromkeys(assets, 28_825_045_259)
        self._trades = dict.fromkeys(assets, 334_806_223)

    def quote(self, action: FastQuote) -> None:
        """Remember the quote that the next ticker tells."""
        self._quotes[action.asset] = action

    def trade(self, at_ns: int, action: FastTrade) -> tuple[Frame, ...]:
        """Return match and ticker; the match names the maker's side."""
        asset = action.asset
        self._trades[asset] += 1
        self._sequences[asset] += 2
        product, sequence, trade = f"{asset}-USD", self._sequences[asset], self._trades[asset]
        moment = _iso(at_ns)
        maker = "sell" if action.taker_buys else "buy"
        match = (
            f'{{"type":"match","trade_id":{trade},"side":"{maker}",'
            f'"size":"{action.quantity:.8f}","price":"{action.price:.2f}",'
            f'"product_id":"{product}","sequence":{sequence - 1},"time":"{moment}"}}'
        )
        frames = [Frame(Source.COINBASE, at_ns, f"match:{product}", match)]
        quote = self._quotes.get(asset)
        if quote is not None:
            taker = "buy" if action.taker_buys else "sell"
            ticker = (
                f'{{"type":"ticker","sequence":{sequence},"product_id":"{product}",'
                f'"price":"{action.price:.2f}","best_bid":"{quote.bid:.2f}",'
                f'"best_bid_size":"{quote.bid_size:.8f}","best_ask":"{quote.ask:.2f}",'
                f'"best_ask_size":"{quote.ask_size:.8f}","side":"{taker}","time":"{moment}",'
                f'"trade_id":{trade},"last_size":"{action.quantity:.8f}"}}'
            )
            frames.append(Frame(Source.COINBASE, at_ns, f"ticker:{product}", ticker))
        return tuple(frames)


def depth_levels(
    quote: FastQuote | None, tick: float, decimals: int, count: int
) -> tuple[str, str]:
    """Return JSON arrays of bids and asks, best first: sizes grow away from the quote."""
    assert quote is not None, "a symbol without a quote has no depth"
    bids = ",".join(
        f'["{quote.bid - step * tick:.{decimals}f}","{quote.bid_size * (1 + 0.2 * step):.3f}"]'
        for step in range(count)
    )
    asks = ",".join(
        f'["{quote.ask + step * tick:.{decimals}f}","{quote.ask_size * (1 + 0.2 * step):.3f}"]'
        for step in range(count)
    )
    return f"[{bids}]", f"[{asks}]"


def klines_body(candles: Sequence[Candle]) -> str:
    """Return a klines answer of one-minute bars, oldest first (binance 4.1)."""
    rows = ",".join(
        f'[{bar.opens_ns // NS_PER_MS},"{bar.close:.8f}","{bar.close:.8f}","{bar.close:.8f}",'
        f'"{bar.close:.8f}","{bar.quote_volume / bar.close:.3f}",'
        f'{bar.opens_ns // NS_PER_MS + 59_999},"{bar.quote_volume:.5f}",100,'
        f'"{bar.quote_volume / bar.close / 2:.3f}","{bar.quote_volume / 2:.5f}","0"]'
        for bar in candles
    )
    return f"[{rows}]"


def _iso(at_ns: int) -> str:
    moment = datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns % NS_PER_SECOND // 1000:06d}Z"
