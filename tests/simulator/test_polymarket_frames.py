"""Channel texts and REST bodies: parse, mirror, hash, and the key sets of real samples."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from helpers.domain import NS_PER_SECOND, Outcome, Side
from simulator import clob_bodies, gamma_bodies, refusals
from simulator.book_text import rest_book
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    COLLATERAL,
    BookChanged,
    BookPublished,
    CancelReply,
    HeartbeatAccepted,
    HeartbeatMismatch,
    MarketResolved,
    MarketTraded,
    OrderAccepted,
    OrderChanged,
    OrderHeld,
    TickSizeChanged,
    TradeChanged,
)
from simulator.matching import TimeInForce
from simulator.polymarket_frames import MarketFrames, UserFrames
from simulator.wire_text import closed_time_text, iso_micro_text, micros_text
from tests.shared import shared_file
from tests.simulator.venue import (
    CONDITION,
    DOWN_TOKEN,
    LISTING,
    SHARE,
    T0,
    UP_TOKEN,
    accepted,
    order,
    quote,
    venue,
)

UP, DOWN, BUY, SELL = Outcome.UP, Outcome.DOWN, Side.BUY, Side.SELL
SAMPLES = "fixtures/polymarket/"


def parsed(text: str) -> Any:
    return msgspec.json.decode(text)


def sample(relative: str) -> Any:
    return msgspec.json.decode(shared_file(SAMPLES + relative).read_bytes())


def traded() -> tuple[Exchange, list[Any]]:
    """Return a venue where ann took from bob (mint) and the house, and its events."""
    exchange = venue()
    quote(exchange, 0.49, 0.52)
    accepted(exchange.place(order("bob", DOWN, BUY, 0.49, 20), T0))
    exchange.drain()
    accepted(exchange.place(order("ann", UP, BUY, 0.52, 30, TimeInForce.FAK), T0))
    exchange.advance(T0 + 60 * NS_PER_SECOND)
    return exchange, list(exchange.drain())


def first(events: list[Any], kind: type[Any]) -> Any:
    return next(event for event in events if isinstance(event, kind))


# Market channel.


def test_price_change_names_both_tokens_as_mirrors():
    """Each level appears for Up and, mirrored, for Down, with best prices after the change."""
    exchange = venue()
    quote(exchange, 0.49, 0.51)
    texts = [e for e in exchange.drain() if isinstance(e, BookChanged)]
    frames = MarketFrames(LISTING)
    one, two = (parsed(frames.price_change(event)) for event in texts)
    assert one["event_type"] == "price_change"
    up, down = one["price_changes"]
    assert (up["asset_id"], up["price"], up["size"], up["side"]) == (UP_TOKEN, "0.49", "100", "BUY")
    assert (down["asset_id"], down["price"], down["size"], down["side"]) == (
        DOWN_TOKEN,
        "0.51",
        "100",
        "SELL",
    )
    assert (up["best_bid"], up["best_ask"]) == ("0.49", "1")
    assert (down["best_bid"], down["best_ask"]) == ("0", "0.51")
    after = two["price_changes"][1]
    assert (after["side"], after["best_bid"], after["best_ask"]) == ("BUY", "0.49", "0.51")
    hashes = [c["hash"] for frame in (one, two) for c in frame["price_changes"]]
    assert len(set(hashes)) == 4
    assert all(len(h) == 40 for h in hashes)


def test_a_removed_level_has_size_zero():
    """A cancel is a change to size 0 (reference C.3)."""
    exchange = venue()
    quote(exchange)
    accepted(exchange.place(order("ann", UP, BUY, 0.40, 5, order_id="gone"), T0))
    exchange.drain()
    exchange.cancel("ann", ("gone",), T0)
    event = first(list(exchange.drain()), BookChanged)
    assert parsed(MarketFrames(LISTING).price_change(event))["price_changes"][0]["size"] == "0"


def test_books_are_best_last_and_mirrored():
    """A book lists bids upwards and asks downwards; Down's is Up's mirror (reference C.2)."""
    exchange = venue()
    quote(exchange, 0.49, 0.51)
    quote(exchange, 0.48, 0.53, 7.5)
    market = exchange.market(CONDITION)
    frames = MarketFrames(LISTING)
    up = parsed(frames.book(market, UP, T0))
    down = parsed(frames.book(market, DOWN, T0))
    assert [level["price"] for level in up["bids"]] == ["0.48", "0.49"]
    assert [level["price"] for level in up["asks"]] == ["0.53", "0.51"]
    assert down["bids"] == [{"price": "0.47", "size": "7.5"}, {"price": "0.49", "size": "100"}]
    assert up["tick_size"] == "0.01"
    assert up["last_trade_price"] == ""


def test_the_rest_book_hash_reproduces():
    """SHA-1 over the compact body with an empty hash gives the hash it carries (reference C.6)."""
    exchange, _ = traded()
    market = exchange.market(CONDITION)
    for outcome in Outcome:
        text = rest_book(market, outcome)
        body = parsed(text)
        emptied = text.replace(body["hash"], "")
        assert hashlib.sha1(emptied.encode()).hexdigest() == body["hash"]
        assert body["neg_risk"] is False
        keys = list(body)
        assert keys == list(sample("hugompt_microstructure_lab/clob_book.json"))


def test_a_real_books_hash_follows_the_same_recipe():
    """The recipe that our hash uses reproduces a real book's hash."""
    path = shared_file(SAMPLES + "hugompt_microstructure_lab/clob_book.json")
    text = path.read_text().strip()
    body = parsed(text)
    compact = msgspec.json.encode({**body, "hash": ""}).decode()
    assert hashlib.sha1(compact.encode()).hexdigest() == body["hash"]


