"""States that are worth an alert only when they last, and their end only when they were told.

A socket that is back within a second, or a preflight that passes at the start, is no news. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from helpers.discord_words import Alert
from helpers.domain import NS_PER_SECOND

LASTS_NS: Final = 10 * NS_PER_SECOND
"""A state that is over sooner is not told."""
STATES_MAXIMUM: Final = 256


class Lasting:
    """Keeps alerts back until what they tell of has lasted."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[int, Alert]] = {}
        self._told: dict[str, None] = {}

    def begin(self, key: str, alert: Alert, at_ns: int) -> None:
        """Note that a state began; what is told already, or waits, is not told again."""
        if key not in self._told and len(self._waiting) < STATES_MAXIMUM:
            self._waiting.setdefault(key, (at_ns + LASTS_NS, alert))

    def tell_now(self, key: str) -> None:
        """Note that a state was told without waiting."""
        self._waiting.pop(key, None)
        if len(self._told) >= STATES_MAXIMUM:
            del self._told[next(iter(self._told))]
        self._told[key] = None

    def end(self, key: str) -> bool:
        """Note that a state is over; return whether it was told."""
        self._waiting.pop(key, None)
        if key not in self._told:
            return False
        del self._told[key]
        return True

    def due(self, now_ns: int) -> Iterator[Alert]:
        """Yield what has lasted."""
        due = [key for key, (due_ns, _) in self._waiting.items() if due_ns <= now_ns]
        for key in due:
            alert = self._waiting[key][1]
            self.tell_now(key)
            yield alert
