"""The venue's behaviour: errors, hold, money, ladder, phases, heartbeats, resolution."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.clob.wallets import checksum_address, derive_wallets, keccak256
from helpers.domain import NS_PER_SECOND, FillStatus, Outcome, Side
from simulator import refusals
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    COLLATERAL,
    FAILING_LADDER,
    BookChanged,
    BookPublished,
    CancelReply,
    ExchangeEvent,
    ExchangeSettings,
    HeartbeatAccepted,
    HeartbeatMismatch,
    MarketResolved,
    MarketTraded,
    OrderAnswered,
    OrderChanged,
    OrderEventType,
    OrderHeld,
    OrderReply,
    Phase,
    PlaceOrder,
    Refusal,
    SettlementStep,
    TickSizeChanged,
    TradeChanged,
)
from simulator.matching import TimeInForce
from simulator.order_signing import SignedOrder, contents_hash, domain_separator, order_hash
from simulator.settlement import CONTRACT, VENUE
from tests.shared import shared_file
from tests.simulator.venue import (
    CONDITION,
    DOLLAR,
    DOWN_TOKEN,
    LISTING,
    NO_HOLD,
    SHARE,
    T0,
    UP_TOKEN,
    accepted,
    order,
    quote,
    venue,
)

UP, DOWN, BUY, SELL = Outcome.UP, Outcome.DOWN, Side.BUY, Side.SELL
GTC, GTD, FAK, FOK = TimeInForce.GTC, TimeInForce.GTD, TimeInForce.FAK, TimeInForce.FOK
SECOND = NS_PER_SECOND


_Event = TypeVar("_Event")


def events(exchange: Exchange, kind: type[_Event]) -> list[_Event]:
    return [event for event in exchange.drain() if isinstance(event, kind)]


def cash(exchange: Exchange, name: str) -> int:
    return exchange.accounts.get(name).holding(COLLATERAL).total_micros


def shares(exchange: Exchange, name: str, token: str = UP_TOKEN) -> int:
    return exchange.accounts.get(name).holding(token).total_micros


# Errors (reference B.4).

REFUSED = [
    (order("ann", UP, BUY, 0.485, 10, order_id="x"), 400,
     "order x is invalid. Price (0.485) breaks minimum tick size rule: 0.01"),
    (order("ann", UP, BUY, 0.0, 10, order_id="x"), 400,
     "order x is invalid. Price (0) breaks minimum tick size rule: 0.01"),
    (order("ann", UP, BUY, 0.48, 3, order_id="x"), 400,
     "order x is invalid. Size (3) lower than the minimum: 5"),
    (order("ann", UP, BUY, 0.48, 3000), 400, "not enough balance / allowance"),
    (order("ann", UP, SELL, 0.52, 5), 400, "not enough balance / allowance"),
    (order("ann", UP, BUY, 0.51, 5, post_only=True), 400,
     "invalid post-only order: order crosses book"),
    (order("ann", UP, BUY, 0.48, 5, FAK), 400,
     "no orders found to match with FAK order. "
     "FAK orders are partially filled or killed if no match is found."),
    (order("ann", UP, BUY, 0.51, 101, FOK), 400,
     "order couldn't be fully filled. FOK orders are fully filled or killed."),
    (order("ann", UP, BUY, 0.48, 5, GTD, expires_ns=T0 + 179 * SECOND), 400, "invalid expiration"),
    (order("ann", UP, BUY, 0.48, 5, GTC, expires_ns=T0 + 999 * SECOND), 400, "invalid expiration"),
    (order("ann", UP, BUY, 0.51, 5, FAK, post_only=True), 400, "Invalid order payload"),
]  # fmt: skip


@pytest.mark.parametrize(("placed", "status", "text"), REFUSED)
def test_refusals_have_the_venues_code_and_text(placed: PlaceOrder, status: int, text: str):
    """Each broken rule is answered with the venue's status code and exact text."""
    exchange = venue()
    quote(exchange)
    reply = exchange.place(placed, T0)
    assert isinstance(reply, Refusal)
    assert (reply.http_status, reply.error) == (status, text)
    assert exchange.open_orders("ann") == ()
    holding = exchange.accounts.get("ann").holding(COLLATERAL)
    assert holding.locked_micros == 0


def test_marketable_buys_are_at_least_a_dollar():
    """A marketable buy under one dollar is refused, a resting one is not."""
    exchange = venue()
    quote(exchange, 0.05, 0.10)
    reply = exchange.place(order("ann", UP, BUY, 0.10, 9.9), T0)
    assert isinstance(reply, Refusal)
    assert reply.error == "invalid amount for a marketable BUY order ($0.99), min size: $1"
    accepted(exchange.place(order("ann", UP, BUY, 0.09, 9.9), T0))


def test_the_same_id_twice_is_duplicated_even_after_its_end():
    """A resend is answered ``Duplicated`` whether the order rests or has ended (I20)."""
    exchange = venue()
    placed = order("ann", UP, BUY, 0.48, 5, order_id="once")
    accepted(exchange.place(placed, T0))
    text = "order once is invalid. Duplicated."
    again = exchange.place(placed, T0)
    assert isinstance(again, Refusal)
    assert again.error == text
    exchange.cancel("ann", ("once",), T0)
    ended = exchange.place(placed, T0)
    assert isinstance(ended, Refusal)
    assert ended.error == text


