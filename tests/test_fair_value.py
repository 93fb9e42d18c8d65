"""Fair value prices a digital on the settlement average."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.domain import Action, BookProblem, BookView, Decision, Outcome, Strike, StrikeRung
from strategies.fair_value import (
    VOLATILITY_FLOOR,
    FairValue,
    expected_volatility,
    probability_up,
)
from strategies.per_market import MAXIMUM_MARKETS
from tests.policy_samples import book, fast, market, state

STRIKE = Strike(60_000.0, StrikeRung.VENUE_TWAP)
PROXY = Strike(60_000.0, StrikeRung.FAST_PROXY)
SIGMA = 8e-5


def _probability(
    price: float,
    *,
    tau: float = 240.0,
    realised: float = 60_000.0,
    sigma: float = SIGMA,
    average: float = 60.0,
    basis: float = 0.0,
) -> float:
    return probability_up(
        price=price,
        strike=60_000.0,
        volatility_per_sqrt_second=sigma,
        seconds_to_close=tau,
        realised_mean=realised,
        average_seconds=average,
        basis_sd=basis,
    )


@pytest.mark.parametrize("tau", [240.0, 90.0, 60.0, 30.0])
def test_agrees_with_simulated_settlement_averages(tau: float) -> None:
    """The formula equals 20,000 Brownian paths averaged over their last minute (H17)."""
    random, paths, per_second = np.random.default_rng(11), 20_000, 2
    price, realised = 60_012.0, 60_004.0
    steps = random.normal(0.0, SIGMA / math.sqrt(per_second), (paths, round(tau * per_second)))
    prices = price * np.exp(np.cumsum(steps, axis=1))
    open_seconds = min(tau, 60.0)
    open_mean = prices[:, -round(open_seconds * per_second) :].mean(axis=1)
    settled = (open_mean * open_seconds + realised * (60.0 - open_seconds)) / 60.0
    simulated = float((settled >= 60_000.0).mean())
    assert _probability(price, tau=tau, realised=realised) == pytest.approx(simulated, abs=0.015)


def test_hourly_markets_settle_on_one_price() -> None:
    """Without an average the variance is sigma^2 tau."""
    expected = 0.5 * math.erfc(-math.log(60_030 / 60_000) / (SIGMA * math.sqrt(240) * math.sqrt(2)))
    assert _probability(60_030.0, average=0.0) == pytest.approx(expected)


def test_both_branches_meet_at_sixty_seconds() -> None:
    """No jump where the average starts."""
    before = _probability(60_010.0, tau=60.0001, realised=60_010.0)
    assert before == pytest.approx(_probability(60_010.0, tau=59.9999, realised=60_010.0), abs=1e-4)


@given(st.floats(59_000, 61_000), st.floats(0.001, 14_400), st.floats(0, 1e-3), st.floats(0, 1e-3))
def test_probability_is_one_and_grows_with_the_price(
    price: float, tau: float, sigma: float, basis: float
) -> None:
    """It lies in [0, 1], and a higher price never makes Up less likely."""
    low = _probability(price, tau=tau, sigma=sigma, basis=basis)
    high = _probability(price * 1.0001, tau=tau, sigma=sigma, basis=basis)
    assert 0.0 <= low <= high <= 1.0


def test_quiet_tape_is_no_certainty() -> None:
    """A measured volatility of 0 is taken as the floor."""
    assert _probability(60_006.0, sigma=0.0) == _probability(60_006.0, sigma=VOLATILITY_FLOOR)
    assert 0.5 < _probability(60_006.0, sigma=0.0) < 0.99


def test_ended_average_is_decided() -> None:
    """With nothing open a tie is Up (reference E.4)."""
    assert _probability(60_000.0, tau=0.0, realised=60_000.0) == 1.0
    assert _probability(60_000.0, tau=0.0, realised=59_999.0) == 0.0


def _decide(
    price: float,
    *,
    up: BookView | None = None,
    down: BookView | None = None,
    held: Outcome | None = None,
    strike: Strike | None = STRIKE,
    reference: float = 0.0,
    window_seconds: float = 300.0,
    seconds: float = 60.0,
    volatility: float | None = SIGMA,
) -> Decision:
    sample = state(
        of=market(window_seconds=window_seconds),
        seconds=seconds,
        up=up,
        down=down,
        fast_view=fast(price, volatility=volatility),
        strike=strike,
        reference_price=reference,
        held=held,
    )
    return FairValue().decide([sample])[0]


def test_buys_the_cheap_outcome_on_either_side() -> None:
    """Far above the strike Up is bought at 0.51, far below Down (I25)."""
    bought, sold = _decide(60_060.0), _decide(59_940.0)
    assert bought.action is Action.BUY
    assert sold.action is Action.SELL
    assert bought.value > 0.03
    assert "has edge" in bought.reason
    assert sum(bought.probabilities) == pytest.approx(1.0)
    assert FairValue().holds_to_resolution


def test_fair_price_is_not_traded() -> None:
    """At the strike 0.50 is fair, and so is 2 c of edge under a margin of 3."""
    assert _decide(60_000.0).action is Action.HOLD
    assert "no outcome is cheap" in _decide(60_000.0).reason


def test_venue_strike_is_compared_with_the_venue_price() -> None:
    """With a venue strike the settlement price decides, with our proxy the fast mid does."""
    assert _decide(60_060.0, reference=60_000.0).action is Action.HOLD
    assert _decide(60_000.0, reference=60_060.0).action is Action.BUY


def test_hourly_market_uses_the_fast_mid() -> None:
    """1 h markets settle on Binance whatever the reference says (reference E.4)."""
    assert _decide(60_600.0, reference=60_000.0, window_seconds=3600.0).action is Action.BUY


@pytest.mark.parametrize(
    ("strike", "volatility", "seconds", "price", "reason"),
    [
        (None, SIGMA, 60.0, 60_060.0, "strike is not known"),
        (Strike(0.0, StrikeRung.FAST_PROXY), SIGMA, 60.0, 60_060.0, "strike is not known"),
        (STRIKE, None, 60.0, 60_060.0, "volatility is not known"),
        (STRIKE, SIGMA, 300.0, 60_060.0, "window has ended"),
        (STRIKE, SIGMA, 60.0, 0.0, "has no price"),
    ],
)
def test_unknown_facts_are_a_hold(
    strike: Strike | None, volatility: float | None, seconds: float, price: float, reason: str
) -> None:
    """Nothing is guessed; the reason says what is missing."""
    decision = _decide(price, strike=strike, volatility=volatility, seconds=seconds)
    assert decision.action is Action.HOLD
    assert reason in decision.reason


def test_our_own_proxy_of_the_strike_is_not_traded_on() -> None:
    """A guess of the strike waits for the venue's; the same facts with its word are a BUY."""
    guess = _decide(60_060.0, strike=PROXY)
    assert guess.action is Action.HOLD
    assert "only our own proxy" in guess.reason
    assert _decide(60_060.0, strike=STRIKE).action is Action.BUY


