"""The perpetuals' prices, a minute at a time, from a seeded process or a tape; reads no clock.

The process: log price moves come as a compound Poisson stream with Laplace sizes (between moves
the mid rests, as a liquid perpetual's does in quiet hours), plus rare jumps. The stream's variance
follows two log-normal factors, one that turns over in an hour and one in minutes (clustering, fat
tails of the 5 m return). Assets share a common factor in moves and in volatility.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Asset
from simulator.assets import ASSET_PROFILES
from simulator.randomness import random_stream

Array = npt.NDArray[np.float64]

STEP_NS: Final = 50 * NS_PER_MS
"""Grid of the price path: a twelfth of the makers' lag."""
STEPS_PER_SECOND: Final = NS_PER_SECOND // STEP_NS
BLOCK_SECONDS: Final = 60
"""The path is drawn a minute at a time; windows begin and end on minutes."""
BLOCK_NS: Final = BLOCK_SECONDS * NS_PER_SECOND
BLOCK_STEPS: Final = BLOCK_SECONDS * STEPS_PER_SECOND

MEDIAN_VOLATILITY: Final = 0.29e-4
"""Bitcoin's log return per square root of a second in the middle of the distribution."""
SLOW_SD: Final = 0.785
SLOW_SECONDS: Final = 3_600.0
"""Log-volatility that lasts for many windows."""
MEDIUM_SD: Final = 0.55
MEDIUM_SECONDS: Final = 200.0
"""Log-volatility that comes and goes within a window."""
VOLATILITY_COMMON: Final = 0.8
"""Correlation of log-volatility between assets."""
MOVES_PER_SECOND: Final = 0.10
"""Moves of the mid at median volatility, in the common and in the own stream each."""
JUMPS_PER_SECOND: Final = 1.0 / 400.0
JUMP_VARIANCE: Final = 1.65
"""News: jumps that come in quiet times as in busy ones, with this variance a second, as a multiple
of the median volatility squared. Makers reckon with them, so a quiet market's odds are no surer
than measured (5 c a basis point)."""


@dataclass(frozen=True, slots=True)
class PriceBlock:
    """One minute of every asset's path; rows are assets."""

    start_ns: int
    log_mid: Array
    """[assets, BLOCK_STEPS]; column j holds from ``start_ns + j * STEP_NS``."""
    slow_volatility: Array
    """[assets, BLOCK_SECONDS]: log return per square root of a second, medium factor left out."""
    medium_log: Array
    """[assets, BLOCK_SECONDS]: log of the factor that reverts within minutes."""
    jump_variance: Array
    """[assets]: variance a second that rare jumps add, whatever the volatility is now."""


class PriceSource(Protocol):
    """Where fast prices come from."""

    def next_block(self, start_ns: int) -> PriceBlock:
        """Return the minute from ``start_ns`` on; blocks are asked for in order, without gaps."""
        ...


class FastPriceProcess:
    """The seeded process behind the module's docstring; bounded state (one number a factor)."""

    def __init__(self, seed: int, assets: tuple[Asset, ...]) -> None:
        profiles = [ASSET_PROFILES[asset] for asset in assets]
        # The common factor has a stream of its own and so has each asset (by its place in the
        # enum): adding an asset leaves the paths of the others as they were.
        self._common = random_stream(seed, 1)
        self._own = [random_stream(seed, 2, list(Asset).index(asset)) for asset in assets]
        self._scale = np.array([MEDIAN_VOLATILITY * p.relative_volatility for p in profiles])
        shares = np.array([p.common_share for p in profiles])
        self._loadings = np.sqrt(shares)[:, None], np.sqrt(1.0 - shares)[:, None]
        self._log_mid = np.log(np.array([p.start_price for p in profiles]))
        count = len(assets)
        self._factors = np.zeros((2, count + 1))
        for row, deviation in enumerate((SLOW_SD, MEDIUM_SD)):
            self._factors[row, 0] = deviation * self._common.standard_normal()
            for index, stream in enumerate(self._own):
                self._factors[row, index + 1] = deviation * stream.standard_normal()

    def next_block(self, start_ns: int) -> PriceBlock:
        """Return the next minute; the seed alone decides it, ``start_ns`` only stamps it."""
        slow = self._advance_factor(0, SLOW_SD, SLOW_SECONDS)
        medium = self._advance_factor(1, MEDIUM_SD, MEDIUM_SECONDS)
        mixed = [self._mix(factor) for factor in (slow, medium)]
        level = np.exp(mixed[0] + mixed[1])
        common_level = np.exp(slow[0] + medium[0])
        common = self._moves(self._common, common_level)
        own = np.stack(
            [self._moves(stream, level[index]) for index, stream in enumerate(self._own)]
        )
        unit = self._loadings[0] * common + self._loadings[1] * own
        volatility = np.repeat(self._scale[:, None] * level, STEPS_PER_SECOND, axis=1)
        jumps = self._loadings[0] * self._jumps(self._common) + self._loadings[1] * np.stack(
            [self._jumps(stream) for stream in self._own]
        )
        steps = volatility * unit + self._scale[:, None] * jumps
        log_mid = self._log_mid[:, None] + np.cumsum(steps, axis=1)
        self._log_mid = log_mid[:, -1].copy()
        slow_volatility = self._scale[:, None] * np.exp(mixed[0])
        jump_variance = JUMP_VARIANCE * self._scale**2
        return PriceBlock(start_ns, log_mid, slow_volatility, mixed[1], jump_variance)

    def _advance_factor(self, row: int, deviation: float, seconds: float) -> Array:
        keep = np.exp(-1.0 / seconds)
        noise = deviation * np.sqrt(1.0 - keep * keep)
        streams = [self._common, *self._own]
        shocks = noise * np.stack([stream.standard_normal(BLOCK_SECONDS) for stream in streams])
        path = np.empty_like(shocks)
        value = self._factors[row]
        for second in range(BLOCK_SECONDS):
            value = keep * value + shocks[:, second]
            path[:, second] = value
        self._factors[row] = value
        return path

    def _mix(self, factor: Array) -> Array:
        shared = np.sqrt(VOLATILITY_COMMON)
        return shared * factor[0] + np.sqrt(1.0 - VOLATILITY_COMMON) * factor[1:]

    def _moves(self, stream: np.random.Generator, level: Array) -> Array:
        # Unit variance a second whatever the level: busy times have more moves, not only
        # larger ones.
        rate = np.repeat(MOVES_PER_SECOND * level, STEPS_PER_SECOND)
        counts = stream.poisson(rate / STEPS_PER_SECOND)
        steps = np.flatnonzero(counts)
        sizes = stream.laplace(0.0, np.sqrt(0.5), steps.size)
        moves = np.zeros(BLOCK_STEPS)
        moves[steps] = sizes * np.sqrt(counts[steps] / rate[steps])
        return moves

    def _jumps(self, stream: np.random.Generator) -> Array:
        jumps = np.zeros(BLOCK_STEPS)
        count = int(stream.poisson(JUMPS_PER_SECOND * BLOCK_SECONDS))
        steps = stream.integers(0, BLOCK_STEPS, count)
        jumps[steps] = stream.normal(0.0, np.sqrt(JUMP_VARIANCE / JUMPS_PER_SECOND), count)
        return jumps