def test_open_orders_reserve_money():
    """Free balance is the balance less open orders (reference B.4)."""
    exchange = venue()
    accepted(exchange.place(order("ann", UP, BUY, 0.50, 1600), T0))
    refused = exchange.place(order("ann", DOWN, BUY, 0.30, 700), T0)
    assert refused == refusals.BALANCE
    accepted(exchange.place(order("ann", DOWN, BUY, 0.30, 660), T0))
    reply = exchange.cancel_all("ann", T0)
    assert isinstance(reply, CancelReply)
    assert len(reply.canceled) == 2
    assert exchange.accounts.get("ann").free_micros(COLLATERAL) == 1_000 * DOLLAR


def test_a_missing_allowance_is_a_missing_balance():
    """Without approvals nothing is free (I2)."""
    exchange = venue()
    exchange.accounts.open("new", approved=False)
    exchange.accounts.deposit("new", COLLATERAL, 100 * DOLLAR, T0)
    assert exchange.place(order("new", UP, BUY, 0.48, 5), T0) == refusals.BALANCE


def test_banned_closed_only_and_unknown_markets():
    """Account restrictions and unknown tokens are refused with their texts."""
    exchange = venue()
    ann = exchange.accounts.get("ann")
    ann.closed_only = True
    assert exchange.place(order("ann", UP, BUY, 0.48, 5), T0) == refusals.closed_only("ann")
    ann.banned = True
    assert exchange.place(order("ann", UP, BUY, 0.48, 5), T0) == refusals.banned("ann")
    lost = msgspec.structs.replace(order("bob", UP, BUY, 0.48, 5), token="9")
    assert exchange.place(lost, T0) == refusals.no_orderbook("9")
    early = exchange.place(order("bob", UP, BUY, 0.48, 5), LISTING.created_ns - 1)
    assert early == refusals.NOT_READY


# Matching, money and events.


def test_a_taker_buy_pays_price_improvement_and_fee_on_top():
    """A buy pays the maker's price plus the fee; the venue's reply has the pre-fee amount."""
    exchange = venue()
    quote(exchange, 0.49, 0.50)
    reply = accepted(exchange.place(order("ann", UP, BUY, 0.55, 100, FOK), T0))
    assert (reply.status, reply.making_micros, reply.taking_micros) == (
        "matched",
        50 * DOLLAR,
        100 * SHARE,
    )
    assert cash(exchange, "ann") == 1_000 * DOLLAR  # Nothing moves before settlement.
    exchange.advance(T0 + 2 * SECOND)
    assert cash(exchange, "ann") == 1_000 * DOLLAR - 50 * DOLLAR - 1_750_000
    assert shares(exchange, "ann") == 100 * SHARE
    assert cash(exchange, VENUE) == 1_750_000


def test_a_taker_sale_receives_proceeds_less_fee():
    """A sale's fee comes out of its proceeds (reference G.2)."""
    exchange = venue()
    quote(exchange)
    exchange.split("ann", CONDITION, 100 * SHARE, T0)
    accepted(exchange.place(order("ann", DOWN, SELL, 0.40, 100, FAK), T0))
    exchange.advance(T0 + 2 * SECOND)
    fee = 1_749_300  # 100 x 0.07 x 0.49 x 0.51
    assert cash(exchange, "ann") == 900 * DOLLAR + 49 * DOLLAR - fee
    assert shares(exchange, "ann", DOWN_TOKEN) == 0
    assert shares(exchange, "ann", UP_TOKEN) == 100 * SHARE


def test_the_balance_must_cover_amount_and_fee():
    """A buy of everything fails for its fee, a slightly smaller one passes."""
    exchange = venue()
    quote(exchange, 0.49, 0.50, 10_000)
    assert exchange.place(order("ann", UP, BUY, 0.50, 2000, FAK), T0) == refusals.BALANCE
    accepted(exchange.place(order("ann", UP, BUY, 0.50, 1930, FAK), T0))


def test_events_of_a_match_reach_the_right_people():
    """The maker gets an UPDATE and the trade, the taker a PLACEMENT and it."""
    exchange = venue()
    accepted(exchange.place(order("bob", DOWN, BUY, 0.49, 20, order_id="maker"), T0))
    exchange.drain()
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 30, order_id="taker"), T0))
    happened = exchange.drain()
    told = [(e.account, e.kind, e.order.status) for e in happened if isinstance(e, OrderChanged)]
    assert told == [
        ("ann", OrderEventType.PLACEMENT, "LIVE"),
        ("bob", OrderEventType.UPDATE, "MATCHED"),
    ]
    trades = [e for e in happened if isinstance(e, TradeChanged)]
    assert [(t.account, t.maker, t.status) for t in trades] == [
        ("ann", False, FillStatus.MATCHED),
        ("bob", True, FillStatus.MATCHED),
    ]
    facts = trades[0].facts
    assert facts.makers[0].token == DOWN_TOKEN
    assert facts.makers[0].price_micros == 490_000
    assert facts.price_micros == 510_000
    (public,) = [e for e in happened if isinstance(e, MarketTraded)]
    assert (public.token, public.price_micros, public.side) == (UP_TOKEN, 510_000, BUY)
    assert any(isinstance(e, BookPublished) for e in happened)
    (change,) = [e for e in happened if isinstance(e, BookChanged)]
    assert (change.best_bid_micros, change.best_ask_micros) == (510_000, 0)
    (rest,) = exchange.open_orders("ann")
    assert (rest.matched_micros, rest.original_micros) == (20 * SHARE, 30 * SHARE)
    assert exchange.order("ann", "taker") == rest
    assert exchange.order("bob", "taker") is None
    assert exchange.order("bob", "maker") is None  # No longer active.


