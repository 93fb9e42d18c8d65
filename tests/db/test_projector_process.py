"""The projector beside a worker: every kill, an hour without a server, the orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from db.embedded import serve
from db.journal import Journal
from db.projector_process import DRAIN, RETRY_SECONDS, Order, ProjectorState, Told, project
from helpers.domain import Mode
from tests.db.journals import counts_in, counts_of, migrated, trade, write_run
from tests.db.serving import (
    PACKAGES,
    ROOT,
    ServingProcess,
    ask_until_answered,
    open_folder,
    postmaster,
)
from tests.journal_samples import RUN_STARTED, RUN_STOPPED, SLUG, at, decision

KILLS = 20
HOUR_SECONDS = 3600.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that the embedded server's user may pass through."""
    with open_folder() as folder:
        yield folder


def order(folder: Path, url: str = "") -> Order:
    """Return what to carry: the journal of a folder, into its own server unless told."""
    journal = folder / "journal"
    return Order(url, "", str(folder / "postgres"), ((str(journal), False),), 7.0)


class Heard:
    """What the projector told."""

    def __init__(self) -> None:
        self.told: list[ProjectorState] = []
        self.details: list[str] = []

    def __call__(self, state: ProjectorState, detail: str) -> None:
        """Note it."""
        self.told.append(state)
        self.details.append(detail)


async def there(url: str) -> int:
    """Return the rows a database has, as soon as it answers."""
    return int(str(await ask_until_answered(url, "SELECT sum(rows)::bigint FROM journal_counts")))


async def test_rows_equal_the_journals_after_twenty_kills(folder: Path) -> None:
    """Kill -9 of Postgres in the middle of a run, again and again."""
    heard, drain = Heard(), asyncio.Event()
    url = f"postgresql://worker@/postgres?host={folder}/postgres/socket"
    with Journal.open_run(folder / "journal", Mode.PAPER, at(0), segment_bytes=50_000) as journal:
        journal.append(at(0), "", RUN_STARTED)
        journal.commit()
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(project(order(folder), drain, heard))
            async with asyncio.timeout(60):
                while ProjectorState.FOLLOWING not in heard.told:
                    await asyncio.sleep(0.02)
            server = postmaster(folder / "postgres")
            for kill in range(KILLS):
                for second in range(60):
                    for row in trade(kill * 100.0 + second) if second == 30 else ():
                        journal.append(at(row[0]), row[1], row[2])
                    journal.append(at(kill * 100.0 + second), SLUG, decision(kill * 100.0 + second))
                    journal.commit()
                # Not when it has caught up, but while rows are on their way.
                await asyncio.sleep(0.01 * (kill % 7))
                os.kill(server, signal.SIGKILL)
                await ask_until_answered(url, "SELECT 1")
                server = postmaster(folder / "postgres")
            journal.append(at(9000), "", RUN_STOPPED)
            journal.close()
            drain.set()
        assert work.result() == 0
    async with serve(folder / "postgres") as address:
        connection = await asyncpg.connect(address)
        assert await counts_in(connection) == counts_of(folder / "journal")
        assert await connection.fetch("SELECT * FROM unexplained_orders") == []
        assert await connection.fetchval("SELECT count(*) FROM fills") == KILLS
        assert await connection.fetchval("SELECT count(*) FROM projection_faults") == 0
        await connection.close()


class Hour:
    """Time while a server is stopped: an hour of waits passes at once, and then it is back."""

    def __init__(self, server: ServingProcess, postgres: Path, journal: Journal) -> None:
        self.server = server
        self._postgres = postgres
        self._journal = journal
        self.waited: list[float] = []
        self.rows = 0
        self._stopped = False

    async def wait(self, drain: asyncio.Event, seconds: float) -> None:
        """Let so many seconds pass; the worker goes on writing meanwhile."""
        if not self._stopped:
            # All is carried over: now the server goes away.
            await asyncio.to_thread(self.server.stop)
            self._stopped = True
        elif not drain.is_set():
            self.waited.append(seconds)
            if sum(self.waited) >= HOUR_SECONDS:
                self.server = await asyncio.to_thread(ServingProcess, self._postgres)
                drain.set()
        for _ in range(50):
            self.rows += 1
            self._journal.append(at(self.rows), SLUG, decision(float(self.rows)))
        self._journal.commit()