class TapeEndedError(Exception):
    """A tape holds no price for a moment the model was advanced to."""


class TapePrices:
    """Recorded mids as the fast price; volatility is what the last minutes showed.

    ``tapes`` are (time ns, mid in dollars) in time order, one sequence an asset, in the order of
    the model's assets. Raises ``ValueError`` on an empty or unordered tape or a price <= 0.
    """

    _MEMORY_SECONDS: Final = 300.0
    _FLOOR: Final = 0.05e-4
    """Makers never believe in less volatility than this a square root of a second."""

    def __init__(self, tapes: tuple[tuple[tuple[int, float], ...], ...]) -> None:
        for tape in tapes:
            if not tape or any(price <= 0 for _, price in tape):
                raise ValueError("a tape was empty or held a price of 0 or less")
            if any(later < earlier for (earlier, _), (later, _) in pairwise(tape)):
                raise ValueError("a tape's times went backwards")
        self._times = [np.array([at for at, _ in tape], dtype=np.int64) for tape in tapes]
        self._logs = [np.log(np.array([price for _, price in tape])) for tape in tapes]
        self._variance = [MEDIAN_VOLATILITY**2 for _ in tapes]

    def next_block(self, start_ns: int) -> PriceBlock:
        """Return a minute of the tape, its first price standing in for what came before it.

        Raises ``TapeEndedError`` when the minute begins after the last price.
        """
        grid = start_ns + STEP_NS * np.arange(BLOCK_STEPS, dtype=np.int64)
        rows: list[Array] = []
        volatility: list[Array] = []
        for index, (times, logs) in enumerate(zip(self._times, self._logs, strict=True)):
            if start_ns > int(times[-1]):
                raise TapeEndedError(f"the tape ended at {times[-1]}, {start_ns} was asked for")
            at = np.maximum(np.searchsorted(times, grid, side="right") - 1, 0)
            rows.append(logs[at])
            volatility.append(self._trailing(index, logs[at], grid >= times[0]))
        shape = (len(rows), BLOCK_SECONDS)
        none = np.zeros(len(rows))
        return PriceBlock(start_ns, np.stack(rows), np.stack(volatility), np.zeros(shape), none)

    def _trailing(self, index: int, path: Array, recorded: npt.NDArray[np.bool_]) -> Array:
        keep = np.exp(-1.0 / self._MEMORY_SECONDS)
        seconds = path[::STEPS_PER_SECOND]
        believed = np.empty(BLOCK_SECONDS)
        for second in range(BLOCK_SECONDS):
            believed[second] = np.sqrt(self._variance[index])
            if not recorded[second * STEPS_PER_SECOND]:
                continue  # What stands in for time before the tape tells no volatility.
            change = seconds[second] - seconds[second - 1] if second else 0.0
            self._variance[index] = keep * self._variance[index] + (1.0 - keep) * change**2
        return np.maximum(believed, self._FLOOR)


def price_steps(block: PriceBlock, row: int) -> list[int]:
    """Return the columns of a block at which an asset's mid moves."""
    return [int(step) + 1 for step in np.flatnonzero(np.diff(block.log_mid[row]))]


def next_step(steps: list[int], after: int) -> int:
    """Return the first listed step beyond ``after``, ``BLOCK_STEPS`` where there is none."""
    index = bisect.bisect_right(steps, after)
    return steps[index] if index < len(steps) else BLOCK_STEPS
