"""Outcome books: levels, best prices, doubts, and what must not be traded on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.board import Board
from helpers.board.books import FINEST_TICK_MICROS, GRIDS_KEPT, price_grid
from helpers.domain import (
    NS_PER_SECOND,
    BestPrices,
    BookChange,
    BookProblem,
    FeedEvent,
    LevelChange,
    Side,
    TickSize,
)
from helpers.execution import Books
from tests.board_streams import DOWN, LATENCY_NS, START_NS, UP, book, change, level, market, opened

T = START_NS
SLUG = "btc-updown-15m"
SECOND = NS_PER_SECOND


def board_with(*events: FeedEvent) -> Board:
    """Return a board with one market and these events."""
    board = Board()
    board.apply(opened(market()))
    for event in events:
        board.apply(event)
    return board


def up_book(at_ns: int = T) -> FeedEvent:
    """Return a sound Up book, 0.50 to 0.52."""
    return book(at_ns, UP, ((0.49, 30.0), (0.5, 10.0)), ((0.52, 20.0), (0.53, 5.5)))


def problem(board: Board, token: str = UP) -> BookProblem:
    """Return what is wrong with a token's book."""
    snapshot = board.snapshot(SLUG, T + 10 * SECOND, on_grid=True)
    return (snapshot.up if token == UP else snapshot.down).problem


def test_a_snapshot_replaces_the_book_whatever_its_order() -> None:
    """Levels of a later snapshot are all there is, best first."""
    board = board_with(up_book(), book(T + 1, UP, ((0.4, 1.0), (0.45, 2.0)), ((0.6, 3.25),)))
    assert board.levels(UP, Side.SELL, 9) == ((450_000, 2_000_000), (400_000, 1_000_000))
    assert board.levels(UP, Side.BUY, 9) == ((600_000, 3_250_000),)


def test_levels_are_exact_and_the_side_an_order_would_meet() -> None:
    """A buy walks the asks upwards, a sale the bids downwards; sizes are exact micro-shares."""
    board = board_with(up_book())
    assert board.levels(UP, Side.BUY, 1) == ((520_000, 20_000_000),)
    assert board.levels(UP, Side.BUY, 5) == ((520_000, 20_000_000), (530_000, 5_500_000))
    assert board.shares_at(UP, Side.SELL, 530_000) == 5_500_000
    assert board.shares_at(UP, Side.BUY, 530_000) == 0
    assert board.levels("unheard of", Side.BUY, 5) == ()


def test_no_frame_waits_for_the_finest_grid() -> None:
    """A board has it from the start: to make it takes longer than a decision may."""
    price_grid.cache_clear()
    Board()
    assert price_grid.cache_info().currsize == 1
    assert price_grid(FINEST_TICK_MICROS)
    assert price_grid.cache_info().hits == 1


def test_the_board_is_what_an_executor_reads() -> None:
    """It satisfies the executor's protocol."""
    books: Books = board_with(up_book())
    assert books.levels(UP, Side.BUY, 1) == ((520_000, 20_000_000),)


def test_a_frame_without_a_stamp_is_as_old_as_its_receipt() -> None:
    """Where the venue sends no time there is nothing better."""
    board = board_with(book(0, UP, ((0.5, 1.0),), ((0.52, 1.0),)))
    unstamped = BookChange("0x", (level(UP, Side.BUY, 0.5, 2.0),), 0, T)
    board.apply(unstamped)
    assert board.snapshot(SLUG, T + SECOND, True).up.age_seconds == pytest.approx(1.0)


def test_changes_step_the_best_prices() -> None:
    """A removed best falls back to the next level; a better one becomes the best."""
    board = board_with(
        up_book(),
        change(T + 1, level(UP, Side.BUY, 0.5, 0.0, 0.49, 0.52)),
        change(T + 2, level(UP, Side.SELL, 0.51, 7.0, 0.49, 0.51)),
        change(T + 3, level(UP, Side.BUY, 0.49, 31.0, 0.49, 0.51)),
    )
    view = board.snapshot(SLUG, T + SECOND, on_grid=True).up
    assert view.bids == ((490_000, 31_000_000),)
    assert view.asks[0] == (510_000, 7_000_000)
    assert view.problem is BookProblem.NONE
    assert board.drain_suspects() == ()


