"""The last five states of every market: the one owner of what the temporal encoder sees (L1).

Must not: know of models, read a clock, or hold more than ``MAXIMUM_MARKETS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from helpers.domain import GRID_NS

MAXIMUM_MARKETS: Final = 256
"""Markets remembered at once: eight assets in four window lengths are 32, each with its successor
are 64; beyond 256 somebody forgot to forget, and the oldest is dropped."""
HISTORY_LENGTH: Final = 5
_SLOTS: Final = 32
"""Rows of a market's buffer: the window slides over it and wraps once in 28 grid steps."""


class _Rows:
    """One market's states; the window is ``rows[cursor - 4 : cursor + 1]``."""

    __slots__ = ("cursor", "last_step", "pushed", "rows")

    def __init__(self, features: int) -> None:
        self.rows = np.zeros((_SLOTS, features), dtype=np.float32)
        self.cursor = HISTORY_LENGTH - 1
        """Where the next state goes; the rows before it are zero until states were pushed."""
        self.pushed = 0
        self.last_step = -1


class StateHistory:
    """Windows of five states on the 0.5 s grid, per market: oldest first, current last, zero left.

    A state is pushed once per grid step. Between steps the window is the last four grid states and
    the current one, and nothing is pushed. Steps that were missed are missing: nothing is repeated.
    """

    def __init__(self, features: int) -> None:
        self._features = features
        self._markets: dict[str, _Rows] = {}
        self.dropped = 0
        """Markets dropped because there were too many."""

    def __len__(self) -> int:
        """Return how many markets are remembered."""
        return len(self._markets)

    def window(
        self,
        market: str,
        features: Sequence[float],
        now_ns: int,
        *,
        on_grid: bool,
        out: NDArray[np.float32],
    ) -> int:
        """Write the market's (90,) window into ``out`` and return its depth, 1 to 5 states.

        On a grid step the state is pushed; a step seen again replaces its row, and so stays one.
        """
        rows = self._markets.get(market)
        if rows is None:
            rows = self._remember(market)
        step = now_ns // GRID_NS
        pushes = on_grid and step > rows.last_step
        if on_grid and not pushes and rows.pushed:
            cursor = rows.cursor - 1
            depth = min(HISTORY_LENGTH, rows.pushed)
        else:
            cursor = rows.cursor
            depth = min(HISTORY_LENGTH, rows.pushed + 1)
        rows.rows[cursor] = features
        out[:] = rows.rows[cursor - HISTORY_LENGTH + 1 : cursor + 1].reshape(-1)
        if pushes:
            rows.last_step = step
            rows.pushed = min(HISTORY_LENGTH, rows.pushed + 1)
            self._advance(rows)
        return depth

    def forget(self, market: str) -> None:
        """Drop a market that has rolled; an unknown one is no error."""
        self._markets.pop(market, None)

    def _remember(self, market: str) -> _Rows:
        if len(self._markets) >= MAXIMUM_MARKETS:
            self._markets.pop(next(iter(self._markets)))
            self.dropped += 1
        rows = self._markets[market] = _Rows(self._features)
        return rows

    def _advance(self, rows: _Rows) -> None:
        rows.cursor += 1
        if rows.cursor == _SLOTS:
            kept = HISTORY_LENGTH
            # Five, not four: a repeated step rewrites the row before the cursor and looks at the
            # four before that one.
            rows.rows[:kept] = rows.rows[_SLOTS - kept :]
            rows.cursor = kept
