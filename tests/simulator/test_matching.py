"""The mirrored book: priority, conservation, mirrors and order kinds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import MICROS, Outcome, Side
from simulator.matching import (
    Book,
    BookOrder,
    MatchStatus,
    MatchType,
    TimeInForce,
    affordable_shares,
    cost_micros,
)

SHARE = MICROS
UP, DOWN, BUY, SELL = Outcome.UP, Outcome.DOWN, Side.BUY, Side.SELL


def order(
    order_id: str,
    outcome: Outcome,
    side: Side,
    cents: int,
    shares: int,
    kind: TimeInForce = TimeInForce.GTC,
    post_only: bool = False,
    budget: int = 0,
) -> BookOrder:
    return BookOrder(
        order_id, "a", outcome, side, cents * 10_000, shares * SHARE, kind, post_only, budget
    )


def assert_sound(book: Book) -> None:
    """No crossed book, no empty or negative level, exact mirrors, best-first order."""
    bid, ask = book.best_bid, book.best_ask
    assert bid is None or ask is None or bid < ask
    for outcome in Outcome:
        bids, asks = book.levels(outcome, BUY), book.levels(outcome, SELL)
        assert all(size > 0 for _, size in bids + asks)
        assert list(bids) == sorted(bids, reverse=True)
        assert list(asks) == sorted(asks)
        other = outcome.other
        assert tuple((MICROS - price, size) for price, size in bids) == book.levels(other, SELL)
        assert tuple((MICROS - price, size) for price, size in asks) == book.levels(other, BUY)
    resting = [book.order(order_id) for order_id in book.order_ids()]
    for side in (True, False):
        total = sum(r.remaining_micros for r in resting if r and r.is_bid is side)
        shown = book.levels(UP, BUY if side else SELL)
        assert total == sum(size for _, size in shown)


Step = tuple[Outcome, Side, int, int, TimeInForce, bool, bool, int]
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(list(Outcome)),
        st.sampled_from(list(Side)),
        st.integers(40, 60),
        st.integers(1, 30),
        st.sampled_from(list(TimeInForce)),
        st.booleans(),
        st.booleans(),
        st.integers(0, 60),
    ),
    max_size=60,
)


@given(ORDERS)
@settings(max_examples=150, deadline=None)
def test_any_sequence_keeps_the_book_sound(steps: list[Step]):
    """After any orders and cancels the book is uncrossed, mirrored, and shares are conserved."""
    book = Book()
    placed: dict[str, BookOrder] = {}
    for index, (outcome, side, cents, shares, kind, post_only, dollars, cancel) in enumerate(steps):
        immediate = kind in (TimeInForce.FAK, TimeInForce.FOK)
        budget = shares * SHARE if dollars and immediate and side is BUY else 0
        new = order(
            f"o{index}", outcome, side, cents, shares, kind, post_only and not immediate, budget
        )
        crosses = book.crosses(new)
        preview = book.preview(new)
        before = {order_id: book.order(order_id).remaining_micros for order_id in book.order_ids()}  # type: ignore[union-attr]
        result = book.place(new)
        placed[new.order_id] = new
        assert_sound(book)
        assert result.filled_micros == sum(fill.shares_micros for fill in result.fills)
        if not budget and not immediate and result.status is not MatchStatus.WOULD_CROSS:
            assert result.filled_micros + result.resting_micros == new.shares_micros
        if new.post_only:
            assert not result.fills
            assert (result.status is MatchStatus.WOULD_CROSS) is crosses
        if immediate:
            assert result.resting_micros == 0
            assert new.order_id not in book
        if kind is TimeInForce.FOK:
            assert bool(result.fills) is preview.fills_whole
            if result.fills and not budget:
                assert result.filled_micros == new.shares_micros
        elif not new.post_only:
            assert preview.shares_micros == result.filled_micros
        spent = 0
        for fill in result.fills:
            maker = placed[fill.maker_order_id]
            assert fill.up_price_micros == maker.up_price_micros
            left = before[fill.maker_order_id] - fill.shares_micros
            assert fill.maker_remaining_micros == left
            taken = cost_micros(outcome, fill.up_price_micros, fill.shares_micros)
            spent += taken
            limit = -(-fill.shares_micros * new.price_micros // MICROS)
            assert taken <= limit if side is BUY else taken >= limit - 1
            if fill.match_type is MatchType.NORMAL:
                assert maker.outcome is outcome
                assert maker.side is not side
            else:
                assert maker.outcome is not outcome
                assert maker.side is side
                assert fill.match_type is (MatchType.MINT if side is BUY else MatchType.MERGE)
        if budget:
            assert spent <= budget
        levels = {
            (change.side, change.price_micros): change.shares_micros for change in result.levels
        }
        for (book_side, price), size in levels.items():
            assert dict(book.levels(UP, book_side)).get(price, 0) == size
        if cancel < index:
            rested = f"o{cancel}" in book
            assert (book.cancel(f"o{cancel}") is not None) is rested
            assert_sound(book)


def test_price_then_time_priority():
    """The best price fills first; at one price the older order fills first."""
    book = Book()
    book.place(order("late_best", UP, SELL, 52, 5))
    book.place(order("old", UP, SELL, 53, 5))
    book.place(order("new", DOWN, BUY, 47, 5))
    result = book.place(order("taker", UP, BUY, 53, 12))
    assert [fill.maker_order_id for fill in result.fills] == ["late_best", "old", "new"]
    assert [fill.match_type for fill in result.fills] == [
        MatchType.NORMAL,
        MatchType.NORMAL,
        MatchType.MINT,
    ]
    assert book.levels(UP, SELL) == ((530_000, 3 * SHARE),)


def test_a_partly_filled_maker_keeps_its_place():
    """A partial fill does not send the maker to the back of the queue."""
    book = Book()
    book.place(order("first", UP, BUY, 50, 10))
    book.place(order("second", UP, BUY, 50, 10))
    book.place(order("t1", UP, SELL, 50, 4))
    result = book.place(order("t2", DOWN, BUY, 50, 8))
    assert [(f.maker_order_id, f.shares_micros) for f in result.fills] == [
        ("first", 6 * SHARE),
        ("second", 2 * SHARE),
    ]


def test_merge_match_pays_both_sides_one_dollar_a_pair():
    """Selling both tokens merges: the two prices add up to one (reference D.4)."""
    book = Book()
    book.place(order("maker", DOWN, SELL, 45, 10))
    result = book.place(order("taker", UP, SELL, 50, 10))
    (fill,) = result.fills
    assert fill.match_type is MatchType.MERGE
    assert fill.up_price_micros == 550_000
    assert cost_micros(UP, 550_000, 10 * SHARE) + cost_micros(DOWN, 550_000, 10 * SHARE) == (
        10 * SHARE
    )


def test_fok_is_all_or_nothing_and_fak_takes_what_is_there():
    """FOK leaves the book untouched when it cannot fill; FAK fills a part and never rests."""
    book = Book()
    book.place(order("maker", UP, SELL, 50, 10))
    assert book.place(order("fok", UP, BUY, 50, 11, TimeInForce.FOK)).status is MatchStatus.KILLED
    assert book.levels(UP, SELL) == ((500_000, 10 * SHARE),)
    fak = book.place(order("fak", UP, BUY, 50, 11, TimeInForce.FAK))
    assert fak.status is MatchStatus.PARTLY_KILLED
    assert fak.filled_micros == 10 * SHARE
    assert len(book) == 0
    assert book.place(order("none", UP, BUY, 50, 5, TimeInForce.FAK)).status is MatchStatus.KILLED


def test_a_dollar_sized_buy_gets_more_shares_at_better_prices():
    """A market buy spends its money at the makers' prices (reference D.2)."""
    book = Book()
    book.place(order("m1", UP, SELL, 40, 10))
    book.place(order("m2", UP, SELL, 50, 100))
    result = book.place(order("taker", UP, BUY, 60, 0, TimeInForce.FAK, budget=10_000_000))
    assert result.status is MatchStatus.FILLED
    assert [fill.shares_micros for fill in result.fills] == [10 * SHARE, 12 * SHARE]
    thin = book.place(order("fok", DOWN, BUY, 60, 0, TimeInForce.FOK, budget=10_000_000))
    assert thin.status is MatchStatus.KILLED


def test_dollar_sized_shares_are_cut_to_four_decimals():
    """Shares bought by money have at most four decimals (reference B.5)."""
    assert affordable_shares(10_000_000, 530_000) == 18_867_900


def test_misuse_raises():
    """A resting id twice or a price outside (0, 1) is the caller's bug."""
    book = Book()
    book.place(order("a", UP, BUY, 50, 5))
    with pytest.raises(ValueError, match="resting already"):
        book.place(order("a", UP, BUY, 50, 5))
    with pytest.raises(ValueError, match="price was"):
        book.place(order("b", UP, BUY, 100, 5))
    assert book.cancel("unknown") is None
