"""Counts of what a parser did not turn into an event; it must stay small whatever arrives."""

from __future__ import annotations

from typing import Final

MAXIMUM_NAMES: Final = 64
"""Distinct names kept: some come off the wire, and a hostile peer must not grow our memory."""
MAXIMUM_NAME_CHARACTERS: Final = 64
"""Longest name kept; the rest of a longer one is cut off."""
OVERFLOW_NAME: Final = "other"
"""Where names beyond the limit are counted."""


class Skipped:
    """Counter by name, with a bounded number of names.

    Names read ``reason:kind``. The reasons are ``malformed`` (not what the reference says),
    ``unknown`` (a kind or fact we do not know), ``ignored`` (known and not needed), ``repaired``
    (used, without its unreadable part), ``control`` (answers to what we sent) and ``unrecorded``
    (frames that the tape's writer had to drop).
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, name: str, occurrences: int = 1) -> None:
        """Add to a name; a new name beyond the limit is counted as ``other``."""
        key = name[:MAXIMUM_NAME_CHARACTERS]
        counts = self._counts
        if key not in counts and len(counts) >= MAXIMUM_NAMES:
            key = OVERFLOW_NAME
        counts[key] = counts.get(key, 0) + occurrences

    def rows(self) -> tuple[tuple[str, int], ...]:
        """Return (name, count) sorted by name: at most ``MAXIMUM_NAMES`` plus ``other``."""
        return tuple(sorted(self._counts.items()))
