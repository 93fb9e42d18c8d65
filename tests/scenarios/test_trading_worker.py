"""The running worker without its sockets: frames in, tape and journal out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from db.journal import Journal
from db.journal_reading import read_journal
from db.records import Record
from helpers import logs
from helpers.clock import SimulatedClock
from helpers.commands import replay
from helpers.commands.trading_worker import Worker
from helpers.domain import Decision, Fill, Mode, Refused, RunStarted, RunStopped, Source
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from helpers.venues import Venues
from tests.scenarios.tapes import OPENS, frames


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("WINDOWS", "15m")
    monkeypatch.setenv("STRATEGY", "momentum")


def play(seconds: int, *, record: bool) -> list[Record]:
    """Run a worker over synthetic frames, moving time as its own loop would."""
    start_ns = (OPENS - 80) * 1_000_000_000
    clock = SimulatedClock(start_ns)
    lines = logs.configure(clock=clock, json_lines=True, directory=None, quiet=True)
    settings = load_settings(record=record)
    with Journal.open_run(
        settings.journal_directory, Mode.PAPER, start_ns, background=True
    ) as journal:
        worker = Worker(settings, clock, journal, Venues(), random.Random(1))
        worker.begin()
        for at, source_text, raw in frames(seconds=seconds):
            now_ns = round(at * 1e9)
            worker.move_time(now_ns - 1)
            clock.advance_to(now_ns)
            source = Ingest.source_of(source_text)
            assert source is not None
            worker.on_frame(source, raw.encode(), now_ns)
        worker.close("stopped")
        run = journal.run
    lines.close()
    return list(read_journal(run))


def decided(records: list[Record]) -> list[object]:
    return [r.body for r in records if isinstance(r.body, Decision | Refused | Fill)]


def test_replaying_the_recorded_tape_gives_the_runs_decisions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """U20: decisions, refusals and fills of a paper run come out of its tape bit for bit."""
    live = play(250, record=True)
    (tape,) = Path("backups/tapes").glob("*.jsonl.gz")
    assert replay.main([str(tape), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "warm-up               as live" in out
    (run,) = Path("backups/journal").glob("*_replay")
    replayed = list(read_journal(run))
    assert len(decided(live)) > 400
    # The tape ends with its last frame; the worker may have moved time a little further.
    assert decided(replayed)[: len(decided(live))] == decided(live)


def test_a_run_has_a_first_and_a_last_row() -> None:
    """What ran, on which model and settings, and how it ended."""
    records = play(30, record=False)
    started, stopped = records[0].body, records[-1].body
    assert isinstance(started, RunStarted)
    assert isinstance(stopped, RunStopped)
    assert (started.strategy, started.tape) == ("momentum", "")
    assert len(started.build_id) == len(started.settings_digest) == 12
    assert stopped.reason == "stopped"
    assert all(record.mode is Mode.PAPER for record in records)


def test_a_stop_allows_no_further_entry() -> None:
    """I32: entries are off at once; positions are left to their deadlines."""
    records = play(30, record=False)
    assert records
    clock = SimulatedClock(1)
    settings = load_settings()
    with Journal.open_run(settings.journal_directory, Mode.PAPER, 2, background=True) as journal:
        worker = Worker(settings, clock, journal, Venues(), random.Random(1))
        worker.begin()
        worker.stop("the test asked for it")
        worker.on_frame(Source.GAMMA, b"{}", 5)
        assert "shutting down" in worker.entries_stopped
        worker.close("stopped")
