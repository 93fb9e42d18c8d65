"""Journals in a real Postgres: nothing lost, nothing doubled, whatever breaks on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from db.connection import Database
from db.journal import Journal
from db.journal_folder import journal_identity
from db.projector import JournalFolder, Projector
from helpers.domain import (
    CarriedAccount,
    Checkpoint,
    Mode,
    Rejected,
    RunStarted,
)
from tests.builders import a_market
from tests.db.journals import (
    carry_all,
    counts_in,
    counts_of,
    every_kind,
    migrated,
    trade,
    write_run,
)
from tests.journal_samples import RUN_STARTED, RUN_STOPPED, SLUG, at, decision, fill


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Return a connection to a database with the schema."""
    connection = await migrated(database_url)
    yield connection
    await connection.close()


async def test_every_kind_goes_in_and_its_rows_are_counted(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Every row type on real Postgres, extreme text included (I17)."""
    long = Rejected("i", "o", "ends \0 with " + "a very long reason " * 500, at(5))
    write_run(tmp_path, [*every_kind(3), (9.0, SLUG, long)])
    await carry_all(database_url, tmp_path)
    assert await counts_in(connection) == counts_of(tmp_path)
    assert await connection.fetchval("SELECT count(*) FROM projection_faults") == 0
    kept = await connection.fetchval("SELECT detail FROM order_events WHERE length(detail) > 9000")
    assert kept == long.reason.replace("\0", "\ufffd")


async def test_a_run_is_followed_while_it_is_written(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Half a line is not there yet; a run that still has a writer is not finished."""
    database = Database(database_url)
    projector = Projector(database, (JournalFolder(tmp_path, demo=False),))
    with Journal.open_run(tmp_path, Mode.PAPER, at(0), segment_bytes=2000) as journal:
        journal.append(at(0), "", RUN_STARTED)
        for second in range(1, 40):
            journal.append(at(second), SLUG, decision(float(second)))
            journal.commit()
            while await projector.step() is not None:
                pass
            written = await connection.fetchval("SELECT count(*) FROM decisions")
            assert written == second
        assert not await connection.fetchval("SELECT finished FROM projections")
    assert await projector.step() is None
    assert await connection.fetchval("SELECT finished FROM projections")
    await database.close()


async def test_two_projectors_at_once_double_nothing(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Two workers of one folder each have one; and a report may carry over as well."""
    rows = [(second / 10, SLUG, decision(second / 10)) for second in range(9000)]
    write_run(tmp_path, [(0.0, "", RUN_STARTED), *rows])
    write_run(tmp_path, every_kind(), Mode.LIVE)
    await asyncio.gather(*(carry_all(database_url, tmp_path) for _ in range(3)))
    assert await counts_in(connection) == counts_of(tmp_path)
    assert await connection.fetchval("SELECT count(*) FROM sessions") == 2


async def test_going_on_needs_no_memory(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """A projector that starts anew for every piece still finds the decision of each order."""
    run = write_run(tmp_path, [(0.0, "", RUN_STARTED), *trade(10.0), *trade(40.0)])
    done = 0
    while done < 13:
        database = Database(database_url)
        projector = Projector(database, (JournalFolder(run.parent, demo=False),))
        projector._rows = 1
        step = await projector.step()
        assert step is not None
        done += step.rows
        await database.close()
    assert await counts_in(connection) == counts_of(tmp_path)
    assert await connection.fetch("SELECT * FROM unexplained_orders") == []
    rows = await connection.fetch("SELECT state, decided, decision_up_ask_micros FROM orders")
    assert [tuple(row) for row in rows] == [("filled", True, 530_000)] * 2


async def test_a_row_that_no_table_takes_is_named_and_passed_by(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """One impossible row among thousands costs itself only."""
    bad = msgspec.structs.replace(decision(5.0), up_bid_micros=2**70)
    rows = [(second / 10, SLUG, decision(second / 10)) for second in range(300)]
    write_run(tmp_path, [(0.0, "", RUN_STARTED), *rows, (31.0, SLUG, bad), *rows])
    await carry_all(database_url, tmp_path)
    assert await connection.fetchval("SELECT count(*) FROM decisions") == 600
    fault = await connection.fetchrow("SELECT seq, kind FROM projection_faults")
    assert fault is not None
    assert tuple(fault) == (302, "decision")


async def test_damage_is_told_and_what_was_before_it_is_there(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """A run that was tampered with stops there; later runs are carried over all the same."""
    run = write_run(tmp_path, [(0.0, "", RUN_STARTED), *trade(10.0)])
    write_run(tmp_path, [(100.0, "", RUN_STARTED), (101.0, "", RUN_STOPPED)])
    segment = run / "000001.jsonl"
    text = segment.read_text().splitlines(keepends=True)
    text[4] = text[4].replace("0xabc", "0xabd")
    segment.write_text("".join(text))
    steps = await carry_all(database_url, tmp_path)
    damage = [step.damage for step in steps if step.damage]
    assert len(damage) == 1
    assert "checksum does not match" in damage[0]
    assert await connection.fetchval("SELECT count(*) FROM sessions") == 2
    assert await connection.fetchval("SELECT count(*) FROM order_events") == 1
    kept = await connection.fetchval("SELECT damage FROM projections ORDER BY session LIMIT 1")
    assert kept == damage[0]


async def test_what_was_retired_before_it_was_read_is_counted(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """An outage longer than the journal keeps: the gap is known, and reading goes on."""
    rows = [(second / 10, SLUG, decision(second / 10)) for second in range(100)]
    run = write_run(tmp_path, [(0.0, "", RUN_STARTED), *rows], segment_bytes=5000)
    segments = sorted(run.glob("*.jsonl"))
    for gone in segments[:3]:
        gone.unlink()
    await carry_all(database_url, tmp_path)
    lost = await connection.fetchval("SELECT rows_lost FROM projections")
    there = await connection.fetchval("SELECT sum(rows)::int FROM journal_counts")
    assert lost > 0
    assert lost + there == 101


async def test_books_are_kept_apart(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Paper and live share a folder but no account; every demo has one of its own."""
    for mode in (Mode.PAPER, Mode.PAPER, Mode.LIVE, Mode.REPLAY):
        write_run(tmp_path, [(0.0, "", RUN_STARTED)], mode)
    demo = tmp_path / "demo-paper"
    for _ in range(2):
        write_run(demo, [(0.0, "", RUN_STARTED), *trade(10.0)])
    await carry_all(database_url, tmp_path)
    await carry_all(database_url, demo, demo=True)
    rows = await connection.fetch("SELECT book, account FROM sessions ORDER BY session")
    books = [row["book"] for row in rows]
    assert books == ["paper", "paper", "live", "demo_paper", "demo_paper"]
    accounts = [row["account"] for row in rows]
    assert accounts[0] == accounts[1]
    assert len(set(accounts)) == 4
    # The same orders in both demos: each is there twice, and none is mixed up.
    assert await connection.fetchval("SELECT count(*) FROM orders") == 2


async def test_a_database_that_never_saw_the_earlier_run_learns_from_the_checkpoint(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """The journal of the earlier run is gone: its open position is still shown."""
    market = msgspec.structs.replace(a_market(), slug=SLUG)
    account = CarriedAccount(market, (fill(14.0),), None, 0)
    checkpoint = Checkpoint("paper", 5, 0, 1, 0, (account,), (), ())
    write_run(tmp_path, [(100.0, "", RUN_STARTED), (100.0, "", checkpoint)])
    await carry_all(database_url, tmp_path)
    (position,) = await connection.fetch("SELECT * FROM open_positions")
    assert position["shares_micros"] == 9_400_000
    assert position["market"] == SLUG
    assert await connection.fetch("SELECT * FROM unexplained_orders") == []


async def test_a_session_says_what_ran_and_how_it_ended(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Mode, build, model, settings, heartbeat; no stop is a kill."""
    write_run(tmp_path, [(0.0, "", RUN_STARTED), (50.0, SLUG, decision(50.0))])
    write_run(tmp_path, [(100.0, "", RUN_STARTED), (190.0, "", RUN_STOPPED)], Mode.LIVE)
    await carry_all(database_url, tmp_path)
    killed, ended = await connection.fetch("SELECT * FROM sessions ORDER BY session")
    started: RunStarted = RUN_STARTED
    for row in (killed, ended):
        assert row["build_id"] == started.build_id
        assert row["model_id"] == started.model_id
        assert row["settings_digest"] == started.settings_digest
    assert (killed["heartbeat_ns"], killed["stopped_ns"]) == (at(50.0), None)
    assert (ended["mode"], ended["stop_reason"]) == ("live", RUN_STOPPED.reason)
    assert ended["pnl_micros"] == RUN_STOPPED.pnl_micros
    assert killed["heartbeat_at"].timestamp() == at(50.0) / 1e9


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    """The same folder is the same account tomorrow, and another folder is not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = journal_identity(tmp_path / "a")
    assert journal_identity(tmp_path / "a") == first
    assert journal_identity(tmp_path / "b") != first
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["journal.id"]
