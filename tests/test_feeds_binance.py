"""Binance frames of all kinds become fast-market events; what is wrong in them is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import (
    Asset,
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
from helpers.feeds.binance import (
    BinanceParser,
    BinanceSpotParser,
    market_stream_url,
    public_stream_url,
    spot_stream_url,
)
from helpers.feeds.symbols import BINANCE_SYMBOLS
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all

QUOTE: dict[str, Any] = {
    "e": "bookTicker",
    "u": 117,
    "s": "BTCUSDT",
    "ps": "BTCUSDT",
    "b": "83091.60",
    "B": "4.215",
    "a": "83091.70",
    "A": "3.763",
    "T": 1791382994657,
    "E": 1791382994658,
    "st": 1,
}
TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1790370834849,
    "T": 1790370834848,
    "s": "ETHUSDT",
    "t": 812,
    "p": "3680.00",
    "q": "0.001",
    "X": "MARKET",
    "m": True,
    "st": 1,
}
AGGREGATE: dict[str, Any] = {
    "e": "aggTrade",
    "E": 1791382992488,
    "a": 347,
    "s": "BTCUSDT",
    "p": "83091.70",
    "q": "0.022",
    "nq": "0.022",
    "f": 1,
    "l": 2,
    "T": 1791382992338,
    "m": False,
    "st": 1,
}
DEPTH: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1790526538985,
    "T": 1790526538981,
    "s": "BTCUSDT",
    "U": 11,
    "u": 15,
    "pu": 9,
    "b": [["84551.00", "2.027"], ["82548.60", "0.000"]],
    "a": [],
    "st": 1,
}
MARK: dict[str, Any] = {
    "e": "markPriceUpdate",
    "E": 1791382993000,
    "s": "BTCUSDT",
    "p": "83084.3",
    "ap": "83084.3",
    "P": "83195.1",
    "i": "83123.6",
    "r": "0.00000078",
    "T": 1791388800000,
    "st": 1,
}
KLINE: dict[str, Any] = {
    "e": "kline",
    "E": 1790526540255,
    "s": "BTCUSDT",
    "k": {
        "t": 1790526480000,
        "T": 1790526539999,
        "s": "BTCUSDT",
        "i": "1m",
        "o": "84550.20",
        "c": "84551.00",
        "q": "8835238.5",
        "x": True,
    },
}
SPOT_QUOTE: dict[str, Any] = {
    "u": 818,
    "s": "ETHUSDT",
    "b": "2433.88",
    "B": "7.8788",
    "a": "2433.89",
    "A": "10.3032",
}
BTC_QUOTE = Quote(
    Source.BINANCE_PUBLIC, Asset.BTC, 83091.6, 4.215, 83091.7, 3.763, 117, 1791382994657000000, 5
)


def combined(stream: str, payload: object) -> dict[str, object]:
    return {"stream": stream, "data": payload}


def futures(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(BinanceParser(Source.BINANCE_PUBLIC), *frames)


def spot(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(BinanceSpotParser(), *frames)


def test_quote_combined_raw_and_bytes() -> None:
    """A quote is the same from a combined, a raw and a binary frame."""
    frame = combined("btcusdt@bookTicker", QUOTE)
    events, skipped = futures(frame, QUOTE, json.dumps(frame).encode())
    assert events == [BTC_QUOTE] * 3
    assert skipped == {}


def test_trade_side() -> None:
    """``m`` says that the buyer rested, so the taker sold (reference 2)."""
    events, _ = futures(
        combined("ethusdt@trade", TRADE), combined("ethusdt@trade", {**TRADE, "m": False})
    )
    at = 1790370834848000000
    assert events == [
        Trade(Source.BINANCE_PUBLIC, Asset.ETH, 812, 3680.0, 0.001, False, at, 5),
        Trade(Source.BINANCE_PUBLIC, Asset.ETH, 812, 3680.0, 0.001, True, at, 5),
    ]


def test_only_trades_on_the_book_count() -> None:
    """RPI, NA, insurance and ADL prints are no trades of the book, nor are unknown ones."""
    untold = {name: value for name, value in TRADE.items() if name != "X"}
    others = [{**TRADE, "X": kind} for kind in ("RPI", "INSURANCE_FUND", "ADL", "NEW")]
    nothing = {**TRADE, "X": "NA", "p": "0", "q": "0"}
    events, skipped = futures(
        *(combined("ethusdt@trade", payload) for payload in [untold, *others, nothing])
    )
    assert len(events) == 1
    assert skipped == {
        "ignored:trade ADL": 1,
        "ignored:trade INSURANCE_FUND": 1,
        "ignored:trade NA": 1,
        "ignored:trade NEW": 1,
        "ignored:trade RPI": 1,
    }


def test_aggregate_trade() -> None:
    """An aggregate trade is a trade at the trade's time, not at the push's."""
    events, _ = futures(combined("btcusdt@aggTrade", AGGREGATE))
    assert events == [
        Trade(Source.BINANCE_PUBLIC, Asset.BTC, 347, 83091.7, 0.022, True, 1791382992338000000, 5)
    ]


def test_depth_is_told_by_its_stream() -> None:
    """Top levels and changes have one shape; the stream's name tells (reference 2.4)."""
    at = 1790526538981000000
    bids = ((84551.0, 2.027), (82548.6, 0.0))
    late_name = {"data": DEPTH, "stream": "btcusdt@depth20@100ms"}
    events, skipped = futures(
        combined("btcusdt@depth20@100ms", DEPTH),
        late_name,
        combined("btcusdt@depth@100ms", DEPTH),
        combined("btcusdt@depth", DEPTH),
        combined("btcusdt@rpiDepth@500ms", DEPTH),
        DEPTH,
    )
    top = PartialDepth(Source.BINANCE_PUBLIC, Asset.BTC, 15, bids, (), at, 5)
    change = DepthChange(Source.BINANCE_PUBLIC, Asset.BTC, 11, 15, 9, bids, (), at, 5)
    assert events == [top, top, change, change]
    assert skipped == {"unknown:depthUpdate of no depth stream": 2}


