"""Ready or not, and every reason why not."""

from __future__ import annotations

import math
from typing import Any

from helpers.server.health import (
    JOURNAL_SECONDS,
    Pulse,
    ReadinessLimits,
    failing_conditions,
)
from helpers.server.view import Hold, Safety
from tests.builders import a_book, a_fast_view, a_snapshot, a_state

LIMITS = ReadinessLimits(30, 10, 2)
TRADING = Safety("trading", (), True)
SNAPSHOT = a_snapshot()
NOW_NS = SNAPSHOT.now_ns


def names(
    *, safety: Safety = TRADING, now_ns: int = NOW_NS, late: float = 0.0, **changes: Any
) -> list[str]:
    state = a_state(a_snapshot(**changes))
    found = failing_conditions([state], safety, LIMITS, now_ns=now_ns, journal_late_seconds=late)
    return [one.name for one in found]


def test_a_sound_market_is_ready() -> None:
    """Nothing fails."""
    assert names() == []


def test_old_data_of_either_book_or_of_the_fast_market_is_named() -> None:
    """The age counts on while nothing is decided; what is not a number is too old."""
    assert names(up=a_book(age_seconds=31.0)) == ["feeds_stale"]
    assert names(down=a_book(0.47, 0.48, age_seconds=math.nan)) == ["feeds_stale"]
    assert names(fast=a_fast_view(age_seconds=math.inf)) == ["feeds_stale"]
    assert names(now_ns=NOW_NS + 60 * 10**9) == ["feeds_stale"] * 3


def test_a_clock_that_differs_or_is_not_known_is_named() -> None:
    """Not measured is not zero."""
    assert names(clock_skew_seconds=-2.5) == ["clock_skew"]
    assert names(clock_skew_seconds=math.inf) == ["clock_skew"]


def test_what_holds_entries_is_named() -> None:
    """A comparison that is due, a passing cause, a halt."""
    reconciling = Hold("reconciling", "not yet", None)
    assert names(safety=Safety("held", (reconciling,), False)) == ["not_reconciled"]
    venue = Hold("venue", "post-only", 5)
    assert names(safety=Safety("held", (venue,), False)) == ["entries_held"]
    assert names(safety=Safety("halted", (Hold("operator", "me", 5),), False)) == ["halted"]


def test_a_disk_that_takes_no_rows_and_a_missing_market_are_named() -> None:
    """Both keep a worker from entering."""
    assert names(late=JOURNAL_SECONDS + 1) == ["journal_not_writable"]
    none = failing_conditions([], TRADING, LIMITS, now_ns=NOW_NS, journal_late_seconds=0.0)
    assert [one.name for one in none] == ["no_market"]


def test_a_pulse_rises_with_its_counter() -> None:
    """The same number again is no sign of life."""
    pulse = Pulse(alive_seconds=1e6)
    pulse.note(1)
    first = pulse.still_seconds
    pulse.note(1)
    assert pulse.still_seconds >= first
    assert pulse.alive
    assert not Pulse(alive_seconds=-1.0).alive
