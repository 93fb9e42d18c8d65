"""Background takers of one market: when, which way, how much; match nothing."""

from __future__ import annotations

from typing import Final

from helpers.domain import MICROS, NS_PER_SECOND, Market, Outcome, Side
from simulator.actions import DisplayedBooks, Take
from simulator.profiles import BUY_SHARE, TAKER_SIZES, TakerProfile
from simulator.randomness import Draws

_PULL_PER_CENT: Final = 0.15
"""How much likelier than half a taker goes towards fair value, for each cent it is off the mid."""
_MAXIMUM_PULL: Final = 0.4
_CENT_MICROS: Final = 10_000
_SLIPPAGE_TICKS: Final = 1
"""A taker's limit lies this far beyond the best price."""


class TakerFlow:
    """Takers of one market; keeps nothing but its stream."""

    __slots__ = ("_draws", "_gap_seconds", "_shape", "_slug")

    def __init__(
        self, market: Market, profile: TakerProfile, takes_per_second: float, draws: Draws
    ) -> None:
        self._slug = market.slug
        self._gap_seconds = 1.0 / (takes_per_second * profile.rate_multiple)
        self._shape = profile.gap_shape
        self._draws = draws

    def next_gap_ns(self) -> int:
        """Return the pause before the next taker: bursts and silences around the mean rate."""
        return int(self._draws.weibull(self._gap_seconds, self._shape) * NS_PER_SECOND) + 1

    def step(self, fair: float, books: DisplayedBooks) -> Take | None:
        """Return a taker order at fair value ``fair`` (0..1), ``None`` if nothing is on offer."""
        draws = self._draws
        bid, ask = books.best_bid_micros(self._slug), books.best_ask_micros(self._slug)
        off = fair * MICROS - (bid + (ask or MICROS)) / 2
        pull = min(max(off / _CENT_MICROS * _PULL_PER_CENT, -_MAXIMUM_PULL), _MAXIMUM_PULL)
        raises = draws.uniform() < 0.5 + pull
        buys = draws.uniform() < BUY_SHARE
        shares = round(TAKER_SIZES.at(draws.uniform()) * 100) * 10_000
        tick = books.tick_micros(self._slug)
        touch = ask if raises else bid
        if touch == 0:
            return None
        limit = touch + (tick if raises else -tick) * _SLIPPAGE_TICKS
        limit = min(max(limit, tick), MICROS - tick)
        # On the Up scale a buyer of Down sells Up and a seller of Down buys it.
        outcome = Outcome.UP if raises == buys else Outcome.DOWN
        side = Side.BUY if buys else Side.SELL
        return Take(
            self._slug, outcome, side, limit if outcome is Outcome.UP else MICROS - limit, shares
        )
