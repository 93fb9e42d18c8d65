"""Time: real time never goes back, simulated time goes where it is told."""

from __future__ import annotations

import time

import pytest

from helpers.clock import Pace, RealClock, SimulatedClock


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


class Watch:
    """Real time as a test tells it: it passes by itself, and by the pauses that are made."""

    def __init__(self) -> None:
        self.now_seconds = 100.0
        self.pauses: list[float] = []

    def seconds(self) -> float:
        return self.now_seconds

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_seconds += seconds


def test_a_pace_waits_for_each_moment_and_not_for_what_is_late() -> None:
    """Ten recorded seconds at twenty times real time are half a second, work included."""
    watch = Watch()
    pace = Pace(20.0, watch.seconds, watch.pause)
    start_ns = 1_790_000_000 * 10**9
    pace.wait_for(start_ns)
    assert watch.pauses == []
    pace.wait_for(start_ns + 10 * 10**9)
    assert watch.pauses == [pytest.approx(0.5)]
    watch.now_seconds += 0.2  # the work on that frame
    pace.wait_for(start_ns + 20 * 10**9)
    assert watch.now_seconds == pytest.approx(101.0)
    watch.now_seconds += 2.0
    pace.wait_for(start_ns + 30 * 10**9)
    pace.wait_for(start_ns + 29 * 10**9)
    assert len(watch.pauses) == 2
    pace.wait_for(start_ns + 80 * 10**9)
    assert watch.now_seconds == pytest.approx(104.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_pace_that_is_none_is_refused(speed: float) -> None:
    """Time would stand still or run backwards."""
    with pytest.raises(ValueError, match="speed was"):
        Pace(speed)
