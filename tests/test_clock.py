"""Time: real time never goes back, simulated time goes where it is told."""

from __future__ import annotations

import time

import pytest

from helpers.clock import RealClock, SimulatedClock


def test_real_time_is_held_when_the_system_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step back is held and counted: data ages must not become negative."""
    readings = iter([1_000, 900, 1_100])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings))
    clock = RealClock()
    assert [clock.now_ns() for _ in range(3)] == [1_000, 1_000, 1_100]
    assert clock.steps_back == 1


def test_simulated_time_moves_forward_only() -> None:
    """An earlier time is ignored."""
    clock = SimulatedClock(5)
    clock.advance_to(9)
    clock.advance_to(7)
    assert clock.now_ns() == 9
