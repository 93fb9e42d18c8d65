"""The board against real frames: a sequenced book that agrees with the venue, and its clock."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from statistics import median

import pytest

from helpers.board import Board
from helpers.domain import (
    NS_PER_MS,
    Asset,
    DepthChange,
    FeedEvent,
    Quote,
    Source,
    Trade,
)
from helpers.feeds.binance_rest import parse_depth_snapshot
from helpers.feeds.ingest import Ingest
from tests.shared import shared_file

MATCHING_POINTS = 629
FRAMES = 93_954


def _events(name: str) -> Iterator[FeedEvent]:
    ingest = Ingest()
    with gzip.open(shared_file(f"fixtures/binance/hftbacktest/{name}"), "rb") as lines:
        for line in lines:
            stamp, raw = line.split(b" ", 1)
            received_ns = int(stamp)
            if raw.startswith(b'{"lastUpdateId"'):
                depth = parse_depth_snapshot(raw, Asset.BTC, Source.BINANCE_PUBLIC, received_ns)
                assert depth is not None
                yield depth
            else:
                yield from ingest.parse(Source.BINANCE_PUBLIC, raw, received_ns)
    assert not ingest.skipped_rows() or all(
        "ignored:trade" in row for row, _ in ingest.skipped_rows()
    )


@pytest.fixture(scope="module")
def recorded() -> list[FeedEvent]:
    """Events of 345 s of BTC USD-M."""
    return list(_events("usdm_btcusdt_20240808.gz"))


def test_recorded_depth_has_no_gap_and_agrees_with_the_quotes(recorded: list[FeedEvent]) -> None:
    """At each of the 629 update ids both streams share, best prices and sizes agree."""
    assert len(recorded) == FRAMES
    source, asset = Source.BINANCE_PUBLIC, Asset.BTC
    by_id = {event.update_id: event for event in recorded if isinstance(event, Quote)}
    board = Board()
    agreed = 0
    differed: list[int] = []
    for event in recorded:
        board.apply(event)
        if not isinstance(event, DepthChange) or event.last_update_id not in by_id:
            continue
        if board.depth_update_id(source, asset) != event.last_update_id:
            continue
        quote = by_id[event.last_update_id]
        best = board.depth_best(source, asset)
        if best == ((quote.bid, quote.bid_size), (quote.ask, quote.ask_size)):
            agreed += 1
        else:
            differed.append(event.last_update_id)
    counts = dict(board.anomalies())
    assert not differed
    assert agreed == MATCHING_POINTS
    assert "depth_gap" not in counts
    assert "out_of_order" not in counts
    assert "duplicate_trade" not in counts


def test_clock_offset_is_within_20_ms(recorded: list[FeedEvent]) -> None:
    """The recorder's clock is 1,269.5 ms behind the venue's (median), and the board finds it."""
    board = Board()
    differences: list[int] = []
    for event in recorded:
        board.apply(event)
        if isinstance(event, Quote | Trade):
            differences.append(event.received_ns - event.venue_ns)
    offset_ms = board.clock_offset_ns(Source.BINANCE_PUBLIC) / NS_PER_MS
    assert abs(offset_ms - -1_269.5) < 20.0
    assert abs(offset_ms - median(differences) / NS_PER_MS) < 20.0
