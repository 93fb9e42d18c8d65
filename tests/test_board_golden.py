"""The board and the features against a slow plain implementation."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.board import Board
from helpers.domain import GRID_NS, Outcome, Position
from strategies.features import features
from tests.board_streams import (
    DOWN,
    FEE_RATE,
    LATENCY_NS,
    START_NS,
    UP,
    MarketStream,
    market,
    opened,
)
from tests.plain_market import PlainMarket, close_to, differing

HELD = (
    Position("btc-updown-15m"),
    Position("btc-updown-15m", Outcome.UP, 40_000_000, 5_000_000, 24_000_000),
    Position("btc-updown-15m", Outcome.DOWN, 60_000_000, 0, 30_000_000),
)


def check(seed: int, events: int, every: int, gap: float, seconds: int) -> int:
    """Run a stream through both, compare at random moments; return how many were compared."""
    listed = market(seconds=seconds)
    board = Board()
    board.apply(opened(listed))
    plain = PlainMarket(UP, DOWN, listed.opens_ns, listed.closes_ns, LATENCY_NS)
    moments = random.Random(seed)
    grid_ns = START_NS + GRID_NS
    compared = 0
    for event in itertools.islice(MarketStream(seed, mean_gap_seconds=gap), events):
        while grid_ns < event.received_ns:
            board.on_grid(grid_ns)
            if grid_ns < listed.closes_ns:
                plain.on_grid(grid_ns)
            grid_ns += GRID_NS
        board.apply(event)
        plain.apply(event)
        if not plain.quotes or moments.randrange(every):
            continue
        now_ns = min(event.received_ns + moments.randrange(GRID_NS), grid_ns)
        position = moments.choice(HELD)
        snapshot = board.snapshot(listed.slug, now_ns, on_grid=False)
        state = features(snapshot, position)
        if state.invalid:
            assert state.invalid in {"stale_fast_market", "stale_book"}
            continue
        found = [
            None if index in state.cold else value for index, value in enumerate(state.features)
        ]
        expected = plain.features(now_ns, position, FEE_RATE)
        assert close_to(found, expected), differing(found, expected)
        now = now_ns - LATENCY_NS
        sd = plain.volatility(now)
        assert close_to([snapshot.fast.volatility_per_sqrt_second], [sd])
        whole = now // 1_000_000_000
        assert snapshot.fast.mid_1s_ago == plain.mid_at(whole - 1)
        assert snapshot.fast.mid_5s_ago == plain.mid_at(whole - 5)
        compared += 1
    return compared


def test_a_long_stream_agrees_with_the_plain_one() -> None:
    """More than an hour of frames: every window but the day's fills."""
    assert check(seed=7, events=12_000, every=250, gap=0.4, seconds=5_000) > 25


def test_a_day_of_sparse_frames_agrees_with_the_plain_one() -> None:
    """26 hours: the hour's and the day's windows fill and forget."""
    assert check(seed=11, events=28_000, every=1_000, gap=4.0, seconds=100_000) > 5


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), gap=st.sampled_from((0.003, 0.05, 0.5, 2.0)))
def test_any_stream_agrees_with_the_plain_one(seed: int, gap: float) -> None:
    """Whatever the rate and the order of frames, both give the same features."""
    check(seed, events=400, every=40, gap=gap, seconds=900)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_events_give_the_same_state(seed: int) -> None:
    """Two boards fed alike answer alike, however often one of them was asked meanwhile."""
    asked, quiet = Board(), Board()
    listed = market()
    last_ns = START_NS
    for board in (asked, quiet):
        board.apply(opened(listed))
    for event in itertools.islice(MarketStream(seed), 1_000):
        asked.apply(event)
        quiet.apply(event)
        last_ns = event.received_ns
        asked.snapshot(listed.slug, last_ns, on_grid=False)
    assert asked.snapshot(listed.slug, last_ns, True) == quiet.snapshot(listed.slug, last_ns, True)