Step = tuple[str, Outcome, Side, int, int, TimeInForce, str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "house"]),
        st.sampled_from(list(Outcome)),
        st.sampled_from(list(Side)),
        st.integers(44, 56),
        st.integers(5, 60),
        st.sampled_from([GTC, FAK, FOK]),
        st.sampled_from(["ordinary", "failing", "late_failure"]),
        st.integers(0, 3),
    ),
    max_size=40,
)
LATE_FAILURE = (
    SettlementStep(FillStatus.MINED, SECOND),
    SettlementStep(FillStatus.RETRYING, SECOND),
    SettlementStep(FillStatus.FAILED, SECOND),
)
LADDERS = {
    "ordinary": NO_HOLD.settlement,
    "failing": FAILING_LADDER,
    "late_failure": LATE_FAILURE,
}


@given(STEPS, st.sampled_from([0, 150_000_000]))
@settings(max_examples=80, deadline=None)
def test_money_and_shares_are_conserved(steps: list[Step], hold_ns: int):
    """Whatever is traded, fails or is resolved: no dollar and no share appears or vanishes."""
    exchange = venue(ExchangeSettings(taker_hold_ns=hold_ns, balance_cache_lag_ns=SECOND))
    for name in ("ann", "bob"):
        exchange.split(name, CONDITION, 200 * SHARE, T0)
    dollars = exchange.accounts.total_micros()
    now = T0
    for account, outcome, side, cents, size, kind, ladder, seconds in steps:
        exchange.script_settlements(LADDERS[ladder])
        exchange.place(order(account, outcome, side, cents / 100, size, kind), now)
        now += seconds * SECOND
        exchange.advance(now)
        assert exchange.accounts.total_micros() == dollars
        up, down = (exchange.accounts.total_micros(token) for token in (UP_TOKEN, DOWN_TOKEN))
        assert up == down == cash(exchange, CONTRACT)
        for name in ("ann", "bob"):
            for asset in (COLLATERAL, UP_TOKEN, DOWN_TOKEN):
                assert exchange.accounts.get(name).holding(asset).locked_micros >= 0
    exchange.advance(now + 60 * SECOND)
    exchange.cancel_all("ann", now)
    exchange.cancel_all("bob", now)
    for name in ("ann", "bob"):
        for asset in (COLLATERAL, UP_TOKEN, DOWN_TOKEN):
            holding = exchange.accounts.get(name).holding(asset)
            assert (holding.locked_micros, holding.unseen_micros) == (0, 0)
    assert exchange.settlement.pending_moves() == ()
    exchange.resolve(CONDITION, UP, now + 60 * SECOND)
    for name in exchange.accounts.names():
        if exchange.accounts.get(name).holding(UP_TOKEN).total_micros >= 0:
            exchange.redeem(name, CONDITION, now + 61 * SECOND)
    assert exchange.accounts.total_micros() == dollars


def test_the_same_steps_give_the_same_events():
    """Two runs of the same orders give the same events, bit for bit."""

    def run() -> tuple[ExchangeEvent, ...]:
        exchange = venue(ExchangeSettings())
        quote_orders = [
            order("house", UP, s, p, 50, order_id=f"q{p}") for s, p in ((BUY, 0.49), (SELL, 0.51))
        ]
        for quoted in quote_orders:
            exchange.place(quoted, T0)
        exchange.place(order("ann", UP, BUY, 0.51, 20, FAK, order_id="a"), T0 + 1)
        exchange.advance(T0 + 60 * SECOND)
        return exchange.drain()

    assert run() == run()


# Taker hold (reference G.4).


def test_a_marketable_order_is_held_and_answered_at_release():
    """The hold ends with the final answer; until then the order cannot be cancelled or seen."""
    exchange = venue(ExchangeSettings())
    quote(exchange)
    reply = exchange.place(order("ann", UP, BUY, 0.51, 10, FAK, order_id="held"), T0)
    assert reply == OrderHeld("held", T0 + 150_000_000)
    assert exchange.open_orders("ann") == ()
    assert exchange.cancel("ann", ("held",), T0) == CancelReply((), (("held", refusals.HELD),))
    assert exchange.cancel_all("ann", T0) == CancelReply(())
    exchange.advance(T0 + 149_999_999)
    assert events(exchange, OrderAnswered) == []
    assert exchange.next_due_ns() == T0 + 150_000_000
    exchange.advance(T0 + 10 * SECOND)
    (answer,) = events(exchange, OrderAnswered)
    assert answer.at_ns == T0 + 150_000_000
    assert accepted(answer.reply).taking_micros == 10 * SHARE


def test_resting_orders_and_the_house_are_not_held():
    """Only marketable orders of customers wait."""
    exchange = venue(ExchangeSettings())
    quote(exchange)
    accepted(exchange.place(order("ann", UP, BUY, 0.50, 10), T0))
    accepted(exchange.place(order("house", UP, BUY, 0.51, 10, FAK), T0))


def test_a_held_order_is_checked_again_at_release():
    """What left meanwhile is not there at release: liquidity, market, phase, balance."""
    exchange = venue(ExchangeSettings())
    ask = order("house", UP, SELL, 0.51, 10, order_id="ask")
    accepted(exchange.place(ask, T0))
    exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0)
    assert exchange.cancel_house(CONDITION, "ask", T0 + 1)
    exchange.advance(T0 + SECOND)
    happened = exchange.drain()
    (answer,) = [e for e in happened if isinstance(e, OrderAnswered)]
    assert isinstance(answer.reply, Refusal)
    assert answer.reply.error == refusals.FAK_KILLED
    (kill,) = [e for e in happened if isinstance(e, OrderChanged)]
    assert kill.kind is OrderEventType.CANCELLATION
    assert kill.order.status == f"CANCELED_{refusals.FAK_KILLED}"
    # The market resolves during the hold.
    accepted(exchange.place(msgspec.structs.replace(ask, order_id="ask2"), T0 + SECOND))
    exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0 + SECOND)
    exchange.resolve(CONDITION, UP, T0 + SECOND + 1)
    exchange.advance(T0 + 2 * SECOND)
    (answer,) = events(exchange, OrderAnswered)
    assert answer.reply == refusals.no_orderbook(UP_TOKEN)
    assert exchange.accounts.get("ann").free_micros(COLLATERAL) == 1_000 * DOLLAR


