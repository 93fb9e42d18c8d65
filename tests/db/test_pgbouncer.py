"""Through a real PgBouncer in transaction mode, where the machine has one."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from db.connection import Database, DatabaseUnavailableError, connect
from db.inspection import inspect
from db.journal import Journal
from db.migrate import migrate
from db.postgres_lease import PostgresLease
from db.projector_process import Order, ProjectorState, project
from db.queries import find_latest, hold_still, read_status, scope_of
from db.queries_report import read_report
from db.query_results import Book
from db.retention import retire_batch
from helpers.domain import Mode
from helpers.lease import LeaseError, LeaseHolder
from tests.db.journals import carry_all, counts_in, counts_of
from tests.db.proxy import proxied
from tests.db.serving import ask, open_folder
from tests.db.why_reports import told_by_files, told_by_sql, write_like_the_worker
from tests.journal_samples import SLUG, at, decision
from tests.report_samples import story

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@asynccontextmanager
async def pooled(url: str, *options: str) -> AsyncGenerator[str, None]:
    """Yield the address of a database behind a pooler with two server connections."""
    with open_folder() as folder:
        async with proxied(url) as (direct, _):
            parts = urlsplit(direct)
            (folder / "users").write_text('"worker" ""\n')
            (folder / "pgbouncer.ini").write_text(
                "[databases]\n"
                f"{parts.path[1:]} = host=127.0.0.1 port={parts.port}\n"
                "[pgbouncer]\n"
                "listen_addr =\n"
                f"unix_socket_dir = {folder}\n"
                "listen_port = 5432\n"
                "auth_type = trust\n"
                f"auth_file = {folder / 'users'}\n"
                "pool_mode = transaction\n"
                "default_pool_size = 2\n" + "".join(f"{option}\n" for option in options)
            )
            # It refuses to be root, as Postgres does.
            user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
            if user is not None:
                os.chown(folder, user, -1)
            assert PROGRAM is not None
            with subprocess.Popen(
                [PROGRAM, "-q", folder / "pgbouncer.ini"], user=user, cwd="/"
            ) as running:
                try:
                    address = f"postgresql://worker@{parts.path}?host={folder}"
                    await _until_it_listens(folder / ".s.PGSQL.5432")
                    yield address
                finally:
                    running.terminate()


async def _until_it_listens(socket_path: Path) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(socket_path)
            except OSError:  # not made yet, or not listened to
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def test_migrations_and_transactions_go_through(database_url: str, tmp_path: Path) -> None:
    """More clients than servers, enumerated types, batches: nothing that needs a session."""
    (tmp_path / "0001_a.sql").write_text(
        "CREATE TYPE side AS ENUM ('buy', 'sell');\nCREATE TABLE kept (side side, number int);"
    )
    (tmp_path / "0002_b.sql").write_text("CREATE INDEX ON kept (number);")
    async with pooled(database_url) as url:
        connections = [await connect(url) for _ in range(3)]
        done = await asyncio.gather(*(migrate(one, tmp_path) for one in connections))
        assert sum(len(applied) for applied in done) == 2
        assert (await inspect(url, tmp_path)).pooled
        assert not (await inspect(database_url, tmp_path)).pooled
        for connection in connections:
            await connection.close()

        async def write(first: int) -> None:
            database = Database(url)
            for number in range(first, first + 20):
                async with database.transaction() as connection:
                    await connection.execute(
                        "INSERT INTO kept SELECT * FROM unnest($1::side[], $2::int[])",
                        ["buy", "sell"],
                        [number, number],
                    )
                    await connection.copy_records_to_table("kept", records=[("buy", number)])
            await database.close()

        await asyncio.gather(*(write(first) for first in range(0, 100, 20)))
    assert await ask(database_url, "SELECT count(*) FROM kept") == 300


async def test_the_lease_is_refused_there(database_url: str) -> None:
    """And told what to set."""
    async with pooled(database_url) as url:
        lease = PostgresLease(url, Mode.LIVE, "0x" + "11" * 20)
        with pytest.raises(LeaseError, match="DATABASE_DIRECT_URL"):
            await asyncio.to_thread(lease.acquire, LeaseHolder(1, "ann", "now"))
        # Neither held by us, nor left to whoever gets that server connection next.
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert await ask(database_url, held) == 0


async def test_a_journal_is_carried_and_asked_about_through_it(
    database_url: str, tmp_path: Path
) -> None:
    """The real schema, two projectors at once, every verb's questions, and the retention job."""
    run = write_like_the_worker(tmp_path, story())
    async with pooled(database_url) as url:
        connection = await connect(url)
        await migrate(connection)
        await connection.close()
        await asyncio.gather(carry_all(url, tmp_path), carry_all(url, tmp_path))
        direct = await connect(database_url)
        assert await counts_in(direct) == counts_of(tmp_path)
        await direct.close()
        database = Database(url)
        for _ in range(3):
            async with database.transaction(read_only=True) as connection:
                await hold_still(connection)
                latest = await find_latest(connection, tuple(Book))
                assert latest is not None
                assert (await read_status(connection, latest, at(340))).today.trips == 2
                assert (await read_report(connection, latest, scope_of(latest))).totals.orders == 2
        assert await told_by_sql(url, page_rows=3) == told_by_files([run])
        retired = 0
        while gone := await retire_batch(database, at(100_000), rows=2):
            retired += gone
        await database.close()
    assert retired > 0
    assert await ask(database_url, "SELECT sum(rows)::int FROM retired_rows") == retired


async def test_a_projector_follows_through_it_until_it_is_told_to_drain(
    database_url: str, tmp_path: Path
) -> None:
    """Its own schema check, the journal as it grows, the end."""
    async with pooled(database_url) as url:
        connection = await connect(url)
        await migrate(connection)
        await connection.close()
        told: list[ProjectorState] = []
        drain = asyncio.Event()
        order = Order(url, database_url, "", ((str(tmp_path), False),), 7.0)
        with Journal.open_run(tmp_path, Mode.PAPER, at(0)) as journal:

            async def write_and_wait(event: asyncio.Event, seconds: float) -> None:
                journal.append(at(journal.seq), SLUG, decision(float(journal.seq)))
                journal.commit()
                if journal.seq == 100:
                    event.set()

            work = project(order, drain, lambda state, _: told.append(state), write_and_wait)
            assert await work == 0
    assert told == [ProjectorState.FOLLOWING, ProjectorState.DRAINED]
    assert await ask(database_url, "SELECT count(*) FROM decisions") == 100


async def test_connections_that_are_cut_while_they_are_idle_are_replaced(database_url: str) -> None:
    """By the server behind the pooler, and by the pooler itself."""
    async with pooled(database_url, "client_idle_timeout = 1") as url:
        database = Database(url)

        async def number() -> object:
            async with database.transaction() as connection:
                return await connection.fetchval("SELECT 7")

        assert await number() == 7
        await ask(
            database_url,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert await number() == 7
        witness = await connect(url)
        async with asyncio.timeout(30):
            while not witness.is_closed():
                await asyncio.sleep(0.05)
        assert await number() == 7
        await database.close()


async def test_a_pooler_whose_server_is_away_is_an_outage(database_url: str) -> None:
    """It accepts, and then says that it cannot."""
    async with pooled(database_url.replace("@/test_", "@/away_")) as url:
        database = Database(url)
        with pytest.raises(DatabaseUnavailableError):
            async with database.transaction():
                raise asyncpg.InternalServerError("there is no transaction")
