"""The sequenced depth: joins a snapshot, breaks at a gap, never shows what is out of sequence."""

from __future__ import annotations

import pytest

from helpers.board import Board
from helpers.board.depth_book import MAXIMUM_BUFFERED, MAXIMUM_LEVELS, DepthBook
from helpers.domain import Asset, DepthChange, DepthSnapshot, PriceSize, Source

KEY = (Source.BINANCE_PUBLIC, Asset.BTC)


def snapshot(last: int, bid: float = 99.0, ask: float = 101.0) -> DepthSnapshot:
    """Return a depth of one level a side."""
    return DepthSnapshot(*KEY, last, ((bid, 1.0),), ((ask, 1.0),), 0, 0)


def diff(
    first: int,
    last: int,
    previous: int,
    bids: tuple[PriceSize, ...] = (),
    asks: tuple[PriceSize, ...] = (),
) -> DepthChange:
    """Return a sequenced change."""
    return DepthChange(*KEY, first, last, previous, bids, asks, 0, 0)


@pytest.mark.parametrize(
    ("event", "joins"),
    [
        (diff(95, 105, 90), True),
        (diff(100, 105, 98), True),
        (diff(140, 150, 100), True),
        (diff(101, 105, 100), True),
        (diff(140, 150, 120), False),
        (diff(80, 90, 70), True),
    ],
)
def test_the_first_change_spans_or_continues_the_snapshot(event: DepthChange, joins: bool) -> None:
    """U <= L <= u, or pu == L; older ones are skipped (binance reference 3.1)."""
    book = DepthBook()
    assert book.snapshot(snapshot(100))
    assert book.change(event) is joins
    assert book.synchronised is joins
    assert (book.best() is not None) is joins


def test_changes_before_the_snapshot_are_applied_after_it() -> None:
    """What was buffered continues the snapshot; what it already holds is skipped."""
    book = DepthBook()
    assert book.change(diff(90, 95, 89, ((98.0, 5.0),)))
    assert book.change(diff(96, 102, 95, ((99.5, 2.0),)))
    assert book.change(diff(103, 104, 102, asks=((101.0, 0.0), (100.5, 3.0))))
    assert book.best() is None
    assert book.snapshot(snapshot(100))
    assert book.best() == ((99.5, 2.0), (100.5, 3.0))
    assert book.last_update_id == 104


def test_a_gap_breaks_the_book_until_a_snapshot() -> None:
    """It is counted, named once as a suspect, and shows nothing meanwhile."""
    board = Board()
    board.apply(snapshot(100))
    board.apply(diff(99, 105, 98))
    assert board.depth_update_id(*KEY) == 105
    board.apply(diff(120, 125, 119))
    assert board.depth_best(*KEY) is None
    assert board.depth_update_id(*KEY) == 0
    assert dict(board.anomalies())["depth_gap"] == 1
    assert board.drain_depth_suspects() == (KEY,)
    assert board.drain_depth_suspects() == ()
    board.apply(snapshot(110))
    assert board.depth_best(*KEY) is None
    assert board.drain_depth_suspects() == (KEY,)
    board.apply(diff(126, 130, 125, ((99.9, 1.0),)))
    board.apply(snapshot(122))
    assert board.depth_best(*KEY) == ((99.9, 1.0), (101.0, 1.0))


def test_changes_without_a_snapshot_ask_for_one() -> None:
    """The first change of an unknown book names it a suspect."""
    board = Board()
    board.apply(diff(1, 2, 0))
    assert board.drain_depth_suspects() == (KEY,)
    assert board.depth_best(*KEY) is None


def test_an_older_snapshot_does_not_set_the_book_back() -> None:
    """A refetch that comes late is skipped."""
    book = DepthBook()
    book.snapshot(snapshot(100))
    book.change(diff(100, 105, 99, ((99.5, 1.0),)))
    assert book.snapshot(snapshot(90, bid=50.0))
    assert book.best() == ((99.5, 1.0), (101.0, 1.0))


def test_memory_is_bounded() -> None:
    """The buffer drops its oldest, a side its farthest levels."""
    book = DepthBook()
    for index in range(MAXIMUM_BUFFERED + 10):
        book.change(diff(index * 2 + 1, index * 2 + 2, index * 2))
    assert not book.snapshot(snapshot(5))
    book = DepthBook()
    book.snapshot(snapshot(1))
    for index in range(2 * MAXIMUM_LEVELS):
        book.change(diff(index + 2, index + 2, index + 1, ((10.0 + index / 1_000, 1.0),)))
    best = book.best()
    assert best is not None
    assert best[0] == (99.0, 1.0)
    assert len(book._bids) <= MAXIMUM_LEVELS