def test_events_after_a_trade_become_frames():
    """Trade, whole books, best prices: each parses and agrees with the other."""
    exchange, events = traded()
    frames = MarketFrames(LISTING)
    trades = [e for e in events if isinstance(e, MarketTraded)]
    texts = [parsed(frames.last_trade_price(event)) for event in trades]
    assert [(t["asset_id"], t["price"], t["size"], t["side"]) for t in texts] == [
        (UP_TOKEN, "0.51", "20", "BUY"),
        (UP_TOKEN, "0.52", "10", "BUY"),
    ]
    up, down = (
        parsed(text)
        for text in frames.books(exchange.market(CONDITION), first(events, BookPublished))
    )
    assert up["asks"][-1] == {"price": "0.52", "size": "90"}
    assert down["bids"][-1] == {"price": "0.48", "size": "90"}
    assert "tick_size" not in up
    change = first(events, BookChanged)
    best_up, best_down = (parsed(text) for text in frames.best_bid_ask(change))
    assert (best_up["best_bid"], best_up["best_ask"], best_up["spread"]) == ("0.49", "0.52", "0.03")
    assert (best_down["best_bid"], best_down["best_ask"]) == ("0.48", "0.51")
    assert frames.best_bid_ask(change) == ()


def test_tick_listing_and_resolution_frames():
    """Tick changes name both tokens; listing and resolution name the market."""
    exchange = venue()
    quote(exchange, 0.96, 0.98)
    frames = MarketFrames(LISTING)
    up, down = map(parsed, frames.tick_size_change(first(list(exchange.drain()), TickSizeChanged)))
    assert (up["asset_id"], down["asset_id"]) == (UP_TOKEN, DOWN_TOKEN)
    assert (up["old_tick_size"], up["new_tick_size"]) == ("0.01", "0.001")
    resolved = parsed(frames.market_resolved(MarketResolved(CONDITION, DOWN, T0)))
    assert (resolved["winning_asset_id"], resolved["winning_outcome"]) == (DOWN_TOKEN, "Down")
    assert parsed(frames.new_market(T0))["clob_token_ids"] == [UP_TOKEN, DOWN_TOKEN]


CHANNEL_SAMPLES = [
    ("nautilus_rust_test_data/ws_market_new_market_msg.json", "new_market"),
    ("nautilus_rust_test_data/ws_market_resolved_msg.json", "market_resolved"),
    ("nautilus_rust_test_data/ws_market_best_bid_ask_msg.json", "best_bid_ask"),
    ("nautilus_py_resources/ws_messages/tick_size_change.json", "tick_size_change"),
    ("nautilus_py_resources/ws_messages/order_placement.json", "order"),
    ("nautilus_py_resources/ws_messages/user_trade1.json", "trade"),
]


