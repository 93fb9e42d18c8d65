"""Our orders at the venue: every way an order's story can be told comes to the same end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.clob.messages import OpenOrder, PostAccepted, PostRejected, PostUnknown
from helpers.domain import (
    MICROS,
    Accepted,
    ExecutionEvent,
    Fill,
    FillStatus,
    OrderState,
    OrderStyle,
    OrderUpdate,
    Rejected,
    Side,
    Unknown,
)
from helpers.live.orders import LiveOrders
from tests.builders import DOWN_TOKEN, UP_TOKEN
from tests.live.builders import (
    MARKET,
    NOW_NS,
    SECOND,
    met,
    one_order,
    order_id,
    signed,
    sold_to_us,
    told,
    trade,
    wanted,
)

MATCHED_10 = PostAccepted(order_id(), "matched", 5_300_000, 10 * MICROS, ("t1",))
LIVE = PostAccepted(order_id(), "live", None, None, ())


def kinds(events: Sequence[ExecutionEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def open_row(matched: float = 0) -> OpenOrder:
    return OpenOrder(
        order_id(),
        MARKET.condition_id,
        UP_TOKEN,
        Side.BUY,
        530_000,
        10 * MICROS,
        round(matched * MICROS),
        "LIVE",
        "GTD",
        0,
    )


def test_a_taker_order_is_over_only_when_what_it_matched_is_booked() -> None:
    """I7, I21: the answer's amount is awaited from the trades, and the market stays shut."""
    orders = one_order()
    assert kinds(orders.on_reply(order_id(), MATCHED_10, NOW_NS)) == ["Accepted"]
    assert orders.markets() == {MARKET.slug}
    events = orders.on_trade(trade(met(1, 4), met(2, 6, 0.52)), NOW_NS)
    assert kinds(events) == ["Fill", "Fill", "OrderUpdate"]
    first, second, ended = events
    assert isinstance(first, Fill)
    assert isinstance(second, Fill)
    assert (first.shares_micros, second.price_micros) == (4 * MICROS, 520_000)
    assert isinstance(ended, OrderUpdate)
    assert ended.state is OrderState.FILLED
    assert orders.markets() == frozenset()


def test_the_channel_may_be_faster_than_the_answer() -> None:
    """A trade before the answer accepts the order; the answer then ends it."""
    orders = one_order()
    assert kinds(orders.on_trade(trade(met(1, 10)), NOW_NS)) == ["Accepted", "Fill", "OrderUpdate"]
    assert orders.on_reply(order_id(), MATCHED_10, NOW_NS) == []
    assert orders.alive() == ()


def test_each_rung_is_told_once_and_a_straggler_not_at_all() -> None:
    """Reference D.4: dedupe by trade and status; what falls back is no news."""
    orders = one_order()
    orders.on_reply(order_id(), MATCHED_10, NOW_NS)
    statuses = ("MATCHED", "MATCHED", "MINED", "MATCHED", "RETRYING", "CONFIRMED", "CONFIRMED")
    fills = [
        event.status
        for status in statuses
        for event in orders.on_trade(trade(met(1, 10), status=status), NOW_NS)
        if isinstance(event, Fill)
    ]
    assert fills == [FillStatus.MATCHED, FillStatus.MINED, FillStatus.CONFIRMED]


def test_an_unknown_status_still_books_its_fill() -> None:
    """The fill inside a message of a new kind must not be lost."""
    orders = one_order()
    (_, fill, _) = orders.on_trade(trade(met(1, 10), status="MATCHED_SIDEWAYS"), NOW_NS)
    assert isinstance(fill, Fill)
    assert fill.status is FillStatus.MATCHED


def test_a_pair_that_was_minted_is_priced_in_our_token() -> None:
    """An order on the other token meets ours: the prices add up to a dollar."""
    orders = one_order()
    events = orders.on_trade(trade(met(1, 10, 0.48, DOWN_TOKEN)), NOW_NS)
    (fill,) = [event for event in events if isinstance(event, Fill)]
    assert fill.price_micros == 520_000
    assert fill.fee_micros == MARKET.fees.taker_fee_micros(10 * MICROS, 520_000)


def test_a_makers_fill_is_its_own_entry_not_the_counterpartys_view() -> None:
    """Reference D.4: our amount and price, no fee."""
    orders = one_order(style=OrderStyle.MAKER)
    orders.on_reply(order_id(), LIVE, NOW_NS)
    (fill,) = orders.on_trade(sold_to_us(4), NOW_NS)
    assert isinstance(fill, Fill)
    assert (fill.shares_micros, fill.price_micros, fill.fee_micros) == (4 * MICROS, 530_000, 0)
    assert fill.maker
    assert orders.pending_entry_micros(MARKET.slug) == 6 * 530_000


