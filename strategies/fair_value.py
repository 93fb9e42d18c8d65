"""Prices the market as a digital option on the settlement average and trades the difference.

Must not: remember more than a running mean a market, or guess a strike or a
volatility that is not known.
"""

from __future__ import annotations

import math
from typing import Final

from helpers.domain import (
    GRID_NS,
    MICROS,
    Action,
    FastView,
    MarketState,
    Outcome,
    Snapshot,
    StrikeRung,
)
from strategies.baseline import (
    Baseline,
    Judgement,
    held_outcome,
    hold,
    taker_fee_per_share,
    tradable,
)
from strategies.per_market import PerMarket

AVERAGE_SECONDS: Final = 60.0
"""5 m, 15 m and 4 h markets settle on the 60 s mean price before the close (reference E.4)."""
HOURLY_SECONDS: Final = 3_600.0
"""1 h markets settle on the close of Binance's candle: one price, no average (reference E.4)."""
VOLATILITY_FLOOR: Final = 2e-5
"""Log return per sqrt second: a quarter of the usual 8e-5 (14.1 bp sd over 5 m). A quiet tape, with
12 distinct prices in 5 m, measures almost nothing, which would make every price a certainty."""
BASIS_SD: Final = 7e-5
"""Log difference of the fast market's 1 m mean to the settlement average (E.3: 0.63 bp; 15 % of
windows that ended 0.75 bp from the strike settled the other way, which is an sd of 0.72 bp)."""
DEFAULT_MARGIN: Final = 0.03
"""Dollars a share beyond the fee: the model's own error, half a 10 s residual of 7.5 c."""
FULL_CONFIDENCE_EDGE: Final = 0.10
ROOT_SECONDS_A_MINUTE: Final = math.sqrt(60.0)


class _Average:
    """Running mean of the grid prices inside the settlement minute."""

    __slots__ = ("count", "last_step", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0
        self.last_step = -1


class FairValue(Baseline):
    """Buys the outcome whose fair price exceeds ask, fee and margin; holds it to resolution.

    What is held is never sold: a sale pays a second fee, and where a bid looks dear near 0 or 1 it
    is the model that is least to be trusted. Waits for a strike the venue gave; our own proxy
    (``FAST_PROXY``) would be a guess, wrong by as much as a quiet window moves.

    Price S: the settlement source's latest price where one was seen, because the fast market has a
    basis to it, else the fast mid; in 1 h markets, which settle on Binance itself, always the fast
    mid. Where that latest price is itself a 60 s average it lags the market by half a minute,
    which is not corrected here.
    """

    name = "fair_value"
    holds_to_resolution = True

    def __init__(self, margin: float = DEFAULT_MARGIN) -> None:
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"margin was {margin} dollars a share, expected 0 to 1")
        self._margin = margin
        self._averages = PerMarket[_Average]()

    def judge(self, state: MarketState) -> Judgement:
        """Return BUY or SELL where an outcome is cheap; HOLD whatever is held."""
        snapshot = state.snapshot
        strike, volatility = snapshot.strike, expected_volatility(snapshot.fast)
        if strike is None or strike.price <= 0:
            return hold("the strike is not known")
        if strike.rung is StrikeRung.FAST_PROXY:
            return hold("the venue's strike is not known yet, only our own proxy of it")
        if volatility is None:
            return hold("the fast market's volatility is not known yet")
        if snapshot.seconds_to_close <= 0:
            return hold("the window has ended")
        if snapshot.fast.mid <= 0:
            return hold("the fast market has no price")
        price, basis = _price_and_basis(snapshot)
        fair = probability_up(
            price=price,
            strike=strike.price,
            volatility_per_sqrt_second=volatility,
            seconds_to_close=snapshot.seconds_to_close,
            realised_mean=self._realised_mean(snapshot, price),
            average_seconds=average_seconds(snapshot),
            basis_sd=basis,
        )
        held = held_outcome(state)
        answer = self._enter(snapshot, fair) if held is None else _keep(held, fair)
        return answer._replace(forecast_up=fair)

    def _enter(self, snapshot: Snapshot, fair: float) -> Judgement:
        why = f"fair Up {fair:.3f}"
        best = hold(f"{why}: no outcome is cheap by {self._margin:.3f}")
        for outcome, worth, action in (
            (Outcome.UP, fair, Action.BUY),
            (Outcome.DOWN, 1.0 - fair, Action.SELL),
        ):
            book = snapshot.book(outcome)
            if not tradable(book):
                continue
            ask = book.asks[0][0] / MICROS
            fee = taker_fee_per_share(snapshot.market.fees, ask)
            edge = worth - ask - fee
            if edge > self._margin and edge > best.value:
                confidence = min(1.0, edge / FULL_CONFIDENCE_EDGE)
                reason = f"{why}: {outcome} at {ask:.3f} + fee {fee:.4f} has edge {edge:.3f}"
                best = Judgement(action, confidence, edge, reason)
        return best

    def _realised_mean(self, snapshot: Snapshot, price: float) -> float:
        if snapshot.seconds_to_close >= AVERAGE_SECONDS:
            return price
        slug = snapshot.market.slug
        average = self._averages.find(slug)
        if average is None:
            average = self._averages.keep(slug, _Average())
        step = snapshot.now_ns // GRID_NS
        if snapshot.on_grid and step > average.last_step:
            average.total += price
            average.count += 1
            average.last_step = step
        return average.total / average.count if average.count else price

    def forget(self, market: str) -> None:
        """Drop the running mean of a market that has rolled."""
        self._averages.forget(market)


