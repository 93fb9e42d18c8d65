"""The settlement source: a spot near the fast price and its 60 s average; resolves nothing.

Spot is the fast price times one plus a basis that reverts within a minute or two. The average is
the mean of the 60 whole-second spots that end three seconds before its stamp (reference E.4).
"""

from __future__ import annotations

import math
from collections import deque
from itertools import accumulate
from typing import Final

import numpy as np

from helpers.domain import NS_PER_SECOND, Asset
from simulator.fast_price import (
    BLOCK_SECONDS,
    STEPS_PER_SECOND,
    Array,
    PriceBlock,
)
from simulator.randomness import random_stream

TWAP_SECONDS: Final = 60
TWAP_DELAY_SECONDS: Final = 3
"""The average stamped T ends with the spot of T - 3 s (reference E.4, medium confidence)."""
BASIS_SD: Final = 0.53e-4
BASIS_SECONDS: Final = 60.0
"""Spread of fast price and settlement source, and how long a deviation lasts."""
BASIS_LEVEL_SD: Final = 0.48
BASIS_LEVEL_MINUTES: Final = 15.0
"""Log-sd and persistence of the basis's own activity: fat tails of its change over a window."""
_PRICE_DECIMALS: Final = 8


class ReferencePrices:
    """One asset's reference: the running minute and the spots an average needs."""

    def __init__(self, seed: int, asset: Asset) -> None:
        self._stream = random_stream(seed, 4, list(Asset).index(asset))
        self._basis = BASIS_SD * float(self._stream.standard_normal())
        self._level = 0.0
        self.basis: list[float] = []
        """Log basis at each whole second of the current block."""
        self.spots: list[float] = []
        self.twaps: list[float] = []
        self._recent: deque[float] = deque(maxlen=TWAP_SECONDS + TWAP_DELAY_SECONDS)
        self._first_second = 0
        self._log_sums: list[float] = [0.0]
        """Prefix sums of log spots over the block before and this one."""

    def advance(self, block: PriceBlock, row: int) -> None:
        """Draw a minute of spots and averages; before a full minute an average is of what is."""
        keep = math.exp(-1.0 / BASIS_SECONDS)
        level_keep = math.exp(-1.0 / BASIS_LEVEL_MINUTES)
        level_noise = BASIS_LEVEL_SD * math.sqrt(1.0 - level_keep * level_keep)
        self._level = level_keep * self._level + level_noise * float(self._stream.standard_normal())
        noise = BASIS_SD * math.exp(self._level) * math.sqrt(1.0 - keep * keep)
        shocks: list[float] = (noise * self._stream.standard_normal(BLOCK_SECONDS)).tolist()
        fast: Array = np.exp(block.log_mid[row, ::STEPS_PER_SECOND])
        before = self.spots
        self.basis, self.spots, self.twaps = [], [], []
        for shock, mid in zip(shocks, fast.tolist(), strict=True):
            self._basis = keep * self._basis + shock
            self.basis.append(self._basis)
            spot = round(mid * math.exp(self._basis), _PRICE_DECIMALS)
            self.spots.append(spot)
            self._recent.append(spot)
            counted = list(self._recent)[:TWAP_SECONDS]
            self.twaps.append(round(math.fsum(counted) / len(counted), _PRICE_DECIMALS))
        self._first_second = block.start_ns // NS_PER_SECOND - len(before)
        self._log_sums = [0.0, *accumulate(math.log(spot) for spot in before + self.spots)]

    def known_log_sum(self, first_second: int, last_second: int) -> tuple[int, float]:
        """Return (count, sum of log spots) of the seconds from first to last, both included.

        Seconds since the epoch; both must lie in this block or the one before it, else
        ``ValueError``. An empty span (last before first) counts 0.
        """
        if last_second < first_second:
            return 0, 0.0
        low = first_second - self._first_second
        high = last_second - self._first_second + 1
        if low < 0 or high >= len(self._log_sums):
            raise ValueError(f"seconds {first_second}..{last_second} were outside the two minutes")
        return high - low, self._log_sums[high] - self._log_sums[low]
