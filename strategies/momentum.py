"""Follows the fast market's move of the last 5 s, and closes when the move turns round.

Must not: remember anything, or enter a trade whose expected move does not pay its cost.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import MarketState, Outcome
from strategies.baseline import (
    Baseline,
    Judgement,
    basis_points,
    close,
    enter,
    expected_quote_move,
    held_outcome,
    hold,
)

DEFAULT_THRESHOLD_BPS: Final = 1.0
"""A move of 1 bp is followed by the quote in 99 % of cases, one of 0.3 bp in 95 % (recordings)."""
DEFAULT_REVERSAL_BPS: Final = 0.5
"""Half the threshold against the position: beyond the fast market's usual jitter."""


class Momentum(Baseline):
    """Takes Up after a rise of the fast market, Down after a fall.

    The quote follows within 1 s (40 % of it in 0.5 s), so most of an older move is already paid
    for: the expected move is an upper bound, and must still exceed spread and both fees:

        0.05 $/bp x |move in bp| x sqrt(300 s / window) > ask - bid + fee(ask) + fee(bid)

    Reads only the mid 5 s ago, so it works while ``returns_1m`` is cold.
    """

    name = "momentum"

    def __init__(
        self,
        threshold_bps: float = DEFAULT_THRESHOLD_BPS,
        reversal_bps: float = DEFAULT_REVERSAL_BPS,
    ) -> None:
        if threshold_bps <= 0 or reversal_bps <= 0:
            raise ValueError(
                f"thresholds were {threshold_bps} and {reversal_bps} bp, expected above 0"
            )
        self._threshold_bps = threshold_bps
        self._reversal_bps = reversal_bps

    def judge(self, state: MarketState) -> Judgement:
        """Return BUY after a rise, SELL after a fall, the opposite of a position on reversal."""
        snapshot = state.snapshot
        before = snapshot.fast.mid_5s_ago
        if before is None or before <= 0 or snapshot.fast.mid <= 0:
            return hold("the fast mid of 5 s ago is not known yet")
        move = basis_points(snapshot.fast.mid, before)
        why = f"fast move {move:+.2f} bp in 5 s"
        held = held_outcome(state)
        if held is not None:
            against = -move if held is Outcome.UP else move
            if against >= self._reversal_bps:
                return close(held, f"{why} turned against {held}")
            return hold(f"{why}, holding {held}")
        if abs(move) < self._threshold_bps:
            return hold(f"{why}, under {self._threshold_bps:.2f}")
        expected = expected_quote_move(abs(move), snapshot.market.window_seconds)
        return enter(snapshot, Outcome.UP if move > 0 else Outcome.DOWN, expected, why)
