"""Bodies of reads: what is complete is typed, what is not fails the read (I18)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.clob import decoding
from helpers.clob.messages import (
    Balance,
    CancelReply,
    ClobMarket,
    Geoblock,
    HeartbeatReply,
    OpenOrder,
    RequestFailedError,
    VenuePosition,
)
from helpers.domain import FeeSchedule, Side
from helpers.feeds.polymarket_user import PolymarketUserParser

ORDER = {
    "id": "0xa1",
    "status": "ORDER_STATUS_LIVE",
    "market": "0xc1",
    "asset_id": "71",
    "side": "BUY",
    "price": "0.513",
    "original_size": "5",
    "size_matched": "1.25",
    "order_type": "GTC",
    "created_at": "1725842520",
    "associate_trades": None,
}
TRADE = {
    "id": "t1",
    "taker_order_id": "0xa1",
    "market": "0xc1",
    "asset_id": "71",
    "side": "BUY",
    "size": "5",
    "price": "0.52",
    "status": "TRADE_STATUS_MINED",
    "match_time": "1725958681",
    "outcome": "Up",
    "owner": "us",
    "transaction_hash": "0xff",
    "maker_orders": [],
    "trader_side": "TAKER",
}
POSITION = {
    "token_id": "71",
    "condition_id": "0xc1",
    "current_size": 12.345678,
    "avg_price": 0.53,
    "redeemable": False,
    "slug": "btc-updown-15m-1795000500",
    "outcome": "Up",
    "new_field": [1],
}
MARKET = {"mos": 5, "mts": 0.01, "fd": {"r": 0.07, "e": 1, "to": True}, "itode": True}
LAST = {"has_more": False, "next_cursor": None}


def encoded(fields: Mapping[str, object], **changed: object) -> bytes:
    """Return a body with some fields changed."""
    return msgspec.json.encode({**fields, **changed})


def without(fields: Mapping[str, object], name: str) -> bytes:
    """Return a body with a field missing."""
    return msgspec.json.encode({key: value for key, value in fields.items() if key != name})


def positions(pagination: Mapping[str, object], **changed: object) -> bytes:
    """Return a page with one position."""
    return msgspec.json.encode({"data": [POSITION | changed], "pagination": pagination})


def test_open_order() -> None:
    """The REST prefix is gone, amounts are micros, seconds may come as text (D.2)."""
    assert decoding.read_open_order(encoded(ORDER)) == OpenOrder(
        order_id="0xa1",
        condition_id="0xc1",
        token="71",
        side=Side.BUY,
        price_micros=513_000,
        original_micros=5_000_000,
        matched_micros=1_250_000,
        status="LIVE",
        order_type="GTC",
        created_seconds=1_725_842_520,
    )


def test_open_order_with_blanks_and_news() -> None:
    """A blank amount is unknown, a blank time 0, a new status is kept as text."""
    body = encoded(ORDER, original_size="", size_matched="", created_at="", status="THINKING")
    order = decoding.read_open_order(body)
    assert (order.original_micros, order.matched_micros) == (None, None)
    assert (order.created_seconds, order.status) == (0, "THINKING")


@pytest.mark.parametrize("name", ["id", "status", "market", "asset_id", "side", "price"])
def test_an_open_order_without_a_fact_fails(name: str) -> None:
    """What an order cannot be judged without must be there."""
    with pytest.raises(RequestFailedError):
        decoding.read_open_order(without(ORDER, name))


@pytest.mark.parametrize(
    "changed",
    [
        {"side": "HOLD"},
        {"price": "nan"},
        {"price": "7"},
        {"price": ""},
        {"price": "-0.1"},
        {"original_size": "five"},
        {"original_size": "inf"},
        {"size_matched": "-5"},
        {"size_matched": "1e305"},
        {"size_matched": None},
        {"created_at": "soon"},
        {"created_at": "9" * 5_000},
        {"id": ""},
    ],
)
def test_an_unreadable_open_order_fails(changed: dict[str, object]) -> None:
    """A number that is none fails the read by its own error, whatever it is."""
    with pytest.raises(RequestFailedError):
        decoding.read_open_order(encoded(ORDER, **changed))


def test_trade() -> None:
    """A row of REST is read as one of the channel, its prefix gone; unknown statuses stay (I21)."""
    parser = PolymarketUserParser()
    trade = decoding.read_trade(encoded(TRADE), parser, 7)
    assert (trade.trade_id, trade.status, trade.size_micros) == ("t1", "MINED", 5_000_000)
    news = decoding.read_trade(encoded(TRADE, status="TRADE_STATUS_NEW"), parser, 7)
    assert news.status == "NEW"


@pytest.mark.parametrize("body", [without(TRADE, "size"), without(TRADE, "id"), b"[]", b"3"])
def test_an_unreadable_trade_fails(body: bytes) -> None:
    """A trade that is skipped would be a lost fill."""
    with pytest.raises(RequestFailedError):
        decoding.read_trade(body, PolymarketUserParser(), 7)
    page = decoding.read_page(b'{"data":[' + body + b'],"next_cursor":"LTE="}', "x")
    with pytest.raises(RequestFailedError):
        decoding.read_trade(page.rows[0], PolymarketUserParser(), 7)


def test_pages() -> None:
    """Rows and where to go on; nothing after the last (B.2)."""
    first = decoding.read_page(b'{"data":[{},1],"next_cursor":"NTAw","limit":500}', "x")
    assert (first.rows, first.cursor) == ((b"{}", b"1"), "NTAw")
    assert decoding.read_page(b'{"data":[],"next_cursor":"LTE="}', "x").cursor == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"data":null,"next_cursor":"LTE="}',
        b'{"data":[]}',
        b'{"data":[],"next_cursor":null}',
        b'{"data":[],"next_cursor":""}',
        b'{"next_cursor":"LTE="}',
        b'{"data":[1',
        pytest.param(b'{"data":[' + b"[" * 100_000, id="deep"),
    ],
)
def test_an_incomplete_page_fails(body: bytes) -> None:
    """A page that does not say whether it is the last is no answer."""
    with pytest.raises(RequestFailedError):
        decoding.read_page(body, "/data/orders")


def test_balance() -> None:
    """Micro-units as they come; spenders in lower case (H.3)."""
    body = b'{"balance":"1000001","allowances":{"0xAB":"5","0xcd":7}}'
    assert decoding.read_balance(body) == Balance(1_000_001, (("0xab", 5), ("0xcd", 7)))
    assert decoding.read_balance(b'{"balance":"0","allowances":{}}') == Balance(0, ())


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"balance":"5"}',
        b'{"balance":"","allowances":{}}',
        b'{"balance":null,"allowances":{}}',
        b'{"balance":"1.5","allowances":{}}',
        b'{"balance":"-5","allowances":{}}',
        b'{"balance":"5","allowances":{"0xab":"all"}}',
        b'{"balance":"5","allowances":null}',
    ],
)
def test_an_unreadable_balance_fails(body: bytes) -> None:
    """Blank, negative or absent is not zero (I5, I18)."""
    with pytest.raises(RequestFailedError):
        decoding.read_balance(body)


def test_cancellation() -> None:
    """What went, and what stayed with the venue's reason (B.3)."""
    body = b'{"canceled":["0x1"],"not_canceled":{"0x2":"already canceled or matched"}}'
    expected = CancelReply(("0x1",), (("0x2", "already canceled or matched"),))
    assert decoding.read_cancel(body) == expected
    with pytest.raises(RequestFailedError):
        decoding.read_cancel(b'{"canceled":["0x1"]}')


