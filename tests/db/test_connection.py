"""Connections that are cut, late, refused or pooled: limits on every wait, one retry when idle."""

from __future__ import annotations

import asyncio
import time
import traceback

import asyncpg
import pytest

from db import connection as module
from db.connection import Database, DatabaseUnavailableError, connect
from tests.db.proxy import proxied
from tests.db.serving import ask


async def insert(database: Database, *numbers: object) -> None:
    """Insert in one transaction, as text or, one that is not a number, as an argument."""
    async with database.transaction() as connection:
        for number in numbers:
            if isinstance(number, int):
                await connection.execute(f"INSERT INTO kept VALUES ({number})")
            elif callable(number):
                number()
            else:
                await connection.execute("INSERT INTO kept VALUES ($1)", number)


async def look(database: Database, sql: str = "SELECT count(*) FROM kept") -> object:
    async with database.transaction() as connection:
        return await connection.fetchval(sql)


async def filled(url: str) -> Database:
    database = Database(url)
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE kept (number integer PRIMARY KEY)")
    return database


async def test_a_connection_that_was_cut_while_idle_is_replaced(database_url: str) -> None:
    """Fly's proxy cuts idle connections at every deploy: nobody notices."""
    async with proxied(database_url) as (url, proxy):
        database = await filled(url)
        for number in range(3):
            proxy.cut()
            await insert(database, number)
        assert proxy.connections == 4
        await database.close()
    assert await ask(database_url, "SELECT count(*) FROM kept") == 3


async def test_one_that_is_cut_in_a_transaction_leaves_nothing_of_it(database_url: str) -> None:
    """No half of a batch; the next transaction works."""
    async with proxied(database_url) as (url, proxy):
        database = await filled(url)
        with pytest.raises(DatabaseUnavailableError):
            await insert(database, 1, proxy.cut, 2)
        assert await look(database) == 0
        await database.close()


async def test_a_server_that_is_away_is_told_at_once_and_found_when_it_is_back(
    database_url: str,
) -> None:
    """One retry, not more: waiting is the caller's business."""
    async with proxied(database_url) as (url, proxy):
        database = await filled(url)
        proxy.accepts = False
        proxy.cut()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError):
                await insert(database, 1)
        proxy.accepts = True
        assert await look(database) == 0
        await database.close()


async def test_silence_is_not_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open connection: the limit of a statement ends it, that of a login the retry."""
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    async with proxied(database_url) as (url, proxy):
        database = Database(url, statement_seconds=0.2)
        assert await look(database, "SELECT 17") == 17
        proxy.go_silent()
        began = time.perf_counter()
        with pytest.raises(DatabaseUnavailableError, match="no answer in time"):
            await look(database)
        assert time.perf_counter() - began < 5
        await database.close()


async def test_silence_at_the_login_is_not_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that drops packets must not stop a start for minutes."""
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    async with proxied(database_url) as (url, proxy):
        proxy.go_silent()
        with pytest.raises(DatabaseUnavailableError, match="no answer in time"):
            await connect(url)


async def test_a_mistake_of_ours_is_no_outage(database_url: str) -> None:
    """What the caller did wrong is raised as it is, and undone; the connection stays."""
    database = await filled(database_url)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(database, 1, 1)
    with pytest.raises(asyncpg.DataError, match="invalid input"):
        await insert(database, 1, "two")
    with pytest.raises(ZeroDivisionError):
        await insert(database, 1, lambda: 1 // 0)
    async with database.transaction(read_only=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
    await database.close()


async def test_a_statement_that_takes_too_long_is_ended_on_the_server_too(
    database_url: str,
) -> None:
    """Or it would keep its locks when we are gone."""
    database = Database(database_url, statement_seconds=0.3)
    with pytest.raises(DatabaseUnavailableError):
        await look(database, "SELECT pg_sleep(20)")
    await asyncio.sleep(0.3)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    assert await ask(database_url, f"{sleeping} AND state = 'active'") == 0
    await database.close()


async def test_transactions_take_turns(database_url: str) -> None:
    """One connection: a second task waits for the first."""
    database = await filled(database_url)

    async def add(number: int) -> None:
        async with database.transaction() as connection:
            found = await connection.fetchval("SELECT count(*) FROM kept")
            await asyncio.sleep(0.01)
            await connection.execute("INSERT INTO kept VALUES ($1)", found)

    await asyncio.gather(*(add(number) for number in range(5)))
    assert await ask(database_url, "SELECT max(number) FROM kept") == 4
    await database.close()


async def test_no_statement_outlives_its_transaction(database_url: str) -> None:
    """Behind PgBouncer in transaction mode the next one is on another server."""
    database = await filled(database_url)
    async with database.transaction() as connection:
        for number in range(20):
            await connection.fetchval(f"SELECT $1::int + {number}", 1)
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@127.0.0.1:1/none",
        "postgresql://ann:hunter2@127.0.0.1:port/none",
        "postgresql://ann:x#hunter2@127.0.0.1/none",
        "http://ann:hunter2@127.0.0.1/none",
        "postgresql://ann:hunter2@no-such-host.invalid/none?sslmode=hunter2",
    ],
)
async def test_no_text_holds_the_address(url: str) -> None:
    """I35: neither the error, nor what a trace of it would print."""
    with pytest.raises(DatabaseUnavailableError) as failed:
        await connect(url)
    assert "hunter2" not in "".join(traceback.format_exception(failed.value))


async def test_a_wrong_login_is_said(server_url: str) -> None:
    """Who or what is wrong, in the server's words."""
    with pytest.raises(DatabaseUnavailableError, match='database "none" does not exist'):
        await connect(server_url.replace("@/postgres?", "@/none?"))
    with pytest.raises(DatabaseUnavailableError, match="InvalidAuthorization"):
        await connect(server_url.replace("//worker@", "//ann@"))
