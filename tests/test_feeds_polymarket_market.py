"""Frames of the market channel become events; what is wrong in them is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import (
    BestPrices,
    BookChange,
    BookSnapshot,
    FeedEvent,
    Level,
    LevelChange,
    MarketResolved,
    OutcomeTrade,
    Side,
    Source,
    TickSize,
)
from helpers.feeds.polymarket_market import (
    PolymarketMarketParser,
    subscribe_frame,
    subscribe_more_frame,
    unsubscribe_frame,
)
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all
from tests.shared import shared_file

CHANGE: dict[str, Any] = {
    "asset_id": "11",
    "price": "0.06",
    "size": "374.34",
    "side": "BUY",
    "hash": "aa",
    "best_bid": "0.07",
    "best_ask": "0.08",
}
PRICE_CHANGE: dict[str, Any] = {
    "market": "0xm",
    "price_changes": [CHANGE, {**CHANGE, "asset_id": "22", "price": "0.94", "side": "SELL"}],
    "timestamp": "1786728438403",
    "event_type": "price_change",
}
BOOK: dict[str, Any] = {
    "market": "0xm",
    "asset_id": "11",
    "timestamp": "1786728432337",
    "hash": "bb",
    "bids": [{"price": "0.001", "size": "2200.8"}],
    "asks": [{"price": "0.999", "size": "50"}],
    "tick_size": "0.001",
    "last_trade_price": "",
    "event_type": "book",
}
TRADE: dict[str, Any] = {
    "market": "0xm",
    "asset_id": "11",
    "price": "0.585",
    "size": "2.46",
    "fee_rate_bps": "0",
    "side": "SELL",
    "timestamp": "1786728467101",
    "event_type": "last_trade_price",
}


def parse(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(PolymarketMarketParser(), *frames)


def test_price_change() -> None:
    """Both tokens' levels come in one event, with prices, sizes and the venue's best prices."""
    events, skipped = parse(PRICE_CHANGE)
    assert events == [
        BookChange(
            "0xm",
            (
                LevelChange("11", 0.06, 374.34, Side.BUY, 0.07, 0.08),
                LevelChange("22", 0.94, 374.34, Side.SELL, 0.07, 0.08),
            ),
            1786728438403000000,
            5,
        )
    ]
    assert skipped == {}


def test_bytes_and_text_are_the_same() -> None:
    """A frame gives the same events as bytes, and inside an array."""
    events, _ = parse(json.dumps(PRICE_CHANGE).encode(), [PRICE_CHANGE], PRICE_CHANGE)
    assert events[0] == events[1] == events[2]


def test_book_with_and_without_tick() -> None:
    """The tick is 0 where the frame does not say."""
    untold = {name: value for name, value in BOOK.items() if name != "tick_size"}
    blank = {**BOOK, "tick_size": ""}
    events, skipped = parse([BOOK], untold, blank)
    book = BookSnapshot(
        "0xm", "11", (Level(0.001, 2200.8),), (Level(0.999, 50.0),), 1000, 1786728432337000000, 5
    )
    untold_book = BookSnapshot(
        "0xm", "11", (Level(0.001, 2200.8),), (Level(0.999, 50.0),), 0, 1786728432337000000, 5
    )
    assert events == [book, untold_book, untold_book]
    assert skipped == {"repaired:book": 1}


def test_body_of_get_book_is_a_book() -> None:
    """The REST body has no kind and the same fields."""
    body = {name: value for name, value in BOOK.items() if name != "event_type"}
    events, skipped = parse({**body, "min_order_size": "5", "neg_risk": False})
    assert [type(event) for event in events] == [BookSnapshot]
    assert skipped == {}


def test_other_kinds() -> None:
    """Trades, ticks, best prices and resolutions become their events; new markets are counted."""
    stamp = {"market": "0xm", "timestamp": "1786728467101"}
    tick = {**stamp, "event_type": "tick_size_change", "asset_id": "11", "new_tick_size": "0.001"}
    best = {**stamp, "event_type": "best_bid_ask", "asset_id": "11", "best_bid": "0.5"}
    end = {
        **stamp,
        "event_type": "market_resolved",
        "winning_asset_id": "22",
        "assets_ids": ["11", "22"],
    }
    events, skipped = parse(
        TRADE,
        tick,
        {**best, "best_ask": "0.6"},
        {**best, "best_ask": ""},
        end,
        {**stamp, "event_type": "new_market", "slug": "x"},
    )
    at = 1786728467101000000
    assert events == [
        OutcomeTrade("0xm", "11", 0.585, 2.46, Side.SELL, at, 5),
        TickSize("0xm", "11", 1000, at, 5),
        BestPrices("0xm", "11", 0.5, 0.6, at, 5),
        BestPrices("0xm", "11", 0.5, 0.0, at, 5),
        MarketResolved("0xm", "22", 0.0, Source.POLYMARKET_MARKET, at, 5),
    ]
    assert skipped == {"ignored:new_market": 1, "repaired:best_bid_ask": 1}


def test_winner_must_be_one_of_the_tokens() -> None:
    """A resolution for a token that is not the market's is no resolution."""
    end = {
        "event_type": "market_resolved",
        "market": "0xm",
        "timestamp": "1786728467101",
        "winning_asset_id": "33",
        "assets_ids": ["11", "22"],
    }
    assert parse(end) == ([], {"malformed:market_resolved": 1})
    assert parse({**end, "winning_asset_id": ""}) == ([], {"malformed:market_resolved": 1})