def test_a_held_order_without_cover_is_refused():
    """The hold reserves, so a second order of the same money is refused at once."""
    exchange = venue(ExchangeSettings())
    quote(exchange, 0.49, 0.50, 5_000)
    assert isinstance(exchange.place(order("ann", UP, BUY, 0.50, 1900, FAK), T0), OrderHeld)
    assert exchange.place(order("ann", UP, BUY, 0.50, 1900, FAK), T0) == refusals.BALANCE
    ten_thousand = order("bob", UP, BUY, 0.50, 2000, FAK)
    assert isinstance(exchange.place(ten_thousand, T0), OrderHeld)  # Its fee is not covered.
    exchange.advance(T0 + SECOND)
    replies = [answer.reply for answer in events(exchange, OrderAnswered)]
    assert replies[1] == refusals.BALANCE


# Settlement ladder (reference D.4).


def test_the_ladder_is_told_once_a_rung_to_each_side():
    """MATCHED, MINED, CONFIRMED reach both customers in order."""
    exchange = venue()
    accepted(exchange.place(order("bob", UP, BUY, 0.50, 10), T0))
    exchange.split("ann", CONDITION, 10 * SHARE, T0)
    accepted(exchange.place(order("ann", UP, SELL, 0.50, 10, FAK), T0))
    exchange.advance(T0 + 60 * SECOND)
    told = [(e.account, e.status, e.at_ns - T0) for e in events(exchange, TradeChanged)]
    assert told == [
        (name, status, at)
        for status, at in (
            (FillStatus.MATCHED, 0),
            (FillStatus.MINED, 2 * SECOND),
            (FillStatus.CONFIRMED, 6 * SECOND),
        )
        for name in ("ann", "bob")
    ]
    (view,) = exchange.trades("bob")
    assert view.status is FillStatus.CONFIRMED
    assert view.maker
    assert exchange.trade("bob", view.facts.trade_id) == view
    assert exchange.trade("bob", "unknown") is None


@pytest.mark.parametrize("ladder", [FAILING_LADDER, LATE_FAILURE])
def test_failed_takes_back_exactly_once(ladder: tuple[SettlementStep, ...]):
    """After FAILED both sides have what they had before, nothing is locked, nothing repeats."""
    exchange = venue()
    quote(exchange)
    exchange.script_settlements(ladder)
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    house_before = cash(exchange, "house")
    exchange.advance(T0 + 100 * SECOND)
    statuses = [e.status for e in events(exchange, TradeChanged)]
    assert statuses == [FillStatus.MATCHED, *[step.status for step in ladder]]
    assert cash(exchange, "ann") == 1_000 * DOLLAR
    assert shares(exchange, "ann") == 0
    assert cash(exchange, "house") == house_before
    assert exchange.accounts.get("ann").free_micros(COLLATERAL) == 1_000 * DOLLAR
    exchange.advance(T0 + 200 * SECOND)
    assert cash(exchange, "ann") == 1_000 * DOLLAR


def test_steps_after_the_end_change_nothing():
    """A script that goes on after FAILED cannot revive or revert the trade again."""
    exchange = venue()
    quote(exchange)
    exchange.script_settlements(
        (
            SettlementStep(FillStatus.FAILED, SECOND),
            SettlementStep(FillStatus.FAILED, SECOND),
            SettlementStep(FillStatus.MINED, SECOND),
        )
    )
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    exchange.advance(T0 + 100 * SECOND)
    assert [e.status for e in events(exchange, TradeChanged)][1:] == [FillStatus.FAILED]
    assert cash(exchange, "ann") == 1_000 * DOLLAR


def test_a_ladder_needs_an_end():
    """A trade must not stay on its way for ever."""
    exchange = venue()
    endless = (SettlementStep(FillStatus.RETRYING, SECOND),)
    with pytest.raises(ValueError, match="no end"):
        exchange.script_settlements(endless)
    with pytest.raises(ValueError, match="no end"):
        Exchange(ExchangeSettings(settlement=endless))


def test_a_confirmed_trade_without_mined_still_moves():
    """A ladder may skip MINED; the money moves all the same, once."""
    exchange = venue()
    quote(exchange)
    exchange.script_settlements((SettlementStep(FillStatus.CONFIRMED, SECOND),))
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    exchange.advance(T0 + SECOND)
    assert shares(exchange, "ann") == 10 * SHARE


def test_house_orders_may_have_any_id():
    """A house order with a customer's id in another market touches nothing of the customer's."""
    exchange = venue()
    other = msgspec.structs.replace(LISTING, condition_id="0x2", up_token="3", down_token="4")
    exchange.list_market(other, T0)
    accepted(exchange.place(order("ann", UP, BUY, 0.40, 10, order_id="same"), T0))
    house = order("house", UP, BUY, 0.40, 10, order_id="same")
    accepted(exchange.place(msgspec.structs.replace(house, token="3"), T0))
    assert exchange.place(msgspec.structs.replace(house, token="3"), T0) == refusals.duplicated(
        "same"
    )
    sale = order("house", UP, SELL, 0.40, 10, FAK)
    accepted(exchange.place(msgspec.structs.replace(sale, token="3"), T0))
    exchange.resolve("0x2", UP, T0)
    (kept,) = exchange.open_orders("ann")
    assert kept.matched_micros == 0
    assert exchange.accounts.get("ann").holding(COLLATERAL).locked_micros == 4 * DOLLAR


