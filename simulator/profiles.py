"""Constants of background makers and takers by window length, tuned on ``simulator.calibration``.

Measured are 5 m (Bitcoin) and 15 m windows; an hour is assumed to trade like 15 m, thinner.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import Message
from simulator.randomness import QuantileCurve


class MakerProfile(Message, frozen=True):
    """How a window's background makers behave."""

    noise_z_per_second: float
    """Sd of the idiosyncratic z-score noise gained in a second."""
    noise_seconds: float
    """How long noise lasts before it decays to 1/e."""
    noise_jumps_per_second: float
    hysteresis_ticks: float
    """How far fair value may leave the touch before the makers follow."""
    wide_chance: float
    """Chance that the makers quote two ticks or more, drawn whenever they move."""
    calm_gap_seconds: float
    """Mean pause between two book updates when nothing is urgent."""
    calm_gap_shape: float
    """Weibull shape of that pause."""
    refit_gap_seconds: float
    """Mean pause between updates that tidy depth after a move."""
    caution: float
    """Volatility the makers reckon with over the true one: odds a little less sure than fair."""


class TakerProfile(Message, frozen=True):
    """How a window's background takers behave."""

    rate_multiple: float
    """Of the asset's taker rate in a 15 m window; over 1 because some find nobody to trade with."""
    gap_shape: float
    """Weibull shape of the pause between two takers."""


MAKER_PROFILES: Final[dict[int, MakerProfile]] = {
    300: MakerProfile(0.039, 30.0, 0.45, 0.3, 0.16, 0.34, 0.7, 0.095, 1.15),
    900: MakerProfile(0.032, 30.0, 0.5, 0.3, 0.003, 0.33, 0.7, 0.08, 1.08),
    3_600: MakerProfile(0.015, 60.0, 0.4, 0.3, 0.003, 0.5, 0.7, 0.1, 1.08),
}
TAKER_PROFILES: Final[dict[int, TakerProfile]] = {
    300: TakerProfile(1.0, 0.6),
    900: TakerProfile(1.07, 0.6),
    3_600: TakerProfile(0.5, 0.6),
}

URGENT_GAP_SECONDS: Final = 0.006
"""Mean pause between the actions of a move: cancel what is stale, quote anew."""
REPAIR_NS: Final = 15_000_000
"""How soon makers look at the touch after a taker, in nanoseconds."""
TAKER_SIZES: Final = QuantileCurve(
    ((0.0, 1.0), (0.1, 2.8), (0.5, 7.0), (0.9, 73.0), (0.99, 510.0), (1.0, 3_000.0))
)
"""Shares of a background taker order; the middle points are measured."""
BUY_SHARE: Final = 0.8
"""Share of takers that buy an outcome rather than sell one (measured)."""
TOUCH_SIZES: Final = QuantileCurve(
    (
        (0.0, 5.0),
        (0.1, 27.0),
        (0.25, 60.0),
        (0.5, 125.0),
        (0.75, 225.0),
        (0.9, 900.0),
        (1.0, 3_500.0),
    )
)
"""Shares newly shown on the best level before thinning; what was a deeper level joins them."""
DEEP_MEDIANS: Final = (
    335.0,
    1_050.0,
    3_550.0,
    3_550.0,
    1_900.0,
    1_900.0,
    1_900.0,
    1_900.0,
    1_900.0,
)
"""Shares on the second to tenth level, so that cumulative depth shows as measured."""
DEEP_SD: Final = 0.5
"""Log-sd of a deep level's size (assumed)."""
THINNING: Final = ((0.34, 0.93), (0.67, 0.75), (0.87, 0.515), (1.01, 0.295))
"""(share of the window gone, factor on sizes): measured touch medians by minute of 15 m."""
EXTREME_PRICE: Final = 0.9975
"""Beyond this chance nobody offers the winner any more: the book is one-sided."""
