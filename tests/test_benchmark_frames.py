"""The benchmarks' frames: seeded, in the real mix, and nothing that the board would refuse."""

from __future__ import annotations

from collections import Counter

from benchmarks.frames import START_MS, FastFrames, polymarket_frames
from helpers.board import Board
from helpers.domain import NS_PER_MS, BookProblem, FeedEvent, MarketOpened, Source
from helpers.feeds.ingest import Ingest

COUNT = 3_000
NOW_NS = START_MS * NS_PER_MS


def kinds(events: list[FeedEvent]) -> dict[str, float]:
    """Return the share of each kind of event."""
    counts = Counter(type(event).__name__ for event in events)
    return {kind: count / len(events) for kind, count in counts.items()}


def test_a_seed_gives_the_same_frames() -> None:
    """Two runs measure the same work."""
    assert polymarket_frames(4, 200, 1) == polymarket_frames(4, 200, 1)
    assert polymarket_frames(4, 200, 1) != polymarket_frames(4, 200, 2)
    assert list(FastFrames(1).mixed(200)) == list(FastFrames(1).mixed(200))


def test_market_frames_are_mixed_and_sound() -> None:
    """90 % price changes, and books that agree with the frames' best prices throughout."""
    facts, opening, frames = polymarket_frames(4, COUNT, 3)
    board, ingest = Board(), Ingest()
    for market in facts:
        board.apply(MarketOpened(market, NOW_NS))
    events: list[FeedEvent] = []
    for index, raw in enumerate((*opening, *frames)):
        parsed = ingest.parse(Source.POLYMARKET_MARKET, raw, NOW_NS + index * NS_PER_MS)
        events.extend(parsed)
        for event in parsed:
            board.apply(event)
    shares = kinds(events)
    assert 0.87 < shares["BookChange"] < 0.93
    assert set(shares) == {"BookChange", "BookSnapshot", "OutcomeTrade", "BestPrices"}
    assert board.anomalies() == ()
    assert board.drain_suspects() == ()
    assert ingest.skipped_rows() == ()
    for market in facts:
        snapshot = board.snapshot(market.slug, NOW_NS, on_grid=True)
        assert snapshot.up.problem is snapshot.down.problem is BookProblem.NONE


def test_fast_frames_are_mixed_and_sound() -> None:
    """70 % quotes, 23 % trades, 7 % depths, none out of order."""
    board, ingest = Board(), Ingest()
    events: list[FeedEvent] = []
    generator = FastFrames(3)
    for index, raw in enumerate((*generator.quotes_first(), *generator.mixed(COUNT))):
        parsed = ingest.parse(Source.BINANCE_PUBLIC, raw, NOW_NS + index * NS_PER_MS)
        events.extend(parsed)
        for event in parsed:
            board.apply(event)
    shares = kinds(events)
    assert 0.66 < shares["Quote"] < 0.74
    assert 0.20 < shares["Trade"] < 0.26
    assert 0.05 < shares["PartialDepth"] < 0.09
    assert board.anomalies() == ()
    assert ingest.skipped_rows() == ()