async def test_an_hour_without_a_server_loses_nothing_and_is_told_once(folder: Path) -> None:
    """Waits grow, memory does not, and on its return everything is caught up."""
    server = await asyncio.to_thread(ServingProcess, folder / "postgres")
    url = server.url
    (await migrated(url)).terminate()
    heard, drain = Heard(), asyncio.Event()
    with Journal.open_run(folder / "journal", Mode.PAPER, at(0)) as journal:
        journal.append(at(0), "", RUN_STARTED)
        journal.commit()
        hour = Hour(server, folder / "postgres", journal)
        try:
            tracemalloc.start()
            assert await project(order(folder, url), drain, heard, hour.wait) == 0
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert await there(url) == hour.rows + 1 > 15_000
        finally:
            await asyncio.to_thread(hour.server.stop)
    assert max(hour.waited) == RETRY_SECONDS[-1]
    assert heard.told == [
        *(ProjectorState.FOLLOWING, ProjectorState.AWAY),
        *(ProjectorState.FOLLOWING, ProjectorState.DRAINED),
    ]
    assert peak < 64 * 2**20


async def test_a_server_whose_schema_is_behind_is_left_alone(
    database_url: str, folder: Path
) -> None:
    """Whoever named a server migrates it; the projector says what is missing."""
    write_run(folder / "journal", [(0.0, "", RUN_STARTED)])
    heard, drain = Heard(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(project(order(folder, database_url), drain, heard))
        while not heard.told:
            await asyncio.sleep(0.02)
        assert heard.told == [ProjectorState.BEHIND]
        assert "db.migrate" in heard.details[0]
        connection = await migrated(database_url)
        drain.set()
    assert work.result() == 0
    assert await connection.fetchval("SELECT count(*) FROM sessions") == 1
    await connection.close()


def started(folder: Path, url: str) -> subprocess.Popen[bytes]:
    """Start the process itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "db.projector_process"],
        cwd=ROOT,
        env={"PYTHONPATH": PACKAGES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(order(folder, url)) + b"\n")
    process.stdin.flush()
    return process


def states(text: bytes) -> list[ProjectorState]:
    """Return what a process told."""
    return [msgspec.json.decode(line, type=Told).state for line in text.splitlines()]


async def test_the_process_drains_when_asked(database_url: str, folder: Path) -> None:
    """What is in the journal when it is asked is in the database when it ends."""
    (await migrated(database_url)).terminate()
    rows = [(float(second), SLUG, decision(float(second))) for second in range(3000)]
    write_run(folder / "journal", [(0.0, "", RUN_STARTED), *rows])
    process = await asyncio.to_thread(started, folder, database_url)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(DRAIN)
    process.stdin.flush()
    output = await asyncio.to_thread(process.stdout.read)
    assert await asyncio.to_thread(process.wait, 30) == 0
    process.stdin.close()
    process.stdout.close()
    assert states(output) == [ProjectorState.FOLLOWING, ProjectorState.DRAINED]
    assert await there(database_url) == 3001


async def test_the_process_ends_with_whoever_started_it(folder: Path) -> None:
    """A worker that is killed leaves neither a projector nor a server behind."""
    write_run(folder / "journal", [(0.0, "", RUN_STARTED)])
    process = await asyncio.to_thread(started, folder, "")
    assert process.stdout is not None
    line = await asyncio.to_thread(process.stdout.readline)
    assert states(line) == [ProjectorState.FOLLOWING]
    server = postmaster(folder / "postgres")
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.to_thread(process.wait, 30)
    process.stdout.close()
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
