"""Prices of the settlement source, from both sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import Asset, FeedEvent, ReferencePrice
from helpers.feeds.reference_price import (
    ReferenceControl,
    ReferencePriceParser,
    auth_frame,
    read_control,
    rtds_subscribe_frame,
    subscribe_frame,
)
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all
from tests.shared import shared_file

TWAP: dict[str, Any] = {
    "v": 1,
    "channel": "price.crypto.twap",
    "seq": 3,
    "ts": 1788886177001,
    "payload": {
        "symbol": "btcusd",
        "value": 78803.7152,
        "full_accuracy_value": "78803.715261094101516288",
        "timestamp": 1788886177000,
        "window_seconds": 60,
        "source": "chainlink",
    },
}
SNAPSHOT: dict[str, Any] = {
    "v": 1,
    "channel": "price.crypto",
    "seq": 1,
    "ts": 1,
    "snapshot": True,
    "payload": {
        "symbol": "zecusd",
        "source": "chainlink",
        "data": [{"timestamp": 1000, "value": 64.5}, {"timestamp": 2000, "value": 64.75}],
    },
}


def parse(*frames: object) -> tuple[list[FeedEvent], dict[str, int]]:
    return parse_all(ReferencePriceParser(), *frames)


def test_twap_is_stamped_with_the_time_of_its_price() -> None:
    """The tick at the start of a window is found by the price's time, not the push's (E.5)."""
    assert parse(TWAP) == (
        [ReferencePrice(Asset.BTC, "twap60", "chainlink", 78803.7152, 1788886177000000000, 5)],
        {},
    )


def test_snapshot_gives_every_tick() -> None:
    """A snapshot's ticks all come, oldest first; an empty one gives none."""
    empty = {**SNAPSHOT, "payload": {**SNAPSHOT["payload"], "data": []}}
    events, skipped = parse(SNAPSHOT, empty)
    assert events == [
        ReferencePrice(Asset.ZEC, "spot", "chainlink", 64.5, 1_000_000_000, 5),
        ReferencePrice(Asset.ZEC, "spot", "chainlink", 64.75, 2_000_000_000, 5),
    ]
    assert skipped == {}


@pytest.mark.parametrize("seconds", [30, 0, 61])
def test_only_the_60_second_twap_settles(seconds: int) -> None:
    """A mean over another window, or over one not stated, is not the settlement price."""
    frame = {**TWAP, "payload": {**TWAP["payload"], "window_seconds": seconds}}
    assert parse(frame) == ([], {f"ignored:twap of {seconds} s": 1})


def test_provider_is_kept() -> None:
    """Pyth was the default before October 2026 and must not pass for Chainlink."""
    frame = {**SNAPSHOT, "payload": {**SNAPSHOT["payload"], "source": "pyth"}}
    events, _ = parse(frame)
    assert {event.provider for event in events if isinstance(event, ReferencePrice)} == {"pyth"}


def test_legacy_frames() -> None:
    """The legacy socket's topics say provider and window; a mislabelled backfill is Chainlink's."""
    payload = {"symbol": "btc/usd", "timestamp": 1000, "value": 76.5}
    events, skipped = parse(
        {"topic": "crypto_prices_chainlink", "type": "update", "payload": payload},
        {
            "topic": "crypto_prices_twap_sixty",
            "type": "update",
            "payload": {**payload, "window_s": 60},
        },
        {
            "topic": "crypto_prices_twap_thirty",
            "type": "update",
            "payload": {**payload, "window_s": 30},
        },
        {"topic": "crypto_prices", "type": "update", "payload": {**payload, "symbol": "btcusdt"}},
        {
            "topic": "crypto_prices",
            "type": "subscribe",
            "payload": {"symbol": "btc/usd", "data": [{"timestamp": 1000, "value": 76.5}]},
        },
        {"topic": "equity_prices", "type": "update", "payload": {**payload, "symbol": "aapl"}},
        "",
    )
    assert [
        (event.kind, event.provider) for event in events if isinstance(event, ReferencePrice)
    ] == [
        ("spot", "chainlink"),
        ("twap60", "chainlink"),
        ("spot", "binance"),
        ("spot", "chainlink"),
    ]
    assert skipped == {"ignored:twap of 30 s": 1, "unknown:equity_prices": 1}