def test_a_cancelled_held_or_foreign_order_says_why():
    """Cancelling twice, or another's order, is answered with the venue's reason."""
    exchange = venue()
    accepted(exchange.place(order("ann", UP, BUY, 0.40, 10, order_id="a"), T0))
    reasons = (("a", refusals.NOT_CANCELED), ("x", refusals.NOT_CANCELED))
    assert exchange.cancel("bob", ("a", "x"), T0) == CancelReply((), reasons)
    assert exchange.cancel("ann", ("a",), T0) == CancelReply(("a",))
    assert exchange.cancel("ann", ("a",), T0) == CancelReply((), reasons[:1])
    assert not exchange.cancel_house(CONDITION, "a", T0)


def test_cancel_all_can_be_narrowed_to_a_market_or_token():
    """DELETE /cancel-market-orders: a market, a token, or both."""
    exchange = venue()
    for index, outcome in enumerate((UP, DOWN, UP)):
        accepted(exchange.place(order("ann", outcome, BUY, 0.30, 5, order_id=f"n{index}"), T0))
    assert exchange.cancel_all("ann", T0, token=DOWN_TOKEN) == CancelReply(("n1",))
    assert exchange.cancel_all("ann", T0, condition_id="0x9") == CancelReply(())
    assert exchange.cancel_all("ann", T0, condition_id=CONDITION) == CancelReply(("n0", "n2"))


def test_a_held_order_meets_the_phase_at_its_release():
    """An engine that went cancel-only during the hold refuses the order then."""
    exchange = venue(ExchangeSettings())
    quote(exchange)
    exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0)
    exchange.set_phase(Phase.CANCEL_ONLY, T0 + 1)
    exchange.advance(T0 + SECOND)
    (answer,) = events(exchange, OrderAnswered)
    assert answer.reply == refusals.CANCEL_ONLY
    assert exchange.accounts.get("ann").free_micros(COLLATERAL) == 1_000 * DOLLAR


def test_orders_without_cover_after_a_failure_are_cancelled():
    """An order on shares that a FAILED trade took back is cancelled by the venue."""
    exchange = venue()
    quote(exchange)
    exchange.script_settlements(LATE_FAILURE)
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    exchange.advance(T0 + SECOND)
    accepted(exchange.place(order("ann", UP, SELL, 0.60, 10, order_id="exit"), T0 + SECOND))
    exchange.drain()
    exchange.advance(T0 + 10 * SECOND)
    (cancelled,) = events(exchange, OrderChanged)
    assert cancelled.order.status == "CANCELED_NOT_ENOUGH_BALANCE"
    assert exchange.open_orders("ann") == ()


def test_shares_are_not_spendable_before_settlement_and_cache():
    """An immediate SELL fails; after settlement and the cache (or an update) it passes (I2)."""
    lag = ExchangeSettings(taker_hold_ns=0, balance_cache_lag_ns=5 * SECOND)
    exchange = venue(lag)
    quote(exchange)
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    sell = order("ann", UP, SELL, 0.49, 10, FAK)
    assert exchange.place(sell, T0) == refusals.BALANCE
    exchange.advance(T0 + 2 * SECOND)
    assert shares(exchange, "ann") == 10 * SHARE
    assert exchange.place(sell, T0 + 2 * SECOND) == refusals.BALANCE
    exchange.accounts.update("ann", UP_TOKEN)
    accepted(exchange.place(sell, T0 + 2 * SECOND))


def test_the_cache_catches_up_by_itself():
    """Without an update call the credit is seen after the lag."""
    exchange = venue(ExchangeSettings(taker_hold_ns=0, balance_cache_lag_ns=5 * SECOND))
    quote(exchange)
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    exchange.advance(T0 + 2 * SECOND)
    assert exchange.accounts.get("ann").holding(UP_TOKEN).seen_micros == 0
    exchange.advance(T0 + 7 * SECOND)
    assert exchange.accounts.get("ann").holding(UP_TOKEN).seen_micros == 10 * SHARE


# Expiry, heartbeat, phases.


def test_gtd_orders_expire_a_minute_early():
    """A GTD order ends one minute before its stated time, as a cancellation (reference B.5)."""
    exchange = venue()
    stated = T0 + 300 * SECOND
    accepted(exchange.place(order("ann", UP, BUY, 0.48, 5, GTD, expires_ns=stated), T0))
    accepted(
        exchange.place(order("ann", UP, BUY, 0.47, 5, GTD, expires_ns=stated, order_id="c"), T0)
    )
    exchange.cancel("ann", ("c",), T0)
    exchange.drain()
    exchange.advance(stated - 60 * SECOND - 1)
    assert events(exchange, OrderChanged) == []
    exchange.advance(stated - 60 * SECOND)
    (expired,) = events(exchange, OrderChanged)
    assert expired.order.status == "CANCELED_EXPIRED_ORDER"