@pytest.mark.parametrize(("path", "kind"), CHANNEL_SAMPLES)
def test_channel_frames_have_the_keys_of_real_ones(path: str, kind: str):
    """Every key of a real frame is in ours, with a value of the same JSON type."""
    exchange, events = traded()
    frames, user = MarketFrames(LISTING), UserFrames(exchange.accounts)
    texts = {
        "new_market": lambda: frames.new_market(T0),
        "market_resolved": lambda: frames.market_resolved(MarketResolved(CONDITION, UP, T0)),
        "best_bid_ask": lambda: frames.best_bid_ask(first(events, BookChanged))[0],
        "tick_size_change": lambda: frames.tick_size_change(
            TickSizeChanged(CONDITION, 10_000, 1_000, T0)
        )[0],
        "order": lambda: user.order(first(events, OrderChanged)),
        "trade": lambda: user.trade(first(events, TradeChanged)),
    }
    ours = parsed(texts[kind]())
    real = sample(path)
    real.pop("hash", None)
    for key, value in real.items():
        assert key in ours, key
        if value is not None and ours[key] is not None:
            assert type(ours[key]) is type(value), key
    if kind == "trade":
        assert set(real["maker_orders"][0]) <= set(ours["maker_orders"][0])


def test_real_market_frames_have_our_keys():
    """Our book, price_change and last_trade_price have exactly the keys of captured frames."""
    captured = sample("captured/clob_ws_frames_2026-08-14.json")["frames"]
    exchange, events = traded()
    frames = MarketFrames(LISTING)
    ours: list[Any] = [
        [parsed(frames.book(exchange.market(CONDITION), UP, T0))],
        parsed(frames.price_change(first(events, BookChanged))),
        parsed(frames.last_trade_price(first(events, MarketTraded))),
        parsed(frames.best_bid_ask(first(events, BookChanged))[0]),
    ]
    assert [list(frame) for frame in ours[0]] == [list(frame) for frame in captured[0]]
    for mine, real in zip(ours[1:], captured[1:], strict=True):
        assert list(mine) == list(real)
    assert list(ours[1]["price_changes"][0]) == list(captured[1]["price_changes"][0])


# User channel.


def test_the_maker_sees_the_takers_view_and_finds_its_own_order():
    """To a maker the top level is the counterparty; its own part is in maker_orders (D.4)."""
    exchange, events = traded()
    user = UserFrames(exchange.accounts)
    mine = [e for e in events if isinstance(e, TradeChanged) and e.account == "bob"]
    frames = [parsed(user.trade(event)) for event in mine]
    assert [frame["status"] for frame in frames] == ["MATCHED", "MINED", "CONFIRMED"]
    assert [bool(frame["transaction_hash"]) for frame in frames] == [False, True, True]
    frame = frames[0]
    assert frame["trader_side"] == "MAKER"
    assert (frame["asset_id"], frame["side"], frame["size"]) == (UP_TOKEN, "BUY", "30")
    assert frame["price"] == "0.513333"
    own = next(o for o in frame["maker_orders"] if o["owner"] == user.owner_key("bob"))
    assert (own["asset_id"], own["side"], own["price"], own["matched_amount"]) == (
        DOWN_TOKEN,
        "BUY",
        "0.49",
        "20",
    )


def test_owners_and_addresses_are_the_accounts_own():
    """Accounts with keys and wallets show theirs, others made ones, the same each time."""
    exchange = venue()
    wallet = "0x" + "12" * 20
    account = exchange.accounts.open("w", signer=wallet, maker_address=wallet)
    user = UserFrames(exchange.accounts)
    assert user.owner_key("w") == user.owner_key("w")
    key = exchange.accounts.create_key(account, 0).api_key
    assert user.owner_key("w") == key
    assert user.address("w") == wallet
    assert user.address("house") == UserFrames(exchange.accounts).address("house")
    assert len(user.address("stranger")) == 42


# REST.


