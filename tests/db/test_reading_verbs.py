"""`worker.py status`, `trades` and `report` against real servers, named and embedded."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import pytest

import worker
from db import migrate
from db.journal import Journal
from db.query_results import Book
from helpers.commands.database_reading import (
    NoDatabaseError,
    caught_up_database,
    chosen_books,
)
from helpers.domain import Mode
from helpers.settings import Settings, load_settings
from tests.db.journals import write_run
from tests.db.serving import open_folder
from tests.journal_samples import at
from tests.report_samples import story


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a journal folder, with no setting but those of a test."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "backups" / "journal"


@pytest.fixture
def served(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a journal folder beside a named server whose schema is up to date."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert migrate.main([]) == 0
    return folder


def test_books_are_chosen_by_mode_and_demo() -> None:
    """Without a word the latest run of all decides."""
    assert chosen_books("", demo=False) == tuple(Book)
    assert chosen_books("live", demo=False) == (Book.LIVE,)
    assert chosen_books("paper", demo=True) == (Book.DEMO_PAPER,)
    assert chosen_books("", demo=True) == (Book.DEMO_PAPER, Book.DEMO_LIVE)


def test_without_a_worker_a_verb_serves_and_catches_up_itself(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fresh clone: a run, then its report; what was written since is in the next one."""
    write_run(folder / "demo-paper", story())
    with open_folder() as place:
        monkeypatch.setenv("EMBEDDED_POSTGRES_DIRECTORY", str(place / "postgres"))
        assert worker.main(["report"]) == 0
        write_run(folder, story())
        assert worker.main(["status"]) == 0
    page = Path("backups/report.html")
    told = capsys.readouterr().out
    assert told.startswith("PAPER (demo): 2 trades, 50.0 % won, -$0.19 after $0.64 of fees; 0 une")
    assert f"{page.resolve()}\nPAPER  stopped: tape ended\n" in told
    assert "0 s behind the journal" in told
    assert "PAPER (demo)" in page.read_text()


def test_a_report_that_cannot_be_written_is_not_the_databases_fault(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was told as a database that went away."""
    write_run(served, story())
    assert worker.main(["report", "--out", "."]) == 70
    assert capsys.readouterr().err.endswith("name another file with --out\n")


def test_status_and_trades_as_json(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document each, with the keys that are documented."""
    write_run(served, story(ends=False))
    assert worker.main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert set(status) == {
        *("book", "state", "heartbeat_age_seconds", "lag_seconds", "status", "shadows"),
    }
    assert (status["book"], status["state"], status["lag_seconds"]) == ("paper", "killed", 0.0)
    assert status["heartbeat_age_seconds"] > 0
    assert status["status"]["holds"] == []  # what the control log says, which has no halt
    assert worker.main(["trades", "--json", "--last", "1"]) == 0
    trades = json.loads(capsys.readouterr().out)
    assert [trip["pnl_micros"] for trip in trades["trips"]] == [-500_000]
    assert trades["totals"]["trips"] == 2


def test_a_halt_that_no_worker_has_heard_yet_stands(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """I30: asked for while nothing runs it is in no journal, and holds the next start."""
    write_run(served, story())
    assert worker.main(["status"]) == 0
    assert "no halt stands" in capsys.readouterr().out
    assert worker.main(["halt", "odd fills", "--mode", "paper"]) == 0
    assert worker.main(["status"]) == 0
    told = capsys.readouterr().out
    assert "HELD by   operator since " in told
    assert "UTC: odd fills" in told


def test_trades_are_a_table_that_ends_with_its_sum(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oldest first, so that the latest stands above the prompt."""
    write_run(served, story())
    assert worker.main(["trades"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PAPER"
    assert [line.split()[-4] for line in lines[2:4]] == ["+$0.31", "-$0.50"]
    assert lines[-1] == "2 trades, 50.0 % won: -$0.19 after $0.64 of fees"
    assert worker.main(["trades", "--since", "300"]) == 0
    assert "-$0.50" in capsys.readouterr().out
    assert worker.main(["trades", "--since", "1"]) == 0
    assert capsys.readouterr().out == "PAPER: no position was closed\n"


def test_while_a_run_is_being_written_it_is_told_so_far(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is on the disk counts; a run whose rows are old is silent, not running."""
    with Journal.open_run(served, Mode.PAPER, at(0)) as journal:
        for seconds, market, body in story(ends=False):
            journal.append(at(seconds), market, body)
        journal.commit()
        assert worker.main(["status"]) == 0
    assert capsys.readouterr().out.startswith("PAPER  silent\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trades", "--since", "1w"], "--since was '1w', expected 1h"),
        (["report", "--to", "soon"], "--to was 'soon', expected 1h"),
        (["report", "--from", "1h", "--to", "2h"], "ends before it begins"),
    ],
)
def test_a_span_that_means_nothing_is_refused(
    served: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Exit code 2, naming what was given."""
    write_run(served, story())
    assert worker.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_nothing_has_run_yet(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said in one line, and no file is written."""
    assert worker.main(["report", "--mode", "live"]) == 2
    assert "no LIVE run is in the database" in capsys.readouterr().err
    assert not Path("backups/report.html").exists()


async def test_a_named_server_is_never_migrated_by_a_look(
    folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks must not change a schema that others use; it is told how."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    with pytest.raises(NoDatabaseError, match="migrations behind: uv run python") as told:
        async with caught_up_database(load_settings(), "status"):
            pass
    assert told.value.exit_code == 65
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('sessions')") is None
    await connection.close()


def test_no_database_is_exit_code_69(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The password of the address is in no text (I35)."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-7@127.0.0.1:1/x")
    assert worker.main(["status"]) == 69
    told = capsys.readouterr().err
    assert "worker.py why" in told
    assert "canary-7" not in told
