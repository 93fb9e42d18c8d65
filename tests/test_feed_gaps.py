"""Gaps of feeds: told when they begin, each failed reconnect, and once when they are over."""

from __future__ import annotations

from helpers.domain import (
    NS_PER_SECOND,
    Connected,
    Disconnected,
    FeedGap,
    FeedRestored,
    Source,
)
from helpers.feed_gaps import FeedGaps


def test_a_gap_is_measured_from_its_first_loss() -> None:
    """Failed reconnects in between do not start it anew (I16)."""
    gaps, book = FeedGaps(), Source.POLYMARKET_MARKET
    assert gaps.row_of(Connected(book, 1)) is None
    assert gaps.row_of(Disconnected(book, "cut", 2 * NS_PER_SECOND)) == FeedGap(book, "cut")
    assert gaps.row_of(Disconnected(book, "503", 5 * NS_PER_SECOND)) == FeedGap(book, "503")
    assert gaps.row_of(Connected(Source.COINBASE, 6)) is None
    assert gaps.row_of(Connected(book, 9 * NS_PER_SECOND)) == FeedRestored(book, 7.0)
    assert gaps.row_of(Connected(book, 10 * NS_PER_SECOND)) is None
