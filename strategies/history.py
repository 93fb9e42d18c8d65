"""The last five states of every market: the one owner of what the temporal encoder sees (L1).

Must not: know of models, read a clock, or push a state anywhere but here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from helpers.domain import GRID_NS
from strategies.per_market import PerMarket

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
        self._markets = PerMarket[_Rows]()

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
        rows = self._markets.find(market)
        if rows is None:
            rows = self._markets.keep(market, _Rows(self._features))
        step = now_ns // GRID_NS
        pushes = on_grid and step > rows.last_step
        if on_grid and not pushes:
            cursor = rows.cursor - 1  # The step's own row, pushed when it was first seen.
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
        self._markets.forget(market)

    def _advance(self, rows: _Rows) -> None:
        rows.cursor += 1
        if rows.cursor == _SLOTS:
            kept = HISTORY_LENGTH
            # Five, not four: a repeated step rewrites the row before the cursor and looks at the
            # four before that one.
            rows.rows[:kept] = rows.rows[_SLOTS - kept :]
            rows.cursor = kept
