"""A halt against a running demo: acknowledged by the worker, no entry after it, exits go on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import worker
from db.journal_reading import list_runs
from db.records import Record
from helpers.domain import (
    NS_PER_SECOND,
    Approved,
    Fill,
    HaltChanged,
    OperatorAnswered,
    Refused,
    RunStarted,
    RunStopped,
    TradingState,
)
from helpers.settings import Settings
from tests.scenarios.running_demo import JOURNAL, ROOT, rows, running, wait_for

QUIET_SECONDS = 60
"""Simulated; the same run without a halt enters again within thirty."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def a_running_demo(speed: int) -> Generator[Path]:
    """Run a demo that enters within seconds and leaves soon after; yield what it prints."""
    printed = Path(f"demo-{speed}.out")
    options = ("--seed", "3", "--speed", str(speed), "--strategy", "momentum")
    environment = {
        "MODEL_DIRECTORY": str(ROOT / "models"),
        "HOLD_TO_RESOLUTION": "never",
        "MAXIMUM_POSITION_AGE_SECONDS": "30",
    }
    with running(printed, *options, **environment):
        yield printed


def entries(records: list[Record]) -> list[Record]:
    return [r for r in records if isinstance(r.body, Approved) and r.body.intent.opens]


def exits(records: list[Record]) -> list[Record]:
    return [r for r in records if isinstance(r.body, Approved) and not r.body.intent.opens]


def answers(records: list[Record]) -> list[Record]:
    return [r for r in records if isinstance(r.body, OperatorAnswered)]


def test_a_halt_is_acknowledged_stops_entries_never_exits_and_survives_a_restart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """I30 and invariant 7, with the ordinary worker in a process of its own."""
    with a_running_demo(8):
        wait_for(1, lambda records: any(isinstance(r.body, Fill) for r in records))
        assert worker.main(["halt", "odd fills", "--mode", "paper", "--journal", str(JOURNAL)]) == 0
        acknowledged = capsys.readouterr().out
        print(acknowledged)  # noqa: T201 - the measured milliseconds, for whoever asks
        quiet_ns = QUIET_SECONDS * NS_PER_SECOND
        # The answer is in the control log before its row leaves the journal's buffer.
        wait_for(1, lambda r: any(r[-1].at_ns > one.at_ns + quiet_ns for one in answers(r)))
    records = rows(1)
    (answer,) = answers(records)
    assert isinstance(answer.body, OperatorAnswered)
    assert f"id {answer.body.request_id}" in acknowledged
    assert list_runs(JOURNAL)[0].path.name in acknowledged
    assert entries(records), "nothing was traded: the halt proves nothing"
    assert all(entry.seq < answer.seq for entry in entries(records))
    assert any(left.seq > answer.seq for left in exits(records)), "exits go on"
    refused = [r.body for r in records if isinstance(r.body, Refused) and r.seq > answer.seq]
    assert any("operator: odd fills" in str(verdict.failures) for verdict in refused)
    assert isinstance(records[-1].body, RunStopped)

    with a_running_demo(20) as printed:
        before = wait_for(2, lambda r: r[-1].at_ns > r[0].at_ns + QUIET_SECONDS * NS_PER_SECOND)
        assert entries(before) == []
        assert worker.main(["resume", "--mode", "paper", "--journal", str(JOURNAL)]) == 0
        assert "paper: ended: operator" in capsys.readouterr().out
        after = wait_for(2, lambda records: bool(entries(records)))
    started, held = after[0].body, after[1].body
    assert isinstance(started, RunStarted)
    assert held == HaltChanged("held", "operator", "operator: odd fills", TradingState.HALTED)
    assert entries(after)[0].seq > answers(after)[0].seq
    told = printed.read_text()
    assert "HALTED     by operator since" in told
    assert f"resume it  uv run worker.py resume --mode paper --journal {JOURNAL}" in told