def _keep(held: Outcome, fair: float) -> Judgement:
    worth = fair if held is Outcome.UP else 1.0 - fair
    return hold(f"holding {held}, worth {worth:.3f}, to resolution")


def probability_up(
    *,
    price: float,
    strike: float,
    volatility_per_sqrt_second: float,
    seconds_to_close: float,
    realised_mean: float,
    average_seconds: float,
    basis_sd: float,
) -> float:
    """Return P(settlement >= strike) = Phi(ln(mean / strike) / sd), prices in dollars, above 0.

    Settlement is the mean price over the last a = ``average_seconds`` (0: the last price alone).
    With tau seconds to go and volatility s per sqrt second, of a driftless Brownian log price:

    - tau >= a: until the average starts the variance is s^2 (tau - a); the mean of a Brownian
      motion over its first a seconds has variance s^2 a / 3; the increments are independent, so
      s^2 (tau - a + a / 3): for a = 60 that is s^2 (tau - 40).
    - tau < a: a share w = tau / a is still open, and its mean has variance s^2 tau / 3; so
      expected mean (1 - w) realised + w price, variance w^2 s^2 tau / 3 = s^2 tau^3 / (3 a^2).

    ``basis_sd`` (log) is added in quadrature. Volatility is floored at ``VOLATILITY_FLOOR``.
    """
    return normal_cdf(
        standard_distance(
            price=price,
            strike=strike,
            volatility_per_sqrt_second=volatility_per_sqrt_second,
            seconds_to_close=seconds_to_close,
            realised_mean=realised_mean,
            average_seconds=average_seconds,
            basis_sd=basis_sd,
        )
    )


def expected_volatility(fast: FastView) -> float | None:
    """Return the volatility to reckon with until the close, log return per root second.

    It is that of the last hour's minutes. The rms of the last 300 s of single seconds says what
    just happened: in simulated quarter hours it goes from a fifth to three times what follows, and
    a fair value made of it misses the true chance by 9.8 c rms, one made of the hour by 4.0 c. It
    stands in where there is no hour yet; ``None`` where there is neither.
    """
    if fast.minute_return_sd is not None:
        return fast.minute_return_sd / ROOT_SECONDS_A_MINUTE
    return fast.volatility_per_sqrt_second


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function, by erfc."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def standard_distance(
    *,
    price: float,
    strike: float,
    volatility_per_sqrt_second: float,
    seconds_to_close: float,
    realised_mean: float,
    average_seconds: float,
    basis_sd: float,
) -> float:
    """Return ln(mean / strike) / sd as ``probability_up`` defines it; infinite for an sd of 0."""
    volatility = max(VOLATILITY_FLOOR, volatility_per_sqrt_second)
    if seconds_to_close >= average_seconds:
        mean = price
        effective_seconds = seconds_to_close - average_seconds * 2.0 / 3.0
    else:
        open_share = seconds_to_close / average_seconds
        mean = (1.0 - open_share) * realised_mean + open_share * price
        effective_seconds = open_share**2 * seconds_to_close / 3.0
    sd = math.sqrt(volatility**2 * effective_seconds + basis_sd**2)
    distance = math.log(mean / strike)
    if sd == 0.0:
        return math.inf if distance >= 0.0 else -math.inf
    return distance / sd


def _price_and_basis(snapshot: Snapshot) -> tuple[float, float]:
    if snapshot.market.window_seconds == HOURLY_SECONDS:
        return snapshot.fast.mid, 0.0
    if snapshot.reference_price > 0:
        return snapshot.reference_price, 0.0
    return snapshot.fast.mid, BASIS_SD


def average_seconds(snapshot: Snapshot) -> float:
    """Return over how many seconds before the close a market's settlement price is averaged."""
    return 0.0 if snapshot.market.window_seconds == HOURLY_SECONDS else AVERAGE_SECONDS
