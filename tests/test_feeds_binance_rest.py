"""REST bodies become candles, trades and depth snapshots, from a tape as from the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from helpers.domain import Asset, Candle, Candles, DepthSnapshot, Source, Trade
from helpers.feeds.binance_rest import (
    BinanceRestParser,
    parse_aggregate_trades,
    parse_depth_snapshot,
    parse_klines,
)
from helpers.feeds.rest_lines import encode_rest, read_rest_line
from tests.feed_parsing import HOSTILE, parse_all
from tests.shared import shared_file

DEPTH = '{"lastUpdateId":7,"E":1791382991286,"T":1791382991283,"bids":[["84.3","2"]],"asks":[]}'
KLINES = json.dumps(
    [
        [60_000, "1", "2", "0.5", "1.5", "10", 119_999, "15.5", 4, "1", "1", "0"],
        [120_000, "1.5", "2", "0.5", "1.75", "10", 179_999, "17.5", 4, "1", "1", "0"],
    ]
)
TRADES = '[{"a":3,"p":"83084.3","q":"0.002","nq":"0.002","f":1,"l":1,"T":1791382990569,"m":true}]'


def test_depth_body() -> None:
    """The caller says whose depth it is; spot has no time."""
    assert parse_depth_snapshot(DEPTH, Asset.BTC, Source.BINANCE_PUBLIC, 5) == DepthSnapshot(
        Source.BINANCE_PUBLIC, Asset.BTC, 7, ((84.3, 2.0),), (), 1791382991283000000, 5
    )
    spot = parse_depth_snapshot(
        '{"lastUpdateId":7,"bids":[],"asks":[]}', Asset.BTC, Source.BINANCE_SPOT, 5
    )
    assert spot is not None
    assert spot.venue_ns == 0


def test_klines() -> None:
    """The interval is the length of the bars."""
    assert parse_klines(KLINES, Asset.ETH, Source.BINANCE_SPOT, 5) == Candles(
        Source.BINANCE_SPOT,
        Asset.ETH,
        60,
        (Candle(60_000_000_000, 1.5, 15.5), Candle(120_000_000_000, 1.75, 17.5)),
        5,
    )


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        json.dumps(json.loads(KLINES)[::-1]),
        KLINES.replace("119999", "60000"),
        KLINES.replace('"1.75"', '"NaN"'),
    ],
)
def test_klines_that_are_none(body: str) -> None:
    """An empty list, descending bars, bars without length and prices that are none are refused."""
    assert parse_klines(body, Asset.ETH, Source.BINANCE_SPOT, 5) is None


@pytest.mark.parametrize(
    ("path", "source"),
    [("/fapi/v1/aggTrades", Source.BINANCE_MARKET), ("/api/v3/aggTrades", Source.BINANCE_SPOT)],
)
def test_aggregate_trades_from_a_tape(path: str, source: Source) -> None:
    """Aggregate trades have the ids of the stream of that name, so they are of its source."""
    events, skipped = parse_all(BinanceRestParser(), encode_rest(path, "BTCUSDT", TRADES))
    assert events == [Trade(source, Asset.BTC, 3, 83084.3, 0.002, False, 1791382990569000000, 5)]
    assert skipped == {}


def test_answers_from_a_tape() -> None:
    """Every answer that warms us up can be replayed; anything else is counted."""
    events, skipped = parse_all(
        BinanceRestParser(),
        encode_rest("/fapi/v1/klines?symbol=BTCUSDT&interval=1m", "BTCUSDT", KLINES),
        encode_rest("/api/v3/depth", "XRPUSDT", DEPTH),
        encode_rest("/fapi/v1/depth", "NKNUSDT", DEPTH),
        encode_rest("/fapi/v1/time", "BTCUSDT", "{}"),
        encode_rest("/fapi/v1/klines", "BTCUSDT", '{"code":-1121,"msg":"Invalid symbol."}'),
        encode_rest("/fapi/v1/depth", "BTCUSDT", "<html>"),
        "{}",
    )
    assert [type(event) for event in events] == [Candles, DepthSnapshot]
    assert skipped == {
        "malformed:/fapi/v1/depth": 1,
        "malformed:/fapi/v1/klines": 1,
        "malformed:line": 1,
        "unknown:path /fapi/v1/time": 1,
        "unknown:symbol NKNUSDT": 1,
    }


def test_line_keeps_the_body() -> None:
    """The body stands on the line as it came; one that is not JSON stands as a string."""
    line = read_rest_line(encode_rest("/p", "S", DEPTH))
    assert line is not None
    assert (line.path, line.symbol, bytes(line.body)) == ("/p", "S", DEPTH.encode())
    page = read_rest_line(encode_rest("/p", "S", "<html>"))
    assert page is not None
    assert json.loads(bytes(page.body)) == "<html>"


def test_trades_that_are_none() -> None:
    """A body that is no list of trades is refused, whole."""
    for body in ("{}", TRADES.replace("83084.3", "NaN"), "["):
        assert parse_aggregate_trades(body, Asset.BTC, Source.BINANCE_SPOT, 5) is None


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes, as a line or as a body, gives nothing and no exception."""
    assert parse_all(BinanceRestParser(), raw)[0] == []
    text = raw if isinstance(raw, str) else raw.decode(errors="replace")
    for path in ("/fapi/v1/klines", "/fapi/v1/depth"):
        assert parse_all(BinanceRestParser(), encode_rest(path, "BTCUSDT", text))[0] == []


def test_probes_of_october_2026() -> None:
    """Live REST bodies are read, whole."""
    path = shared_file("fixtures/binance/live_2026/polyoxide_2026-10-07.json")
    bodies = {
        name.removeprefix("GET ").partition("?")[0]: json.dumps(body)
        for name, body in json.loads(path.read_text())["rest"].items()
    }
    depth = parse_depth_snapshot(bodies["/fapi/v1/depth"], Asset.BTC, Source.BINANCE_PUBLIC, 5)
    klines = parse_klines(bodies["/fapi/v1/klines"], Asset.BTC, Source.BINANCE_PUBLIC, 5)
    trades = parse_aggregate_trades(
        bodies["/fapi/v1/aggTrades"], Asset.BTC, Source.BINANCE_MARKET, 5
    )
    assert depth is not None
    assert (len(depth.bids), len(depth.asks)) == (5, 5)
    assert klines is not None
    assert (klines.interval_seconds, len(klines.candles)) == (60, 2)
    assert trades is not None
    assert [trade.trade_id for trade in trades] == [3477868380, 3477868381, 3477868382]


@pytest.mark.parametrize("name", ["BINANCE", "BINANCE_US", "BINANCE_FUTURES"])
def test_recorded_depths(name: str) -> None:
    """Recorded depth bodies are all read."""
    text = shared_file(f"fixtures/binance/cryptofeed/{name}.http.0.0").read_text()
    bodies = [line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("https")]
    depths = [parse_depth_snapshot(body, Asset.BTC, Source.BINANCE_SPOT, 5) for body in bodies]
    assert len(depths) == 4
    assert all(depth is not None and depth.bids and depth.asks for depth in depths)
