"""What the rule-based policies share: their loop, what a trade costs, how an answer is stated.

Must not: hold any market's state, read a clock, or decide by itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, NamedTuple

from helpers.domain import (
    MICROS,
    NO_FORECAST,
    Action,
    BookProblem,
    BookView,
    Decision,
    FeeSchedule,
    MarketState,
    Outcome,
    Snapshot,
)
from strategies.base import decision_from

QUOTE_DOLLARS_PER_BP: Final = 0.05
"""How far a 5 m quote moves per basis point of the fast market: measured over 10 s, 5 c."""
QUOTE_WINDOW_SECONDS: Final = 300.0

_HOLD_FOR_CERTAIN: Final = (1.0, 0.0, 0.0)
_PPM: Final = 1_000_000
_BPS: Final = 10_000.0


class Judgement(NamedTuple):
    """A rule's answer for one state."""

    action: Action
    confidence: float
    """0 to 1; an action's probability is 0.5 + confidence / 2, so that sizing follows it."""
    value: float
    """Expected edge in dollars a share."""
    reason: str
    probabilities: tuple[float, float, float] | None = None
    """The distribution drawn from, of a rule that draws; else it follows from the confidence."""
    forecast_up: float = NO_FORECAST
    """Probability that Up wins, of a rule that has one."""


class Baseline(ABC):
    """A policy made of one rule; invalid states and unknown fees are HOLD with the reason."""

    name: str = ""
    holds_to_resolution: bool = False

    @property
    def model_id(self) -> str:
        """Return the rule's name and version."""
        return f"{self.name}-1"

    def decide(self, states: Sequence[MarketState]) -> Sequence[Decision]:
        """Return one decision for each state, in order."""
        return [self._decision(state) for state in states]

    def forget(self, market: str) -> None:  # noqa: B027  # Only a rule with memory overrides it.
        """Forget a market that has rolled; a rule without memory has nothing to drop."""

    @abstractmethod
    def judge(self, state: MarketState) -> Judgement:
        """Return the rule's answer for one valid state."""

    def _decision(self, state: MarketState) -> Decision:
        refusal = _refusal(state)
        judgement = hold(refusal) if refusal else self.judge(state)
        probabilities = judgement.probabilities or _probabilities(judgement)
        return decision_from(
            state,
            judgement.action,
            probabilities,
            judgement.value,
            self.model_id,
            judgement.reason,
            judgement.forecast_up,
        )


def _probabilities(judgement: Judgement) -> tuple[float, float, float]:
    if judgement.action is Action.HOLD:
        return _HOLD_FOR_CERTAIN
    chosen = 0.5 + judgement.confidence / 2
    if judgement.action is Action.BUY:
        return (1.0 - chosen, chosen, 0.0)
    return (1.0 - chosen, 0.0, chosen)


def _refusal(state: MarketState) -> str:
    if state.invalid:
        return state.invalid
    exponent = state.snapshot.market.fees.exponent
    return "" if exponent == 1 else f"fee exponent was {exponent}, expected 1: costs unknown"


def hold(reason: str) -> Judgement:
    """Return the answer to do nothing, with the reason."""
    return Judgement(Action.HOLD, 0.0, 0.0, reason)


def held_outcome(state: MarketState) -> Outcome | None:
    """Return the outcome that is held, ``None`` when flat."""
    return state.position.outcome if state.position.shares_micros > 0 else None


def close(held: Outcome, reason: str, value: float = 0.0) -> Judgement:
    """Return the answer to close what is held: the action against it, for certain."""
    return Judgement(Action.SELL if held is Outcome.UP else Action.BUY, 1.0, value, reason)


def enter(snapshot: Snapshot, outcome: Outcome, expected_move: float, why: str) -> Judgement:
    """Return the answer to take an outcome if its expected move pays for a round trip.

    ``expected_move`` is in dollars a share, and no more counts than is left up to 1. The cost is
    the spread and the taker fee on both ways (``round_trip_cost``); the value is what remains of
    the move, the confidence its share of the move.
    """
    book = snapshot.book(outcome)
    if not tradable(book):
        return hold(f"{why}, but the {outcome} book is {book.problem.value or 'empty'}")
    ask = book.asks[0][0] / MICROS
    expected = min(expected_move, 1.0 - ask)
    cost = round_trip_cost(book, snapshot.market.fees)
    if expected <= cost:
        return hold(f"{why}: expects {expected:.3f} a share, a round trip costs {cost:.3f}")
    action = Action.BUY if outcome is Outcome.UP else Action.SELL
    reason = f"{why}: {outcome} at {ask:.3f} expects {expected:.3f}, costs {cost:.3f}"
    return Judgement(action, 1.0 - cost / expected, expected - cost, reason)


def tradable(book: BookView) -> bool:
    """Return whether a book has both sides and no problem."""
    return book.problem is BookProblem.NONE and bool(book.bids) and bool(book.asks)


def taker_fee_per_share(fees: FeeSchedule, price: float) -> float:
    """Return the taker fee of one share in dollars at a price in [0, 1]: rate p (1 - p) (G.1).

    Raises ``ValueError`` for an exponent other than 1, of which nothing is known.
    """
    if fees.exponent != 1:
        raise ValueError(f"fee exponent was {fees.exponent}, expected 1")
    return fees.rate_ppm / _PPM * price * (1.0 - price)


def round_trip_cost(book: BookView, fees: FeeSchedule) -> float:
    """Return what buying at the ask and selling at the bid costs, in dollars a share.

    Spread + fee(ask) + fee(bid), as a taker on both ways; the book must have both sides.
    """
    ask, bid = book.asks[0][0] / MICROS, book.bids[0][0] / MICROS
    return ask - bid + taker_fee_per_share(fees, ask) + taker_fee_per_share(fees, bid)


def expected_quote_move(move_bps: float, window_seconds: float) -> float:
    """Return how far the quote follows a move of the fast market, in dollars a share.

    5 c a basis point in a 5 m window (measured); a digital's slope is 1 / (sigma sqrt(T)), so
    longer windows follow less, by sqrt(300 s / window). Negative moves give negative answers.
    """
    return QUOTE_DOLLARS_PER_BP * move_bps * math.sqrt(QUOTE_WINDOW_SECONDS / window_seconds)


def basis_points(now: float, before: float) -> float:
    """Return the change from one price to another in basis points; both must be above 0."""
    return _BPS * (now / before - 1.0)