def test_a_cancelled_order_waits_for_the_match_that_came_first() -> None:
    """The cancellation says that 4 were matched; the trade is told after it."""
    orders = one_order(style=OrderStyle.MAKER)
    orders.on_reply(order_id(), LIVE, NOW_NS)
    assert orders.on_order(told("CANCELLATION", "CANCELED", matched=4), NOW_NS) == []
    assert orders.markets() == {MARKET.slug}
    events = orders.on_trade(sold_to_us(4), NOW_NS)
    assert kinds(events) == ["Fill", "OrderUpdate"]
    assert isinstance(events[1], OrderUpdate)
    assert events[1].remaining_shares_micros == 6 * MICROS


def test_an_expired_order_says_so() -> None:
    """Reference B.5: expiry comes as a cancellation of its own status."""
    orders = one_order(style=OrderStyle.MAKER)
    orders.on_reply(order_id(), LIVE, NOW_NS)
    (ended,) = orders.on_order(told("CANCELLATION", "CANCELED_EXPIRED_ORDER", matched=0), NOW_NS)
    assert isinstance(ended, OrderUpdate)
    assert ended.state is OrderState.EXPIRED


@pytest.mark.parametrize(
    ("reason", "missed"),
    [
        ("not enough balance / allowance", False),
        (
            "no orders found to match with FAK order. "
            "FAK orders are partially filled or killed if no match is found.",
            True,
        ),
        ("invalid post-only order: order crosses book", True),
        ("order couldn't be fully filled. FOK orders are fully filled or killed.", True),
    ],
)
def test_a_rejection_ends_the_order_and_says_whether_it_was_a_lost_race(
    reason: str, missed: bool
) -> None:
    """Only a rejection that is no lost race counts against us."""
    orders = one_order()
    (rejected,) = orders.on_reply(order_id(), PostRejected(reason), NOW_NS)
    assert isinstance(rejected, Rejected)
    assert rejected.missed is missed
    assert orders.alive() == ()


def test_unknown_is_not_rejected_until_two_reads_apart_do_not_know_it() -> None:
    """Invariant 2: it blocks its market, is read for, and given up only then."""
    orders = one_order()
    (unknown,) = orders.on_reply(order_id(), PostUnknown("ReadTimeout"), NOW_NS)
    assert isinstance(unknown, Unknown)
    assert orders.markets_unknown() == {MARKET.slug}
    for seconds, ends in ((1, False), (14, False), (16, False), (17, False), (19, True)):
        at_ns = NOW_NS + seconds * SECOND
        events = orders.on_read((), (), at_ns, at_ns)
        assert bool(events) is ends, seconds
    assert kinds(events) == ["Rejected"]
    assert orders.markets_unknown() == frozenset()


def test_an_unknown_order_that_rests_is_found() -> None:
    """Its id is among the open orders: accepted, and alive."""
    orders = one_order(style=OrderStyle.MAKER)
    orders.on_reply(order_id(), PostUnknown("HTTP 502"), NOW_NS)
    assert kinds(orders.on_read((open_row(),), (), NOW_NS + SECOND, NOW_NS + SECOND)) == [
        "Accepted"
    ]
    assert orders.resting() == orders.alive()


def test_an_unknown_order_that_filled_is_found_by_its_trades() -> None:
    """The trade names it; it ends with what it got."""
    orders = one_order()
    orders.on_reply(order_id(), PostUnknown("HTTP 500"), NOW_NS)
    at_ns = NOW_NS + 5 * SECOND
    events = orders.on_read((), (trade(met(1, 4)),), at_ns, at_ns)
    assert kinds(events) == ["Accepted", "Fill"]
    assert kinds(orders.on_read((), (), at_ns + 5 * SECOND, at_ns + 5 * SECOND)) == ["OrderUpdate"]


def test_a_late_trade_of_a_given_up_order_is_still_booked() -> None:
    """Nothing that names an order of ours is ever passed over."""
    orders = one_order()
    orders.on_reply(order_id(), PostRejected("never mind"), NOW_NS)
    assert kinds(orders.on_trade(trade(met(1, 10)), NOW_NS)) == ["Fill"]


def test_a_given_up_order_that_the_venue_has_open_is_to_be_cancelled() -> None:
    """Told by the channel or found by a read: nobody wants it any more."""
    for tell in range(2):
        orders = one_order(style=OrderStyle.MAKER)
        orders.on_reply(order_id(), PostRejected("never mind"), NOW_NS)
        if tell:
            orders.on_order(told("PLACEMENT", "LIVE"), NOW_NS)
        else:
            orders.on_read((open_row(),), (), NOW_NS, NOW_NS)
        assert list(orders.zombies) == [order_id()]
        orders.on_cancel((order_id(),), (), NOW_NS)
        assert not orders.zombies