def test_the_best_price_is_found_over_a_wide_hole() -> None:
    """Stepping gives way to a scan where the next level is far."""
    board = board_with(
        book(T, UP, ((0.02, 5.0), (0.9, 1.0)), ((0.91, 1.0), (0.99, 2.0))),
        change(T + 1, level(UP, Side.BUY, 0.9, 0.0, 0.02, 0.91)),
        change(T + 2, level(UP, Side.SELL, 0.91, 0.0, 0.02, 0.99)),
    )
    view = board.snapshot(SLUG, T, on_grid=True).up
    assert (view.bids[0][0], view.asks[0][0]) == (20_000, 990_000)
    assert board.anomalies() == ()


def test_up_and_down_are_never_mixed() -> None:
    """A change of one token leaves the other's book alone (I27)."""
    down = book(T, DOWN, ((0.4, 1.0),), ((0.6, 1.0),))
    board = board_with(up_book(), down)
    before = board.levels(UP, Side.BUY, 9), board.levels(UP, Side.SELL, 9)
    board.apply(change(T + 1, level(DOWN, Side.BUY, 0.41, 3.0, 0.41, 0.6)))
    assert (board.levels(UP, Side.BUY, 9), board.levels(UP, Side.SELL, 9)) == before
    assert board.levels(DOWN, Side.SELL, 1) == ((410_000, 3_000_000),)


def test_a_mismatch_makes_the_book_a_suspect_until_its_snapshot() -> None:
    """Our best prices differ from the frame's: no levels are shown until a new snapshot."""
    board = board_with(up_book(), change(T + 1, level(UP, Side.BUY, 0.48, 1.0, 0.51, 0.52)))
    assert problem(board) is BookProblem.UNSYNCHRONISED
    assert board.levels(UP, Side.BUY, 5) == ()
    assert board.shares_at(UP, Side.BUY, 490_000) == 0
    assert board.drain_suspects() == (UP,)
    assert board.drain_suspects() == ()
    assert dict(board.anomalies())["best_mismatch"] == 1
    board.apply(up_book(T + 2))
    assert problem(board) is BookProblem.NONE


def test_a_suspect_is_named_again_while_nobody_refetches_it() -> None:
    """A failed refetch is not the end: changes that cannot be used name the token again."""
    board = board_with(up_book(), change(T + 1, level(UP, Side.BUY, 0.48, 1.0, 0.51, 0.52)))
    board.drain_suspects()
    board.apply(change(T + SECOND, level(UP, Side.BUY, 0.47, 1.0)))
    assert board.drain_suspects() == ()
    board.apply(change(T + 7 * SECOND, level(UP, Side.BUY, 0.47, 1.0)))
    assert board.drain_suspects() == (UP,)


def test_several_changes_of_one_token_are_compared_once() -> None:
    """Best prices are those after the whole frame, so its first change alone proves nothing."""
    board = board_with(
        up_book(),
        change(
            T + 1,
            level(UP, Side.BUY, 0.5, 0.0, 0.48, 0.52),
            level(UP, Side.BUY, 0.49, 0.0, 0.48, 0.52),
            level(UP, Side.BUY, 0.48, 4.0, 0.48, 0.52),
        ),
    )
    assert problem(board) is BookProblem.NONE


@pytest.mark.parametrize(("bid", "suspect"), [(0.5, ()), (0.49, (UP,)), (math.nan, (UP,))])
def test_best_prices_are_checked(bid: float, suspect: tuple[str, ...]) -> None:
    """The venue's best bid and ask of a token that differ from ours make it a suspect (C.5)."""
    board = board_with(up_book(), BestPrices("0x", UP, bid, 0.52, T + 1, T + 1 + LATENCY_NS))
    assert board.drain_suspects() == suspect


def test_best_prices_that_overtake_their_change_are_no_mismatch() -> None:
    """The change that made them true comes a moment later."""
    board = board_with(
        up_book(),
        BestPrices("0x", UP, 0.51, 0.52, T + 1, T + 1 + LATENCY_NS),
        change(T + 2, level(UP, Side.BUY, 0.51, 4.0, 0.51, 0.52)),
    )
    assert board.drain_suspects() == ()


