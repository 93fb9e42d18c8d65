"""Intervals: right where the answer is known, wider where windows are not independent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from helpers.evaluation.bootstrap import (
    CLUSTERS_MINIMUM,
    Interval,
    beats,
    difference_interval,
    mean_interval,
)

RNG = np.random.default_rng(3)
VALUES = RNG.normal(1.0, 2.0, 400).tolist()
ALONE = list(range(400))


def test_an_interval_is_that_of_the_normal_mean() -> None:
    """400 independent values: mean +- 1.96 sd / 20, within a tenth of its width."""
    found = mean_interval(VALUES, ALONE, seed=1)
    half = 1.96 * float(np.std(VALUES)) / 20.0
    assert found.mean == pytest.approx(float(np.mean(VALUES)))
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(found.mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.1 * half)
    assert (found.count, found.clusters) == (400, 400)


def test_the_loop_one_would_write_gives_the_same_interval() -> None:
    """H17: clusters of unequal size, drawn and summed one by one."""
    values, clusters = VALUES[:60], [index // 7 for index in range(60)]
    found = mean_interval(values, clusters, seed=5, resamples=500)
    groups = [[v for v, c in zip(values, clusters, strict=True) if c == g] for g in range(9)]
    rng = np.random.default_rng(5)
    means: list[float] = []
    for row in rng.integers(9, size=(500, 9)):
        drawn = [value for group in row for value in groups[group]]
        means.append(math.fsum(drawn) / len(drawn))
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """95 % intervals of 200 samples of 60 values cover their mean in 88 to 99 % of cases."""
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        sample = rng.exponential(1.0, 60)
        found = mean_interval(sample.tolist(), list(range(60)), seed=trial, resamples=400)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.0 <= found.high
    assert 176 <= covered <= 198


def test_windows_that_moved_together_make_it_wider() -> None:
    """Four copies of every value are no more evidence than one."""
    once = mean_interval(VALUES[:100], ALONE[:100], seed=2)
    copies = [value for value in VALUES[:100] for _ in range(4)]
    names = [index // 4 for index in range(400)]
    together = mean_interval(copies, names, seed=2)
    apart = mean_interval(copies, ALONE, seed=2)
    assert (together.low, together.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert apart.low is not None
    assert together.low is not None
    assert apart.low > together.low


def test_the_same_seed_gives_the_same_interval() -> None:
    """Nothing but the seed is drawn from, however many cells are held at once."""
    assert mean_interval(VALUES, ALONE, seed=7) == mean_interval(VALUES, ALONE, seed=7)
    assert mean_interval(VALUES, ALONE, seed=7) != mean_interval(VALUES, ALONE, seed=8)


def test_too_few_clusters_have_a_mean_and_no_interval() -> None:
    """Nothing is said of what nobody can know."""
    few = CLUSTERS_MINIMUM - 1
    found = mean_interval(VALUES[:few], ALONE[:few], seed=1)
    assert (found.low, found.high) == (None, None)
    assert not found.above(-1e9)
    assert found.overlaps(mean_interval(VALUES, ALONE, seed=1))


def test_a_paired_difference_forgets_what_both_felt() -> None:
    """Ours is theirs and a tenth more: the difference is sure although both are noisy."""
    noisy = [100.0 * value for value in VALUES]
    ours = [value + 0.1 for value in noisy]
    found = difference_interval(ours, noisy, ALONE, seed=1)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)
    assert mean_interval(ours, ALONE, 1).overlaps(mean_interval(noisy, ALONE, 1))


def test_promotion_asks_for_its_margin() -> None:
    """The whole interval must lie above it; equal or few windows beat nothing."""
    ours = [value + 0.5 + (0.2 if index % 2 else -0.2) for index, value in enumerate(VALUES)]
    assert beats(ours, VALUES, ALONE, margin=0.4, seed=1)
    assert not beats(ours, VALUES, ALONE, margin=0.5, seed=1)
    assert not beats(VALUES, VALUES, ALONE, margin=0.0, seed=1)
    assert not beats(ours[:3], VALUES[:3], ALONE[:3], margin=0.0, seed=1)


def test_intervals_overlap_or_do_not() -> None:
    """They share a value, or one ends before the other begins."""
    low, high = Interval(0.0, -1.0, 1.0, 9, 9), Interval(3.0, 1.5, 4.0, 9, 9)
    assert not low.overlaps(high)
    assert not high.overlaps(low)
    assert high.overlaps(Interval(1.0, 0.5, 1.5, 9, 9))


@pytest.mark.parametrize(
    ("values", "clusters", "resamples", "problem"),
    [
        ([], [], 10, "values and clusters"),
        ([1.0], [1, 2], 10, "values and clusters"),
        ([1.0, math.nan], [1, 2], 10, "finite"),
        ([1.0, 2.0], [1, 2], 0, "resamples"),
    ],
)
def test_what_cannot_be_resampled_is_refused(
    values: list[float], clusters: list[int], resamples: int, problem: str
) -> None:
    """Found and expected are in the message."""
    with pytest.raises(ValueError, match=problem):
        mean_interval(values, clusters, 1, resamples)


def test_windows_must_be_the_same_ones() -> None:
    """A difference of unequal lengths is none."""
    with pytest.raises(ValueError, match="same ones"):
        difference_interval([1.0], [1.0, 2.0], [1, 2], 1)
