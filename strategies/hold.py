"""Does nothing: the zero that every other policy is measured from.

Must not: ever want a trade.
"""

from __future__ import annotations

from helpers.domain import MarketState
from strategies.baseline import Baseline, Judgement, hold


class Hold(Baseline):
    """Holds whatever it sees. Only evaluations use it."""

    name = "hold"

    def judge(self, state: MarketState) -> Judgement:  # noqa: ARG002
        """Return HOLD."""
        return hold("always holds")
