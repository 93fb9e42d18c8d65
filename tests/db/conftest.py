"""One embedded server for all tests here, a new database for each that asks."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.db.serving import ServingProcess, open_folder

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Return the address of a server of these tests' own."""
    with open_folder() as folder, ServingProcess(folder / "postgres") as serving:
        yield serving.url


@pytest.fixture
async def database_url(server_url: str) -> AsyncIterator[str]:
    """Return the address of an empty database."""
    name = f"test_{next(NUMBERS)}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield server_url.replace("@/postgres?", f"@/{name}?")
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
