"""What makers believe."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.domain import Asset
from simulator.fair_value import LAG_WEIGHTS, FairValue, SeenPrice, normal_cdf
from simulator.fast_price import BLOCK_NS, BLOCK_STEPS, STEP_NS, PriceBlock
from simulator.reference import ReferencePrices
from simulator.windows import market_facts

VOLATILITY = 0.5e-4


def block(start_ns: int, prices: np.typing.NDArray[np.float64]) -> PriceBlock:
    """Return a minute of one asset at given prices, with constant volatility."""
    flat = np.full((1, 60), VOLATILITY)
    return PriceBlock(start_ns, np.log(prices)[None, :], flat, np.zeros((1, 60)), np.zeros(1))


def test_a_move_is_seen_late_and_whole() -> None:
    """Nothing of a step is seen in the first 0.2 s, about half by 0.55 s, all by 0.9 s."""
    prices = np.full(BLOCK_STEPS, 100.0)
    prices[200:] = 101.0
    seen = SeenPrice()
    seen.advance(block(0, prices), 0)
    share = (np.array(seen.log_fast) - np.log(100.0)) / np.log(1.01)
    assert share[204] == pytest.approx(0.0, abs=1e-9)
    assert 0.4 < share[211] < 0.75
    assert share[200 + len(LAG_WEIGHTS) - 1] == pytest.approx(1.0)
    assert {201, 205, 217} <= set(seen.change_steps) | {201}
    assert seen.log_fast[300] == seen.log_fast[900]


def test_chance_rises_with_price_and_is_even_at_the_strike() -> None:
    """At the strike the chance is a half; above it more, and surer near the end."""
    reference = ReferencePrices(5, Asset.BTC)
    seen = SeenPrice()
    quiet = block(0, np.full(BLOCK_STEPS, 100.0))
    seen.advance(quiet, 0)
    reference.advance(quiet, 0)
    market = market_facts(5, Asset.BTC, 900, 0)
    spot = 100.0 * np.exp(reference.basis[0])

    def chance(strike: float) -> float:
        return normal_cdf(FairValue(market, strike, seen, reference, 1.0).z_score(0))

    assert chance(spot) == pytest.approx(0.5, abs=1e-6)
    assert 0.5 < chance(spot * 0.9995) < chance(spot * 0.999) <= 1.0
    early = FairValue(market, spot * 0.9995, seen, reference, 1.0).z_score(0)
    short = market_facts(5, Asset.BTC, 300, 0)
    assert FairValue(short, spot * 0.9995, seen, reference, 1.0).z_score(0) > early
    assert FairValue(market, spot * 0.9995, seen, reference, 2.0).z_score(0) < early


def test_the_last_minute_counts_what_is_known() -> None:
    """Seconds before the close the average is known: the chance is sure either way."""
    reference, seen = ReferencePrices(5, Asset.BTC), SeenPrice()
    for minute in range(5):
        quiet = block(minute * BLOCK_NS, np.full(BLOCK_STEPS, 100.0))
        seen.advance(quiet, 0)
        reference.advance(quiet, 0)
    market = market_facts(5, Asset.BTC, 300, 0)
    step = BLOCK_STEPS - 1
    average = reference.twaps[-1]
    assert FairValue(market, average * 0.9998, seen, reference, 1.0).z_score(step) > 5.0
    assert FairValue(market, average * 1.0002, seen, reference, 1.0).z_score(step) < -5.0


def test_the_variance_ahead_matches_constant_volatility() -> None:
    """Without clustering the variance is volatility squared times time."""
    seen = SeenPrice()
    seen.advance(block(0, np.full(BLOCK_STEPS, 100.0)), 0)
    assert seen.variance_ahead(0, 100.0) == pytest.approx(VOLATILITY**2 * 100.0)


def test_the_truth_sees_a_move_at_once() -> None:
    """Makers see nothing of it for 0.2 s; before the block the minute before is remembered."""
    reference, seen = ReferencePrices(5, Asset.BTC), SeenPrice()
    prices = np.full(BLOCK_STEPS, 100.0)
    prices[-10:] = 100.05
    for minute, path in enumerate((prices, np.full(BLOCK_STEPS, 100.05))):
        moved = block(minute * BLOCK_NS, path)
        seen.advance(moved, 0)
        reference.advance(moved, 0)
    market = market_facts(5, Asset.BTC, 900, 0)
    fair = FairValue(market, 100.0 * np.exp(reference.basis[0]), seen, reference, 1.5)
    after = fair.true_chance(BLOCK_NS)
    assert fair.true_chance(BLOCK_NS - 10 * STEP_NS) == pytest.approx(after, abs=1e-3)
    assert fair.true_chance(BLOCK_NS - 11 * STEP_NS) == pytest.approx(0.5, abs=1e-3)
    assert after > 0.55
    assert normal_cdf(fair.z_score(0)) < after


def test_the_truth_is_without_caution() -> None:
    """Odds as sure as they are, however careful the makers."""
    reference, seen = ReferencePrices(5, Asset.BTC), SeenPrice()
    quiet = block(0, np.full(BLOCK_STEPS, 100.0))
    seen.advance(quiet, 0)
    reference.advance(quiet, 0)
    market = market_facts(5, Asset.BTC, 900, 0)
    found = {
        FairValue(market, 99.95, seen, reference, caution).true_chance(0)
        for caution in (1.0, 1.5, 2.0)
    }
    assert max(found) - min(found) < 1e-12