def test_control_frames() -> None:
    """Answers are counted by kind and can be read by whoever sent the question."""
    frames = [
        {"op": "authed", "rid": "a1"},
        {"op": "error", "code": "auth_invalid", "rid": "a1"},
        {"op": "subscribed", "channel": "price.crypto"},
        {"v": 1, "channel": "price.polymarket", "dropped": 3, "payload": []},
        {"body": {"message": "no such topic"}, "statusCode": 401},
    ]
    events, skipped = parse(*frames)
    assert events == []
    assert skipped == {
        "control:authed": 1,
        "control:dropped by the server": 3,
        "control:error 401": 1,
        "control:error auth_invalid": 1,
        "control:subscribed": 1,
        "unknown:price.polymarket": 1,
    }
    assert [read_control(json.dumps(frame)) for frame in frames] == [
        ReferenceControl("authed", "", ""),
        ReferenceControl("error", "auth_invalid", ""),
        ReferenceControl("subscribed", "", "price.crypto"),
        None,
        None,
    ]
    assert read_control("pong") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", -1),
        ("value", 0),
        ("value", "78803"),
        ("value", None),
        ("timestamp", "x"),
        ("timestamp", None),
        ("symbol", None),
    ],
)
def test_malformed_prices_are_counted(field: str, value: object) -> None:
    """A price that is none is no price."""
    frame = {**TWAP, "payload": {**TWAP["payload"], field: value}}
    assert parse(frame) == ([], {"malformed:price.crypto.twap": 1})


def test_other_symbols_are_counted() -> None:
    """A symbol that is not ours is no price of ours."""
    frame = {**TWAP, "payload": {**TWAP["payload"], "symbol": "adausd"}}
    assert parse(frame, "{", "[]") == ([], {"malformed:frame": 2, "unknown:symbol adausd": 1})


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no event and no exception."""
    assert parse(raw)[0] == []
    read_control(raw)


@given(st.sampled_from(sorted(TWAP["payload"])), JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_never_raises_on_wrong_fields(field: str, value: object) -> None:
    """Any field with any value is an event or a count."""
    events, skipped = parse({**TWAP, "payload": {**TWAP["payload"], field: value}})
    assert events or skipped


def test_frames_to_send() -> None:
    """The frames are those of reference E.1 and E.2."""
    assert json.loads(auth_frame("k", "s", "p")) == {
        "op": "auth",
        "rid": "auth",
        "auth": {"apiKey": "k", "secret": "s", "passphrase": "p"},
    }
    assert json.loads(subscribe_frame([Asset.BTC]))["subscriptions"] == [
        {"channel": "price.crypto.twap", "filter": {"symbol": "btcusd", "window_seconds": 60}},
        {"channel": "price.crypto", "filter": {"symbol": "btcusd", "provider": "chainlink"}},
    ]
    legacy = json.loads(rtds_subscribe_frame(Asset.ETH))
    assert legacy["subscriptions"][0]["filters"] == '{"symbol":"eth/usd"}'


def test_captured_frames() -> None:
    """The legacy frames of September 2026 give their prices; the 30 s means are not used."""
    path = shared_file("fixtures/polymarket/captured/rtds_frames_2026-09-05.json")
    capture = json.loads(path.read_text())
    events, skipped = parse(*capture["frames"], capture["rejection"])
    assert [
        (event.kind, event.provider) for event in events if isinstance(event, ReferencePrice)
    ] == [("spot", "binance"), ("spot", "chainlink"), ("twap60", "chainlink"), ("spot", "binance")]
    assert skipped == {"control:error 401": 1, "ignored:twap of 30 s": 2}


def test_documented_frames() -> None:
    """The documentation's PolyBolt examples give their prices, and each answer its count."""
    path = shared_file("fixtures/polymarket/captured/polybolt_frames_docs.json")
    examples = json.loads(path.read_text())
    events, skipped = parse(*examples["replies"], *examples["data"])
    assert [
        (event.kind, event.provider) for event in events if isinstance(event, ReferencePrice)
    ] == [("spot", "pyth"), ("spot", "pyth"), ("twap60", "chainlink")]
    assert skipped == {
        "control:authed": 1,
        "control:dropped by the server": 3,
        "control:error auth_invalid": 1,
        "control:error auth_required": 1,
        "control:error bad_filter": 1,
        "control:error sub_limit": 1,
        "control:pong": 1,
        "control:subscribed": 2,
        "unknown:price.polymarket": 3,
    }
