"""The settlement source."""

from __future__ import annotations

import math

import numpy as np
import pytest

from helpers.domain import Asset
from simulator.fast_price import BLOCK_NS, BLOCK_SECONDS, FastPriceProcess
from simulator.reference import ReferencePrices


def run(minutes: int) -> tuple[ReferencePrices, list[float], list[float], list[float]]:
    """Return the reference after some minutes, with all its spots, averages and fast mids."""
    process, reference = FastPriceProcess(5, (Asset.BTC,)), ReferencePrices(5, Asset.BTC)
    spots: list[float] = []
    averages: list[float] = []
    fast: list[float] = []
    for minute in range(minutes):
        block = process.next_block(minute * BLOCK_NS)
        reference.advance(block, 0)
        spots += reference.spots
        averages += reference.twaps
        fast += np.exp(block.log_mid[0, ::20]).tolist()
    return reference, spots, averages, fast


def test_the_average_ends_three_seconds_before_its_stamp() -> None:
    """The average stamped T is the mean of the 60 spots of T-62..T-3 (reference E.4)."""
    _, spots, averages, _ = run(4)
    for second in range(63, len(spots)):
        plain = sum(spots[second - 62 : second - 2]) / 60
        assert averages[second] == pytest.approx(plain, abs=1e-6)


def test_the_basis_stays_small() -> None:
    """Spot and fast price differ by a few basis points at most."""
    _, spots, _, fast = run(300)
    basis = np.log(np.array(spots) / np.array(fast)) * 1e4
    assert 0.2 < basis.std() < 1.5
    assert np.abs(basis).max() < 10.0


def test_known_spots_are_summed_over_two_minutes() -> None:
    """A span in this minute and the last gives count and sum; another raises."""
    reference, spots, _, _ = run(4)
    first, last = 3 * BLOCK_SECONDS - 2, 3 * BLOCK_SECONDS + 10
    count, total = reference.known_log_sum(first, last)
    assert count == 13
    assert total == pytest.approx(sum(math.log(spot) for spot in spots[first : last + 1]))
    assert reference.known_log_sum(last, first) == (0, 0.0)
    with pytest.raises(ValueError, match="outside"):
        reference.known_log_sum(0, 10)
