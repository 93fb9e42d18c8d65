"""The markets the board knows, bounded, and which of them are open."""

from __future__ import annotations

from typing import Final

from helpers.domain import Market

MAXIMUM_MARKETS: Final = 512
"""Eight assets with four window lengths, listed a few windows ahead and kept a while after their
close, stay under half of it."""


class MarketList:
    """Markets by slug and condition; the longest closed goes first when there are too many."""

    __slots__ = ("_changes_ns", "_open", "_sorted", "_valid_from_ns", "by_condition", "by_slug")

    def __init__(self) -> None:
        self.by_slug: dict[str, Market] = {}
        self.by_condition: dict[str, Market] = {}
        self._sorted: tuple[Market, ...] = ()
        self._open: tuple[Market, ...] = ()
        self._valid_from_ns = 0
        self._changes_ns = 0
        """The answer of ``open`` holds from the one moment until the other."""

    def put(self, market: Market) -> tuple[Market, ...]:
        """List a market, or its facts anew; return those that had to go for it."""
        held = self.by_slug.get(market.slug)
        if held == market:
            return ()
        if held is not None:
            self.by_condition.pop(held.condition_id, None)
        self.by_slug[market.slug] = market
        self.by_condition[market.condition_id] = market
        self._sort()
        evicted = self._sorted[: max(0, len(self._sorted) - MAXIMUM_MARKETS)]
        for old in evicted:
            self.remove(old.slug)
        return evicted

    def remove(self, slug: str) -> Market | None:
        """Take a market off the list and return it; ``None`` when it was not there."""
        market = self.by_slug.pop(slug, None)
        if market is not None:
            self.by_condition.pop(market.condition_id, None)
            self._sort()
        return market

    def _sort(self) -> None:
        ordered = sorted(self.by_slug.values(), key=lambda market: (market.closes_ns, market.slug))
        self._sorted = tuple(ordered)
        self._valid_from_ns = self._changes_ns = 0

    def listed(self) -> tuple[Market, ...]:
        """Return all markets by close time, then slug."""
        return self._sorted

    def open(self, now_ns: int) -> tuple[Market, ...]:
        """Return the markets with opens <= now < closes, by close time, then slug."""
        if not self._valid_from_ns <= now_ns < self._changes_ns:
            self._open = tuple(
                market for market in self._sorted if market.opens_ns <= now_ns < market.closes_ns
            )
            edges = [
                edge for market in self._sorted for edge in (market.opens_ns, market.closes_ns)
            ]
            self._valid_from_ns = now_ns
            self._changes_ns = min((edge for edge in edges if edge > now_ns), default=now_ns + 1)
        return self._open
