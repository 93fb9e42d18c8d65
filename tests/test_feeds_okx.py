"""OKX trades and quotes, in the base asset."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import Asset, FeedEvent, Quote, Source, Trade
from helpers.feeds.okx import OkxParser, subscribe_frame
from helpers.feeds.symbols import OKX_INSTRUMENTS
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all
from tests.shared import shared_file

TRADE_ROW: dict[str, Any] = {
    "instId": "BTC-USDT-SWAP",
    "tradeId": "148266905",
    "px": "48938.5",
    "sz": "5",
    "side": "buy",
    "ts": "1640131236050",
    "count": "3",
}
BOOK_ROW: dict[str, Any] = {
    "asks": [["38632.4", "727", "0", "22"]],
    "bids": [["38632.3", "990", "0", "22"]],
    "ts": "1651761120004",
    "seqId": 123,
}


def frame(channel: str, row: dict[str, Any], instrument: str = "BTC-USDT-SWAP") -> dict[str, Any]:
    return {"arg": {"channel": channel, "instId": instrument}, "data": [row]}


def parse(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(OkxParser(), *frames)


def test_contracts_become_base_asset() -> None:
    """A BTC contract is 0.01 BTC (reference 5.1); spot sizes are in the base asset already."""
    events, skipped = parse(
        frame("trades", TRADE_ROW),
        frame("trades", {**TRADE_ROW, "side": "sell"}, "BNB-USDT"),
        frame("bbo-tbt", BOOK_ROW),
    )
    assert events == [
        Trade(
            Source.OKX,
            Asset.BTC,
            148266905,
            48938.5,
            5 * 0.01,
            True,
            1640131236050000000,
            5,
        ),
        Trade(Source.OKX, Asset.BNB, 148266905, 48938.5, 5.0, False, 1640131236050000000, 5),
        Quote(
            Source.OKX,
            Asset.BTC,
            38632.3,
            990 * 0.01,
            38632.4,
            727 * 0.01,
            123,
            1651761120004000000,
            5,
        ),
    ]
    assert skipped == {}


def test_one_instrument_an_asset() -> None:
    """Every asset has one instrument, so that swap and spot prices never mix."""
    assert sorted(asset for asset, _ in OKX_INSTRUMENTS.values()) == sorted(Asset)
    assert parse(frame("trades", TRADE_ROW, "BTC-USDT")) == (
        [],
        {"unknown:instrument BTC-USDT": 1},
    )


def test_other_frames_are_counted() -> None:
    """The text pong is silent; answers, notices and other channels have their names."""
    events, skipped = parse(
        "pong",
        {"event": "subscribe", "arg": {"channel": "trades"}},
        {"event": "error", "code": "60012", "msg": "x"},
        {"event": "notice", "code": "64008", "msg": "x"},
        frame("tickers", {}),
        frame("bbo-tbt", {**BOOK_ROW, "asks": []}),
        "{}",
        "pon",
    )
    assert events == []
    assert skipped == {
        "control:error 60012": 1,
        "control:notice 64008": 1,
        "control:subscribe": 1,
        "ignored:one-sided book": 1,
        "malformed:frame": 2,
        "unknown:channel tickers": 1,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [("px", "NaN"), ("px", "0"), ("sz", "-1"), ("side", "none"), ("ts", ""), ("tradeId", "a")],
)
def test_malformed_trades_are_counted(field: str, value: object) -> None:
    """A trade with a wrong field is no trade."""
    assert parse(frame("trades", {**TRADE_ROW, field: value})) == ([], {"malformed:trades": 1})


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no event and no exception."""
    assert parse(raw)[0] == []


@given(st.sampled_from([("trades", TRADE_ROW), ("bbo-tbt", BOOK_ROW)]), JSON_VALUES, st.data())
@settings(max_examples=100, deadline=None)
def test_never_raises_on_wrong_fields(
    case: tuple[str, dict[str, Any]], value: object, draw: st.DataObject
) -> None:
    """Any field with any value is an event or a count."""
    channel, row = case
    field = draw.draw(st.sampled_from(sorted(row)))
    events, skipped = parse(frame(channel, {**row, field: value}))
    assert events or skipped


def test_subscription() -> None:
    """Trades and top of book of the one instrument of each asset."""
    assert json.loads(subscribe_frame([Asset.ETH, Asset.ZEC])) == {
        "op": "subscribe",
        "args": [
            {"channel": "trades", "instId": "ETH-USDT-SWAP"},
            {"channel": "bbo-tbt", "instId": "ETH-USDT-SWAP"},
            {"channel": "trades", "instId": "ZEC-USDT"},
            {"channel": "bbo-tbt", "instId": "ZEC-USDT"},
        ],
    }


def test_captured_frames() -> None:
    """Captures of 2019 to 2023: our instrument's trades and quotes pass, the rest has its names."""
    folder = "fixtures/binance/tardis_node"
    events, skipped = parse(*shared_file(f"{folder}/okx_swap_v5.jsonl").read_text().splitlines())
    assert [type(event) for event in events] == [Trade, Quote, Quote]
    assert skipped == {
        "unknown:channel books-l2-tbt": 1,
        "unknown:channel funding-rate": 2,
        "unknown:channel index-tickers": 1,
        "unknown:channel mark-price": 1,
        "unknown:channel open-interest": 1,
        "unknown:channel tickers": 2,
    }
    events, skipped = parse(*shared_file(f"{folder}/okx_spot_v5.jsonl").read_text().splitlines())
    assert events == []
    assert skipped == {
        "control:subscribe": 1,
        "unknown:channel books-l2-tbt": 2,
        "unknown:channel tickers": 1,
        "unknown:channel trades-all": 1,
        "unknown:instrument CRV-USDT": 1,
    }


def test_recording_of_foreign_instruments() -> None:
    """A recording of 2022 of instruments that are not ours: every frame is known, none is ours."""
    text = shared_file("fixtures/binance/cryptofeed/OKX.ws.1.0").read_text()
    raws = [line.partition(": ")[2] for line in text.splitlines() if line[:1].isdigit()]
    events, skipped = parse(*raws)
    assert events == []
    assert skipped == {
        "control:subscribe": 18,
        "unknown:channel books": 290,
        "unknown:channel tickers": 28,
        "unknown:instrument BTC-USD-220527": 4,
        "unknown:instrument BTC-USDT": 69,
        "unknown:instrument UNI-USD-SWAP": 1,
    }