def test_a_position_is_held_to_its_pay_out() -> None:
    """What is held is never sold, however dear the bid; the forecast goes on."""
    dear = book(0.60, 0.61)
    for held in Outcome:
        decision = _decide(60_000.0, held=held, up=dear, down=dear)
        assert decision.action is Action.HOLD
        assert "to resolution" in decision.reason
        assert decision.forecast_up == pytest.approx(0.5)


def test_a_broken_book_is_not_entered() -> None:
    """A book with a problem has no price."""
    crossed = book(0.10, 0.11, BookProblem.CROSSED)
    assert _decide(60_060.0, up=crossed, down=book(0.5, 0.51)).action is Action.HOLD


def test_realised_part_of_the_average_is_remembered() -> None:
    """10 s before the close the 50 s behind outweigh the price of now; memory is bounded."""
    strategy = FairValue()
    for step in range(100):
        sample = state(
            seconds=240.0 + step / 2, fast_view=fast(60_060.0, volatility=SIGMA), strike=STRIKE
        )
        strategy.decide([sample])
    late = state(seconds=290.0, fast_view=fast(59_990.0, volatility=SIGMA), strike=STRIKE)
    assert strategy.decide([late])[0].action is Action.BUY
    strategy.forget(late.snapshot.market.slug)
    assert strategy.decide([late])[0].action is Action.SELL
    for number in range(MAXIMUM_MARKETS + 5):
        sample = state(
            of=market(str(number)),
            seconds=290.0,
            fast_view=fast(volatility=SIGMA),
            strike=STRIKE,
        )
        strategy.decide([sample])
    assert len(strategy._averages) == MAXIMUM_MARKETS


def test_margin_must_be_a_price() -> None:
    """A negative margin would pay for losing."""
    with pytest.raises(ValueError, match="margin was"):
        FairValue(margin=-0.01)


def test_the_hour_says_what_volatility_to_expect() -> None:
    """The last minutes stand in for it while there is none, and nothing is guessed."""
    hour, minutes = fast(volatility=SIGMA), fast(volatility=SIGMA)
    hour = replace(hour, minute_return_sd=2 * SIGMA * math.sqrt(60.0))
    assert expected_volatility(hour) == pytest.approx(2 * SIGMA)
    assert expected_volatility(minutes) == SIGMA
    assert expected_volatility(fast()) is None