def test_spot_depth_chains_without_a_previous_id() -> None:
    """Spot sends no ``pu`` and no ``T``: the chain is ``U`` - 1, the time is the push's."""
    payload = {name: value for name, value in DEPTH.items() if name not in ("pu", "T", "st")}
    events, _ = spot(combined("btcusdt@depth@100ms", payload))
    assert [
        (event.previous_update_id, event.venue_ns)
        for event in events
        if isinstance(event, DepthChange)
    ] == [(10, 1790526538985000000)]


def test_spot_partial_depth_has_its_symbol_in_the_stream() -> None:
    """Spot's top levels carry neither symbol nor time."""
    payload = {"lastUpdateId": 160, "bids": [["2433.8", "10"]], "asks": [["2433.9", "1"]]}
    events, skipped = spot(
        combined("ethusdt@depth20@100ms", payload),
        combined("nknusdt@depth20@100ms", payload),
        combined("ethusdt@depth20@100ms", {**payload, "bids": 7}),
        payload,
    )
    assert events == [
        PartialDepth(Source.BINANCE_SPOT, Asset.ETH, 160, ((2433.8, 10.0),), ((2433.9, 1.0),), 5, 5)
    ]
    assert skipped == {
        "ignored:depth body without stream": 1,
        "malformed:depth": 1,
        "unknown:symbol NKNUSDT": 1,
    }


def test_off_book_trade_of_a_raw_frame() -> None:
    """A raw frame takes the slow way and keeps the rules."""
    assert futures({**TRADE, "X": "RPI"}) == ([], {"ignored:trade RPI": 1})
    assert len(futures(TRADE)[0]) == 1


def test_depth_frame_whose_stream_is_no_text() -> None:
    """A stream that is no name says nothing, so the depth is of no kind."""
    expected: tuple[list[FeedEvent], dict[str, int]] = (
        [],
        {"unknown:depthUpdate of no depth stream": 1},
    )
    assert futures({"data": DEPTH, "stream": 7}) == expected


