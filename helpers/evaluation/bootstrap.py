"""Confidence intervals of mean profits per window, by resampling whole clusters of windows.

Windows of several assets that ran at the same time share the market's moves, so they are drawn
together (a cluster bootstrap): drawing them one by one would make every interval too narrow. The
interval is the percentile one (Efron and Tibshirani, An Introduction to the Bootstrap, ch. 13).
Must not: read a clock, or draw from anything but the seed it is given.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from helpers.domain import Message

RESAMPLES: Final = 10_000
"""The ends of a 95 % interval are then known to about 1 % of its width."""
LEVEL: Final = 0.95
CLUSTERS_MINIMUM: Final = 5
"""Fewer say nothing of how much clusters differ: there is a mean and no interval."""
_CELLS_AT_ONCE: Final = 2_000_000
"""Drawn counts held in memory at once: 16 MB."""


class Interval(Message, frozen=True):
    """A mean and its 95 % interval, in the unit of the values; ``None`` where there is none."""

    mean: float
    low: float | None
    high: float | None
    count: int
    """Values."""
    clusters: int

    def above(self, value: float) -> bool:
        """Return whether the whole interval lies above a value."""
        return self.low is not None and self.low > value

    def overlaps(self, other: Interval) -> bool:
        """Return whether two intervals share a value; one without ends overlaps everything."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return True
        return self.low <= other.high and other.low <= self.high


def mean_interval(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Return the mean of ``values`` and its 95 % interval over resampled clusters.

    ``clusters`` names each value's cluster, same length. A resample draws as many clusters as there
    are, with replacement, and takes the mean of all their values (sum over count, as clusters may
    differ in size). The same seed gives the same interval. Raises ``ValueError`` for no values,
    lengths that differ, a value that is not finite, or no resample.
    """
    if len(values) != len(clusters) or not values:
        raise ValueError(f"values and clusters were {len(values)} and {len(clusters)}, expected >0")
    if resamples < 1:
        raise ValueError(f"resamples were {resamples}, expected 1 or more")
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("a value was not finite, expected dollars")
    sums, counts = _totals(array, clusters)
    mean = float(array.mean())
    if len(sums) < CLUSTERS_MINIMUM:
        return Interval(mean, None, None, len(values), len(sums))
    means = _resampled_means(sums, counts, seed, resamples)
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(means, [tail, 100.0 - tail])
    return Interval(mean, float(low), float(high), len(values), len(sums))


def difference_interval(
    ours: Sequence[float],
    theirs: Sequence[float],
    clusters: Sequence[Hashable],
    seed: int,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the mean of ``ours - theirs`` window by window (paired), with its 95 % interval.

    Both saw the same windows in the same order, so what the market did to both cancels. Raises
    ``ValueError`` as ``mean_interval``, and for lengths that differ.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"windows were {len(ours)} and {len(theirs)}, expected the same ones")
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    return mean_interval(differences, clusters, seed, resamples)


def beats(
    ours: Sequence[float],
    theirs: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    margin: float,
    seed: int,
) -> bool:
    """Return whether ``ours`` is better than ``theirs`` by more than ``margin`` dollars a window.

    The whole 95 % interval of the paired difference must lie above the margin; too few clusters
    for an interval never beat anything. Raises ``ValueError`` as ``difference_interval``.
    """
    return difference_interval(ours, theirs, clusters, seed).above(margin)


def _totals(
    values: NDArray[np.float64], clusters: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    places: dict[Hashable, int] = {}
    index = np.array([places.setdefault(name, len(places)) for name in clusters])
    sums = np.bincount(index, weights=values, minlength=len(places)).astype(np.float64)
    counts = np.bincount(index, minlength=len(places)).astype(np.float64)
    return sums, counts


def _resampled_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], seed: int, resamples: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    clusters = len(sums)
    rows = max(1, _CELLS_AT_ONCE // clusters)
    means: list[NDArray[np.float64]] = []
    for first in range(0, resamples, rows):
        drawn = rng.integers(clusters, size=(min(rows, resamples - first), clusters))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)
