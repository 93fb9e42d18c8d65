"""A bounded memory of markets: what a policy remembers of each, and no more than 256 of them.

Must not: know what is remembered, or read a clock.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

MAXIMUM_MARKETS: Final = 256
"""Markets remembered at once: eight assets in four window lengths are 32, each with its successor
are 64; beyond 256 somebody forgot to forget, and the oldest is dropped."""

Memory = TypeVar("Memory")


class PerMarket(Generic[Memory]):
    """Memories by market slug; the market first kept longest ago makes room for a new one."""

    def __init__(self) -> None:
        self._memories: dict[str, Memory] = {}
        self.dropped = 0
        """Markets dropped because there were too many."""

    def __len__(self) -> int:
        """Return how many markets are remembered."""
        return len(self._memories)

    def find(self, market: str) -> Memory | None:
        """Return what is remembered of a market, ``None`` when nothing is."""
        return self._memories.get(market)

    def keep(self, market: str, memory: Memory) -> Memory:
        """Remember this of a market, in place of what was, and return it."""
        if market not in self._memories and len(self._memories) >= MAXIMUM_MARKETS:
            self._memories.pop(next(iter(self._memories)))
            self.dropped += 1
        self._memories[market] = memory
        return memory

    def forget(self, market: str) -> None:
        """Drop a market that has rolled; an unknown one is no error."""
        self._memories.pop(market, None)
