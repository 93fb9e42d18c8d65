"""Migrations: in order, whole or not at all, by many at once, and never over an edited file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from db.connection import connect
from db.migrate import MIGRATIONS, MigrationError, migrate, pending, read_migrations, run
from helpers.settings import load_settings
from tests.db.serving import ask, open_folder

FILES = {
    "0001_markets.sql": "CREATE TYPE side AS ENUM ('buy', 'sell');\nCREATE TABLE markets (id int);",
    "0002_orders.sql": "CREATE TABLE orders (side side);\nALTER TABLE markets ADD slug text;",
    "0003_view.sql": "CREATE VIEW slugs AS SELECT slug FROM markets;",
}
CATALOGUE = """
SELECT array_agg(relname || '.' || attname ORDER BY relname, attnum)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'public'::regnamespace AND attnum > 0
"""


def write(folder: Path, *names: str) -> Path:
    for name in names or FILES:
        (folder / name).write_text(FILES[name])
    return folder


async def count(url: str) -> object:
    return await ask(url, "SELECT count(*) FROM schema_migrations")


async def test_from_empty_and_from_each_version_the_schema_is_the_same(
    server_url: str, tmp_path: Path
) -> None:
    """A database of any earlier build is brought up to this one."""
    folder = write(tmp_path)
    found: list[object] = []
    for version in range(len(FILES) + 1):
        earlier = tmp_path / str(version)
        earlier.mkdir()
        write(earlier, *list(FILES)[:version]) if version else None
        await ask(server_url, f"CREATE DATABASE from_{version}")
        url = server_url.replace("@/postgres?", f"@/from_{version}?")
        connection = await connect(url)
        assert len(await migrate(connection, earlier)) == version
        assert [one.version for one in await pending(connection, folder)] == [1, 2, 3][version:]
        done = await migrate(connection, folder)
        assert [one.version for one in done] == [1, 2, 3][version:]
        assert await pending(connection, folder) == ()
        found.append(await connection.fetchval(CATALOGUE))
        await connection.close()
    assert "slugs.slug" in str(found[0])
    assert all(one == found[0] for one in found)


async def test_three_migrators_at_once_apply_each_file_once(
    database_url: str, tmp_path: Path
) -> None:
    """Three machines that are deployed together: the lock orders them."""
    folder = write(tmp_path)
    connections = [await connect(database_url) for _ in range(3)]
    done = await asyncio.gather(*(migrate(one, folder) for one in connections))
    assert sorted(one.name for applied in done for one in applied) == sorted(FILES)
    assert await count(database_url) == 3
    for connection in connections:
        await connection.close()


async def test_a_file_that_fails_leaves_nothing_of_itself(
    database_url: str, tmp_path: Path
) -> None:
    """What was before it stays; mended, it is applied as if nothing had been."""
    folder = write(tmp_path, "0001_markets.sql")
    bad = folder / "0002_orders.sql"
    bad.write_text("CREATE TABLE half (id int);\nCREATE TABLE other (id no_such_type);")
    connection = await connect(database_url)
    with pytest.raises(MigrationError, match=r"0002_orders\.sql: .*no_such_type"):
        await migrate(connection, folder)
    assert await ask(database_url, "SELECT to_regclass('half')") is None
    assert await count(database_url) == 1
    write(folder, "0002_orders.sql")
    assert [one.version for one in await migrate(connection, folder)] == [2]
    await connection.close()


async def test_an_edited_file_is_refused(database_url: str, tmp_path: Path) -> None:
    """Two databases with one version and two schemas are found out before anything is done."""
    folder = write(tmp_path, "0001_markets.sql")
    connection = await connect(database_url)
    await migrate(connection, folder)
    (folder / "0001_markets.sql").write_text("CREATE TABLE markets (id bigint);")
    write(folder, "0002_orders.sql")
    for refused in (migrate, pending):
        with pytest.raises(MigrationError, match=r"0001_markets\.sql was edited"):
            await refused(connection, folder)
    assert await ask(database_url, "SELECT to_regclass('orders')") is None
    await connection.close()


async def test_a_database_of_a_newer_build_is_refused(database_url: str, tmp_path: Path) -> None:
    """An old build that is started by mistake must not write into a schema it does not know."""
    connection = await connect(database_url)
    await migrate(connection, write(tmp_path))
    (tmp_path / "0003_view.sql").unlink()
    with pytest.raises(MigrationError, match=r"0003_view\.sql: it is of a newer build"):
        await pending(connection, tmp_path)
    await connection.close()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("0003_late.sql", "SELECT 1;", "expected 0002_name.sql"),
        ("2_short.sql", "SELECT 1;", "expected 0002_name.sql"),
        ("0002_ends.sql", "CREATE TABLE a (b int);\nCOMMIT;\nSELECT 1;", "says COMMIT"),
        ("0002_ends.sql", "begin;\nSELECT 1;", "says BEGIN"),
    ],
)
def test_files_that_cannot_be_applied_in_order_are_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    """Two branches that both made a 0002 are found out here, not in somebody's database."""
    write(tmp_path, "0001_markets.sql")
    (tmp_path / name).write_text(text)
    with pytest.raises(MigrationError, match=said):
        read_migrations(tmp_path)