def test_mark_price_is_stamped_by_its_push() -> None:
    """``T`` of a mark price is the next funding, which lies in the future."""
    events, skipped = futures(
        combined("btcusdt@markPrice@1s", MARK), combined("!markPrice@arr@1s", [MARK, MARK])
    )
    mark = MarkPrice(Source.BINANCE_PUBLIC, Asset.BTC, 83084.3, 83123.6, 1791382993000000000, 5)
    assert events == [mark] * 3
    assert skipped == {}


def test_kline() -> None:
    """A bar of the stream is a candle of its interval; an unfixed interval is counted."""
    monthly = {**KLINE, "k": {**KLINE["k"], "i": "1M"}}
    events, skipped = futures(combined("btcusdt@kline_1m", KLINE), combined("x", monthly))
    candle = Candle(1790526480000000000, 84551.0, 8835238.5)
    assert events == [Candles(Source.BINANCE_PUBLIC, Asset.BTC, 60, (candle,), 5)]
    assert skipped == {"unknown:kline interval 1M": 1}


def test_spot_quote_is_stamped_on_receipt() -> None:
    """A spot quote has neither kind nor time, in a combined and in a raw frame."""
    events, skipped = spot(combined("ethusdt@bookTicker", SPOT_QUOTE), SPOT_QUOTE)
    quote = Quote(Source.BINANCE_SPOT, Asset.ETH, 2433.88, 7.8788, 2433.89, 10.3032, 818, 5, 5)
    assert events == [quote, quote]
    assert skipped == {}


def test_spot_trade() -> None:
    """A spot trade has no ``X``; old ones carry order ids where a quote has prices."""
    payload = {name: value for name, value in TRADE.items() if name not in ("X", "st")}
    old = {**payload, "b": 133829535, "a": 133829504}
    events, skipped = spot(
        combined("ethusdt@trade", payload),
        combined("ethusdt@trade", old),
        combined("ethusdt@aggTrade", {**AGGREGATE, "s": "ETHUSDT"}),
    )
    trade = Trade(Source.BINANCE_SPOT, Asset.ETH, 812, 3680.0, 0.001, False, 1790370834848000000, 5)
    assert events[:2] == [trade, trade]
    assert [event.trade_id for event in events if isinstance(event, Trade)] == [812, 812, 347]
    assert skipped == {}


def test_futures_quote_without_a_kind_is_no_quote() -> None:
    """A futures quote always has a kind and a time."""
    assert futures(combined("ethusdt@bookTicker", SPOT_QUOTE)) == ([], {"malformed:no kind": 1})


def test_control_replies_are_counted() -> None:
    """Acknowledgements and both shapes of errors are answers, not data."""
    _, skipped = futures(
        {"result": None, "id": 1},
        {"result": ["btcusdt@aggTrade"], "id": 3},
        {"error": {"code": 4, "msg": "Too many subscriptions"}},
        {"code": 2, "msg": "Invalid request"},
    )
    assert skipped == {"control:ack": 2, "control:error 2": 1, "control:error 4": 1}


def test_server_shutdown_is_told() -> None:
    """A reader can see that the server goes down, from a raw and a combined frame."""
    parser = BinanceParser(Source.BINANCE_PUBLIC)
    gone = {"e": "serverShutdown", "E": 1770123456789}
    _, skipped = parse_all(parser, gone, combined("!serverShutdown", gone))
    assert parser.server_shutdowns == 2
    assert skipped == {"control:serverShutdown": 2}