def test_heartbeat_and_geoblock() -> None:
    """The id to send next may be empty (I); the region may be unnamed (H.7)."""
    body = b'{"error_msg":"Invalid Heartbeat ID","heartbeat_id":""}'
    assert decoding.read_heartbeat(body, accepted=False) == HeartbeatReply(False, "")
    assert decoding.read_geoblock(b'{"blocked":true}') == Geoblock(True, "", "")
    with pytest.raises(RequestFailedError):
        decoding.read_geoblock(b"{}")
    with pytest.raises(RequestFailedError):
        decoding.read_heartbeat(b"{}", accepted=True)


def test_positions() -> None:
    """A row in micros, and the cursor of the next page if there is one."""
    rows, cursor = decoding.read_positions(positions(LAST))
    assert cursor == ""
    assert rows == (
        VenuePosition(
            condition_id="0xc1",
            token="71",
            outcome="Up",
            slug="btc-updown-15m-1795000500",
            shares_micros=12_345_678,
            average_price_micros=530_000,
            redeemable=False,
        ),
    )
    assert decoding.read_positions(positions({"has_more": True, "next_cursor": "b"}))[1] == "b"
    assert decoding.read_positions(positions({"has_more": False, "next_cursor": "b"}))[1] == ""


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"data":[]}',
        b'{"data":[],"pagination":{}}',
        positions({"has_more": True, "next_cursor": None}),
        positions({"has_more": True}),
        positions(LAST, current_size=None),
        positions(LAST, current_size=-1.0),
        positions(LAST, current_size=1e305),
        positions(LAST, avg_price=1e305),
        positions(LAST, token_id=None),
    ],
)
def test_unreadable_positions_fail(body: bytes) -> None:
    """A list that may go on, or a size that is none, is no list."""
    with pytest.raises(RequestFailedError):
        decoding.read_positions(body)


