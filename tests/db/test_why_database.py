"""`worker.py why` against a real server: which source answers, and what is said of what is gone."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest

import worker
from db import migrate
from db.connection import Database
from db.explain_report import Report
from db.journal_reading import list_segments
from db.retention import retire_batch
from helpers.domain import Action, Body, Mode
from helpers.settings import Settings
from tests.db.journals import trade
from tests.db.serving import ask
from tests.db.why_reports import told_by_files, write_like_the_worker
from tests.journal_samples import RUN_STARTED, RUN_STOPPED, SLUG, STORY, at, decision, refused

FOLDER = Path("backups/journal")


@pytest.fixture(autouse=True)
def _served(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own, beside a named server whose schema is up to date."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert migrate.main([]) == 0


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[Report, str]:
    """Return what ``why --json`` printed, and what it said beside it."""
    assert worker.main(["why", "--json", *words]) == code
    captured = capsys.readouterr()
    return msgspec.json.decode(captured.out, type=Report), captured.err


def aged() -> list[tuple[float, str, Body]]:
    """Return a run whose first forty seconds are going to be too old."""
    held = [(float(n), SLUG, decision(float(n), Action.HOLD, "calm")) for n in range(40)]
    return [
        (0.0, "", RUN_STARTED),
        *held,
        (40.0, SLUG, refused(40.0)),
        *trade(99.0),
        (120.0, "", RUN_STOPPED),
    ]


def retire(url: str) -> None:
    """Let everything before the sample's hundredth second grow too old."""

    async def work() -> None:
        database = Database(url)
        while await retire_batch(database, at(100.0)):
            pass
        await database.close()

    asyncio.run(work())


def test_without_a_word_the_database_answers(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """The journals were carried over first; the answer is the files' own."""
    run = write_like_the_worker(FOLDER, STORY)
    for words in ((), ("--market", SLUG), ("--since", "84")):
        wanted, _ = told(capsys, "--journal", str(run), *words)
        assert told(capsys, *words) == (wanted, "")
    assert asyncio.run(ask(database_url, "SELECT count(*) FROM sessions")) == 1
    # With the files away it still answers: they were not what was read.
    shutil.rmtree(FOLDER)
    assert worker.main(["why"]) == 0
    assert "ENTRIES, 1\n" in capsys.readouterr().out


def test_books_are_chosen_as_for_the_other_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """The latest of all, of a mode, of demos."""
    live = write_like_the_worker(FOLDER, STORY, Mode.LIVE)
    paper = write_like_the_worker(FOLDER, STORY)
    demo = write_like_the_worker(FOLDER / "demo-paper", STORY)
    for words, run in (
        ((), demo),
        (("--mode", "paper"), paper),
        (("--mode", "live"), live),
        (("--demo",), demo),
    ):
        report, _ = told(capsys, *words)
        assert report == told_by_files([run]), words
    assert worker.main(["why", "--mode", "live", "--demo"]) == 2
    assert "no LIVE (demo) run is in the database" in capsys.readouterr().err
    assert worker.main(["why", "--mode", "live", "--journal", str(live)]) == 2


def test_a_replay_that_is_the_newest_run_is_read_from_its_journal(
    capsys: pytest.CaptureFixture[str], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database has replays; no server is asked for one. What comes after it is explained."""
    paper = write_like_the_worker(FOLDER, STORY)
    replay = write_like_the_worker(FOLDER, [*STORY[:5], (9.0, SLUG, decision(9.0))], Mode.REPLAY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-7@127.0.0.1:1/x")
    assert told(capsys) == (told_by_files([replay]), "")
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert told(capsys, "--mode", "paper") == (told_by_files([paper]), "")
    later = write_like_the_worker(FOLDER, STORY[:9])
    assert told(capsys) == (told_by_files([later]), "")


def test_without_a_database_the_journals_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says so, without the address's password (I35); the exit code is the answer's."""
    run = write_like_the_worker(FOLDER, STORY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-7@127.0.0.1:1/x")
    report, said = told(capsys)
    assert report == told_by_files([run])
    assert said.startswith("why: no database: ConnectionRefusedError")
    assert said.endswith("the journals are read instead\n")
    assert said.count("\n") == 1
    assert "canary-7" not in said
    assert worker.main(["why", "--mode", "live"]) == 2
    assert worker.main(["status"]) == 69
    assert "`worker.py why` needs no database" in capsys.readouterr().err


def test_a_schema_that_is_behind_is_no_database(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """Who looks does not migrate what others use."""
    run = write_like_the_worker(FOLDER, STORY)
    asyncio.run(ask(database_url, "DELETE FROM schema_migrations WHERE version > 3"))
    report, said = told(capsys)
    assert report == told_by_files([run])
    assert "2 migrations behind" in said


def test_a_market_that_is_not_there_is_told_with_a_near_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As from the files."""
    write_like_the_worker(FOLDER, STORY)
    assert worker.main(["why", "--market", SLUG[:-1]]) == 2
    assert SLUG in capsys.readouterr().err


def test_what_grew_too_old_is_read_from_the_journal_where_that_is_whole(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """On the machine that wrote it nothing is missing; where it is not, how much is said."""
    run = write_like_the_worker(FOLDER, aged())
    whole = told_by_files([run])
    assert told(capsys) == (whole, "")
    retire(database_url)
    assert told(capsys) == (whole, "")
    recent, _ = told(capsys, "--since", "79")
    assert (recent.warnings, recent.rows) == ((), 7)
    # As another machine sees it.
    shutil.rmtree(run)
    report, _ = told(capsys)
    assert "41 decisions and refusals grew too old" in report.warnings[0]
    assert report.markets[0].entries == whole.markets[0].entries
    assert told(capsys, "--since", "79")[0] == recent


def test_rows_that_no_table_took_are_told(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """From the journal, or as missing; and kinds of a newer build by their number."""
    run = write_like_the_worker(FOLDER, STORY)
    assert told(capsys)[0].warnings == ()
    fault = "INSERT INTO projection_faults SELECT session, 9, 'decision', 'x' FROM sessions"
    for change in (fault, "DELETE FROM decisions WHERE seq = 9"):
        asyncio.run(ask(database_url, change))
    assert told(capsys)[0] == told_by_files([run])
    shutil.rmtree(run)
    asyncio.run(ask(database_url, "UPDATE projections SET rows_unknown = 2"))
    report, _ = told(capsys)
    assert "1 rows have no place in the database" in report.warnings[0]
    assert [(kind.name, kind.count) for kind in report.unknown_kinds] == [("(of a newer build)", 2)]


def test_damage_is_told_after_what_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    """What lies before it is in the database; exit code 70, as from the files."""
    run = write_like_the_worker(FOLDER, STORY)
    (segment,) = list_segments(run)
    segment.write_bytes(segment.read_bytes().replace(b'"tape ended"', b'"tape bended"'))
    report, _ = told(capsys, code=70)
    assert "checksum does not match" in report.warnings[0]
    from_files, _ = told(capsys, "--journal", str(run), code=70)
    assert report.markets == from_files.markets


def test_nothing_has_run_yet(capsys: pytest.CaptureFixture[str]) -> None:
    """Said in one line that names the folder."""
    assert worker.main(["why"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("why: no run is in the database or in ")
    assert str(FOLDER.resolve()) in said