@pytest.mark.parametrize("raw", ["PONG", b"PONG", "", b""])
def test_silent_frames(raw: str | bytes) -> None:
    """Answers to pings and greetings are not even counted."""
    assert parse(raw) == ([], {})


def test_old_format_is_unknown() -> None:
    """A change at the top level is the format of before 2025-09 (reference C.3)."""
    old = {**CHANGE, "market": "0xm", "timestamp": "1", "event_type": "price_change"}
    assert parse(old) == ([], {"unknown:price_change without price_changes": 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", "NaN"),
        ("price", "inf"),
        ("price", "0"),
        ("price", "1"),
        ("price", ""),
        ("price", None),
        ("size", "-1"),
        ("size", "nan"),
        ("size", []),
        ("side", "BID"),
        ("asset_id", 7),
        ("best_bid", "nan"),
        ("best_ask", "2"),
    ],
)
def test_a_bad_level_is_counted_and_its_siblings_kept(field: str, value: object) -> None:
    """Bad levels never reach the book; the rest of the frame does."""
    frame = {**PRICE_CHANGE, "price_changes": [{**CHANGE, field: value}, CHANGE]}
    events, skipped = parse(frame)
    assert skipped == {"malformed:price_change level": 1}
    assert [event.changes for event in events if isinstance(event, BookChange)] == [
        (LevelChange("11", 0.06, 374.34, Side.BUY, 0.07, 0.08),)
    ]


def test_a_good_sibling_of_a_bad_element_is_read_whole() -> None:
    """A change beside something unreadable, or nothing but bad levels, or levels that are none."""
    bad = {**PRICE_CHANGE, "price_changes": [7, {**CHANGE, "price": "2"}]}
    events, skipped = parse([7, PRICE_CHANGE], bad)
    assert events == parse(PRICE_CHANGE)[0]
    assert skipped == {"malformed:not an object": 1, "malformed:price_change level": 2}


def test_blank_best_price_keeps_the_change() -> None:
    """An empty side is said with an empty string; the change is as good as any."""
    frame = {**PRICE_CHANGE, "price_changes": [{**CHANGE, "best_bid": "", "best_ask": None}]}
    events, skipped = parse(frame)
    assert events == [
        BookChange("0xm", (LevelChange("11", 0.06, 374.34, Side.BUY),), 1786728438403000000, 5)
    ]
    assert skipped == {"repaired:price_change level": 1}


