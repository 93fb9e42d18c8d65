"""Brings a database's schema up to this build, one numbered file after the other.

    uv run python -m db.migrate            # apply what is missing
    uv run python -m db.migrate --check    # 0 up to date, 1 behind, 65 not ours to touch

Every file is applied once, whole or not at all, and its SHA-256 is kept: a file that was edited
after it was applied somewhere is refused, and so is a database that is ahead of this build. Several
migrators may run at once. Must not: apply out of order, or guess.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from db.connection import CUT, DatabaseUnavailableError, connect
from db.embedded import EmbeddedUnavailableError, serve
from helpers.settings import EXIT_CONFIGURATION, Settings, SettingsError, load_settings

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"
EXIT_BEHIND: Final = 1
EXIT_REFUSED: Final = 65
EXIT_UNAVAILABLE: Final = 69
LOCK_KEY: Final = 0x53465F4D49475241
"""Of the advisory lock; any number that nobody else uses."""
LOCK_WAIT_SECONDS: Final = 120
STATEMENT_SECONDS: Final = 600.0
"""A migration may rewrite a big table."""
FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
ENDS_TRANSACTION: Final = re.compile(
    r"^\s*(BEGIN|START\s+TRANSACTION|COMMIT|ROLLBACK|END)\b[^;\n]*;", re.IGNORECASE | re.MULTILINE
)
TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class MigrationError(Exception):
    """The files and the database do not fit together; nothing was changed."""


class Migration(NamedTuple):
    """One file."""

    version: int
    name: str
    sha256: str
    sql: str


def read_migrations(folder: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """Return a folder's migrations in order; raises ``MigrationError``."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        matched = FILE_NAME.fullmatch(path.name)
        if matched is None or int(matched[1]) != len(found) + 1:
            raise MigrationError(
                f"{path.name} is out of order, expected {len(found) + 1:04d}_name.sql"
            )
        text = path.read_bytes()
        sql = text.decode()
        if ends := ENDS_TRANSACTION.search(sql):
            raise MigrationError(f"{path.name} says {ends[1].upper()}: it runs in a transaction")
        found.append(Migration(len(found) + 1, path.name, hashlib.sha256(text).hexdigest(), sql))
    return tuple(found)


async def pending(
    connection: asyncpg.Connection[asyncpg.Record], folder: Path = MIGRATIONS
) -> tuple[Migration, ...]:
    """Return what is not applied yet; raises ``MigrationError`` where files and database differ."""
    migrations = read_migrations(folder)
    async with connection.transaction(readonly=True):
        if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
            return migrations
        return await _pending(connection, migrations)


async def migrate(
    connection: asyncpg.Connection[asyncpg.Record], folder: Path = MIGRATIONS
) -> tuple[Migration, ...]:
    """Apply what is missing and return what this call applied.

    Each file is a transaction of its own, with the lock: behind PgBouncer in transaction mode a
    lock of the session would stay on somebody else's connection. Raises ``MigrationError``.
    """
    migrations = read_migrations(folder)
    applied: list[Migration] = []
    while True:
        async with connection.transaction():
            await _lock(connection)
            await connection.execute(TABLE)
            missing = await _pending(connection, migrations)
            if not missing:
                return tuple(applied)
            await _apply(connection, missing[0])
        applied.append(missing[0])


async def _lock(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    await connection.execute(f"SET LOCAL statement_timeout = '{int(STATEMENT_SECONDS)}s'")
    try:
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1)", LOCK_KEY, timeout=STATEMENT_SECONDS
        )
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(
            f"another migration has been running for {LOCK_WAIT_SECONDS} s: wait for it"
        ) from error


async def _pending(
    connection: asyncpg.Connection[asyncpg.Record], migrations: Sequence[Migration]
) -> tuple[Migration, ...]:
    rows = await connection.fetch(
        "SELECT version, name, sha256 FROM schema_migrations ORDER BY version"
    )
    for number, row in enumerate(rows, start=1):
        name = str(row["name"])
        if row["version"] != number:
            raise MigrationError(f"the database has {name} and not the one before it")
        if number > len(migrations):
            raise MigrationError(f"the database has {name}: it is of a newer build than this")
        if row["sha256"] != migrations[number - 1].sha256:
            raise MigrationError(
                f"{migrations[number - 1].name} was edited after it was applied (as {name}): "
                "restore it and write another one"
            )
    return tuple(migrations[len(rows) :])


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    try:
        await connection.execute(migration.sql, timeout=STATEMENT_SECONDS)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}: {error}") from error
    await connection.execute(
        "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.sha256,
    )


async def behind(url: str) -> str:
    """Return what keeps this build from writing to a database, empty when nothing does.

    A server that is away keeps nobody: the journal waits for it.
    """
    try:
        connection = await connect(url, name="state-fusion-worker start")
    except DatabaseUnavailableError:
        return ""
    try:
        missing = await pending(connection)
    except MigrationError as error:
        return str(error)
    except CUT:
        return ""
    finally:
        await connection.close(timeout=5)
    if not missing:
        return ""
    return f"{missing[0].name} is not applied: run python -m db.migrate before a new build starts"


async def run(settings: Settings, *, check: bool, folder: Path = MIGRATIONS) -> int:
    """Migrate, or only look, and say what came of it; return the exit code."""
    try:
        if settings.database_url is None:
            async with serve(settings.embedded_postgres_directory) as url:
                return await _run(url, check=check, folder=folder)
        direct = settings.database_direct_url or settings.database_url
        return await _run(direct.get_secret_value(), check=check, folder=folder)
    except MigrationError as error:
        sys.stderr.write(f"db.migrate: {error}\n")
        return EXIT_REFUSED
    except (DatabaseUnavailableError, EmbeddedUnavailableError) as error:
        sys.stderr.write(f"db.migrate: no database: {error}\n")
        return EXIT_UNAVAILABLE


async def _run(url: str, *, check: bool, folder: Path) -> int:
    connection = await connect(url, name="state-fusion-worker migrate")
    try:
        if check:
            missing = await pending(connection, folder)
            sys.stdout.write("".join(f"missing  {one.name}\n" for one in missing))
            sys.stdout.write("behind\n" if missing else "up to date\n")
            return EXIT_BEHIND if missing else 0
        done = await migrate(connection, folder)
        sys.stdout.write("".join(f"applied  {one.name}\n" for one in done) + "up to date\n")
        return 0
    finally:
        await connection.close(timeout=5)


def main(arguments: Sequence[str]) -> int:
    """Migrate the configured database."""
    parser = argparse.ArgumentParser(prog="python -m db.migrate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when behind")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write("".join(f"db.migrate: {line}\n" for line in error.lines))
        return EXIT_CONFIGURATION
    return asyncio.run(run(settings, check=options.check))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