def test_the_dead_man_cancels_everything_after_silence():
    """Ten seconds after the last accepted heartbeat all orders go; a refused one does not help."""
    exchange = venue()
    accepted(exchange.place(order("ann", UP, BUY, 0.48, 5), T0))
    accepted(exchange.place(order("bob", UP, BUY, 0.48, 5), T0))
    first = exchange.heartbeat("ann", "", T0)
    assert isinstance(first, HeartbeatAccepted)
    second = exchange.heartbeat("ann", first.heartbeat_id, T0 + 5 * SECOND)
    assert isinstance(second, HeartbeatAccepted)
    stale = exchange.heartbeat("ann", first.heartbeat_id, T0 + 9 * SECOND)
    assert stale == HeartbeatMismatch(second.heartbeat_id)
    exchange.advance(T0 + 15 * SECOND - 1)
    assert len(exchange.open_orders("ann")) == 1
    exchange.advance(T0 + 15 * SECOND)
    assert exchange.open_orders("ann") == ()
    assert len(exchange.open_orders("bob")) == 1
    gone = exchange.heartbeat("ann", second.heartbeat_id, T0 + 16 * SECOND)
    assert gone == HeartbeatMismatch("")
    assert isinstance(exchange.heartbeat("ann", "", T0 + 16 * SECOND), HeartbeatAccepted)


def test_phases_answer_orders_and_cancels_as_the_venue_does():
    """Each phase takes what it takes; the rest gets its status code and text."""
    exchange = venue()
    quote(exchange)
    accepted(exchange.place(order("ann", UP, BUY, 0.40, 5, order_id="a"), T0))
    rows = [
        (Phase.CANCEL_ONLY, 503, refusals.CANCEL_ONLY.error, None),
        (Phase.DISABLED, 503, refusals.DISABLED.error, 503),
        (Phase.RESTARTING, 425, "engine restarting", 425),
    ]
    for phase, status, text, cancel_status in rows:
        exchange.set_phase(phase, T0)
        for post_only in (False, True):
            reply = exchange.place(order("ann", UP, BUY, 0.40, 5, post_only=post_only), T0)
            assert isinstance(reply, Refusal)
            assert (reply.http_status, reply.error) == (status, text)
        house = exchange.place(order("house", UP, BUY, 0.40, 5), T0)
        assert isinstance(house, Refusal)
        cancelled = exchange.cancel("ann", ("unknown",), T0)
        if cancel_status is None:
            assert isinstance(cancelled, CancelReply)
        else:
            assert isinstance(cancelled, Refusal)
            assert cancelled.http_status == cancel_status
            assert not exchange.cancel_house(CONDITION, "q", T0)


def test_a_restart_is_followed_by_two_minutes_of_post_only():
    """425 during the restart, then 503 with code and retry time, then normal (reference B.4)."""
    exchange = venue()
    quote(exchange)
    exchange.restart(T0, 5 * SECOND)
    assert exchange.phase is Phase.RESTARTING
    exchange.advance(T0 + 5 * SECOND)
    assert exchange.phase is Phase.POST_ONLY
    reply = exchange.place(order("ann", UP, BUY, 0.40, 5), T0 + 65 * SECOND)
    assert reply == refusals.post_only_mode(60)
    accepted(exchange.place(order("ann", UP, BUY, 0.40, 5, post_only=True), T0 + 65 * SECOND))
    exchange.advance(T0 + 125 * SECOND)
    assert exchange.phase is Phase.NORMAL
    accepted(exchange.place(order("ann", UP, BUY, 0.40, 5), T0 + 125 * SECOND))


def test_a_phase_set_meanwhile_is_not_undone():
    """The end of an older phase does not end a newer one."""
    exchange = venue()
    exchange.set_phase(Phase.CANCEL_ONLY, T0, T0 + SECOND)
    exchange.set_phase(Phase.DISABLED, T0)
    exchange.advance(T0 + 2 * SECOND)
    assert exchange.phase is Phase.DISABLED


# Tick size, resolution, redemption, rebates.


def test_the_tick_changes_near_the_extremes_and_back():
    """Above 0.96 the tick is 0.001; back inside the band it is 0.01 again (reference C.4)."""
    exchange = venue()
    quote(exchange, 0.96, 0.98)
    (change,) = events(exchange, TickSizeChanged)
    assert (change.old_micros, change.new_micros) == (10_000, 1_000)
    accepted(exchange.place(order("ann", UP, BUY, 0.965, 5), T0))
    accepted(exchange.place(order("house", UP, SELL, 0.96, 105, FAK), T0))
    accepted(exchange.place(order("house", UP, BUY, 0.90, 5), T0))
    (back,) = events(exchange, TickSizeChanged)
    assert back.new_micros == 10_000
    refused = exchange.place(order("ann", UP, BUY, 0.905, 5), T0)
    assert isinstance(refused, Refusal)


def test_resolution_cancels_orders_and_redemption_is_idempotent():
    """At 0/1 orders are cancelled, winners are paid once, losers get nothing."""
    exchange = venue()
    quote(exchange)
    exchange.split("ann", CONDITION, 10 * SHARE, T0)
    accepted(exchange.place(order("ann", DOWN, SELL, 0.60, 10), T0))
    with pytest.raises(ValueError, match="was open"):
        exchange.redeem("ann", CONDITION, T0)
    with pytest.raises(ValueError, match="was open"):
        exchange.retire(CONDITION, T0)
    exchange.drain()
    exchange.resolve(CONDITION, UP, T0)
    exchange.resolve(CONDITION, DOWN, T0)
    happened = exchange.drain()
    assert [e.order.status for e in happened if isinstance(e, OrderChanged)] == [
        "CANCELED_MARKET_RESOLVED"
    ]
    assert [e.winner for e in happened if isinstance(e, MarketResolved)] == [UP]
    assert exchange.place(order("bob", UP, BUY, 0.5, 5), T0) == refusals.no_orderbook(UP_TOKEN)
    assert exchange.redeem("ann", CONDITION, T0) == 10 * DOLLAR
    assert exchange.redeem("ann", CONDITION, T0) == 0
    assert cash(exchange, "ann") == 1_000 * DOLLAR
    exchange.retire(CONDITION, T0)
    assert exchange.markets() == ()
    assert exchange.market_of_token(UP_TOKEN) is None


