"""The doctor's line of the database: what is found, and what mends each failure (U16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from db.connection import connect
from db.embedded import serve
from db.migrate import MIGRATIONS, migrate
from helpers.commands.database_row import database_row
from helpers.settings import Settings, load_settings
from tests.db.proxy import proxied
from tests.db.serving import ask, open_folder


def settings_of(url: str | None = None, **more: Any) -> Settings:
    return load_settings(_env_file=None, database_url=url, **more)


async def up_to_date(url: str) -> None:
    connection = await connect(url)
    await migrate(connection, MIGRATIONS)
    await connection.close()


async def test_a_server_that_fits_is_ok(database_url: str) -> None:
    """Version and schema are told."""
    await up_to_date(database_url)
    row = await database_row(settings_of(database_url))
    assert (row.name, row.state) == ("database", "ok")
    assert row.found == "Postgres 18, schema up to date"


async def test_a_schema_that_is_behind_names_the_command(database_url: str, tmp_path: Path) -> None:
    """The worker refuses to start on it; looking applies nothing."""
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (b int);")
    row = await database_row(settings_of(database_url), tmp_path)
    assert (row.state, row.found) == ("failed", "the schema is 1 migrations behind")
    assert row.fix == "uv run python -m db.migrate"
    assert await ask(database_url, "SELECT to_regclass('schema_migrations')") is None


async def test_a_server_that_is_away_is_told_without_its_password() -> None:
    """The variable is named, its value is not (I35)."""
    row = await database_row(settings_of("postgresql://ann:hunter2@127.0.0.1:1/none"))
    assert row.state == "failed"
    assert row.found.startswith("DATABASE_URL: ")
    assert "hunter2" not in row.found + row.fix


async def test_a_pooler_without_a_direct_address_is_told(database_url: str) -> None:
    """A live start would be refused its lease."""
    await up_to_date(database_url)
    async with proxied(database_url) as (url, proxy):
        proxy.invents_process_ids = True
        row = await database_row(settings_of(url))
        assert row.state == "failed"
        assert "DATABASE_DIRECT_URL" in row.fix
        row = await database_row(settings_of(url, database_direct_url=database_url))
        assert (row.state, row.found) == ("ok", "Postgres 18, pooled, schema up to date")


async def test_a_database_of_a_newer_build_is_told(database_url: str) -> None:
    """Nothing is done to it."""
    await up_to_date(database_url)
    await ask(
        database_url,
        "INSERT INTO schema_migrations SELECT count(*) + 1, '9999_later.sql', 'x' "
        "FROM schema_migrations RETURNING 1",
    )
    row = await database_row(settings_of(database_url))
    assert row.state == "failed"
    assert "9999_later.sql: it is of a newer build" in row.found


async def test_the_embedded_one_is_looked_at_and_not_made() -> None:
    """A look makes nothing; what is there is started, asked and stopped."""
    with open_folder() as place:
        folder = place / "postgres"
        settings = settings_of(embedded_postgres_directory=folder)
        row = await database_row(settings)
        assert (row.state, "made in" in row.found) == ("ok", True)
        assert not folder.exists()
        async with serve(folder) as url:
            await up_to_date(url)
        row = await database_row(settings)
        assert (row.state, "schema up to date" in row.found) == ("ok", True)
        assert not (folder / "data" / "postmaster.pid").exists()


async def test_an_embedded_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    """The journal on the disk alone serves then, and the doctor says so."""
    (tmp_path / "data").mkdir()
    (tmp_path / "letters").write_text("private")
    row = await database_row(settings_of(embedded_postgres_directory=tmp_path))
    assert row.state == "failed"
    assert "journal on the disk" in row.fix