def test_an_older_change_is_dropped_and_one_of_the_same_time_applied() -> None:
    """During a make-before-break overlap the slower socket tells old news."""
    board = board_with(
        up_book(T + 10),
        change(T + 9, level(UP, Side.BUY, 0.5, 99.0)),
        change(T + 10, level(UP, Side.BUY, 0.49, 77.0, 0.5, 0.52)),
    )
    assert board.shares_at(UP, Side.BUY, 500_000) == 10_000_000
    assert board.shares_at(UP, Side.BUY, 490_000) == 77_000_000
    assert dict(board.anomalies())["out_of_order"] == 1


def test_the_slower_sockets_snapshot_is_dropped() -> None:
    """A snapshot older than a change received just before it would undo that change."""
    board = board_with(
        up_book(T),
        change(T + 20, level(UP, Side.BUY, 0.51, 4.0, 0.51, 0.52)),
        up_book(T + 10),
    )
    assert board.levels(UP, Side.SELL, 1) == ((510_000, 4_000_000),)


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ((), (), BookProblem.EMPTY),
        (((0.5, 1.0),), (), BookProblem.ONE_SIDED),
        ((), ((0.5, 1.0),), BookProblem.ONE_SIDED),
        (((0.5, 1.0),), ((0.5, 1.0),), BookProblem.CROSSED),
        (((0.6, 1.0),), ((0.5, 1.0),), BookProblem.CROSSED),
        (((0.5, 0.0),), ((0.6, 1.0),), BookProblem.ONE_SIDED),
        (((0.5, 1.0),), ((0.6, 1.0),), BookProblem.NONE),
    ],
)
def test_problems(
    bids: tuple[tuple[float, float], ...],
    asks: tuple[tuple[float, float], ...],
    expected: BookProblem,
) -> None:
    """Empty, one-sided, locked and crossed books are named."""
    board = board_with(book(T, UP, bids, asks))
    assert problem(board) is expected
    if expected is BookProblem.CROSSED:
        assert board.levels(UP, Side.BUY, 5) == ()
        assert dict(board.anomalies())["crossed"] == 1


def test_a_tick_change_waits_for_a_snapshot() -> None:
    """The grid belongs to the token; its book is dropped from trading until fetched anew (C.4)."""
    board = board_with(up_book(), TickSize("0x", UP, 1_000, T + 1, T + 1))
    assert board.drain_suspects() == (UP,)
    assert problem(board) is BookProblem.UNSYNCHRONISED
    board.apply(book(T + 2, UP, ((0.961, 1.0),), ((0.963, 2.0),)))
    assert problem(board) is BookProblem.NONE
    assert board.snapshot(SLUG, T, True).up.tick_micros == 1_000
    board.apply(TickSize("0x", UP, 1_000, T + 3, T + 3))
    assert board.drain_suspects() == ()


def test_a_snapshot_may_hold_levels_finer_than_the_tick() -> None:
    """Fine orders rest on after the tick went back: they are the best prices, and are followed."""
    board = board_with(up_book(), book(T + 1, UP, ((0.505, 7.0), (0.5, 1.0)), ((0.52, 1.0),)))
    assert problem(board) is BookProblem.NONE
    view = board.snapshot(SLUG, T + 1, True).up
    assert view.bids == ((505_000, 7_000_000), (500_000, 1_000_000))
    assert view.tick_micros == 10_000
    board.apply(change(T + 2, level(UP, Side.BUY, 0.505, 0.0)))
    assert board.snapshot(SLUG, T + 2, True).up.bids == ((500_000, 1_000_000),)
    assert dict(board.anomalies())["off_tick_level"] == 1


@pytest.mark.parametrize(
    "event",
    [
        change(T + 1, level(UP, Side.BUY, 0.505, 1.0)),
        book(T + 1, UP, ((0.50505, 1.0),), ((0.52, 1.0),)),
    ],
)
def test_a_price_off_the_grid_is_not_believed(event: FeedEvent) -> None:
    """A tick we do not know is an unknown fact: fetch the book anew."""
    board = board_with(up_book(), event)
    assert problem(board) is BookProblem.UNSYNCHRONISED
    assert board.drain_suspects() == (UP,)
    assert dict(board.anomalies())["off_grid_price"] == 1


