"""Our orders and trades become typed messages; unknown amounts never become zero."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import Side
from helpers.feeds.polymarket_user import (
    PolymarketUserParser,
    UserMakerOrder,
    UserOrder,
    UserTrade,
    user_subscribe_frame,
    user_subscribe_more_frame,
    user_unsubscribe_frame,
)
from tests.feed_parsing import HOSTILE, JSON_VALUES, parse_all
from tests.shared import shared_file

ORDER: dict[str, Any] = {
    "asset_id": "11",
    "associate_trades": None,
    "created_at": "1725842520",
    "event_type": "order",
    "expiration": "0",
    "id": "0xo",
    "market": "0xm",
    "order_type": "GTC",
    "original_size": "5",
    "outcome": "Up",
    "owner": "me",
    "price": "0.513",
    "side": "BUY",
    "size_matched": "0",
    "status": "LIVE",
    "timestamp": "1725842520990",
    "type": "PLACEMENT",
}
MAKER: dict[str, Any] = {
    "asset_id": "11",
    "matched_amount": "5",
    "order_id": "0xr",
    "outcome": "Up",
    "owner": "you",
    "price": "0.52",
    "side": "SELL",
}
TRADE: dict[str, Any] = {
    "asset_id": "11",
    "event_type": "trade",
    "id": "t1",
    "maker_orders": [MAKER],
    "market": "0xm",
    "match_time": "1725958681",
    "outcome": "Up",
    "owner": "me",
    "price": "0.52",
    "side": "BUY",
    "size": "5",
    "status": "MATCHED",
    "taker_order_id": "0xo",
    "timestamp": "1725958682125",
    "trader_side": "TAKER",
    "transaction_hash": "0xh",
    "type": "TRADE",
}


def parse(*frames: object) -> tuple[list[UserOrder | UserTrade], dict[str, int]]:
    return parse_all(PolymarketUserParser(), *frames)


def test_order() -> None:
    """An order is read in micro-units and nanoseconds."""
    events, skipped = parse(ORDER)
    assert events == [
        UserOrder(
            order_id="0xo",
            kind="PLACEMENT",
            condition_id="0xm",
            token="11",
            side=Side.BUY,
            price_micros=513_000,
            original_micros=5_000_000,
            matched_micros=0,
            order_type="GTC",
            status="LIVE",
            owner="me",
            trade_ids=(),
            venue_ns=1725842520990000000,
            received_ns=5,
        )
    ]
    assert skipped == {}


def test_blank_amounts_stay_unknown() -> None:
    """A blank matched size is not zero: what could not be read is its own answer (I18)."""
    events, skipped = parse({**ORDER, "size_matched": "", "original_size": None, "timestamp": ""})
    assert [
        (event.matched_micros, event.original_micros, event.venue_ns)
        for event in events
        if isinstance(event, UserOrder)
    ] == [(None, None, 0)]
    assert skipped == {}


def test_unknown_statuses_survive_as_text() -> None:
    """A status we do not know is kept and counted; free text after CANCELED_ is known."""
    events, skipped = parse(
        {**ORDER, "status": "CANCELED_order couldn't be fully filled."},
        {**ORDER, "status": "ORDER_STATUS_LIVE"},
        {**ORDER, "status": "PAUSED", "type": "AMENDMENT"},
        {**TRADE, "status": "TRADE_STATUS_CONFIRMED"},
        {**TRADE, "status": "REVERTED"},
    )
    assert [event.status for event in events] == [
        "CANCELED_order couldn't be fully filled.",
        "LIVE",
        "PAUSED",
        "CONFIRMED",
        "REVERTED",
    ]
    assert skipped == {
        "unknown:order status PAUSED": 1,
        "unknown:order type AMENDMENT": 1,
        "unknown:trade status REVERTED": 1,
    }


def test_trade_with_its_maker_orders() -> None:
    """A trade holds what we need as taker (top level) and as maker (our entry)."""
    events, _ = parse([TRADE])
    assert events == [
        UserTrade(
            trade_id="t1",
            status="MATCHED",
            condition_id="0xm",
            token="11",
            side=Side.BUY,
            outcome="Up",
            price_micros=520_000,
            size_micros=5_000_000,
            taker_order_id="0xo",
            trader_side="TAKER",
            maker_orders=(UserMakerOrder("0xr", "you", "11", Side.SELL, "Up", 520_000, 5_000_000),),
            owner="me",
            transaction_hash="0xh",
            matched_ns=1725958681000000000,
            venue_ns=1725958682125000000,
            received_ns=5,
        )
    ]


def test_match_time_variants() -> None:
    """The time of the match has two names, and comes in seconds or milliseconds."""
    other = {name: value for name, value in TRADE.items() if name != "match_time"}
    events, _ = parse(
        {**other, "matchtime": "1725958681000"}, {**other, "matchtime": 1725958681}, other
    )
    at = 1725958681000000000
    assert [event.matched_ns for event in events if isinstance(event, UserTrade)] == [at, at, 0]


@pytest.mark.parametrize(
    ("asset_id", "outcome", "side"),
    [("11", "Up", Side.SELL), ("22", "Down", Side.BUY), ("11", "Down", None)],
)
def test_maker_side_where_it_is_not_said(asset_id: str, outcome: str, side: Side | None) -> None:
    """Orders on one token meet with opposite sides, on two tokens with the same; else unknown."""
    maker = {**MAKER, "asset_id": asset_id, "outcome": outcome}
    del maker["side"]
    events, _ = parse({**TRADE, "maker_orders": [maker]})
    assert [event.maker_orders[0].side for event in events if isinstance(event, UserTrade)] == [
        side
    ]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ({**ORDER, "price": ""}, "malformed:order price"),
        ({**ORDER, "price": "1"}, "malformed:order price"),
        ({**ORDER, "side": "buy"}, "malformed:order side"),
        ({**ORDER, "id": ""}, "malformed:order id"),
        ({**ORDER, "size_matched": "-1"}, "malformed:order size_matched"),
        ({**ORDER, "timestamp": "soon"}, "malformed:order timestamp"),
        ({**TRADE, "size": ""}, "malformed:trade size"),
        ({**TRADE, "size": "NaN"}, "malformed:trade size"),
        ({**TRADE, "maker_orders": None}, "malformed:trade maker_orders"),
        ({**TRADE, "maker_orders": [7]}, "malformed:trade maker_orders"),
        (
            {**TRADE, "maker_orders": [{**MAKER, "matched_amount": ""}]},
            "malformed:trade matched_amount",
        ),
        ({"event_type": "alert"}, "unknown:alert"),
        ({}, "unknown:no event_type"),
        ("nonsense", "malformed:not JSON"),
        ("7", "malformed:not an object"),
    ],
)
def test_unreadable_messages_are_counted(frame: object, reason: str) -> None:
    """A message without an amount, a price or an id is no message, and its name says why."""
    assert parse(frame) == ([], {reason: 1})


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_never_raises(raw: bytes | str) -> None:
    """Whatever comes gives no message and no exception."""
    assert parse(raw)[0] == []


@given(st.sampled_from([ORDER, TRADE]), JSON_VALUES, st.data())
@settings(max_examples=100, deadline=None)
def test_never_raises_on_wrong_fields(
    frame: dict[str, Any], value: object, draw: st.DataObject
) -> None:
    """Any field with any value is a message or a count."""
    field = draw.draw(st.sampled_from(sorted(frame)))
    events, skipped = parse({**frame, field: value})
    assert events or skipped


def test_frames_to_send() -> None:
    """The frames are those of reference D.1, without markets for all of them."""
    auth = {"apiKey": "k", "secret": "s", "passphrase": "p"}
    assert json.loads(user_subscribe_frame("k", "s", "p")) == {"type": "user", "auth": auth}
    assert json.loads(user_subscribe_frame("k", "s", "p", ["0xm"])) == {
        "type": "user",
        "auth": auth,
        "markets": ["0xm"],
    }
    assert json.loads(user_subscribe_more_frame(["0xm"])) == {
        "operation": "subscribe",
        "markets": ["0xm"],
    }
    assert json.loads(user_unsubscribe_frame(["0xm"])) == {
        "operation": "unsubscribe",
        "markets": ["0xm"],
    }


@pytest.mark.parametrize(
    ("name", "kind", "status", "makers"),
    [
        ("order_placement", UserOrder, "LIVE", 0),
        ("order_cancel", UserOrder, "CANCELED", 0),
        ("trades", UserTrade, "CONFIRMED", 1),
        ("user_trade1", UserTrade, "MINED", 6),
        ("user_trade2", UserTrade, "MATCHED", 1),
        ("user_trade3", UserTrade, "CONFIRMED", 1),
        ("user_trade4", UserTrade, "CONFIRMED", 3),
    ],
)
def test_recorded_frames(name: str, kind: type, status: str, makers: int) -> None:
    """Frames recorded in 2024 and 2025, the maker's side and a mint match among them, are read."""
    path = shared_file(f"fixtures/polymarket/nautilus_py_resources/ws_messages/{name}.json")
    events, skipped = parse(path.read_text())
    assert [(type(event), event.status) for event in events] == [(kind, status)]
    assert [len(event.maker_orders) for event in events if isinstance(event, UserTrade)] == (
        [makers] if makers else []
    )
    assert skipped == {}


def test_recorded_mint_match() -> None:
    """In a recorded mint match the sides are implied: what was paid adds up to what was minted."""
    folder = "fixtures/polymarket/nautilus_py_resources/ws_messages"
    events, _ = parse(shared_file(f"{folder}/user_trade1.json").read_text())
    trade = events[0]
    assert isinstance(trade, UserTrade)
    for maker in trade.maker_orders:
        same = maker.token == trade.token
        opposite = Side.SELL if trade.side is Side.BUY else Side.BUY
        assert maker.side is (opposite if same else trade.side)
    assert {maker.token == trade.token for maker in trade.maker_orders} == {True, False}
    assert sum(maker.matched_micros for maker in trade.maker_orders) == trade.size_micros
