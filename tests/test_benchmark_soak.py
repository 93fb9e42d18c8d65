"""The soak itself: a short one meets every bar it can judge, and each bar can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks import soak_report
from benchmarks.soak_bounds import BOUNDS, Peaks, judge
from benchmarks.soak_census import (
    Container,
    can_be_read,
    count_types,
    descriptors,
    find_containers,
    slope,
)
from benchmarks.soak_report import Bar, PhaseReport, Reading, bars_of, text_of
from benchmarks.soak_run import run_phase, thin_phase
from helpers import logs
from strategies.per_market import PerMarket
from tests.db.serving import open_folder

DAYS = 0.02
"""Half an hour: the quarter hours' windows roll twice."""
LOG_BYTES = 60_000
SEGMENT_BYTES = 256 * 1024

pytestmark = pytest.mark.skipif(not can_be_read(), reason="this system has no /proc/self/statm")


@pytest.fixture(scope="module")
def report() -> Iterator[PhaseReport]:
    """Return a short soak of small files."""
    phase = msgspec.structs.replace(thin_phase(DAYS), segment_bytes=SEGMENT_BYTES)
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
    unjudged = {"resident memory", "containers that grow"}
    found = {bar.name: (bar.met, bar.found) for bar in bars_of(report)}
    assert {name: told for name, told in found.items() if told[0] is not True} == {
        name: (None, found[name][1]) for name in unjudged
    }


def test_a_short_soak_trades_and_is_carried_over(report: PhaseReport) -> None:
    """It is the flow that is watched: decisions, trades, alerts, and rows of both in Postgres."""
    rows = report.rows
    assert report.decisions > 1_000
    assert report.trades > 5
    assert report.alerts > 5
    assert 0 < rows.retired < rows.written["decision"]
    assert {"market_seen", "approved", "fill", "resolution_seen", "run_stopped"} <= set(
        rows.written
    )
    assert "times real time" in text_of(report)


def test_every_declared_bound_is_of_a_container_that_exists(report: PhaseReport) -> None:
    """A renamed attribute would otherwise be watched by nobody."""
    assert sorted(BOUNDS.keys() - report.peaks.keys()) == []
