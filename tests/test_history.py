"""The window is the last five grid states, pushed once each (L1)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.domain import GRID_NS
from strategies.history import HISTORY_LENGTH, StateHistory

WIDTH = 2


def _push(
    history: StateHistory, value: float, step: int, *, on_grid: bool = True, market: str = "m"
) -> tuple[list[float], int]:
    out = np.full(HISTORY_LENGTH * WIDTH, 9.0, dtype=np.float32)
    now_ns = step * GRID_NS + (0 if on_grid else 100_000_000)
    depth = history.window(market, (value, -value), now_ns, on_grid=on_grid, out=out)
    assert (out[::2] == -out[1::2]).all()
    return out[::2].tolist(), depth


def test_window_is_padded_on_the_left_and_ends_with_the_current_state() -> None:
    """Zeros first, oldest next, current last."""
    history = StateHistory(WIDTH)
    assert _push(history, 1.0, 1) == ([0, 0, 0, 0, 1], 1)
    assert _push(history, 2.0, 2) == ([0, 0, 0, 1, 2], 2)
    for value in (3.0, 4.0, 5.0):
        _push(history, value, int(value))
    assert _push(history, 6.0, 6) == ([2, 3, 4, 5, 6], 5)


def test_decision_between_grid_steps_pushes_nothing() -> None:
    """A fast-market trigger sees four grid states and itself, and leaves no trace (L1)."""
    history = StateHistory(WIDTH)
    assert _push(history, 8.0, 0, on_grid=False) == ([0, 0, 0, 0, 8], 1)
    for value in range(1, 6):
        _push(history, value, value)
    assert _push(history, 9.0, 5, on_grid=False) == ([2, 3, 4, 5, 9], 5)
    assert _push(history, 9.5, 5, on_grid=False) == ([2, 3, 4, 5, 9.5], 5)
    assert _push(history, 6.0, 6) == ([2, 3, 4, 5, 6], 5)


def test_same_grid_step_is_one_state() -> None:
    """A step seen twice replaces its own row."""
    history = StateHistory(WIDTH)
    _push(history, 1.0, 1)
    assert _push(history, 2.0, 2) == ([0, 0, 0, 1, 2], 2)
    assert _push(history, 2.0, 2) == ([0, 0, 0, 1, 2], 2)
    assert _push(history, 3.0, 3) == ([0, 0, 1, 2, 3], 3)


def test_missed_steps_are_missing() -> None:
    """A gap is not filled with repeated states."""
    history = StateHistory(WIDTH)
    _push(history, 1.0, 1)
    assert _push(history, 2.0, 50) == ([0, 0, 0, 1, 2], 2)


def test_markets_do_not_share_and_are_forgotten() -> None:
    """History is per market, not per asset, and is cleared when the market rolls (L3)."""
    history = StateHistory(WIDTH)
    _push(history, 1.0, 1, market="a")
    assert _push(history, 2.0, 1, market="b") == ([0, 0, 0, 0, 2], 1)
    history.forget("a")
    history.forget("never seen")
    assert _push(history, 3.0, 2, market="a") == ([0, 0, 0, 0, 3], 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=120))
def test_window_agrees_with_a_plain_list(moves: list[tuple[int, bool]]) -> None:
    """The sliding buffer equals a list that is rebuilt at every call (H17), wraps included."""
    history = StateHistory(WIDTH)
    grid: list[tuple[int, float]] = []
    step = 0
    for number, (advance, on_grid) in enumerate(moves, start=1):
        step += advance
        value = float(number)
        seen = bool(grid) and grid[-1][0] == step
        if on_grid:
            grid = [*(grid[:-1] if seen else grid), (step, value)]
        values = [entry[1] for entry in grid] + ([] if on_grid else [value])
        expected = ([0.0] * HISTORY_LENGTH + values)[-HISTORY_LENGTH:]
        assert _push(history, value, step, on_grid=on_grid) == (
            expected,
            min(HISTORY_LENGTH, len(values)),
        )
