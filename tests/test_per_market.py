"""What policies remember of markets is bounded."""

from __future__ import annotations

from strategies.per_market import MAXIMUM_MARKETS, PerMarket


def test_memories_are_found_replaced_and_forgotten() -> None:
    """A market has one memory, or none."""
    memories = PerMarket[int]()
    assert memories.find("a") is None
    assert memories.keep("a", 1) == 1
    memories.keep("a", 2)
    assert (memories.find("a"), len(memories)) == (2, 1)
    memories.forget("a")
    memories.forget("never seen")
    assert (memories.find("a"), len(memories)) == (None, 0)


def test_oldest_market_makes_room() -> None:
    """Beyond the limit the market first kept is dropped, and counted; a known one costs nobody."""
    memories = PerMarket[int]()
    for number in range(MAXIMUM_MARKETS + 3):
        memories.keep(str(number), number)
    memories.keep("3", 0)
    assert len(memories) == MAXIMUM_MARKETS
    assert memories.dropped == 3
    assert memories.find("2") is None
    assert memories.find("3") == 0
