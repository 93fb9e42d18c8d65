"""Invariant 3, the other half: what is held is looked after, by its own deadline (I1, I14, I15).

Judged at the rows of decisions: a process that decides in a market knows the market and runs.
"""

from __future__ import annotations

from collections.abc import Callable

from db.records import Record
from helpers.domain import (
    NS_PER_SECOND,
    Decision,
    ExitAttempted,
    MarketSeen,
    Refused,
    Side,
    Unsized,
)
from helpers.settings import Settings

NEGLECTED_SECONDS = 20.0
"""Longer than the longest pause of an exit's schedule, a lost answer and its reading back."""


class Attention:
    """Follows one run's positions, and notes those nobody tried to close though it was time."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_ns = settings.position_timeout_seconds * NS_PER_SECOND
        self._age_ns = settings.maximum_position_age_seconds * NS_PER_SECOND
        self.neglected: list[str] = []
        self._held_since_ns: dict[str, int] = {}
        self._known_since_ns: dict[str, int] = {}
        self._attended_ns: dict[str, int] = {}

    def begin(self) -> None:
        """Begin a process: nobody knows any market yet."""
        self._known_since_ns.clear()

    def row(
        self,
        life: int,
        record: Record,
        market: MarketSeen | None,
        held_micros: int,
        under_way: Callable[[], bool],
    ) -> None:
        """Take a row: its market, what is held there after it, whether an order is under way."""
        slug, body, at_ns = record.market, record.body, record.at_ns
        if market is None or held_micros < market.minimum_shares_micros:
            # Less than the venue takes waits for its resolution (I7).
            self._held_since_ns.pop(slug, None)
            return
        self._held_since_ns.setdefault(slug, at_ns)
        if _attends(body):
            self._attended_ns[slug] = at_ns
        elif isinstance(body, Decision):
            self._known_since_ns.setdefault(slug, at_ns)
            if under_way():
                self._attended_ns[slug] = at_ns
            self._judge(life, record, market)

    def _judge(self, life: int, record: Record, market: MarketSeen) -> None:
        slug, at_ns = record.market, record.at_ns
        held_ns = self._held_since_ns[slug]
        due_ns = min(held_ns + round(self._age_ns), market.closes_ns - round(self._timeout_ns))
        since_ns = max(due_ns, held_ns, self._known_since_ns[slug], self._attended_ns.get(slug, 0))
        if at_ns - since_ns > NEGLECTED_SECONDS * NS_PER_SECOND:
            late = (at_ns - due_ns) / NS_PER_SECOND
            self.neglected.append(f"{slug}, life {life}: nobody sold, {late:.0f} s after its time")
            self._attended_ns[slug] = at_ns


def _attends(body: object) -> bool:
    if isinstance(body, Refused):
        return not body.intent.opens
    return isinstance(body, ExitAttempted) or (isinstance(body, Unsized) and body.side is Side.SELL)
