"""Windows by themselves: bounded, exact at their edges, cold until filled."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.board.clock_offset import RING_SAMPLES, ClockOffset
from helpers.board.minute_volumes import DAY_MINUTES, HOUR_MINUTES, MINUTE_NS, MinuteVolumes
from helpers.board.windows import (
    FLOW_HALF_LIFE_NS,
    MAXIMUM_BUCKETS,
    SPARE_BUCKETS,
    DecayedFlow,
    LargeTrade,
    TradeWindows,
)
from helpers.domain import NS_PER_MS, NS_PER_SECOND

T = 1_790_000_000 * NS_PER_SECOND


def test_the_window_is_open_at_its_old_end_and_closed_at_its_new() -> None:
    """A trade exactly 0.5 s old is out, one of this millisecond is in."""
    windows = TradeWindows()
    windows.add(T, 1_000_000)
    windows.add(T + 500 * NS_PER_MS, 2_000_000)
    windows.add(T + 500 * NS_PER_MS + 3, -5_000_000)
    assert windows.signed_usd(T + 499 * NS_PER_MS) is None
    assert windows.signed_usd(T + 500 * NS_PER_MS) == -3.0
    assert windows.signed_usd(T + 999 * NS_PER_MS) == -3.0
    assert windows.signed_usd(T + 1_000 * NS_PER_MS) == 0.0


def test_buckets_are_bounded_at_any_rate() -> None:
    """A trade every 0.1 ms for a minute keeps no more than twice the window's milliseconds."""
    windows = TradeWindows()
    for index in range(60_000):
        windows.add(T + index * NS_PER_MS, 1)
    assert len(windows._counts) <= MAXIMUM_BUCKETS
    assert windows.count(T + 59_999 * NS_PER_MS) == 10_000


def test_a_quiet_market_keeps_little_more_than_its_window() -> None:
    """A trade every two seconds for a day: six in the window, not the hours before it."""
    windows = TradeWindows()
    longest = 0
    for second in range(0, 86_400, 2):
        windows.add(T + second * NS_PER_SECOND, 1)
        longest = max(longest, len(windows._counts))
    assert longest <= 2 * (5 + 1) + SPARE_BUCKETS


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-9, 9)), min_size=300, max_size=600))
def test_windows_are_exact_whatever_is_cut_off(trades: list[tuple[int, int]]) -> None:
    """Bursts and pauses: at every trade the sums are those of the trades themselves."""
    windows, seen, at_ms = TradeWindows(), [], T // NS_PER_MS
    for gap_ms, dollars in trades:
        at_ms += gap_ms
        windows.add(at_ms * NS_PER_MS, dollars * 1_000_000)
        seen.append((at_ms, dollars))
        if at_ms - seen[0][0] >= 10_000:
            later_ms = at_ms + gap_ms
            within = [then for then, _ in seen if then > later_ms - 10_000]
            signed = sum(size for then, size in seen if then > later_ms - 500)
            assert windows.count(later_ms * NS_PER_MS) == len(within)
            assert windows.signed_usd(later_ms * NS_PER_MS) == signed


def test_flow_halves_in_its_half_life_and_warms_in_one() -> None:
    """395 s later a trade counts half, and only then is the window warm."""
    flow = DecayedFlow()
    flow.add(T, 8_000_000, True)
    flow.add(T, 2_000_000, False)
    assert flow.read(T + FLOW_HALF_LIFE_NS - 1) is None
    assert flow.read(T + FLOW_HALF_LIFE_NS) == pytest.approx((4.0, 1.0))
    flow.add(T + 3 * FLOW_HALF_LIFE_NS, 1_000_000, True)
    assert flow.read(T + 3 * FLOW_HALF_LIFE_NS) is None


