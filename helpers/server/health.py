"""Whether the worker lives, and whether it is ready to enter: two different questions. Pure.

Alive is that grid steps are done, and nothing else: neither a venue nor a disk that is away is a
reason to restart a worker that holds positions. Ready names every condition that keeps it from
entering.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from helpers.clock import system_seconds
from helpers.domain import NS_PER_SECOND, HoldCause, MarketState, Message, Outcome, TradingState
from helpers.server.view import Safety

ALIVE_SECONDS: Final = 15.0
"""Grid steps come every half second; the watchdog ends the process after 20 s."""
JOURNAL_SECONDS: Final = 10.0
"""Rows go to the disk every second; longer means that it does not take them."""


class Condition(Message, frozen=True):
    """Something that keeps the worker from being ready."""

    name: str
    detail: str


class ReadinessLimits(Message, frozen=True):
    """What the gate allows of data and clocks."""

    book_age_seconds: float
    fast_age_seconds: float
    clock_skew_seconds: float


class Pulse:
    """When a counter last rose, in real time. Written by the worker, read from any thread."""

    def __init__(self, alive_seconds: float = ALIVE_SECONDS) -> None:
        self._alive_seconds = alive_seconds
        self._count = -1
        self._risen_seconds = system_seconds()

    def note(self, count: int) -> None:
        """Note the counter."""
        if count != self._count:
            self._count, self._risen_seconds = count, system_seconds()

    @property
    def still_seconds(self) -> float:
        """Return for how long it has not risen."""
        return system_seconds() - self._risen_seconds

    @property
    def alive(self) -> bool:
        """Return whether it rose lately."""
        return self.still_seconds <= self._alive_seconds


def failing_conditions(
    states: Iterable[MarketState],
    safety: Safety,
    limits: ReadinessLimits,
    *,
    now_ns: int,
    journal_late_seconds: float,
) -> tuple[Condition, ...]:
    """Return everything that keeps the worker from entering; empty when it is ready.

    ``states`` are the open markets as they were decided on last.
    """
    known = tuple(states)
    found = [
        *_data_conditions(known, limits, now_ns),
        *_hold_conditions(safety),
    ]
    if not known:
        found.append(Condition("no_market", "no market is open, or none was found yet"))
    if journal_late_seconds > JOURNAL_SECONDS:
        late = f"rows wait for the disk for {journal_late_seconds:.0f} s"
        found.append(Condition("journal_not_writable", late))
    return tuple(found)


def _data_conditions(
    states: Iterable[MarketState], limits: ReadinessLimits, now_ns: int
) -> Iterator[Condition]:
    for state in states:
        snapshot = state.snapshot
        slug, passed = snapshot.market.slug, (now_ns - snapshot.now_ns) / NS_PER_SECOND
        for outcome in Outcome:
            age = snapshot.book(outcome).age_seconds + passed
            # Written so that an age that is not a number is too old.
            if not age <= limits.book_age_seconds:
                yield Condition("feeds_stale", f"{slug}: {outcome} book is {age:.1f} s old")
        fast_age = snapshot.fast.age_seconds + passed
        if not fast_age <= limits.fast_age_seconds:
            yield Condition("feeds_stale", f"{slug}: fast market is {fast_age:.1f} s old")
        skew = abs(snapshot.clock_skew_seconds)
        if not skew <= limits.clock_skew_seconds:
            yield Condition("clock_skew", f"{slug}: clocks are {skew:.1f} s apart")


def _hold_conditions(safety: Safety) -> Iterator[Condition]:
    halted = safety.state == TradingState.HALTED
    for hold in safety.holds:
        if hold.cause == HoldCause.RECONCILING:
            yield Condition("not_reconciled", hold.why)
        else:
            name = "halted" if halted else "entries_held"
            yield Condition(name, f"{hold.cause}: {hold.why}")
