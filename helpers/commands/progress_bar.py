"""A bar of work that is done, on a terminal; nothing anywhere else."""

from __future__ import annotations

import shutil
import sys
from typing import Final

from helpers.clock import system_seconds

BAR_WIDTH: Final = 30
_CLEAR: Final = "\r\x1b[K"


class ProgressBar:
    """Owner of the last line of the terminal while something takes long."""

    def __init__(self, total: int, unit: str, done: int = 0, *, shown: bool = True) -> None:
        """Take how much there is to do, in what, and how much of it is done already.

        One that is not ``shown`` draws nothing on a terminal either: other lines go there.
        """
        self._total = max(total, 1)
        self._unit = unit
        self._start = self._done = done
        self._shown = shown and sys.stderr.isatty()
        self._began = system_seconds()

    def __enter__(self) -> ProgressBar:
        """Draw it."""
        self.show(self._done)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the line."""
        if self._shown:
            sys.stderr.write("\n")

    def clear(self) -> None:
        """Make room for another line."""
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def advance(self, made: int) -> None:
        """Draw that so much more is done."""
        self.show(self._done + made)

    def show(self, done: int) -> None:
        """Draw how much is done, and how long the rest will take at this pace."""
        self._done = done
        if not self._shown:
            return
        filled = min(BAR_WIDTH, BAR_WIDTH * done // self._total)
        spent, made = system_seconds() - self._began, done - self._start
        left = f"{spent / made * max(0, self._total - done):,.0f} s left" if made else "..."
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        text = f"[{bar}] {done:,}/{self._total:,} {self._unit}, {left}"
        # Whole or cut: what wraps is a line that nothing clears.
        sys.stderr.write(_CLEAR + text[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()
