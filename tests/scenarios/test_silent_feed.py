"""A market socket that answers pings and sends no data, while a position is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.journal_reading import read_journal
from db.records import Record
from helpers.commands import demo
from helpers.domain import (
    NS_PER_SECOND,
    Approved,
    BookHealth,
    ExitAttempted,
    ExitEnded,
    Fill,
    FillStatus,
    HaltChanged,
    IntentReason,
    Side,
)
from helpers.settings import Settings
from simulator.world_settings import DEFAULT_START_NS

SILENT_FROM, SILENT_FOR = 75.0, 90.0
"""The seed buys in two markets at second 61; their windows end at second 300."""


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    faults = tmp_path / "faults.toml"
    faults.write_text(
        '[[fault]]\nkind = "silence"\nwhere = "market_socket:*"\n'
        f"from_seconds = {SILENT_FROM}\nfor_seconds = {SILENT_FOR}\n"
    )
    options = ["--minutes", "3.5", "--speed", "max", "--seed", "7", "--quiet"]
    assert demo.main([*options, "--faults", str(faults)]) == 0
    (run,) = Path("backups/journal").rglob("*_paper")
    return list(read_journal(run))


def second(record: Record) -> float:
    return (record.at_ns - DEFAULT_START_NS) / NS_PER_SECOND


def test_silence_degrades_then_is_critical_then_closes_until_flat_and_halts(
    records: list[Record],
) -> None:
    """I16: the age of the data counts, not the pings; 30 s, 60 s, exit, flat, halted."""
    bought = [
        r
        for r in records
        if isinstance(r.body, Fill)
        and r.body.side is Side.BUY
        and r.body.status is FillStatus.MATCHED
    ]
    markets = {r.market for r in bought}
    assert len(markets) == 2
    assert all(second(r) < SILENT_FROM for r in bought)
    for market in markets:
        timeline = [
            r
            for r in records
            if r.market == market and isinstance(r.body, BookHealth | ExitAttempted | ExitEnded)
        ]
        degraded, critical, attempt, flat = timeline
        assert isinstance(degraded.body, BookHealth)
        assert isinstance(critical.body, BookHealth)
        assert (degraded.body.state, critical.body.state) == ("degraded", "critical")
        assert 30.0 < degraded.body.age_seconds <= 30.5
        assert 60.0 < critical.body.age_seconds <= 60.5
        assert SILENT_FROM + 25 < second(degraded) < SILENT_FROM + 31
        assert 29.0 <= second(critical) - second(degraded) <= 31.0
        assert isinstance(attempt.body, ExitAttempted)
        assert attempt.body.reason is IntentReason.EXIT_STALE
        assert attempt.at_ns == critical.at_ns, "at once"
        assert isinstance(flat.body, ExitEnded)
        assert (flat.body.how, flat.body.shares_left_micros) == ("flat", 0)
        assert second(flat) - second(critical) < 2.0
    held = [r for r in records if isinstance(r.body, HaltChanged) and r.body.cause == "feed_loss"]
    assert [r.body.state for r in held if isinstance(r.body, HaltChanged)] == ["held"]
    late = [
        r
        for r in records
        if isinstance(r.body, Approved) and r.body.intent.opens and r.seq > held[0].seq
    ]
    assert not late, "the data came back; an operator has not resumed"
    assert second(records[-1]) > SILENT_FROM + SILENT_FOR + 40