def test_a_bad_element_keeps_its_siblings() -> None:
    """One malformed element of an array does not lose the others."""
    events, skipped = parse([BOOK, {**BOOK, "bids": "none"}, 7, {"event_type": "news"}, {}, TRADE])
    assert [type(event) for event in events] == [BookSnapshot, OutcomeTrade]
    assert skipped == {
        "malformed:book": 1,
        "malformed:not an object": 1,
        "unknown:news": 1,
        "unknown:no event_type": 1,
    }


@pytest.mark.parametrize("stamp", ["", "now", "-1", None, "1786728438403000000"])
def test_a_frame_without_a_time_is_refused(stamp: object) -> None:
    """Staleness is the age of venue data: a time is never made up (I16)."""
    assert parse({**PRICE_CHANGE, "timestamp": stamp}) == ([], {"malformed:price_change": 1})
    assert parse({**BOOK, "timestamp": stamp}) == ([], {"malformed:book": 1})


@pytest.mark.parametrize("length", range(1, 300, 13))
def test_truncated_frames_are_counted(length: int) -> None:
    """A frame cut anywhere is no event."""
    assert parse(json.dumps(PRICE_CHANGE)[:length]) == ([], {"malformed:not JSON": 1})


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no event and no exception."""
    assert parse(raw)[0] == []


@given(st.sampled_from([PRICE_CHANGE, BOOK, TRADE]), st.data())
@settings(max_examples=100, deadline=None)
def test_never_raises_on_wrong_fields(frame: dict[str, Any], draw: st.DataObject) -> None:
    """Any field with any value is an event or a count."""
    field = draw.draw(st.sampled_from(sorted(frame)))
    events, skipped = parse({**frame, field: draw.draw(JSON_VALUES)})
    assert events or skipped


def test_frames_to_send() -> None:
    """The frames are those of reference C.1, key for key."""
    assert json.loads(subscribe_frame(["1", "2"])) == {
        "type": "market",
        "assets_ids": ["1", "2"],
        "custom_feature_enabled": True,
    }
    assert json.loads(subscribe_more_frame(["3"])) == {
        "operation": "subscribe",
        "assets_ids": ["3"],
        "custom_feature_enabled": True,
    }
    assert json.loads(unsubscribe_frame(["1"])) == {"operation": "unsubscribe", "assets_ids": ["1"]}


@pytest.mark.parametrize(
    ("name", "kinds", "skipped"),
    [
        ("book", [BookSnapshot], {}),
        ("last_trade_price", [OutcomeTrade], {}),
        ("price_change", [], {"unknown:price_change without price_changes": 1}),
        ("price_change_v2", [BookChange], {}),
        ("tick_size_change", [TickSize], {}),
    ],
)
def test_recorded_frames(name: str, kinds: list[type], skipped: dict[str, int]) -> None:
    """Frames recorded in 2024 and 2025 give their events."""
    path = shared_file(f"fixtures/polymarket/nautilus_py_resources/ws_messages/{name}.json")
    events, counted = parse(path.read_text())
    assert [type(event) for event in events] == kinds
    assert counted == skipped


def test_captured_frames_of_2026() -> None:
    """The capture of August 2026 gives every event and nothing is skipped."""
    path = shared_file("fixtures/polymarket/captured/clob_ws_frames_2026-08-14.json")
    capture = json.loads(path.read_text())
    events, skipped = parse(*capture["frames"], capture["rest_book"])
    kinds = [BookSnapshot, BookChange, OutcomeTrade, BestPrices, BookSnapshot]
    assert [type(event) for event in events] == kinds
    assert skipped == {}


def test_recorded_rest_book() -> None:
    """A REST book of June 2026 gives all its levels."""
    path = shared_file("fixtures/polymarket/hugompt_microstructure_lab/clob_book.json")
    body = json.loads(path.read_text())
    events, skipped = parse(body)
    assert [
        (len(event.bids), len(event.asks), event.tick_micros)
        for event in events
        if isinstance(event, BookSnapshot)
    ] == [(len(body["bids"]), len(body["asks"]), 10_000)]
    assert skipped == {}
