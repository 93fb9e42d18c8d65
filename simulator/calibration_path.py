"""Long runs of fast price, reference and fair value without any book; judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from helpers.domain import NS_PER_SECOND, Asset
from simulator.calibration_record import START_NS
from simulator.fair_value import FairValue, SeenPrice, normal_cdf
from simulator.fast_flow import DEFAULT_QUOTES_PER_SECOND, DEFAULT_TRADES_PER_SECOND, FastFlow
from simulator.fast_price import (
    BLOCK_NS,
    BLOCK_SECONDS,
    STEPS_PER_SECOND,
    Array,
    FastPriceProcess,
)
from simulator.profiles import MAKER_PROFILES
from simulator.reference import TWAP_DELAY_SECONDS, TWAP_SECONDS, ReferencePrices
from simulator.windows import market_facts

MINUTES_IN_WINDOW: Final = 15
FLOW_MINUTES: Final = 24 * 60
"""Messages are counted over a day: 250 spans as long as the measured one."""
RECORDING_SECONDS: Final = 345
"""Length of the raw Binance recording; its worst second is the worst of so many."""
FAIR_AT_SECONDS: Final = (60, 300, 600, 840)
_BASIS_POINTS: Final = 1e4


@dataclass(frozen=True, slots=True)
class PathRecord:
    """What a long run left."""

    fast_minute: Array
    """Log mid at each whole minute, basis points."""
    fast_average: Array
    """Log 60 s average of the fast price at each minute, counted as the venue counts."""
    reference_average: Array
    message_seconds: Array
    """Moments of the thinned messages."""
    fair: Array
    """[windows, len(FAIR_AT_SECONDS)]: makers' chance of Up in 15 m windows."""
    up_won: Array


def run_path(seed: int, minutes_run: int) -> PathRecord:
    """Run Bitcoin's price, reference and fair value for some minutes (two windows at least)."""
    source = FastPriceProcess(seed, (Asset.BTC,))
    reference, seen = ReferencePrices(seed, Asset.BTC), SeenPrice()
    flow = FastFlow(seed, Asset.BTC, DEFAULT_QUOTES_PER_SECOND, DEFAULT_TRADES_PER_SECOND)
    minutes: list[float] = []
    averages: list[float] = []
    seconds: list[Array] = []
    messages: list[float] = []
    fairs: list[list[float]] = []
    fair: FairValue | None = None
    caution = MAKER_PROFILES[MINUTES_IN_WINDOW * 60].caution
    for minute in range(minutes_run):
        block = source.next_block(START_NS + minute * BLOCK_NS)
        reference.advance(block, 0)
        seen.advance(block, 0)
        minutes.append(float(block.log_mid[0, 0]))
        averages.append(reference.twaps[0])
        seconds.append(np.exp(block.log_mid[0, ::STEPS_PER_SECOND]))
        if minute % MINUTES_IN_WINDOW == 0:
            market = market_facts(seed, Asset.BTC, MINUTES_IN_WINDOW * 60, block.start_ns)
            fair = FairValue(market, averages[-1], seen, reference, caution)
            fairs.append([])
        elapsed = minute % MINUTES_IN_WINDOW * 60
        if fair is not None and elapsed in FAIR_AT_SECONDS:
            fairs[-1].append(normal_cdf(fair.z_score(0)))
        if minute < FLOW_MINUTES:
            moments = flow.minute(block, 0).at_ns - START_NS
            messages += (moments / NS_PER_SECOND).tolist()
    average = np.array(averages)
    finals = average[MINUTES_IN_WINDOW::MINUTES_IN_WINDOW]
    strikes = average[:-1:MINUTES_IN_WINDOW][: finals.size]
    return PathRecord(
        _BASIS_POINTS * np.array(minutes),
        _BASIS_POINTS * np.log(_fast_average(np.concatenate(seconds))),
        _BASIS_POINTS * np.log(average),
        np.array(messages),
        np.array(fairs[: finals.size]),
        (finals >= strikes).astype(float),
    )


def _fast_average(seconds: Array) -> Array:
    sums = np.concatenate([[0.0], np.cumsum(seconds)])
    stamps = np.arange(0, seconds.size, BLOCK_SECONDS)
    last = np.maximum(stamps - TWAP_DELAY_SECONDS + 1, 1)
    first = np.maximum(last - TWAP_SECONDS, 0)
    return (sums[last] - sums[first]) / (last - first)


def five_minute_returns(path: PathRecord) -> Array:
    """Return overlapping 5 m log returns of the mid, basis points."""
    return path.fast_minute[5:] - path.fast_minute[:-5]


def outcome_mismatch(path: PathRecord, low: float, high: float) -> float:
    """Return how often fast market and reference disagree on Up, for fast moves in a band.

    Over 5 m between 60 s averages of both, moves in basis points. The measured share compared
    spot with spot, which was how windows settled then: either way only the basis differs.
    """
    fast = path.fast_average[7:] - path.fast_average[2:-5]
    official = path.reference_average[7:] - path.reference_average[2:-5]
    inside = (np.abs(fast) >= low) & (np.abs(fast) < high)
    return float(((fast >= 0) != (official >= 0))[inside].mean())


def message_bursts(path: PathRecord) -> tuple[float, float, float]:
    """Return (messages a second, worst second / mean, worst 100 ms / a mean second).

    The two ratios are medians over spans as long as the measured recording.
    """
    total = FLOW_MINUTES * 60
    second = np.bincount(path.message_seconds.astype(int), minlength=total)
    tenth = np.bincount((path.message_seconds * 10).astype(int), minlength=total * 10)
    ratios: list[tuple[float, float]] = []
    for start in range(0, total - RECORDING_SECONDS, RECORDING_SECONDS):
        span = second[start : start + RECORDING_SECONDS]
        tenths = tenth[10 * start : 10 * (start + RECORDING_SECONDS)]
        ratios.append((span.max() / span.mean(), tenths.max() / span.mean()))
    worst = np.median(np.array(ratios), axis=0)
    return float(second.mean()), float(worst[0]), float(worst[1])


def fair_brier(path: PathRecord, index: int) -> float:
    """Return the Brier score of the makers' chance at ``FAIR_AT_SECONDS[index]``."""
    return float(np.mean((path.fair[:, index] - path.up_won) ** 2))