def test_coin_margined_rows_and_foreign_symbols_are_dropped() -> None:
    """Rows of another product and symbols we do not trade never pass for ours."""
    events, skipped = futures(
        combined("btcusdt@bookTicker", {**QUOTE, "st": 2}),
        combined("btcusd_perp@bookTicker", {**QUOTE, "s": "BTCUSD_PERP", "st": 2}),
        combined("nknusdt@bookTicker", {**QUOTE, "s": "NKNUSDT"}),
        combined("x", {"e": "forceOrder", "o": {}}),
    )
    assert events == []
    assert skipped == {
        "ignored:st 2": 1,
        "unknown:forceOrder": 1,
        "unknown:symbol BTCUSD_PERP": 1,
        "unknown:symbol NKNUSDT": 1,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("b", "NaN"),
        ("b", "0"),
        ("b", "-1"),
        ("b", ""),
        ("B", "-0.1"),
        ("B", "inf"),
        ("a", None),
        ("A", []),
        ("T", "soon"),
        ("T", -1),
        ("T", 1791382994657000),
        ("u", "x"),
    ],
)
def test_malformed_quotes_are_counted(field: str, value: object) -> None:
    """A quote with a wrong field is no quote, in either parser."""
    payload = {**QUOTE, field: value}
    expected: tuple[list[FeedEvent], dict[str, int]] = ([], {"malformed:bookTicker": 1})
    assert futures(combined("btcusdt@bookTicker", payload)) == expected
    assert spot(combined("btcusdt@bookTicker", payload)) == expected


@pytest.mark.parametrize("payload", [TRADE, AGGREGATE, DEPTH, MARK, KLINE])
def test_missing_fields_are_counted(payload: dict[str, Any]) -> None:
    """A frame without its symbol's price, levels or bar is no event."""
    cut = {name: payload[name] for name in ("e", "s")}
    assert futures(combined("x", cut)) == ([], {f"malformed:{payload['e']}": 1})
    assert spot(combined("x", cut)) == ([], {f"malformed:{payload['e']}": 1})


@pytest.mark.parametrize("length", range(1, 180, 11))
def test_truncated_frames_are_counted(length: int) -> None:
    """A frame cut anywhere is no event."""
    raw = json.dumps(combined("btcusdt@bookTicker", QUOTE))[:length]
    assert futures(raw) == ([], {"malformed:not a JSON object": 1})
    assert spot(raw) == ([], {"malformed:not a JSON object": 1})


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no event and no exception."""
    assert futures(raw)[0] == []
    assert spot(raw)[0] == []


@given(
    st.sampled_from([QUOTE, TRADE, AGGREGATE, DEPTH, MARK, KLINE, SPOT_QUOTE]),
    JSON_VALUES,
    st.sampled_from(["btcusdt@depth20", "btcusdt@bookTicker", ""]),
    st.data(),
)
@settings(max_examples=100, deadline=None)
def test_never_raises_on_wrong_fields(
    payload: dict[str, Any], value: object, stream: str, draw: st.DataObject
) -> None:
    """Any field with any value is an event or a count."""
    field = draw.draw(st.sampled_from(sorted(payload)))
    for parse in (futures, spot):
        events, skipped = parse(combined(stream, {**payload, field: value}))
        assert events or skipped


def test_every_asset_has_a_symbol() -> None:
    """No asset is without a fast market."""
    assert sorted(BINANCE_SYMBOLS.values()) == sorted(Asset)
    assert all(symbol == f"{asset}USDT" for symbol, asset in BINANCE_SYMBOLS.items())


def test_stream_urls() -> None:
    """Names are lower case and each stream is on its own path (reference 0, 1.2)."""
    assets = [Asset.BTC, Asset.ETH]
    assert public_stream_url(assets) == (
        "wss://fstream.binance.com/public/stream?streams="
        "btcusdt@bookTicker/btcusdt@trade/btcusdt@depth20@100ms/"
        "ethusdt@bookTicker/ethusdt@trade/ethusdt@depth20@100ms"
    )
    assert market_stream_url(assets, "ws://127.0.0.1:1") == (
        "ws://127.0.0.1:1/market/stream?streams="
        "btcusdt@markPrice@1s/btcusdt@aggTrade/ethusdt@markPrice@1s/ethusdt@aggTrade"
    )
    assert spot_stream_url([Asset.XRP]) == (
        "wss://data-stream.binance.vision:443/stream?streams=xrpusdt@bookTicker/xrpusdt@trade"
    )