@pytest.mark.parametrize("tick", [10_000, 1_000, 100])
def test_the_grid_holds_every_decimal_as_it_is_parsed(tick: int) -> None:
    """Each price of a grid, as decimal text, is found, and only as itself."""
    grid = price_grid(tick)
    assert len(grid) == 1_000_000 // tick - 1
    for micros in range(tick, 1_000_000, tick):
        assert grid[float(f"0.{micros:06d}")] == micros


def test_ticks_nobody_knows_are_not_kept_for_ever() -> None:
    """A venue may say anything; an unknown tick has an empty grid, and only the last few stay."""
    assert all(price_grid(tick) == {} for tick in range(-100, 100))
    assert price_grid.cache_info().currsize <= GRIDS_KEPT


@pytest.mark.parametrize("tick", [0, -1, 7, 30_000])
def test_nothing_fits_an_unknown_tick(tick: int) -> None:
    """A tick that does not divide a dollar fails closed."""
    assert not price_grid(tick)


def test_age_is_that_of_the_venues_data() -> None:
    """A change ages from its venue stamp, a snapshot from its receipt (I16)."""
    board = board_with(up_book())
    now_ns = T + LATENCY_NS + 3 * SECOND
    assert board.snapshot(SLUG, now_ns, True).up.age_seconds == pytest.approx(3.0)
    assert board.snapshot(SLUG, now_ns, True).down.age_seconds == math.inf
    board.apply(change(T + SECOND, level(UP, Side.BUY, 0.49, 1.0, 0.5, 0.52)))
    assert board.snapshot(SLUG, now_ns, True).up.age_seconds == pytest.approx(2.0)


def test_a_change_that_was_held_up_is_as_old_as_its_stamp() -> None:
    """A socket that delivers old frames late does not make them young (invariant 8)."""
    board = board_with(up_book())
    for index in range(100):
        board.apply(change(T + index, level(UP, Side.BUY, 0.49, 1.0, 0.5, 0.52)))
    held_up = change(T + SECOND, level(UP, Side.BUY, 0.49, 2.0, 0.5, 0.52))
    late_ns = T + 41 * SECOND
    board.apply(type(held_up)(held_up.condition_id, held_up.changes, held_up.venue_ns, late_ns))
    age = board.snapshot(SLUG, late_ns, True).up.age_seconds
    assert age == pytest.approx(40.0 - LATENCY_NS / SECOND)


CENTS = st.integers(1, 99)
CHANGES = st.lists(
    st.tuples(st.sampled_from((UP, DOWN)), st.booleans(), CENTS, st.sampled_from((0.0, 1.0, 7.25))),
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(changes=CHANGES)
def test_any_changes_leave_what_a_plain_dict_holds(
    changes: list[tuple[str, bool, int, float]],
) -> None:
    """Best prices and levels are those of the plain book, crossed or not."""
    board = board_with(book(T, UP, (), ()), book(T, DOWN, (), ()))
    plain: dict[tuple[str, bool], dict[int, int]] = {}
    for index, (token, buys, cents, size) in enumerate(changes):
        side = Side.BUY if buys else Side.SELL
        wire: LevelChange = level(token, side, cents / 100, size)
        board.apply(change(T + index, wire))
        levels = plain.setdefault((token, buys), {})
        levels.pop(cents * 10_000, None)
        if size:
            levels[cents * 10_000] = round(size * 1e6)
    snapshot = board.snapshot(SLUG, T, True)
    for token, view in ((UP, snapshot.up), (DOWN, snapshot.down)):
        bids, asks = plain.get((token, True), {}), plain.get((token, False), {})
        assert view.bids == tuple(sorted(bids.items(), reverse=True)[:5])
        assert view.asks == tuple(sorted(asks.items())[:5])
        crossed = bids and asks and max(bids) >= min(asks)
        assert (view.problem is BookProblem.CROSSED) == bool(crossed)
