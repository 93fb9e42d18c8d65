"""Time windows whose cost a trade does not grow with the trade rate; they read no clock.

Sums are integer micro-dollars, so nothing drifts over days (I34). Every window is read "as of" a
venue time and a read changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from math import sqrt
from typing import Final

from helpers.domain import MICROS, NS_PER_MS, NS_PER_SECOND

FLOW_HALF_LIFE_NS: Final = 395 * NS_PER_SECOND
"""Half-life of the taker flow (DESIGN section 5, feature 5)."""
SIGNED_FLOW_MS: Final = 500
"""Width of the window behind cvd_acceleration (feature 6)."""
TRADE_COUNT_MS: Final = 10_000
"""Width of the window behind trade_intensity (feature 8); the widest of the exact windows."""
SPARE_BUCKETS: Final = 64
"""Buckets older than the window are cut off when they outnumber those in it by so many: a cut costs
a trade next to nothing, and a quiet market does not keep hours of trades (2 MB an asset, once)."""
MAXIMUM_BUCKETS: Final = 2 * (TRADE_COUNT_MS + 1) + SPARE_BUCKETS
"""A window holds at most one bucket a millisecond, beside the one before it."""
LARGE_TRADE_SAMPLES: Final = 100
LARGE_TRADE_MULTIPLE: Final = 3
LARGE_TRADE_STEP_NS: Final = 5 * NS_PER_SECOND
LARGE_TRADE_DECAY: Final = 0.7
"""A trade over 3 x the median of the 100 before it sets the flag; x 0.7 every 5 s (feature 9)."""
GRID_MIDS: Final = 30
"""Mids on the 0.5 s grid behind vol_5m (feature 10)."""
GRID_GAP_NS: Final = 15 * NS_PER_SECOND
"""A gap as long as the window itself empties it: older mids say nothing of the last 15 s."""


class DecayedFlow:
    """Exponentially decayed buy and sell notional, decayed only when a trade comes."""

    __slots__ = ("_at_ns", "_buy", "_first_ns", "_sell")

    def __init__(self) -> None:
        self._at_ns = 0
        self._first_ns = 0
        self._buy = 0.0
        self._sell = 0.0

    def add(self, venue_ns: int, micros: int, buys: bool) -> None:
        """Take a trade; ``venue_ns`` must not go back."""
        elapsed_ns = venue_ns - self._at_ns
        if elapsed_ns:
            if elapsed_ns > FLOW_HALF_LIFE_NS:
                # More than half of the weight went unobserved (or nothing was): warm up anew.
                self._first_ns = venue_ns
            decay = 0.5 ** (elapsed_ns / FLOW_HALF_LIFE_NS)
            self._buy *= decay
            self._sell *= decay
            self._at_ns = venue_ns
        if buys:
            self._buy += micros
        else:
            self._sell += micros

    def read(self, venue_ns: int) -> tuple[float, float] | None:
        """Return decayed buys and sells in dollars; cold until observed for one half-life."""
        if not self._first_ns or venue_ns - self._first_ns < FLOW_HALF_LIFE_NS:
            return None
        decay = 0.5 ** (max(0, venue_ns - self._at_ns) / FLOW_HALF_LIFE_NS) / MICROS
        return self._buy * decay, self._sell * decay


class TradeWindows:
    """Exact sliding windows (t - width, t] at millisecond resolution, as cumulative sums."""

    __slots__ = ("_counts", "_cut_at", "_first_ms", "_last_ms", "_milliseconds", "_signed")

    def __init__(self) -> None:
        self._milliseconds: list[int] = [0]
        self._counts: list[int] = [0]
        self._signed: list[int] = [0]
        self._last_ms = 0
        self._first_ms = 0
        self._cut_at = SPARE_BUCKETS

    def add(self, venue_ns: int, signed_micros: int) -> None:
        """Take a trade, positive for a taker's buy; ``venue_ns`` must not go back."""
        millisecond = venue_ns // NS_PER_MS
        counts = self._counts
        signed = self._signed
        if millisecond == self._last_ms:
            counts[-1] += 1
            signed[-1] += signed_micros
            return
        if not self._first_ms:
            self._first_ms = millisecond
        self._last_ms = millisecond
        counts.append(counts[-1] + 1)
        signed.append(signed[-1] + signed_micros)
        self._milliseconds.append(millisecond)
        if len(counts) >= self._cut_at:
            self._cut(millisecond - TRADE_COUNT_MS)

    def _cut(self, before_ms: int) -> None:
        # The last bucket at or before the edge stays: the sums are differences to it.
        keep_from = bisect_right(self._milliseconds, before_ms) - 1
        del self._milliseconds[:keep_from], self._counts[:keep_from], self._signed[:keep_from]
        self._cut_at = 2 * len(self._counts) + SPARE_BUCKETS

    def signed_usd(self, venue_ns: int) -> float | None:
        """Return the signed notional of the last 0.5 s; cold until trades were seen that long."""
        return self._difference(self._signed, venue_ns // NS_PER_MS, SIGNED_FLOW_MS, MICROS)

    def count(self, venue_ns: int) -> int | None:
        """Return the number of trades of the last 10 s; cold until trades were seen that long."""
        count = self._difference(self._counts, venue_ns // NS_PER_MS, TRADE_COUNT_MS, 1)
        return None if count is None else int(count)

    def _difference(self, sums: list[int], now_ms: int, width_ms: int, unit: int) -> float | None:
        if not self._first_ms or now_ms - self._first_ms < width_ms:
            return None
        stamps = self._milliseconds
        newest = bisect_right(stamps, now_ms) - 1
        oldest = bisect_right(stamps, now_ms - width_ms) - 1
        return (sums[newest] - sums[oldest]) / unit


class LargeTrade:
    """The flag of an outsized trade and its decay."""

    __slots__ = ("_flagged_ns", "_oldest", "_order", "_sorted")

    def __init__(self) -> None:
        self._order: list[int] = []
        """The last 100 as a ring; ``_oldest`` is the place of the next to go, once it is full."""
        self._oldest = 0
        self._sorted: list[int] = []
        self._flagged_ns = 0

    def add(self, venue_ns: int, micros: int) -> None:
        """Compare a trade with the 100 before it, then count it among them."""
        ordered = self._sorted
        order = self._order
        if len(order) < LARGE_TRADE_SAMPLES:
            order.append(micros)
        else:
            # Twice the median, so that the mean of the middle two stays an integer.
            if 2 * micros > LARGE_TRADE_MULTIPLE * (ordered[49] + ordered[50]):
                self._flagged_ns = venue_ns
            oldest = self._oldest
            del ordered[bisect_left(ordered, order[oldest])]
            order[oldest] = micros
            self._oldest = oldest + 1 if oldest < LARGE_TRADE_SAMPLES - 1 else 0
        insort(ordered, micros)

    def read(self, venue_ns: int) -> float | None:
        """Return 1 at a large trade, x 0.7 every 5 s since; cold until 100 trades were seen."""
        if len(self._sorted) < LARGE_TRADE_SAMPLES:
            return None
        if not self._flagged_ns:
            return 0.0
        steps = max(0, venue_ns - self._flagged_ns) // LARGE_TRADE_STEP_NS
        return LARGE_TRADE_DECAY**steps


class GridMids:
    """The last 30 mids of one outcome on the 0.5 s grid, and their sd from exact sums."""

    __slots__ = ("_at_ns", "_squares", "_sum", "_twice_mids")

    def __init__(self) -> None:
        self._twice_mids: deque[int] = deque()
        self._sum = 0
        self._squares = 0
        self._at_ns = 0

    def add(self, now_ns: int, bid_micros: int, ask_micros: int) -> None:
        """Take the best prices at one grid step."""
        mids = self._twice_mids
        if now_ns - self._at_ns > GRID_GAP_NS:
            mids.clear()
            self._sum = self._squares = 0
        elif len(mids) == GRID_MIDS:
            oldest = mids.popleft()
            self._sum -= oldest
            self._squares -= oldest * oldest
        newest = bid_micros + ask_micros
        mids.append(newest)
        self._sum += newest
        self._squares += newest * newest
        self._at_ns = now_ns

    def read(self, now_ns: int) -> float | None:
        """Return the population sd in dollars; cold until 30 mids, or after a gap."""
        if len(self._twice_mids) < GRID_MIDS or now_ns - self._at_ns > GRID_GAP_NS:
            return None
        return sqrt(GRID_MIDS * self._squares - self._sum * self._sum) / (GRID_MIDS * 2 * MICROS)
