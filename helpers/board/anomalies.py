"""Named counts of what the board refused or doubted."""

from __future__ import annotations

from typing import Final

KINDS: Final[tuple[str, ...]] = (
    "before_snapshot",
    "best_mismatch",
    "candle_interval",
    "candle_not_a_number",
    "clock_back",
    "crossed",
    "depth_gap",
    "duplicate_quote",
    "duplicate_trade",
    "evicted_market",
    "fast_crossed",
    "fast_not_a_price",
    "fast_not_a_trade",
    "fast_started_over",
    "off_grid_price",
    "off_tick_level",
    "out_of_order",
    "tick_changed",
    "unknown_token",
)


class Anomalies:
    """Counters by kind; the kinds are fixed, so the memory is."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = dict.fromkeys(KINDS, 0)

    def add(self, kind: str) -> None:
        """Count one; raise ``KeyError`` for a kind that is not listed."""
        self._counts[kind] += 1

    def read(self) -> tuple[tuple[str, int], ...]:
        """Return what was counted at least once, by name."""
        return tuple((kind, count) for kind, count in self._counts.items() if count)