def test_a_function_may_have_a_body(tmp_path: Path) -> None:
    """BEGIN and END of a block are no transaction's."""
    (tmp_path / "0001_trigger.sql").write_text(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN NEW;\n"
        "END\n$$;\n"
    )
    assert [one.version for one in read_migrations(tmp_path)] == [1]


async def test_a_migration_that_was_cut_off_is_applied_by_the_next_one(
    database_url: str, tmp_path: Path
) -> None:
    """The connection dies in the middle: nothing of the file is left, nor its lock."""
    (tmp_path / "0001_slow.sql").write_text("CREATE TABLE a (b int);\nSELECT pg_sleep(30);")
    connection = await connect(database_url)
    running = asyncio.create_task(migrate(connection, tmp_path))
    await asyncio.sleep(0.3)
    await ask(database_url, f"SELECT pg_terminate_backend({connection.get_server_pid()})")
    with pytest.raises((MigrationError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await running
    (tmp_path / "0001_slow.sql").write_text("CREATE TABLE a (b int);")
    another = await connect(database_url)
    assert len(await migrate(another, tmp_path)) == 1
    await another.close()


async def test_the_command_says_what_it_did(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check changes nothing and exits 1 when the database is behind."""
    settings = load_settings(_env_file=None, database_url=database_url)
    folder = write(tmp_path)
    assert await run(settings, check=True, folder=folder) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "behind"
    assert await ask(database_url, "SELECT to_regclass('schema_migrations')") is None
    assert await run(settings, check=False, folder=folder) == 0
    assert capsys.readouterr().out.startswith("applied  0001_markets.sql\n")
    assert await run(settings, check=True, folder=folder) == 0
    (folder / "0001_markets.sql").write_text("SELECT 1;")
    assert await run(settings, check=False, folder=folder) == 65
    assert "was edited" in capsys.readouterr().err


async def test_the_command_migrates_the_embedded_server_too(tmp_path: Path) -> None:
    """Without DATABASE_URL; the same files, the same code."""
    with open_folder() as place:
        settings = load_settings(
            _env_file=None, embedded_postgres_directory=place / "postgres", database_url=None
        )
        assert await run(settings, check=False, folder=write(tmp_path)) == 0
        assert await run(settings, check=True, folder=tmp_path) == 0


async def test_no_database_is_said_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """I35: an address is never in a text."""
    url = "postgresql://ann:hunter2@127.0.0.1:1/none"
    settings = load_settings(_env_file=None, database_url=url)
    assert await run(settings, check=True, folder=tmp_path) == 69
    said = capsys.readouterr().err
    assert said.startswith("db.migrate: no database: ")
    assert "hunter2" not in said


def test_this_builds_own_files_are_in_order() -> None:
    """Read, numbered and without a transaction's end."""
    assert len(read_migrations()) == len(list(MIGRATIONS.glob("*.sql")))
