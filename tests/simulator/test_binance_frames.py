"""Fast-market frames parse with the worker's own parsers, and say what the action said."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    Candle,
    Candles,
    FeedEvent,
    MarkPrice,
    PartialDepth,
    Quote,
    Source,
    Trade,
)
from helpers.feeds.binance_rest import parse_klines
from helpers.feeds.ingest import Ingest
from simulator.actions import FastQuote, FastTrade
from simulator.binance_frames import (
    AGGREGATION_NS,
    CoinbaseFrames,
    FuturesFrames,
    SpotFrames,
    klines_body,
)
from simulator.frame import Frame

AT_NS = 1_790_000_100 * NS_PER_SECOND
QUOTE = FastQuote(Asset.BTC, 83_000.1, 4.215, 83_000.2, 3.763)
BUY = FastTrade(Asset.BTC, 83_000.2, 0.022, True)


def parsed(frames: Sequence[Frame]) -> list[FeedEvent]:
    ingest = Ingest()
    events = [e for f in frames for e in ingest.parse(f.source, f.text, f.at_ns + 5_000_000)]
    assert not ingest.skipped_rows()
    return events


def test_futures_quotes_and_trades() -> None:
    """BookTicker and trade of /public, ids increasing."""
    made = FuturesFrames([Asset.BTC])
    frames = [made.quote(AT_NS, QUOTE), made.trade(AT_NS + 1_000_000, BUY)]
    frames.append(made.quote(AT_NS + 2_000_000, QUOTE))
    assert [f.key for f in frames] == [
        "btcusdt@bookTicker",
        "btcusdt@trade",
        "btcusdt@bookTicker",
    ]
    first, trade, second = parsed(frames)
    assert isinstance(first, Quote)
    assert isinstance(second, Quote)
    assert (first.bid, first.ask, first.bid_size) == (83_000.1, 83_000.2, 4.215)
    assert second.update_id > first.update_id
    assert isinstance(trade, Trade)
    assert (trade.price, trade.quantity, trade.taker_buys) == (83_000.2, 0.022, True)


def test_what_the_venue_sends_by_its_own_clock() -> None:
    """Depth ten times a second, mark prices once, aggregates 150 ms late."""
    made = FuturesFrames([Asset.BTC, Asset.ETH])
    made.quote(AT_NS, QUOTE)
    made.trade(AT_NS, BUY)
    made.trade(AT_NS + 10_000_000, BUY)
    made.trade(AT_NS + 20_000_000, FastTrade(Asset.BTC, 83_000.1, 1.0, False))
    early = parsed(list(made.due(AT_NS)))
    assert [type(event) for event in early] == [PartialDepth, MarkPrice]
    assert not list(made.due(AT_NS + 1_000_000))
    late = parsed(list(made.due(AT_NS + 20_000_000 + AGGREGATION_NS)))
    trades = [event for event in late if isinstance(event, Trade)]
    assert [(t.source, round(t.quantity, 3), t.taker_buys) for t in trades] == [
        (Source.BINANCE_MARKET, 0.044, True),
        (Source.BINANCE_MARKET, 1.0, False),
    ]


def test_spot_quotes_carry_no_time() -> None:
    """Spot bookTicker is stamped on receipt; the trade has its own time."""
    made = SpotFrames([Asset.BTC])
    quote, trade = parsed([made.quote(AT_NS, QUOTE), made.trade(AT_NS, BUY)])
    assert isinstance(quote, Quote)
    assert quote.venue_ns == quote.received_ns
    assert isinstance(trade, Trade)
    assert trade.venue_ns == AT_NS


def test_coinbase_names_the_makers_side() -> None:
    """A match inverts to the taker's side; a ticker follows each match."""
    made = CoinbaseFrames([Asset.BTC])
    made.quote(QUOTE)
    trade, quote = parsed(made.trade(AT_NS, BUY))
    assert isinstance(trade, Trade)
    assert trade.taker_buys
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.ask) == (83_000.1, 83_000.2)


def test_klines_warm_a_client_up() -> None:
    """Bars come back with open time, close and quote volume."""
    bars = tuple(Candle(AT_NS + i * 60 * NS_PER_SECOND, 83_000.0 + i, 1e7) for i in range(3))
    body = klines_body(bars).encode()
    candles = parse_klines(body, Asset.BTC, Source.BINANCE_PUBLIC, AT_NS)
    assert isinstance(candles, Candles)
    assert candles.candles == bars