def test_order_answers_have_the_venues_shapes():
    """Live, matched, delayed and refused answers have the documented bodies (reference B.3)."""
    shapes = sample("captured/rest_error_and_response_bodies.json")
    live = clob_bodies.order_answer(OrderAccepted("0x1", "live"))
    matched = clob_bodies.order_answer(
        OrderAccepted("0x1", "matched", 4_840_000, 5_149_000, ("t",))
    )
    delayed = clob_bodies.order_answer(OrderHeld("0x1", T0))
    for answer, name in (
        (live, "post_order_live"),
        (matched, "post_order_matched_buy"),
        (delayed, "post_order_delayed"),
    ):
        body = parsed(answer.body)
        assert answer.status == 200
        assert list(body) == list(shapes[name])
        for key in ("status", "makingAmount", "takingAmount"):
            assert body[key] == shapes[name][key]
    for refusal, name in (
        (refusals.BALANCE, "err_400_balance"),
        (refusals.INVALID_API_KEY, "err_401"),
        (refusals.INVALID_L1, "err_401_l1"),
        (refusals.NO_API_KEY_YET, "err_400_no_api_key_yet"),
        (refusals.CANCEL_ONLY, "err_503_cancel_only"),
        (refusals.DISABLED, "err_503_disabled"),
        (refusals.post_only_mode(60), "err_503_post_only"),
    ):
        answer = clob_bodies.order_answer(refusal)
        assert parsed(answer.body) == shapes[name]
        assert str(answer.status) in name or name == "err_401"
    killed = parsed(clob_bodies.order_answer(refusals.killed("0x1", fok=True)).body)
    assert killed["error"] == shapes["err_400_fok"]["error"]
    assert killed["orderID"] == "0x1"
    leg = clob_bodies.batch_answer((refusals.BALANCE, OrderAccepted("0x2", "live")))
    assert parsed(leg.body)[0] == shapes["batch_leg_rejected"]


