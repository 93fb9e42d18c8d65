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
from db.migrate import migrate
from db.postgres_lease import PostgresLease
from helpers.domain import Mode
from helpers.lease import LeaseError, LeaseHolder
from tests.db.proxy import proxied
from tests.db.serving import ask, open_folder

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@asynccontextmanager
async def pooled(url: str) -> AsyncGenerator[str, None]:
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
                "default_pool_size = 2\n"
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


async def test_a_pooler_whose_server_is_away_is_an_outage(database_url: str) -> None:
    """It accepts, and then says that it cannot."""
    async with pooled(database_url.replace("@/test_", "@/away_")) as url:
        database = Database(url)
        with pytest.raises(DatabaseUnavailableError):
            async with database.transaction():
                raise asyncpg.InternalServerError("there is no transaction")
