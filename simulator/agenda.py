"""What is due when, in time order and, at one moment, in the order it was put down.

It reads no clock: whoever owns it says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[int], None]
"""What is done when its time has come; it is given that time."""


class Agenda:
    """Future actions of the exchange; the same ones in the same order every run."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Action]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._entries)

    def at(self, due_ns: int, action: Action) -> None:
        """Put an action down for a moment."""
        self._sequence += 1
        heappush(self._entries, (due_ns, self._sequence, action))

    def next_due_ns(self) -> int | None:
        """Return when the next action is due, or ``None``."""
        return self._entries[0][0] if self._entries else None

    def run(self, now_ns: int) -> None:
        """Do everything due up to now, also what these actions put down for before now."""
        while self._entries and self._entries[0][0] <= now_ns:
            due_ns, _, action = heappop(self._entries)
            action(due_ns)