def test_market() -> None:
    """Minimum, tick, fees and the taker's delay; neg risk is left out where false (B.2)."""
    assert decoding.read_market(encoded(MARKET)) == ClobMarket(
        minimum_shares_micros=5_000_000,
        tick_micros=10_000,
        fees=FeeSchedule(70_000, 1, True),
        neg_risk=False,
        taker_delay=True,
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"mts": 0},
        {"mts": 1},
        {"mts": -0.01},
        {"mts": None},
        {"mos": -5},
        {"mos": 1e305},
        {"fd": None},
        {"fd": {"r": -0.07, "e": 1}},
        {"fd": {"r": 1.5, "e": 1}},
        {"fd": {"r": 0.07}},
    ],
)
def test_unknown_facts_of_a_market_fail_closed(changed: dict[str, object]) -> None:
    """A tick, minimum or fee that cannot be is no fact (invariant 12)."""
    with pytest.raises(RequestFailedError):
        decoding.read_market(encoded(MARKET, **changed))


def test_version_and_closed_only_and_keys() -> None:
    """Single values are read, not defaulted."""
    assert decoding.read_version(b'{"version":2,"more":"x"}') == 2
    assert decoding.read_closed_only(b'{"closed_only":false}') is False
    assert decoding.read_api_keys(b'{"apiKeys":["a","b"]}') == ("a", "b")


@pytest.mark.parametrize(
    "read", [decoding.read_version, decoding.read_closed_only, decoding.read_api_keys]
)
@pytest.mark.parametrize("body", [b"{}", b"", b"null", b'{"version":"2","closed_only":0}'])
def test_missing_values_fail(read: Callable[[bytes], object], body: bytes) -> None:
    """Could not read is its own outcome, neither version 0 nor closed (I18)."""
    with pytest.raises(RequestFailedError):
        read(body)


def test_credentials_are_never_quoted() -> None:
    """An unreadable answer with a secret in it is told without its words (invariant 11)."""
    good = b'{"apiKey":"k","secret":"s","passphrase":"p"}'
    assert decoding.read_credentials(good).api_key == "k"
    for body in (b'{"secret":"hush"', b'{"secret":"hush","x":' + b"[" * 100_000, b'{"apiKey":1}'):
        with pytest.raises(RequestFailedError) as failed:
            decoding.read_credentials(body)
        assert "hush" not in repr(failed.value)
        assert failed.value.__cause__ is None


READERS: tuple[Callable[[bytes], object], ...] = (
    decoding.read_open_order,
    decoding.read_balance,
    decoding.read_cancel,
    decoding.read_geoblock,
    decoding.read_positions,
    decoding.read_market,
    decoding.read_version,
    decoding.read_closed_only,
    decoding.read_api_keys,
    decoding.read_credentials,
    lambda raw: decoding.read_page(raw, "x"),
    lambda raw: decoding.read_trade(raw, PolymarketUserParser(), 7),
    lambda raw: decoding.read_heartbeat(raw, True),
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.sampled_from(READERS), st.sampled_from([ORDER, TRADE, POSITION, MARKET]), st.data())
def test_nothing_but_the_typed_error(
    read: Callable[[bytes], object], sound: Mapping[str, object], draw: st.DataObject
) -> None:
    """Whatever a body holds, a reader returns a message or raises ``RequestFailedError``."""
    name = draw.draw(st.sampled_from(sorted(sound)))
    body = encoded(sound, **{name: draw.draw(_ANY)})
    with suppress(RequestFailedError):
        assert read(body) is not None