def test_a_large_trade_decays_in_steps_of_five_seconds() -> None:
    """1 at the trade, x 0.7 at 5 s, x 0.49 at 10 s; exactly 3 x the median is not over it."""
    large = LargeTrade()
    for index in range(100):
        assert large.read(T) is None
        large.add(T + index, 100)
    large.add(T + 100, 300)
    assert large.read(T + 100) == 0.0
    large.add(T + 101, 301)
    assert large.read(T + 101) == 1.0
    assert large.read(T + 100 + 5 * NS_PER_SECOND) == 1.0
    assert large.read(T + 101 + 5 * NS_PER_SECOND) == 0.7
    assert large.read(T + 101 + 10 * NS_PER_SECOND) == pytest.approx(0.49)


@given(st.lists(st.integers(1, 50), min_size=101, max_size=400))
def test_the_median_is_that_of_the_hundred_before(notionals: list[int]) -> None:
    """The flag agrees with a plain median at every trade."""
    large = LargeTrade()
    for index, notional in enumerate(notionals):
        large.add(T + index * 1_000 * NS_PER_SECOND, notional)
        if index >= 100:
            flagged = large.read(T + index * 1_000 * NS_PER_SECOND) == 1.0
            assert flagged == (notional > 3 * median(notionals[index - 100 : index]))


def test_the_median_of_an_even_number_is_between_the_middle_two() -> None:
    """Of 1 to 100 thousand it is 50,500: over 151,500 is large."""
    notionals = [thousands * 1_000 for thousands in range(1, 101)]
    random.Random(3).shuffle(notionals)
    for notional, flag in ((151_500, 0.0), (151_501, 1.0)):
        large = LargeTrade()
        for before in notionals:
            large.add(T, before)
        large.add(T + 1, notional)
        assert large.read(T + 1) == flag


def test_volumes_forget_what_is_older_than_a_day() -> None:
    """Three days at one dollar more each minute: the sums are those of the last minutes only."""
    volumes = MinuteVolumes()
    first = T // MINUTE_NS
    for index in range(3 * DAY_MINUTES):
        volumes.roll(first + index)
        volumes.running_micros += index
        known = max(0, index - HOUR_MINUTES), index
        expected = sum(range(*known)) if index > HOUR_MINUTES else None
        assert volumes.total_micros(first + index, HOUR_MINUTES) == expected
    last = 3 * DAY_MINUTES - 1
    day = sum(range(last - DAY_MINUTES, last))
    assert volumes.total_micros(first + last, DAY_MINUTES) == day
    assert volumes.total_micros(first + last + 1, DAY_MINUTES) == day + DAY_MINUTES


def test_minutes_nobody_traded_in_count_nothing() -> None:
    """A quiet stretch leaves zeros, also where the ring held older minutes."""
    volumes = MinuteVolumes()
    first = T // MINUTE_NS
    for index in range(2_000):
        volumes.roll(first + index)
        volumes.running_micros += 1
    volumes.roll(first + 3_000)
    assert volumes.total_micros(first + 3_000, DAY_MINUTES) == 2_000 - (3_000 - DAY_MINUTES)
    volumes.broke(first + 3_000)
    assert volumes.total_micros(first + 3_060, HOUR_MINUTES) is None
    assert volumes.total_micros(first + 3_061, HOUR_MINUTES) == 0


def test_clock_offset_is_a_median_of_recent_frames() -> None:
    """A tenth of frames that were held up does not move it, a new offset does."""
    clock = ClockOffset()
    rng = random.Random(5)
    for offset_ms, frames in ((-1_269, 6_000), (40, 12_000)):
        for index in range(frames):
            clock.countdown -= 1
            if clock.countdown:
                continue
            late_ms = rng.randrange(900) if rng.random() < 0.1 else rng.uniform(-1.0, 1.0)
            venue_ns = T + index * NS_PER_MS
            clock.add(venue_ns + int((offset_ms + late_ms) * NS_PER_MS), venue_ns)
        assert abs(clock.median_ns / NS_PER_MS - offset_ms) < 1.0
    assert len(clock._samples) == RING_SAMPLES


def test_frames_without_a_venue_time_are_no_sample() -> None:
    """Spot quotes carry none."""
    clock = ClockOffset()
    clock.add(T, 0)
    assert clock.median_ns == 0
    assert clock.countdown == 1
