"""How `worker.py why` reads the database, and where it reads a run's journal instead.

What the database does not have of a run any more (decisions and refusals go after
``DATABASE_DETAIL_DAYS``) or never had (a row that no table took) is read from the run's journal,
where that is whole on this disk, and told as missing where it is not. Must not: count what is
missing as if it had not been.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from db.connection import DatabaseUnavailableError
from db.explain import Explainer
from db.journal import JournalFaults
from db.journal_folder import journal_identity
from db.journal_reading import list_segments
from db.queries import Connection, find_latest, hold_still
from db.queries_why import find_runs, read_rows
from db.query_results import Book, RunRead
from helpers.commands.database_reading import (
    NoDatabaseError,
    caught_up_database,
    folder_of,
    nothing_has_run,
)
from helpers.commands.why_journal import (
    Answer,
    Asked,
    NoAnswerError,
    read_into,
    since_ns_of,
    torn_warnings,
)
from helpers.settings import Settings

FIRST_SEGMENT: Final = 1
NEWER_KINDS: Final = "(of a newer build)"
"""The database counts rows of kinds that it does not know, but not which kinds they were."""


async def explain_latest(settings: Settings, books: tuple[Book, ...], asked: Asked) -> Answer:
    """Explain the latest run of some books.

    Raises ``NoAnswerError``, ``NoDatabaseError`` where there is no database to ask, and
    ``JournalError`` or ``OSError`` for a journal that cannot be read.
    """
    async with caught_up_database(settings, "why") as database:
        try:
            async with database.transaction(read_only=True) as connection:
                await hold_still(connection)
                latest = await find_latest(connection, books)
                if latest is None:
                    raise NoAnswerError(nothing_has_run(settings, books))
                since_ns = since_ns_of(asked, latest.heartbeat_ns)
                reading = _Reading(connection, since_ns, asked)
                folder = folder_of(settings.journal_directory, latest.book)
                for run in await find_runs(connection, latest, since_ns):
                    await reading.take(run, folder)
                return reading.answer()
        except DatabaseUnavailableError as error:
            raise NoDatabaseError(f"the database went away: {error}") from error


class _Reading:
    def __init__(self, connection: Connection, since_ns: int, asked: Asked) -> None:
        self._connection = connection
        self._since_ns = since_ns
        self._market = asked.market
        self._explainer = Explainer(since_ns, asked.market, asked.last)
        self._faults = JournalFaults()
        self._warnings: list[str] = []
        self._damaged = False

    async def take(self, run: RunRead, folder: Path) -> None:
        """Read one run from where it is whole."""
        incomplete = run.rows_retired or run.rows_refused or run.rows_lost
        if incomplete and _is_whole(folder, run):
            damage = read_into(self._explainer, folder / run.run, self._faults)
            self._note_damage(damage)
            return
        async for rows in read_rows(self._connection, run, self._since_ns, self._market):
            for row in rows:
                self._explainer.add(row)
        self._warnings += missing(run)
        if run.rows_unknown:
            kinds = self._faults.unknown_kinds
            kinds[NEWER_KINDS] = kinds.get(NEWER_KINDS, 0) + run.rows_unknown
        self._note_damage(run.damage and f"run {run.run}: {run.damage}; rows after it are not told")

    def answer(self) -> Answer:
        """Return what was learned."""
        warnings = (*torn_warnings(self._faults), *self._warnings)
        report = self._explainer.report(self._faults.unknown_kinds.items(), warnings)
        return Answer(report, self._damaged)

    def _note_damage(self, damage: str) -> None:
        if damage:
            self._damaged = True
            self._warnings.append(damage)


def missing(run: RunRead) -> list[str]:
    """Return what is said of rows that the database does not have."""
    told = (
        (run.rows_retired, "decisions and refusals grew too old for the database"),
        (run.rows_refused, "rows have no place in the database"),
        (run.rows_lost, "rows were gone from the journal before the database had them"),
    )
    return [
        f"run {run.run}: {rows:,} {why} and are counted nowhere here" for rows, why in told if rows
    ]


def _is_whole(folder: Path, run: RunRead) -> bool:
    path = folder / run.run
    # A run of that name may be another machine's.
    if not path.is_dir() or uuid5(journal_identity(folder), run.run) != UUID(run.key):
        return False
    segments = list_segments(path)
    return bool(segments) and int(segments[0].stem) == FIRST_SEGMENT
