"""Coinbase tickers become quotes and matches trades."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import Asset, FeedEvent, Quote, Source, Trade
from helpers.feeds.coinbase import CoinbaseParser, subscribe_frame
from helpers.feeds.symbols import COINBASE_PRODUCTS
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all
from tests.shared import shared_file

TICKER: dict[str, Any] = {
    "type": "ticker",
    "sequence": 28825,
    "product_id": "SOL-USD",
    "price": "83.59",
    "best_bid": "83.590",
    "best_bid_size": "345.5",
    "best_ask": "83.600",
    "best_ask_size": "122.25",
    "side": "sell",
    "time": "2026-04-28T13:53:07.863886Z",
    "trade_id": 33,
    "last_size": "0.05",
}
MATCH: dict[str, Any] = {
    "type": "match",
    "trade_id": 216,
    "side": "buy",
    "size": "0.97",
    "price": "4.978",
    "product_id": "BTC-USD",
    "sequence": 25,
    "time": "2026-04-28T13:53:07.5Z",
}
TICKER_NS = 1_777_384_387_863_886_000


def parse(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(CoinbaseParser(), *frames)


def test_ticker() -> None:
    """A ticker is a quote to the microsecond; without sizes they are 0."""
    sizeless = {name: value for name, value in TICKER.items() if not name.endswith("_size")}
    events, skipped = parse(TICKER, sizeless)
    assert events == [
        Quote(Source.COINBASE, Asset.SOL, 83.59, 345.5, 83.6, 122.25, 28825, TICKER_NS, 5),
        Quote(Source.COINBASE, Asset.SOL, 83.59, 0.0, 83.6, 0.0, 28825, TICKER_NS, 5),
    ]
    assert skipped == {}


def test_side_of_a_match_is_the_makers() -> None:
    """A resting buy was hit by a taker who sold (reference 5.3)."""
    events, _ = parse(MATCH, {**MATCH, "side": "sell"})
    assert [event.taker_buys for event in events if isinstance(event, Trade)] == [False, True]
    assert [event.trade_id for event in events if isinstance(event, Trade)] == [216, 216]


def test_other_frames_are_counted() -> None:
    """An old match is no trade; other products, kinds and answers have their names."""
    events, skipped = parse(
        {**MATCH, "type": "last_match"},
        {**MATCH, "product_id": "ETC-GBP"},
        {"type": "subscriptions", "channels": []},
        {"type": "error", "message": "bad"},
        {"type": "heartbeat"},
        {},
        "{",
        "[]",
    )
    assert events == []
    assert skipped == {
        "control:error bad": 1,
        "control:subscriptions": 1,
        "ignored:last_match": 1,
        "malformed:not a JSON object": 2,
        "unknown:heartbeat": 1,
        "unknown:no type": 1,
        "unknown:product ETC-GBP": 1,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("best_bid", ""),
        ("best_bid", "NaN"),
        ("best_ask", "-1"),
        ("best_bid_size", "inf"),
        ("time", "yesterday"),
        ("time", "2026-04-28T13:53:07"),
        ("sequence", None),
    ],
)
def test_malformed_tickers_are_counted(field: str, value: object) -> None:
    """A ticker with a wrong field is no quote."""
    assert parse({**TICKER, field: value}) == ([], {"malformed:ticker": 1})


def test_time_before_the_epoch_is_counted() -> None:
    """The venue has sent the year 1."""
    frame = {**TICKER, "time": "0001-01-01T00:00:00.000000Z"}
    assert parse(frame) == ([], {"malformed:time before the epoch": 1})


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no event and no exception."""
    assert parse(raw)[0] == []


@given(st.sampled_from([TICKER, MATCH]), JSON_VALUES, st.data())
@settings(max_examples=100, deadline=None)
def test_never_raises_on_wrong_fields(
    frame: dict[str, Any], value: object, draw: st.DataObject
) -> None:
    """Any field with any value is an event or a count."""
    field = draw.draw(st.sampled_from(sorted(frame)))
    events, skipped = parse({**frame, field: value})
    assert events or skipped


def test_subscription() -> None:
    """Every asset has a product, and the channels need no credentials."""
    assert sorted(COINBASE_PRODUCTS.values()) == sorted(Asset)
    assert json.loads(subscribe_frame([Asset.BTC, Asset.XRP])) == {
        "type": "subscribe",
        "product_ids": ["BTC-USD", "XRP-USD"],
        "channels": ["matches", "ticker", "heartbeat"],
    }


def test_captured_frames() -> None:
    """Captures of 2019 to 2022: our product's tickers are quotes, the rest has its names."""
    text = shared_file("fixtures/binance/tardis_node/coinbase_exchange.jsonl").read_text()
    events, skipped = parse(*text.splitlines())
    assert [type(event) for event in events] == [Quote] * 3
    assert skipped == {"unknown:l2update": 3, "unknown:product ETC-GBP": 1, "unknown:snapshot": 2}


def test_recording_of_foreign_products() -> None:
    """A recording of 2021 of products that are not ours: every frame is known, none is ours."""
    path = shared_file("fixtures/binance/cryptofeed/COINBASE.ws.28.0.gz")
    with gzip.open(path, "rt") as lines:
        raws = [line.partition(": ")[2] for line in lines if line[:1].isdigit()]
    events, skipped = parse(*raws)
    products = sum(count for name, count in skipped.items() if name.startswith("unknown:product "))
    assert events == []
    # 107 tickers and 97 matches.
    assert products == 204
    assert {name: count for name, count in skipped.items() if "product" not in name} == {
        "control:subscriptions": 3,
        "ignored:last_match": 10,
        "unknown:l2update": 9719,
        "unknown:snapshot": 10,
    }