def test_cancel_and_heartbeat_answers():
    """Cancels list what could not be; heartbeats are answered 200 or 400 with an id."""
    answer = clob_bodies.cancel_answer(CancelReply(("0x1",), (("0x2", refusals.NOT_CANCELED),)))
    assert parsed(answer.body) == {
        "canceled": ["0x1"],
        "not_canceled": {"0x2": "already canceled or matched"},
    }
    assert clob_bodies.cancel_answer(refusals.RESTARTING).retry_after_seconds == 1
    fine = clob_bodies.heartbeat_answer(HeartbeatAccepted("n"))
    stale = clob_bodies.heartbeat_answer(HeartbeatMismatch("n"))
    assert (fine.status, parsed(fine.body)) == (200, {"heartbeat_id": "n"})
    assert (stale.status, parsed(stale.body)) == (
        400,
        {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": "n"},
    )


def test_orders_and_trades_pages():
    """Rows have the keys of recorded rows; pages chain by cursor and end with LTE=."""
    exchange, _ = traded()
    user = UserFrames(exchange.accounts)
    for index in range(3):
        accepted(exchange.place(order("bob", UP, BUY, 0.40, 5, order_id=f"o{index}"), T0))
    page = parsed(clob_bodies.orders_page(exchange.open_orders("bob"), user))
    assert [row["id"] for row in page["data"]] == ["o0", "o1", "o2"]
    assert (page["next_cursor"], page["count"]) == ("LTE=", 3)
    one = exchange.order("bob", "o1")
    assert one is not None
    assert parsed(clob_bodies.order_body(one, user)) == page["data"][1]
    trades = parsed(clob_bodies.trades_page(exchange.trades("ann"), user))["data"]
    assert trades[0]["status"] == "TRADE_STATUS_CONFIRMED"
    plain = parsed(clob_bodies.trades_page(exchange.trades("ann"), user, prefixed=False))["data"]
    assert plain[0]["status"] == "CONFIRMED"
    real_order = sample("nautilus_rust_test_data/http_open_orders_page.json")["data"][0]
    real_trade = sample("nautilus_rust_test_data/http_trade_report.json")
    assert set(page["data"][0]) == set(real_order)
    assert set(trades[0]) == set(real_trade)
    assert set(trades[0]["maker_orders"][0]) == set(real_trade["maker_orders"][0])


def test_pages_are_bounded_and_bad_cursors_are_errors():
    """A long list comes in pages; a cursor that is none raises."""
    exchange = venue()
    user = UserFrames(exchange.accounts)
    accepted(exchange.place(order("bob", UP, BUY, 0.40, 5), T0))
    many = exchange.open_orders("bob") * (clob_bodies.PAGE_ROWS_MAX + 1)
    page = parsed(clob_bodies.orders_page(many, user))
    assert page["count"] == clob_bodies.PAGE_ROWS_MAX
    rest = parsed(clob_bodies.orders_page(many, user, page["next_cursor"]))
    assert (rest["count"], rest["next_cursor"]) == (1, "LTE=")
    assert parsed(clob_bodies.orders_page(many, user, "LTE="))["data"] == []
    with pytest.raises(ValueError, match="cursor was"):
        clob_bodies.orders_page(many, user, "nonsense")


def test_balance_allowance_shows_the_cached_view():
    """Balances are integers in micro-units with a map of allowances (reference H.3)."""
    exchange = venue()
    ann = exchange.accounts.get("ann")
    body = parsed(clob_bodies.balance_allowance(ann, COLLATERAL))
    assert body["balance"] == str(1_000 * SHARE)
    assert int(body["allowances"]["0xE111180000d2663C0091e4f400237545B87B996B"]) > 0
    assert parsed(clob_bodies.balance_allowance(ann, UP_TOKEN))["balance"] == "0"


def test_market_facts_over_rest():
    """Small bodies: tick, fee, time, version, touch prices, market by token, market info."""
    exchange = venue()
    market = exchange.market(CONDITION)
    assert clob_bodies.midpoint(market, UP) is None
    assert clob_bodies.spread(market, UP) is None
    assert clob_bodies.price(market, DOWN, BUY) is None
    quote(exchange, 0.49, 0.52)
    assert parsed(clob_bodies.midpoint(market, DOWN) or "")["mid"] == "0.495"
    assert parsed(clob_bodies.price(market, DOWN, BUY) or "")["price"] == "0.48"
    assert parsed(clob_bodies.price(market, UP, SELL) or "")["price"] == "0.52"
    assert parsed(clob_bodies.spread(market, UP) or "")["spread"] == "0.03"
    assert parsed(clob_bodies.tick_size(market)) == {"minimum_tick_size": 0.01}
    assert parsed(clob_bodies.fee_rate()) == {"base_fee": 1000}
    assert parsed(clob_bodies.neg_risk()) == {"neg_risk": False}
    assert parsed(clob_bodies.version()) == {"version": 2}
    assert clob_bodies.server_time(T0) == "1795000000"
    assert parsed(clob_bodies.last_trade_price(market, UP))["price"] == "0"
    assert parsed(clob_bodies.market_by_token(market))["condition_id"] == CONDITION
    described = parsed(clob_bodies.clob_market(market))
    assert described["fd"] == {"r": 0.07, "e": 1, "to": True}
    assert described["mts"] == 0.01
    assert described["mos"] == 5
    assert "nr" not in described
    page = parsed(clob_bodies.simplified_page(exchange.markets()))
    assert page["data"][0]["condition_id"] == CONDITION
    exchange.resolve(CONDITION, DOWN, T0)
    tokens = parsed(clob_bodies.market_body(market))["tokens"]
    assert [(t["price"], t["winner"]) for t in tokens] == [(0, False), (1, True)]
    real = sample("nautilus_rust_test_data/clob_market_closed_binary_accepting_true.json")
    assert set(real) == set(parsed(clob_bodies.market_body(market)))


def test_credentials_body():
    """Credentials are served under the names the clients read (reference A.5)."""
    exchange = venue()
    credentials = exchange.accounts.create_key(exchange.accounts.get("ann"), 0)
    assert parsed(clob_bodies.credentials_body(credentials)) == {
        "apiKey": credentials.api_key,
        "secret": credentials.secret,
        "passphrase": credentials.passphrase,
    }


# Gamma.


def test_gamma_objects_have_strings_inside_json():
    """Token ids, outcomes and prices are JSON strings; the window's facts are there (F.3)."""
    exchange = venue()
    quote(exchange, 0.49, 0.52)
    market = exchange.market(CONDITION)
    body = parsed(gamma_bodies.market_body(market, T0))
    assert parsed(body["clobTokenIds"]) == [UP_TOKEN, DOWN_TOKEN]
    assert parsed(body["outcomes"]) == ["Up", "Down"]
    assert parsed(body["outcomePrices"]) == ["0.505", "0.495"]
    assert body["eventStartTime"] == "2026-11-18T11:15:00Z"
    assert body["cryptoMarketConfig"]["id"] == "btc-15m-twap-60"
    assert body["feeSchedule"] == {
        "exponent": 1,
        "rate": 0.07,
        "takerOnly": True,
        "rebateRate": 0.2,
    }
    assert "closedTime" not in body
    exchange.resolve(CONDITION, UP, T0 + NS_PER_SECOND)
    closed = parsed(gamma_bodies.market_body(market, T0))
    assert parsed(closed["outcomePrices"]) == ["1", "0"]
    assert (closed["closed"], closed["acceptingOrders"]) == (True, False)
    assert closed["umaResolutionStatus"] == "resolved"


def test_gamma_events_carry_their_market_and_metadata():
    """An event has one market, its series, and the reference prices once they are known."""
    exchange = venue()
    market = exchange.market(CONDITION)
    plain = parsed(gamma_bodies.event_body(market, T0))
    assert plain["markets"][0]["slug"] == plain["slug"] == LISTING.slug
    assert plain["seriesSlug"] == "btc-up-or-down-15m"
    assert "eventMetadata" not in plain
    prices = gamma_bodies.ReferencePrices("78803.7", "78804.1")
    exchange.resolve(CONDITION, DOWN, T0)
    known = parsed(gamma_bodies.event_body(market, T0, prices))
    assert known["eventMetadata"] == {"priceToBeat": 78803.7, "finalPrice": 78804.1}
    assert parsed(known["markets"][0]["outcomePrices"]) == ["0", "1"]
    markets = exchange.markets()
    assert len(parsed(gamma_bodies.events_body(markets, T0))) == 1
    assert len(parsed(gamma_bodies.markets_body(markets, T0))) == 1
    page = parsed(gamma_bodies.events_keyset_body(markets, T0, "c"))
    assert (len(page["events"]), page["next_cursor"]) == (1, "c")
    assert "next_cursor" not in parsed(gamma_bodies.events_keyset_body(markets, T0, ""))


def test_gamma_objects_have_the_keys_of_real_ones():
    """Every key of a real Up/Down market and event is in ours with the same JSON type."""
    exchange = venue()
    quote(exchange)
    body = parsed(gamma_bodies.market_body(exchange.market(CONDITION), T0))
    for key, value in sample("hugompt_microstructure_lab/gamma_market_updown.json").items():
        assert key in body, key
        kinds = {type(body[key]), type(value)}
        assert len(kinds) == 1 or kinds == {int, float}, key
    event = parsed(gamma_bodies.event_body(exchange.market(CONDITION), T0))
    (real,) = sample("hugompt_microstructure_lab/gamma_event_crypto_updown.json")
    assert set(real) <= set(event)
    live = sample("captured/gamma_updown_15m_2026-09-28_fields.json")
    exchange.resolve(CONDITION, UP, T0)
    closed = parsed(gamma_bodies.market_body(exchange.market(CONDITION), T0))
    assert set(live) - {"_note"} <= set(closed)


# Spelling.


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0"), (1, "0.000001"), (530_000, "0.53"), (1_000_000, "1"), (12_345_600, "12.3456")],
)
def test_decimals_are_the_shortest(micros: int, text: str):
    """Numbers are written without trailing zeros."""
    assert micros_text(micros) == text


def test_gammas_two_time_spellings():
    """Creation times have microseconds, ``closedTime`` another form (reference F.3)."""
    assert iso_micro_text(T0 + 123_456_789) == "2026-11-18T11:06:40.123456Z"
    assert closed_time_text(T0) == "2026-11-18 11:06:40+00"
