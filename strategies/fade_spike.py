"""Fades a burst of large trades on the fast market, betting that part of its move comes back.

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

FRESH_FLAG: Final = 0.99
"""The large-trade flag is 1 for 5 s and 0.7 after: above 0.99 the trade is under 5 s old."""
SPENT_FLAG: Final = 0.4
"""1 x 0.7 x 0.7 x 0.7 = 0.34: 15 s after the trade, what was to come back has."""
DEFAULT_SPIKE_ACCELERATION: Final = 0.5
"""In units of ``cvd_acceleration`` (feature 6): 50,000 USD one way within 0.5 s."""
RETRACED_SHARE: Final = 0.5
"""Half of a spike's last second is expected back: an assumption, to be judged by its results."""

_ACCELERATION_PER_USD: Final = 10.0 / 1e6


class FadeSpike(Baseline):
    """Takes Down after a burst of buying and Up after a burst of selling.

    A spike is a large trade under 5 s old with one-sided taker flow in the last 0.5 s; expected
    back is half of the fast market's move over the last second, and it must exceed spread and both
    fees. The position is closed once the flag has decayed.
    """

    name = "fade_spike"

    def __init__(self, spike_acceleration: float = DEFAULT_SPIKE_ACCELERATION) -> None:
        if spike_acceleration <= 0:
            raise ValueError(f"spike acceleration was {spike_acceleration}, expected above 0")
        self._spike_acceleration = spike_acceleration

    def judge(self, state: MarketState) -> Judgement:
        """Return the fade of a fresh spike, the close of a position when it is spent."""
        fast = state.snapshot.fast
        flag, flow, before = fast.large_trade, fast.signed_flow_500ms_usd, fast.mid_1s_ago
        held = held_outcome(state)
        if flag is None:
            return hold("too few trades to know a large one")
        if held is not None:
            if flag < SPENT_FLAG:
                return close(held, f"large-trade flag {flag:.2f}: the spike is spent")
            return hold(f"large-trade flag {flag:.2f}, holding {held}")
        if flow is None or before is None or before <= 0 or fast.mid <= 0:
            return hold("the flow or the fast mid of 1 s ago is not known yet")
        acceleration = flow * _ACCELERATION_PER_USD
        why = f"large-trade flag {flag:.2f}, acceleration {acceleration:+.2f}"
        if flag < FRESH_FLAG or abs(acceleration) < self._spike_acceleration:
            return hold(f"{why}: no fresh spike")
        move = basis_points(fast.mid, before)
        if move * flow <= 0:
            return hold(f"{why}, but the fast mid moved {move:+.2f} bp: nothing to fade")
        expected = RETRACED_SHARE * expected_quote_move(
            abs(move), state.snapshot.market.window_seconds
        )
        outcome = Outcome.DOWN if flow > 0 else Outcome.UP
        return enter(state.snapshot, outcome, expected, f"{why}, move {move:+.2f} bp in 1 s")