def test_a_market_retires_only_when_settled_and_pays_what_is_left():
    """Retiring waits for the ladder, pays unredeemed winners, and leaves no share behind."""
    exchange = venue()
    quote(exchange)
    accepted(exchange.place(order("ann", UP, BUY, 0.51, 10, FAK), T0))
    exchange.resolve(CONDITION, UP, T0)
    with pytest.raises(ValueError, match="unsettled"):
        exchange.retire(CONDITION, T0)
    exchange.advance(T0 + 60 * SECOND)
    dollars = exchange.accounts.total_micros()
    before = cash(exchange, "ann")
    exchange.retire(CONDITION, T0 + 60 * SECOND)
    assert cash(exchange, "ann") == before + 10 * DOLLAR
    assert cash(exchange, CONTRACT) == 0
    assert exchange.accounts.total_micros() == dollars
    for name in exchange.accounts.names():
        assert set(exchange.accounts.get(name).holdings) <= {COLLATERAL}


def test_split_and_merge_need_cover():
    """Splitting and merging move dollars to and from the contract, never more than is free."""
    exchange = venue()
    exchange.split("ann", CONDITION, 100 * SHARE, T0)
    assert cash(exchange, CONTRACT) == 100 * DOLLAR
    exchange.merge("ann", CONDITION, 40 * SHARE, T0)
    assert cash(exchange, "ann") == 940 * DOLLAR
    with pytest.raises(ValueError, match="free shares"):
        exchange.merge("ann", CONDITION, 61 * SHARE, T0)
    with pytest.raises(ValueError, match="free dollars"):
        exchange.split("ann", CONDITION, 941 * SHARE, T0)


def test_makers_share_a_fifth_of_the_fees():
    """Rebates: 20 % of taker fees by fee-equivalent, at least a dollar, never paid twice (G.5)."""
    exchange = venue()
    exchange.split("bob", CONDITION, 400 * SHARE, T0)
    accepted(exchange.place(order("bob", UP, SELL, 0.50, 400), T0))
    accepted(exchange.place(order("ann", UP, BUY, 0.50, 400, FAK), T0))
    exchange.advance(T0 + 60 * SECOND)
    assert cash(exchange, VENUE) == 7 * DOLLAR
    assert exchange.pay_rebates(T0) == (("bob", 1_400_000),)
    assert exchange.pay_rebates(T0) == ()
    assert cash(exchange, VENUE) == 5_600_000


def test_markets_are_listed_once():
    """A second listing of the same ids is the caller's bug."""
    exchange = venue()
    with pytest.raises(ValueError, match="existed already"):
        exchange.list_market(LISTING, T0)


# Signed orders.

KEY = PrivateKey(bytes([9] * 32))
OWNER = checksum_address(keccak256(KEY.public_key.format(compressed=False)[1:])[12:])


def signed_order(
    maker_amount: int, taker_amount: int, side: Side = BUY, **changes: object
) -> SignedOrder:
    unsigned = SignedOrder(
        7, OWNER, OWNER, UP_TOKEN, maker_amount, taker_amount, side, 0, 1_795_000_000_123, "0x"
    )
    unsigned = msgspec.structs.replace(unsigned, **changes)
    digest = keccak256(b"\x19\x01" + domain_separator() + contents_hash(unsigned))
    raw = KEY.sign_recoverable(digest, hasher=None)
    return msgspec.structs.replace(unsigned, signature="0x" + raw[:-1].hex() + f"{raw[-1] + 27:x}")


def signed_venue() -> tuple[Exchange, str]:
    exchange = venue()
    quote(exchange)
    account = exchange.accounts.open("owner", signer=OWNER, maker_address=OWNER)
    exchange.accounts.deposit("owner", COLLATERAL, 100 * DOLLAR, T0)
    return exchange, exchange.accounts.create_key(account, 0).api_key


def place_signed(
    exchange: Exchange, key: str, signed: SignedOrder, kind: TimeInForce = GTC
) -> OrderReply:
    return exchange.place_signed(signed, key, key, kind, post_only=False, now_ns=T0)


def test_a_signed_order_rests_under_its_hash():
    """The order id is the EIP-712 hash; sending it again is ``Duplicated``."""
    exchange, key = signed_venue()
    signed = signed_order(4_800_000, 10_000_000)
    reply = accepted(place_signed(exchange, key, signed))
    assert reply.order_id == order_hash(signed)
    assert place_signed(exchange, key, signed) == refusals.duplicated(order_hash(signed))


def test_a_signed_market_buy_is_dollar_sized():
    """A FAK buy spends its dollars, its taker amount floored to four decimals (reference B.5)."""
    exchange, key = signed_venue()
    reply = accepted(place_signed(exchange, key, signed_order(10_000_000, 18_867_900), FAK))
    assert reply.making_micros <= 10 * DOLLAR
    assert reply.taking_micros == 19_607_800