def test_a_foreign_trade_is_counted_and_changes_nothing() -> None:
    """The wallet's owner may trade by hand."""
    orders = one_order()
    assert orders.on_trade(trade(met(1, 10), number=77), NOW_NS) == []
    assert orders.trades.foreign == 1


def test_an_order_id_is_taken_once() -> None:
    """I20: the same order cannot be sent twice."""
    orders = one_order()
    with pytest.raises(ValueError, match="signed before"):
        orders.add(wanted(), MARKET, signed(wanted()))


def test_makers_amounts_that_do_not_add_up_are_booked_as_the_whole_says() -> None:
    """Fill sizes can differ by dust (D.5): one fill of the trade's own size and price."""
    orders = one_order()
    events = orders.on_trade(trade(met(1, 4), met(2, 5), size=10), NOW_NS)
    fills = [event for event in events if isinstance(event, Fill)]
    assert [(f.shares_micros, f.price_micros) for f in fills] == [(10 * MICROS, 530_000)]
    later = orders.on_trade(trade(met(1, 4), met(2, 6), status="CONFIRMED"), NOW_NS)
    assert [f.trade_id for f in later if isinstance(f, Fill)] == ["t1"], "split as first told"


def taken_over(orders: LiveOrders) -> LiveOrders:
    """Return the orders as the next run finds them."""
    after = LiveOrders()
    for carried in orders.carried():
        after.take_over(carried, NOW_NS + 60 * SECOND)
    return after


def test_an_order_alive_at_a_crash_is_of_unknown_outcome_at_the_next_start() -> None:
    """Whatever it was: the venue is asked."""
    orders = one_order(style=OrderStyle.MAKER)
    orders.on_reply(order_id(), LIVE, NOW_NS)
    (filled,) = orders.on_trade(sold_to_us(4), NOW_NS)
    after = taken_over(orders)
    assert isinstance(filled, Fill)
    after.booked(filled)
    assert after.markets_unknown() == {MARKET.slug}
    assert after.on_trade(sold_to_us(4), NOW_NS) == [], "booked before, not again"
    assert kinds(after.on_trade(sold_to_us(4, "CONFIRMED"), NOW_NS)) == ["Accepted", "Fill"]


Said = str
SAYINGS = ("answer", "placed", "matched", "mined", "confirmed", "read", "repeat")


@settings(max_examples=200, deadline=None)
@given(order=st.permutations(SAYINGS), drop=st.sets(st.sampled_from(SAYINGS), max_size=5))
def test_whatever_is_lost_and_in_whatever_order_a_last_read_makes_it_right(
    order: list[Said], drop: set[Said]
) -> None:
    """Ten shares in two parts are booked exactly once, and the order comes to its end."""
    orders = one_order()
    whole = (met(1, 4), met(2, 6))
    confirmed = trade(*whole, status="CONFIRMED")
    told_events: list[ExecutionEvent] = []
    at_ns = NOW_NS

    def say(what: Said) -> Sequence[ExecutionEvent]:
        match what:
            case "answer":
                return orders.on_reply(order_id(), MATCHED_10, at_ns)
            case "placed":
                return orders.on_order(told("PLACEMENT", "MATCHED", 5.3, order_type="FAK"), at_ns)
            case "mined":
                return orders.on_trade(trade(*whole, status="MINED"), at_ns)
            case "confirmed":
                return orders.on_trade(confirmed, at_ns)
            case "read":
                return orders.on_read((), (trade(*whole),), at_ns, at_ns)
            case _:
                return orders.on_trade(trade(*whole), at_ns)

    for what in order:
        if what not in drop:
            at_ns += SECOND
            told_events += say(what)
    if "answer" in drop:
        told_events += orders.on_reply(order_id(), PostUnknown("lost"), at_ns)
    for _ in range(4):
        at_ns += 10 * SECOND
        told_events += orders.on_read((), (confirmed,), at_ns, at_ns)
    assert orders.alive() == ()
    first = {f.trade_id: f.shares_micros for f in told_events if isinstance(f, Fill)}
    assert sum(first.values()) == 10 * MICROS
    assert len([e for e in told_events if isinstance(e, Accepted)]) == 1
    ends = [e for e in told_events if isinstance(e, OrderUpdate | Rejected)]
    assert len(ends) == 1, ends
    rungs = [(f.trade_id, f.status) for f in told_events if isinstance(f, Fill)]
    assert len(rungs) == len(set(rungs))
    for earlier, later in itertools.pairwise(f for f in told_events if isinstance(f, Fill)):
        assert earlier.at_ns <= later.at_ns
