"""What background makers believe: the chance of Up as a digital option; quotes nothing.

They see the fast price late (a kernel of lags up to 0.9 s), know basis, strike, and the volatility
still to come, and price the 60 s average at the end, part of which may be known already.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from helpers.domain import NS_PER_SECOND, Market
from simulator.fast_price import (
    BLOCK_SECONDS,
    MEDIUM_SD,
    MEDIUM_SECONDS,
    STEP_NS,
    STEPS_PER_SECOND,
    Array,
    PriceBlock,
    price_steps,
)
from simulator.reference import TWAP_DELAY_SECONDS, TWAP_SECONDS, ReferencePrices
from simulator.windows import HOUR_SECONDS

LAG_WEIGHTS: Final = (0, 0, 0, 0, 0, 5, 15, 25, 35, 45, 55, 65, 70, 65, 55, 45, 35, 15)
"""Weight of the price 0, 1, 2.. steps of 50 ms ago in what the market has taken in: nothing before
0.25 s, most about 0.6 s, all by 0.8 s; the book needs the rest to move (measured lag)."""
_KERNEL: Final[Array] = np.array(LAG_WEIGHTS) / sum(LAG_WEIGHTS)
_HORIZON_POINTS: Final = (0.125, 0.375, 0.625, 0.875)
_CERTAIN: Final = 8.0
"""Standard deviations beyond which the outcome is taken as known."""
_MINIMUM_VARIANCE: Final = 1e-14
_SQRT_2: Final = math.sqrt(2.0)


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * (1.0 + math.erf(z / _SQRT_2))


class SeenPrice:
    """One asset as the makers see it, minute by minute; bounded by two minutes."""

    __slots__ = (
        "_before",
        "_jump_variance",
        "_medium",
        "_slow",
        "_tail",
        "change_steps",
        "log_fast",
        "log_now",
        "start_ns",
    )

    def __init__(self) -> None:
        self.start_ns = 0
        self.log_fast: list[float] = []
        """Lagged log mid of the fast market at each step of the block."""
        self.log_now: list[float] = []
        """Log mid itself, which nobody quoting sees: for who must know the truth (``oracle``)."""
        self.change_steps: list[int] = []
        """Steps of the block at which the lagged one moves."""
        self._before: list[float] = []
        self._tail: Array | None = None
        self._jump_variance = 0.0
        self._slow: list[float] = []
        self._medium: list[float] = []

    def advance(self, block: PriceBlock, row: int) -> None:
        """Take in the next minute."""
        path = block.log_mid[row]
        lags = len(LAG_WEIGHTS) - 1
        tail = np.full(lags, path[0]) if self._tail is None else self._tail
        # Relative to its first price, so that a resting price stays exactly level after the sum.
        joined = np.concatenate([tail, path]) - path[0]
        seen = np.convolve(joined, _KERNEL, "valid") + path[0]
        moving = price_steps(block, row)
        self.change_steps = sorted({step + lag for step in [0, *moving] for lag in range(lags + 1)})
        self.start_ns = block.start_ns
        self.log_fast = seen.tolist()
        self.log_now = path.tolist()
        self._before = tail.tolist()
        self._tail = path[-lags:].copy()
        self._jump_variance = float(block.jump_variance[row])
        self._slow = block.slow_volatility[row].tolist()
        self._medium = block.medium_log[row].tolist()

    def log_mid_at(self, step: int) -> float:
        """Return the log mid at a step of the block, or up to 0.85 s before it (negative)."""
        if step >= 0:
            return self.log_now[min(step, len(self.log_now) - 1)]
        return self._before[max(step, -len(self._before))]

    def variance_ahead(self, second: int, seconds: float) -> float:
        """Return the expected variance of the log price over the coming ``seconds``."""
        medium = self._medium[second]
        total = 0.0
        for point in _HORIZON_POINTS:
            decay = math.exp(-point * seconds / MEDIUM_SECONDS)
            unknown = MEDIUM_SD * MEDIUM_SD * (1.0 - decay * decay) if medium else 0.0
            total += math.exp(2.0 * medium * decay + 2.0 * unknown)
        usual = self._slow[second] ** 2 * total / len(_HORIZON_POINTS)
        return (usual + self._jump_variance) * seconds


class FairValue:
    """The makers' chance of Up in one market, in standard deviations (a z-score)."""

    __slots__ = (
        "_caution",
        "_closes_second",
        "_deviation",
        "_hourly",
        "_known",
        "_log_strike",
        "_reference",
        "_second",
        "_seen",
        "_share",
    )

    def __init__(
        self,
        market: Market,
        strike: float,
        seen: SeenPrice,
        reference: ReferencePrices,
        caution: float,
    ) -> None:
        self._closes_second = market.closes_ns // NS_PER_SECOND
        self._caution = caution
        self._hourly = market.window_seconds == HOUR_SECONDS
        self._log_strike = math.log(strike)
        self._seen = seen
        self._reference = reference
        self._second = -1
        self._deviation = 1.0
        self._known = 0.0
        self._share = 1.0

    def z_score(self, step: int) -> float:
        """Return (expected final - strike) / its sd at a step of the current block."""
        seen = self._seen
        second = step // STEPS_PER_SECOND
        stamp = seen.start_ns // NS_PER_SECOND + second
        if stamp != self._second:
            self._second = stamp
            self._refresh(second, stamp)
        distance = seen.log_fast[step] - self._log_strike
        if not self._hourly:
            distance += self._reference.basis[second]
        z = (self._known + self._share * distance) / self._deviation
        return min(max(z, -_CERTAIN), _CERTAIN)

    def true_chance(self, at_ns: int) -> float:
        """Return the chance of Up at a moment of the current block, or just before it.

        From the price itself: without the makers' lag, their noise and their caution. It knows the
        volatility to come and nothing of the price to come.
        """
        seen = self._seen
        step = (at_ns - seen.start_ns) // STEP_NS
        second = min(max(step, 0) // STEPS_PER_SECOND, BLOCK_SECONDS - 1)
        self._second = seen.start_ns // NS_PER_SECOND + second
        self._refresh(second, self._second)
        distance = seen.log_mid_at(step) - self._log_strike
        if not self._hourly:
            distance += self._reference.basis[second]
        z = (self._known + self._share * distance) / (self._deviation / self._caution)
        return normal_cdf(min(max(z, -_CERTAIN), _CERTAIN))

    def _refresh(self, second: int, stamp: int) -> None:
        # Once a second: what is known of the final average and what may still happen.
        left = self._closes_second - stamp
        if self._hourly:
            variance = self._seen.variance_ahead(second, max(left, 0))
        else:
            last = self._closes_second - TWAP_DELAY_SECONDS
            first = last - TWAP_SECONDS + 1
            count, log_sum = 0, 0.0
            if stamp >= first:
                count, log_sum = self._reference.known_log_sum(first, min(stamp, last))
            self._share = (TWAP_SECONDS - count) / TWAP_SECONDS
            self._known = (log_sum - count * self._log_strike) / TWAP_SECONDS
            before = max(first - stamp, 0)
            # A mean of m coming seconds of a random walk has a third of the variance of its end.
            averaged = self._share**2 * (TWAP_SECONDS - count) / 3.0
            ahead = before + averaged
            variance = self._seen.variance_ahead(second, ahead)
        self._deviation = self._caution * math.sqrt(max(variance, _MINIMUM_VARIANCE))
