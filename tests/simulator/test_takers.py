"""Background takers."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.domain import MICROS, NS_PER_SECOND, Asset, Outcome, Side
from simulator.actions import Place, Take
from simulator.calibration_book import BackgroundBooks
from simulator.profiles import TAKER_PROFILES
from simulator.randomness import Draws, random_stream
from simulator.takers import TakerFlow
from simulator.windows import market_facts

MARKET = market_facts(7, Asset.BTC, 900, 0)


def flow(rate: float = 3.3) -> TakerFlow:
    """Return a flow with its own stream."""
    return TakerFlow(MARKET, TAKER_PROFILES[900], rate, Draws(random_stream(7, 9)))


def books(bid: int, ask: int) -> BackgroundBooks:
    """Return a book with one order a side; 0 leaves a side empty."""
    shown = BackgroundBooks()
    shown.open(MARKET)
    if bid:
        shown.place(Place(MARKET.slug, "bid", Outcome.UP, Side.BUY, bid, 10_000 * MICROS))
    if ask:
        shown.place(
            Place(MARKET.slug, "ask", Outcome.DOWN, Side.BUY, MICROS - ask, 10_000 * MICROS)
        )
    return shown


def takes(fair: float, shown: BackgroundBooks, count: int = 4_000) -> list[Take]:
    """Return the takers among some steps."""
    takers = flow()
    found = [takers.step(fair, shown) for _ in range(count)]
    return [take for take in found if take is not None]


def raises_up(take: Take) -> bool:
    """Return whether a taker pushes Up's price up."""
    return (take.side is Side.BUY) == (take.outcome is Outcome.UP)


def test_pauses_have_the_measured_mean_and_are_bursty() -> None:
    """About 3.3 a second for Bitcoin; pauses vary more than a Poisson stream's."""
    takers = flow()
    gaps = np.array([takers.next_gap_ns() for _ in range(20_000)]) / NS_PER_SECOND
    multiple = TAKER_PROFILES[900].rate_multiple
    assert gaps.mean() == pytest.approx(1 / (3.3 * multiple), rel=0.05)
    assert gaps.std() > 1.3 * gaps.mean()


def test_four_in_five_buy_and_sizes_are_measured() -> None:
    """80 % buy an outcome; the median is 7 shares."""
    found = takes(0.5, books(490_000, 510_000))
    buys = sum(take.side is Side.BUY for take in found)
    assert buys / len(found) == pytest.approx(0.8, abs=0.03)
    assert np.median([take.shares_micros / MICROS for take in found]) == pytest.approx(7, rel=0.1)


def test_direction_leans_to_fair_value() -> None:
    """Even at the mid, mostly upwards when fair value is above."""
    shown = books(490_000, 510_000)
    even = np.mean([raises_up(take) for take in takes(0.5, shown)])
    above = np.mean([raises_up(take) for take in takes(0.52, shown)])
    assert even == pytest.approx(0.5, abs=0.03)
    assert above > 0.7


def test_every_taker_reaches_the_touch() -> None:
    """Limits lie at or just beyond the best price, for all four kinds."""
    kinds: set[tuple[Outcome, Side]] = set()
    for take in takes(0.5, books(490_000, 510_000)):
        limit = take.price_limit_micros
        on_up = limit if take.outcome is Outcome.UP else MICROS - limit
        assert on_up == (520_000 if raises_up(take) else 480_000)
        kinds.add((take.outcome, take.side))
    assert len(kinds) == 4


def test_nobody_takes_from_an_empty_side() -> None:
    """With no ask, only sellers of Up come."""
    found = takes(0.99, books(980_000, 0), 500)
    assert found
    assert not any(raises_up(take) for take in found)
    assert takes(0.5, books(0, 0), 50) == []
