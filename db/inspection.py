"""What a look at the database finds, for the doctor; changes nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import asyncpg

from db.connection import CUT, DatabaseUnavailableError, connect, words
from db.migrate import MIGRATIONS, pending
from helpers.domain import Message

VERSION_MINIMUM: Final = 14
"""Of a server: what is tested, and what providers still offer."""
VERSION_STEP: Final = 10_000


class DatabaseFound(Message, frozen=True):
    """A server that answered."""

    version: int
    """Major version."""
    pooled: bool
    """Whether a pooler stands before it, where no lease can be held."""
    may_create: bool
    """Whether this login may make the tables of a migration."""
    pending: int
    """Migrations that are missing."""


async def inspect(url: str, migrations: Path = MIGRATIONS) -> DatabaseFound:
    """Look at a server.

    Raises ``DatabaseUnavailableError``, or ``MigrationError`` where its schema is not ours.
    """
    connection = await connect(url, name="state-fusion-worker doctor")
    try:
        async with connection.transaction(readonly=True):
            version = await connection.fetchval("SELECT current_setting('server_version_num')::int")
            process_id = await connection.fetchval("SELECT pg_backend_pid()")
            may_create = await connection.fetchval(
                "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
            )
        missing = await pending(connection, migrations)
        return DatabaseFound(
            version=version // VERSION_STEP,
            pooled=process_id != connection.get_server_pid(),
            may_create=bool(may_create),
            pending=len(missing),
        )
    except (*CUT, asyncpg.InsufficientPrivilegeError) as error:
        raise DatabaseUnavailableError(words(error)) from error
    finally:
        connection.terminate()
