"""What `status`, `trades`, `report` and `why` share: the database, caught up with the journals.

While no worker runs they start the embedded server for themselves. Must not: show a database that
is behind the journals on this disk without saying so.

Exit codes of all but `why`: 0 answered; 2 usage, or nothing has run yet; 65 the database's schema
is not this build's; 69 no database can be used; 70 the journals cannot be read, or the answer not
be written; 78 settings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

from db.connection import Database, DatabaseUnavailableError, connect
from db.embedded import EmbeddedUnavailableError, serve
from db.explain_text import clean
from db.journal_format import JournalError
from db.migrate import EXIT_REFUSED, MigrationError, migrate, pending
from db.projector import JournalFolder, Projector, journal_folders
from db.queries import Connection, find_latest, hold_still
from db.query_results import Book, SessionSeen
from helpers.clock import monotonic_seconds
from helpers.commands.config import report_settings_error
from helpers.domain import Mode
from helpers.settings import Settings, SettingsError, load_settings

EXIT_ANSWERED: Final = 0
EXIT_USAGE: Final = 2
EXIT_NO_DATABASE: Final = 69
EXIT_UNREADABLE: Final = 70
MODES: Final = (Mode.PAPER, Mode.LIVE)
CATCH_UP_SECONDS: Final = 120.0
"""What is not carried over by then is told, and carried over by the next one."""
STATEMENT_SECONDS: Final = 120.0
"""Of one question: a report may read weeks of decisions."""
MIGRATE: Final = "uv run python -m db.migrate"

Question: TypeAlias = Callable[[Connection, SessionSeen], Awaitable[int]]


class NoDatabaseError(Exception):
    """No database can be used; the text says why and what to do."""

    def __init__(self, text: str, exit_code: int = EXIT_NO_DATABASE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def add_book_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose a book."""
    parser.add_argument("--mode", choices=[mode.value for mode in MODES], default="",
                        help="whose money (default: that of the latest run)")  # fmt: skip
    parser.add_argument("--demo", action="store_true", help="of demos")


def chosen_books(mode: str, *, demo: bool) -> tuple[Book, ...]:
    """Return the books that the options leave."""
    return tuple(
        book
        for book in Book
        if (not mode or book.mode == mode) and (book.is_demo or not demo)
        if demo or not mode or not book.is_demo
    )


def answer(verb: str, options: argparse.Namespace, question: Question) -> int:
    """Ask the database about the latest run of the chosen book; return the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    books = chosen_books(options.mode, demo=options.demo)
    try:
        return asyncio.run(_answer(verb, settings, books, question))
    except NoDatabaseError as error:
        sys.stderr.write(
            f"worker.py {verb}: {clean(str(error))}\n"
            "`worker.py why` needs no database: without one it reads the journals themselves\n"
        )
        return error.exit_code
    except (JournalError, OSError) as error:
        sys.stderr.write(f"worker.py {verb}: {clean(str(error))}\n")
        return EXIT_UNREADABLE


async def _answer(
    verb: str, settings: Settings, books: tuple[Book, ...], question: Question
) -> int:
    async with caught_up_database(settings, verb) as database:
        try:
            async with database.transaction(read_only=True) as connection:
                await hold_still(connection)
                latest = await find_latest(connection, books)
                if latest is not None:
                    return await question(connection, latest)
        except DatabaseUnavailableError as error:
            raise NoDatabaseError(f"the database went away: {error}") from error
    sys.stderr.write(f"worker.py {verb}: {nothing_has_run(settings, books)}\n")
    return EXIT_USAGE


def nothing_has_run(settings: Settings, books: tuple[Book, ...]) -> str:
    """Return the words for books without a run."""
    one = books[0].label if len(books) == 1 else "demo" if books[0].is_demo else ""
    return (
        f"no {f'{one} ' if one else ''}run is in the database or in "
        f"{settings.journal_directory.resolve()}: nothing has run yet"
    )


def book_of(folder: JournalFolder, mode: Mode) -> Book:
    """Return the book of a folder's runs of a mode; raises ``ValueError`` for replays."""
    return Book(f"demo_{mode.value}" if folder.demo else mode.value)


def folder_of(root: Path, book: Book) -> Path:
    """Return the folder on this disk where runs of a book are."""
    return root / f"demo-{book.mode.value}" if book.is_demo else root


@contextlib.asynccontextmanager
async def caught_up_database(settings: Settings, verb: str) -> AsyncGenerator[Database, None]:
    """Yield the database with everything that the journals on this disk hold.

    Raises ``NoDatabaseError``, ``JournalError`` or ``OSError``.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            if settings.database_url is None:
                serving = serve(settings.embedded_postgres_directory)
                url = await stack.enter_async_context(serving)
                await _migrate(url)
            else:
                url = settings.database_url.get_secret_value()
                await _refuse_when_behind(url)
            database = Database(
                url, name=f"state-fusion-worker {verb}", statement_seconds=STATEMENT_SECONDS
            )
            stack.push_async_callback(database.close)
            await _catch_up(database, settings, verb)
        except MigrationError as error:
            raise NoDatabaseError(str(error), EXIT_REFUSED) from error
        except (DatabaseUnavailableError, EmbeddedUnavailableError) as error:
            raise NoDatabaseError(f"no database: {error}") from error
        yield database


async def _migrate(url: str) -> None:
    connection = await connect(url)
    try:
        await migrate(connection)
    finally:
        await connection.close(timeout=5)


async def _refuse_when_behind(url: str) -> None:
    connection = await connect(url)
    try:
        missing = await pending(connection)
    finally:
        await connection.close(timeout=5)
    if missing:
        raise NoDatabaseError(
            f"the schema of DATABASE_URL is {len(missing)} migrations behind: {MIGRATE}",
            EXIT_REFUSED,
        )


async def _catch_up(database: Database, settings: Settings, verb: str) -> None:
    # A worker that runs has its own projector; two at once do each piece once.
    projector = Projector(database, journal_folders(settings.journal_directory))
    until = monotonic_seconds() + CATCH_UP_SECONDS
    while (step := await projector.step()) is not None:
        problem = step.damage or step.fault
        if problem:
            sys.stderr.write(f"worker.py {verb}: run {step.run}: {clean(problem)}\n")
        if monotonic_seconds() > until:
            sys.stderr.write(
                f"worker.py {verb}: the database is still behind the journals: ask again\n"
            )
            return
