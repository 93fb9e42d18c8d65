"""Figures of recorded windows, each computed as it was on real markets; runs and judges nothing.

Mids are in cents, fast moves in basis points. Like the measurements, spread and changes of the mid
count only where the mid lies in 5..95 cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from helpers.domain import NS_PER_SECOND
from simulator.calibration_record import WindowRecord
from simulator.fast_price import Array

Bools = npt.NDArray[np.bool_]

PER_SECOND: Final = 10
"""Samples a second."""
LOW_CENTS: Final = 5.0
HIGH_CENTS: Final = 95.0
QUIET_SD: Final = (0.6, 1.5)
"""Basis points in 10 s: windows within are pooled to the recording's 1.1."""
_BASIS_POINTS: Final = 1e4


@dataclass(frozen=True, slots=True)
class Series:
    """One window's samples; ``ok`` marks two-sided books with the mid in 5..95 cents."""

    mid: Array
    spread: Array
    fast: Array
    ok: Bools
    two_sided: Bools


def series(record: WindowRecord) -> Series:
    """Return the arrays of a window; a one-sided book's mid is the price that is there."""
    bid, ask = np.array(record.bids), np.array(record.asks)
    two_sided = (bid > 0) & (ask > 0)
    mid = np.where(two_sided, (bid + ask) / 2, np.where(bid > 0, bid, ask))
    ok = two_sided & (mid >= LOW_CENTS) & (mid <= HIGH_CENTS)
    # The first half second of a window the book is still being built.
    ok[: PER_SECOND // 2] = False
    # The run's very first samples come before the first quote.
    prices = np.array(record.fast)
    prices[prices == 0.0] = prices[prices > 0.0][0]
    fast = _BASIS_POINTS * np.log(prices)
    return Series(mid, ask - bid, fast, ok, two_sided)


def quiet(windows: list[Series]) -> list[Series]:
    """Return the windows as quiet as the recording of both venues: 10 s moves of 1.1 bp sd."""
    low, high = QUIET_SD
    span = 10 * PER_SECOND
    return [w for w in windows if low <= (w.fast[span:] - w.fast[:-span]).std() <= high]


def spreads(windows: list[Series]) -> tuple[float, float]:
    """Return (mean spread in cents, share at one tick or less)."""
    joined = np.concatenate([window.spread[window.ok] for window in windows])
    return float(joined.mean()), float((joined < 1.5).mean())  # noqa: PLR2004 half-way to 2 ticks


def mid_change_sd(windows: list[Series], seconds: int, minutes: tuple[float, float]) -> float:
    """Return the sd of the mid's change over a horizon, starts within a band of minutes."""
    first, last = (int(minute * 60 * PER_SECOND) for minute in minutes)
    step = seconds * PER_SECOND
    changes: list[Array] = []
    for window in windows:
        starts = np.arange(first, min(last, window.mid.size - step), PER_SECOND)
        starts = starts[window.ok[starts] & window.ok[starts + step]]
        changes.append(window.mid[starts + step] - window.mid[starts])
    return float(np.concatenate(changes).std())


def unchanged_share(windows: list[Series]) -> float:
    """Return the share of seconds over which the mid did not change."""
    counts = np.zeros(2)
    for window in windows:
        mid, ok = window.mid[::PER_SECOND], window.ok[::PER_SECOND]
        both = ok[1:] & ok[:-1]
        counts += (np.diff(mid)[both] == 0).sum(), both.sum()
    return float(counts[0] / counts[1])


def brier(records: list[WindowRecord], windows: list[Series], seconds: int) -> float:
    """Return the mean squared distance of the mid from the outcome, ``seconds`` into the window."""
    index = seconds * PER_SECOND
    errors = [
        (window.mid[index] / 100 - record.up_won) ** 2
        for record, window in zip(records, windows, strict=True)
    ]
    return float(np.mean(errors))


def touch_quantiles(records: list[WindowRecord], quantiles: tuple[float, ...]) -> list[float]:
    """Return quantiles of the shares on the best level."""
    sizes = [levels[0] for record in records for _, levels in record.depth if levels]
    return np.quantile(np.array(sizes), quantiles).tolist()


def touch_median(records: list[WindowRecord], minutes: tuple[float, float]) -> float:
    """Return the median touch within a band of minutes."""
    first, last = minutes[0] * 60, minutes[1] * 60
    sizes = [
        levels[0]
        for record in records
        for elapsed, levels in record.depth
        if levels and first < elapsed <= last
    ]
    return float(np.median(sizes))


def cumulative_depth(records: list[WindowRecord], levels: int) -> float:
    """Return the median of the shares on the best ``levels`` levels together."""
    totals = [
        sum(sizes[:levels])
        for record in records
        for _, sizes in record.depth
        if len(sizes) >= levels
    ]
    return float(np.median(totals))


def update_rate(records: list[WindowRecord], window_seconds: int) -> tuple[float, float, float]:
    """Return (book updates a second, gap p50, gap p99 in seconds)."""
    gaps = np.concatenate([np.diff(np.array(record.update_ns)) for record in records])
    count = sum(len(record.update_ns) for record in records)
    middle, high = np.quantile(gaps / NS_PER_SECOND, (0.5, 0.99)).tolist()
    return count / (window_seconds * len(records)), middle, high


def lag_profile(windows: list[Series], seconds: float) -> Array:
    """Return the response of the mid to a fast move at 0.1 s, 0.2 s.. up to ``seconds``.

    Covariance of a 0.1 s change of the fast price with the mid's change that much later.
    """
    lags = int(seconds * PER_SECOND)
    response = np.zeros(lags)
    for window in windows:
        fast, mid, ok = np.diff(window.fast), np.diff(window.mid), window.ok[1:]
        usable = fast.size - lags
        moves = np.where(ok[:usable], fast[:usable], 0.0)
        for lag in range(1, lags + 1):
            response[lag - 1] += float(moves @ mid[lag : lag + usable])
    return response


def regression(windows: list[Series], seconds: int) -> tuple[float, float, float]:
    """Return (correlation, beta in cents a basis point, residual sd) of changes over a horizon.

    Books polled once a second as in the recording; the last 200 s of a window, as recorded.
    """
    step = seconds * PER_SECOND
    fast: list[Array] = []
    mids: list[Array] = []
    for window in windows:
        starts = np.arange(max(window.mid.size - 200 * PER_SECOND, 0), window.mid.size - step, 10)
        starts = starts[window.ok[starts] & window.two_sided[starts + step]]
        fast.append(window.fast[starts + step] - window.fast[starts])
        # The recorder's poll showed a book of 0 to 2 s ago: a second on average.
        old = np.maximum(starts - PER_SECOND, 0)
        mids.append(window.mid[starts + step - PER_SECOND] - window.mid[old])
    x, y = np.concatenate(fast), np.concatenate(mids)
    beta = float(np.cov(x, y)[0, 1] / x.var(ddof=1))
    return float(np.corrcoef(x, y)[0, 1]), beta, float((y - beta * x).std())


def explained_moves(windows: list[Series], cents: float, basis_points: float) -> float:
    """Return the share of mid moves (poll to poll) with a fast move in the 2 s before."""
    counts = np.zeros(2)
    back = 2 * PER_SECOND
    for window in windows:
        polls = np.arange(back + PER_SECOND, window.mid.size, PER_SECOND)
        both = window.two_sided[polls] & window.two_sided[polls - PER_SECOND]
        moved = polls[both & (np.abs(window.mid[polls] - window.mid[polls - PER_SECOND]) >= cents)]
        if moved.size:
            spans = np.stack([window.fast[moved - offset] for offset in range(back + 1)])
            counts += (np.ptp(spans, axis=0) >= basis_points).sum(), moved.size
    return float(counts[0] / counts[1])


def followed_moves(windows: list[Series], basis_points: float) -> tuple[float, float]:
    """Return (share followed by 0.5 c or more the same way, mean response in cents).

    Moves of the fast price within 1 s; the response until 1.5 s after its end; mid in 10..90.
    """
    responses: list[float] = []
    for window in windows:
        index = PER_SECOND
        while index < window.mid.size - 2 * PER_SECOND:
            move = window.fast[index] - window.fast[index - PER_SECOND]
            before = window.mid[index - PER_SECOND]
            inside = LOW_CENTS * 2 <= before <= HIGH_CENTS - LOW_CENTS
            if abs(move) >= basis_points and inside and window.ok[index - PER_SECOND]:
                after = window.mid[index + 15]
                responses.append(float(np.sign(move) * (after - before)))
                index += 3 * PER_SECOND
            index += 1
    array = np.array(responses)
    return float((array >= 0.5).mean()), float(array.mean())  # noqa: PLR2004 half a cent
