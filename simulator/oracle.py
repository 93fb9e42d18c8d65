"""The ceiling: a strategy that knows a simulated market's fair value, and nothing of its future.

It is what any policy could hope to learn at most, through the same gate, latency, fees and sizing.
It exists in simulated evaluations only: nothing that trades can build it. Must not: see a price
that is still to come.
"""

from __future__ import annotations

from typing import Final, Protocol

from helpers.domain import MICROS, MarketState, Outcome, Snapshot
from strategies.baseline import Judgement, close, held_outcome, hold, taker_fee_per_share, tradable
from strategies.fair_value import FairValue

ENTRY_MARGIN: Final = 0.08
"""Dollars a share beyond the fee. Of 0.03, 0.05, 0.08 and 0.12 the one that earned most on seeds 1
to 4, of which nothing else is told: who buys at the first cent of edge has no order free for a
better one, and waits out the cool-down."""
EXIT_MARGIN: Final = 0.01
"""Dollars a share that a sale must bring, fee paid, above what the shares are worth."""


class Truth(Protocol):
    """Who knows what a market is worth (``simulator.market_model``)."""

    def true_chance(self, slug: str, at_ns: int) -> float:
        """Return the chance of Up in an open market; raise ``KeyError`` for another."""
        ...


class Oracle(FairValue):
    """Buys what costs less than it is worth, sells what is bid for more; else holds to the end."""

    name = "oracle"

    def __init__(self, truth: Truth, margin: float = ENTRY_MARGIN) -> None:
        super().__init__(margin)
        self._truth = truth

    def judge(self, state: MarketState) -> Judgement:
        """Return BUY or SELL where ask or bid is on the wrong side of the fair value."""
        snapshot = state.snapshot
        try:
            fair = self._truth.true_chance(snapshot.market.slug, snapshot.now_ns)
        except KeyError:
            return hold("the market is not open in the simulated world")
        held = held_outcome(state)
        answer = self._enter(snapshot, fair) if held is None else _look(snapshot, held, fair)
        return answer._replace(forecast_up=fair)


def _look(snapshot: Snapshot, held: Outcome, fair: float) -> Judgement:
    worth = fair if held is Outcome.UP else 1.0 - fair
    book = snapshot.book(held)
    if not tradable(book):
        return hold(f"holding {held}, worth {worth:.3f}; there is no book to sell to")
    bid = book.bids[0][0] / MICROS
    gain = bid - taker_fee_per_share(snapshot.market.fees, bid) - worth
    if gain > EXIT_MARGIN:
        return close(held, f"{held} is bid {bid:.3f}, worth {worth:.3f}", gain)
    return hold(f"holding {held}, worth {worth:.3f}")