@pytest.mark.parametrize(
    ("signed", "kind", "text"),
    [
        (signed_order(9_980_000, 10_131_970), FAK,
         "invalid amounts, the market buy orders maker amount supports a max accuracy of "
         "2 decimals, taker amount a max of 4 decimals"),
        (signed_order(10_130_000, 9_978_050, SELL), FAK, "breaks minimum tick size rule: 0.01"),
        (signed_order(4_850_000, 10_000_000), GTC, "Price (0.485) breaks minimum tick size"),
        (signed_order(4_850_000, 10_000_000), FAK, "Price (0.485) breaks minimum tick size"),
        (signed_order(2_402_400, 5_005_000), GTC, "invalid amounts, the buy orders"),
        (signed_order(5_005_000, 2_402_400, SELL), GTC, "invalid amounts, the sell orders"),
        (signed_order(0, 5_000_000), GTC, "Invalid order payload"),
        (signed_order(1, 5_000_000, salt=3, token="77"), GTC, "the orderbook 77 does not exist"),
        (signed_order(4_800_000, 10_000_000, maker="0x" + "11" * 20), GTC, "maker address not"),
        (signed_order(4_800_000, 10_000_000, signer="0x" + "11" * 20), GTC, "the order signer"),
        (signed_order(4_800_000, 10_000_000, expiration_seconds=1), GTC, "invalid expiration"),
        (msgspec.structs.replace(signed_order(4_800_000, 10_000_000), salt=8), GTC,
         "invalid signature"),
        (msgspec.structs.replace(signed_order(4_800_000, 10_000_000), metadata="0x1"), GTC,
         "Invalid order payload"),
    ],
)  # fmt: skip
def test_signed_orders_are_refused_with_the_venues_text(
    signed: SignedOrder, kind: TimeInForce, text: str
):
    """Amounts, addresses and signatures that do not hold are refused with their texts."""
    exchange, key = signed_venue()
    if signed.maker_amount_micros == 9_980_000:
        exchange.market(CONDITION).tick_micros = 1_000
    reply = place_signed(exchange, key, signed, kind)
    assert isinstance(reply, Refusal)
    assert text in reply.error


def test_signed_orders_need_a_known_key_and_its_owner():
    """An unknown key is 401; another owner in the body is refused."""
    exchange, key = signed_venue()
    signed = signed_order(4_800_000, 10_000_000)
    unknown = exchange.place_signed(signed, "k", "k", GTC, post_only=False, now_ns=T0)
    assert unknown == refusals.INVALID_API_KEY
    foreign = exchange.place_signed(signed, "other", key, GTC, post_only=False, now_ns=T0)
    assert foreign == refusals.WRONG_OWNER


def test_the_vendors_signed_orders_are_placed():
    """Orders signed by the vendor's own clients are taken for signature types 0, 2 and 3."""
    path = shared_file("fixtures/polymarket/eip712_test_vectors.json")
    loaded = msgspec.json.decode(path.read_bytes())
    placed: list[int] = []
    for name, vector in loaded.items():
        if not name.startswith("v2_"):
            continue
        body = vector["post_body"]
        sent = body["order"]
        signed = SignedOrder(
            sent["salt"],
            sent["maker"],
            sent["signer"],
            sent["tokenId"],
            int(sent["makerAmount"]),
            int(sent["takerAmount"]),
            Side(sent["side"]),
            sent["signatureType"],
            int(sent["timestamp"]),
            sent["signature"],
        )
        exchange = Exchange(NO_HOLD)
        tick = round(float(vector["inputs"]["tick"]) * 1_000_000)
        listing = msgspec.structs.replace(LISTING, up_token=signed.token, tick_micros=tick)
        exchange.list_market(listing, T0)
        exchange.accounts.open("house", house=True)
        for side, price in ((BUY, 0.49), (SELL, 0.51)):
            house = order("house", UP, side, price, 100)
            exchange.place(msgspec.structs.replace(house, token=signed.token), T0)
        owner = loaded["wallets"]["eoa"]
        account = exchange.accounts.open(
            "o", signer=owner, maker_address=signed.maker, signature_type=signed.signature_type
        )
        for asset in (COLLATERAL, signed.token):
            exchange.accounts.deposit("o", asset, 1_000 * DOLLAR, T0)
        key = exchange.accounts.create_key(account, 0).api_key
        reply = place_signed(exchange, key, signed, TimeInForce(body["orderType"]))
        if vector["inputs"]["neg_risk"]:
            assert reply == refusals.INVALID_SIGNATURE
        elif name == "v2_poly1271_sell_fak":
            assert reply == refusals.killed(vector["order_hash"], fok=False)
        else:
            assert accepted(reply).order_id == vector["order_hash"]
        placed.append(signed.signature_type)
    assert sorted(set(placed)) == [0, 2, 3]


def test_another_wallet_of_the_key_is_empty():
    """A wrong signature type trades an empty wallet; a plain EOA is not allowed (I5)."""
    exchange = venue()
    wallets = derive_wallets(OWNER)
    account = exchange.accounts.open(
        "d", signer=OWNER, maker_address=wallets.deposit_beacon, signature_type=3
    )
    key = exchange.accounts.create_key(account, 0).api_key
    safe = signed_order(4_800_000, 10_000_000, maker=wallets.safe, signature_type=2)
    assert place_signed(exchange, key, safe) == refusals.BALANCE
    eoa = signed_order(4_800_000, 10_000_000)
    assert place_signed(exchange, key, eoa) == refusals.MAKER_NOT_ALLOWED


def test_deposit_wallet_orders_are_checked_against_the_wallet():
    """A type 3 order's maker and signer are the deposit wallet, not the key (reference H.1)."""
    exchange = venue()
    wallet = derive_wallets(OWNER).deposit_beacon
    account = exchange.accounts.open("d", signer=OWNER, maker_address=wallet, signature_type=3)
    key = exchange.accounts.create_key(account, 0).api_key
    plain = signed_order(4_800_000, 10_000_000, maker=wallet, signature_type=3)
    assert place_signed(exchange, key, plain) == refusals.WRONG_SIGNER
    unwrapped = signed_order(4_800_000, 10_000_000, maker=wallet, signer=wallet, signature_type=3)
    assert place_signed(exchange, key, unwrapped) == refusals.INVALID_SIGNATURE
