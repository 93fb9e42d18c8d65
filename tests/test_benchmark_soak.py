"""The soak itself: a short one meets every bar it can judge, and each bar can fail."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from benchmarks import soak_report
from benchmarks.soak_bounds import BOUNDS, OF_ONE_SECOND, Peaks, judge
from benchmarks.soak_census import (
    Container,
    can_be_read,
    find_containers,
    objects_of_ours,
    slope,
)
from benchmarks.soak_report import Bar, PhaseReport, Reading, bars_of, text_of
from benchmarks.soak_run import ASSETS, run_phase, thin_phase
from helpers import logs
from strategies.per_market import PerMarket
from tests.db.serving import open_folder

DAYS = 0.011
"""A quarter of an hour: the windows roll once, and are resolved."""
LOG_BYTES = 30_000
SEGMENT_BYTES = 256 * 1024

pytestmark = pytest.mark.skipif(not can_be_read(), reason="this system has no /proc/self/statm")


@pytest.fixture(scope="module")
def report() -> Iterator[PhaseReport]:
    """Return a short soak of small files."""
    phase = msgspec.structs.replace(thin_phase(DAYS, ASSETS), segment_bytes=SEGMENT_BYTES)
    with open_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "FILE_BYTES_MAXIMUM", LOG_BYTES)
        patch.setattr(soak_report, "FILE_BYTES_MAXIMUM", LOG_BYTES)
        yield run_phase(phase, 7, folder, "momentum")


def bar(report: PhaseReport, name: str) -> Bar:
    """Return one bar of a report."""
    (found,) = [bar for bar in bars_of(report) if bar.name == name]
    return found


def test_a_short_soak_meets_every_bar_it_can_judge(report: PhaseReport) -> None:
    """Only what needs days is not judged."""
    unjudged = {
        "resident memory", "projector's memory", "containers that grow", "traded to the end"
    }  # fmt: skip
    found = {bar.name: (bar.met, bar.found) for bar in bars_of(report)}
    assert {name: told for name, told in found.items() if told[0] is not True} == {
        name: (None, found[name][1]) for name in unjudged
    }


def test_a_short_soak_trades_and_is_carried_over(report: PhaseReport) -> None:
    """It is the flow that is watched: decisions, trades, alerts, and rows of both in Postgres."""
    rows = report.rows
    assert report.decisions > 500
    assert report.trades > 5
    assert report.alerts > 5
    assert any(reading.projector_bytes for reading in report.readings)
    assert 0 < rows.retired < rows.written["decision"]
    assert {"market_seen", "approved", "fill", "resolution_seen", "run_stopped"} <= set(
        rows.written
    )
    assert "times real time" in text_of(report)


def test_every_declared_bound_is_of_a_container_that_exists(report: PhaseReport) -> None:
    """A renamed attribute would otherwise be watched by nobody."""
    assert sorted((BOUNDS.keys() | OF_ONE_SECOND) - report.peaks.keys()) == []


# --- Each bar can fail ----------------------------------------------------------------------------


def days_of(report: PhaseReport, megabytes_a_day: float, tasks_a_day: int = 0) -> PhaseReport:
    """Return two days of readings with a leak."""
    readings = tuple(
        Reading(
            hour / 24,
            100_000_000 + round(megabytes_a_day * hour / 24 * 1_000_000),
            500_000,
            50 + tasks_a_day * hour // 24,
            50,
            60_000_000 + round(megabytes_a_day * hour / 24 * 1_000_000) if hour else None,
        )
        for hour in range(49)
    )
    return msgspec.structs.replace(report, days=2.0, readings=readings)


@pytest.mark.parametrize(("megabytes_a_day", "met"), [(0.9, True), (1.2, False), (-3.0, True)])
def test_memory_that_grows_is_found(
    report: PhaseReport, megabytes_a_day: float, *, met: bool
) -> None:
    """A line through two days; a shorter run is not judged."""
    for name in ("resident memory", "projector's memory"):
        found = bar(days_of(report, megabytes_a_day), name)
        assert found.met is met
        assert found.found == f"{megabytes_a_day:+.2f} MB a day"
        short = msgspec.structs.replace(days_of(report, megabytes_a_day), days=0.5)
        assert bar(short, name).met is None
    rose = "memory rose                  +0.1 MB by day" in text_of(
        days_of(report, megabytes_a_day)
    )
    assert rose is not met


def test_memory_that_was_not_read_is_not_flat(report: PhaseReport) -> None:
    """What nobody looked at meets no bar."""
    flat = days_of(report, 0.0)
    blind = tuple(msgspec.structs.replace(one, projector_bytes=None) for one in flat.readings)
    found = bar(msgspec.structs.replace(flat, readings=blind), "projector's memory")
    assert (found.met, found.found) == (False, "not read")


def test_a_worker_that_stopped_trading_is_found(report: PhaseReport) -> None:
    """Ten days of a halted worker would look fine in everything else."""
    readings = days_of(report, 0.0).readings
    for last_hour, met in ((48, True), (20, False)):
        traded = tuple(
            msgspec.structs.replace(one, trades=min(round(one.day * 24), last_hour))
            for one in readings
        )
        found = bar(msgspec.structs.replace(report, days=2.0, readings=traded), "traded to the end")
        assert found.met is met


def test_tasks_and_descriptors_that_stay_are_found(report: PhaseReport) -> None:
    """At the end, and while it ran."""
    assert bar(days_of(report, 0.0, tasks_a_day=10), "tasks at once").met is False
    left = msgspec.structs.replace(
        report, after=msgspec.structs.replace(report.after, tasks=2), left_open={"socket": 1}
    )
    assert bar(left, "tasks at the end").met is False
    found = bar(left, "descriptors left open")
    assert (found.met, found.found) == (False, "socket 1")


def test_containers_over_their_bound_or_growing_are_found() -> None:
    """By what is declared, by what a deque enforces, and by the two halves of a run."""
    judged = judge(
        {
            "Scorecard._open": Peaks(1024, 1024, 1025, 1025),
            "DiscordWebhook.messages": Peaks(10, 10, 10, 10, 10),
            "Board._nobody_thought_of_it": Peaks(400, 400, 800, 800),
            "Board._rests": Peaks(400, 400, 450, 450),
            "MarketModel._events": Peaks(400, 400, 800, 800),
            "MarketModel._events[]": Peaks(2, 800, 2, 1600),
        }
    )
    assert judged.bounded == 2
    assert judged.over == ("Scorecard._open: 1,025 of at most 1,024",)
    assert judged.growing == ("Board._nobody_thought_of_it: 400 then 800",)


def test_files_that_are_not_rotated_are_found(report: PhaseReport) -> None:
    """A journal over its limit, a log file over its own, and too many of them."""
    big = msgspec.structs.replace(
        report, journal_bytes=report.retain_bytes * 2, log_bytes=(10, LOG_BYTES * 100)
    )
    assert bar(big, "journal rotated").met is False
    assert bar(big, "logs rotated").met is False
    many = msgspec.structs.replace(report, log_bytes=(10,) * 7)
    assert bar(many, "logs rotated").met is False


def test_rows_that_are_missing_are_found(report: PhaseReport) -> None:
    """One row of one kind, a row the journal removed too early, a trade too few."""
    written = dict(report.rows.written)
    written["decision"] += 1
    for rows in (
        msgspec.structs.replace(report.rows, written=written),
        msgspec.structs.replace(report.rows, rows_lost=3),
        msgspec.structs.replace(report.rows, file_rows=report.rows.file_rows - 1),
    ):
        assert bar(msgspec.structs.replace(report, rows=rows), "rows == journal").met is False
    other = msgspec.structs.replace(report, trades=report.trades + 1)
    assert bar(other, "round trips == ledger").met is False


def test_the_census_sees_what_an_object_of_ours_holds() -> None:
    """In slots and in containers of containers, whoever made it; older objects are handed in."""
    memory = PerMarket[list[int]]()
    for number in range(49):
        memory.keep(f"market-{number}", list(range(number % 7)))
    found = find_containers()
    assert found["PerMarket._memories"].longest == 49
    assert found["PerMarket._memories[]"] == Container(6, 147, None)
    assert memory in objects_of_ours()
    assert find_containers(objects_of_ours()) == find_containers()


def test_the_slope_is_the_least_squares_line() -> None:
    """Exact on a line; nothing to say of one point."""
    assert slope([0.0, 1.0, 2.0, 5.0], [1.0, 3.0, 5.0, 11.0]) == pytest.approx(2.0)
    assert slope([1.0], [5.0]) == 0.0
