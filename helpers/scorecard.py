"""Counts what a run did: decisions, refusals by rule, Brier scores. Listens, decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import Final

from helpers.domain import (
    MICROS,
    Body,
    Decision,
    Message,
    Outcome,
    Refused,
    ResolutionSeen,
    Settled,
    Unsized,
)

MARKETS_REMEMBERED_MAXIMUM: Final = 1024
"""Markets whose probabilities are kept until they resolve; the oldest go first."""


class BrierRow(Message, frozen=True):
    """Mean squared error of a probability of Up against what happened."""

    decisions: int
    policy: float
    quoted: float
    """Of the quoted Up mid at the same moments: what a policy must beat."""


class Scorecard:
    """An outlet that only counts. Brier sums are O(1) a market: (p - o)^2 = p^2 - 2 o p + o."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.unsized: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.resolved: Counter[str] = Counter()
        self._open: dict[str, _Sums] = {}
        self._scored = 0
        self._policy_error = 0.0
        self._quoted_error = 0.0

    def write(self, at_ns: int, market: str, body: Body) -> None:  # noqa: ARG002
        """Count one thing; the moment does not matter."""
        if isinstance(body, Decision):
            self.decisions[body.action.name] += 1
            self._note(market, body)
        elif isinstance(body, Refused):
            self.refusals[body.failures[0].rule] += 1
        elif isinstance(body, Unsized):
            self.unsized[body.failure.rule] += 1
        elif isinstance(body, Settled):
            self.settled["at 1" if body.won else "at 0"] += 1
        elif isinstance(body, ResolutionSeen):
            self.resolved[body.outcome.value] += 1
            self._resolve(market, body.outcome)

    def commit(self) -> None:
        """Keep nothing: there is nothing to lose."""

    def _resolve(self, market: str, winner: Outcome) -> None:
        sums = self._open.pop(market, None)
        if sums is None:
            return
        won = 1.0 if winner is Outcome.UP else 0.0
        self._scored += sums.count
        self._policy_error += sums.policy_squares - 2 * won * sums.policy + won * sums.count
        self._quoted_error += sums.quoted_squares - 2 * won * sums.quoted + won * sums.count

    def brier(self) -> BrierRow | None:
        """Return the scores over all resolved markets, ``None`` when there was none."""
        if not self._scored:
            return None
        scored = self._scored
        return BrierRow(scored, self._policy_error / scored, self._quoted_error / scored)

    def _note(self, market: str, decision: Decision) -> None:
        if not (decision.up_bid_micros and decision.up_ask_micros):
            return
        policy = decision.forecast_up
        if policy < 0.0:
            return
        sums = self._open.get(market)
        if sums is None:
            if len(self._open) >= MARKETS_REMEMBERED_MAXIMUM:
                del self._open[next(iter(self._open))]
            sums = self._open[market] = _Sums()
        quoted = (decision.up_bid_micros + decision.up_ask_micros) / (2 * MICROS)
        sums.count += 1
        sums.policy += policy
        sums.policy_squares += policy * policy
        sums.quoted += quoted
        sums.quoted_squares += quoted * quoted


class _Sums:
    __slots__ = ("count", "policy", "policy_squares", "quoted", "quoted_squares")

    def __init__(self) -> None:
        self.count = 0
        self.policy = self.policy_squares = self.quoted = self.quoted_squares = 0.0
