"""The doctor's look at the database: the server that is named, or the embedded one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from db.connection import DatabaseUnavailableError
from db.embedded import serve
from db.embedded_cluster import VERSION, Cluster
from db.embedded_user import EmbeddedUnavailableError
from db.inspection import VERSION_MINIMUM, DatabaseFound, inspect
from db.migrate import MIGRATIONS, MigrationError
from helpers.commands.checks import CheckRow, Problem, look_at
from helpers.settings import Settings

MIGRATE: Final = "uv run python -m db.migrate"


async def database_row(settings: Settings, migrations: Path = MIGRATIONS) -> CheckRow:
    """Return whether what was done can be written to a database; nothing is changed there."""

    async def look() -> str:
        try:
            if settings.database_url is None:
                return await _embedded(settings, migrations)
            return await _named(settings, migrations)
        except MigrationError as error:
            raise Problem(str(error), "run the build that wrote it, or another database") from error

    return await look_at("database", look)


async def _named(settings: Settings, migrations: Path) -> str:
    assert settings.database_url is not None
    found = await _inspected(settings.database_url.get_secret_value(), "DATABASE_URL", migrations)
    direct = found
    if settings.database_direct_url is not None:
        url = settings.database_direct_url.get_secret_value()
        direct = await _inspected(url, "DATABASE_DIRECT_URL", migrations)
    if direct.pooled:
        raise Problem(
            "a connection pooler stands before the server: the lease of the one trader cannot be "
            "held through it",
            "set DATABASE_DIRECT_URL to the server itself",
        )
    if found.version < VERSION_MINIMUM:
        raise Problem(
            f"Postgres {found.version}, expected {VERSION_MINIMUM} or newer", "update the server"
        )
    if found.pending and not direct.may_create:
        raise Problem(
            f"{found.pending} migrations are missing, and this user may not create tables",
            f"as a user who may: {MIGRATE}",
        )
    if found.pending:
        raise Problem(f"the schema is {found.pending} migrations behind", MIGRATE)
    return f"Postgres {found.version}{', pooled' if found.pooled else ''}, schema up to date"


async def _inspected(url: str, name: str, migrations: Path) -> DatabaseFound:
    try:
        return await inspect(url, migrations)
    except DatabaseUnavailableError as error:
        raise Problem(f"{name}: {error}", f"start the server, or correct {name}") from error


async def _embedded(settings: Settings, migrations: Path) -> str:
    folder = settings.embedded_postgres_directory
    fix = "see README, Database; until then the journal on the disk alone serves"
    try:
        if not Cluster(folder).data.exists():
            return f"embedded Postgres {VERSION}, made in {folder} by the first run"
        async with serve(folder) as url:
            found = await inspect(url, migrations)
    except (EmbeddedUnavailableError, DatabaseUnavailableError, OSError) as error:
        raise Problem(str(error), fix) from error
    state = f"{found.pending} migrations to come" if found.pending else "schema up to date"
    return f"embedded Postgres {found.version} in {folder}, {state}"
