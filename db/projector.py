"""Carries journals into Postgres, piece by piece; where it stopped is in the database itself.

Every piece is one transaction that locks the run's position, reads on from there, adds the rows and
moves the position. So a kill, a lost answer to a commit or a second projector can double or lose
nothing, no row waits in memory, and after an outage the files hold what is to be caught up.
Must not: write to a journal, or pass over damage without saying so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID, uuid5

import asyncpg

from db.connection import Database
from db.journal_folder import DEMO_FOLDERS, is_held, journal_identity
from db.journal_reading import RunFolder, list_runs, list_segments
from db.journal_tail import PIECE_ROWS, Piece, TailPosition, read_piece
from db.projection import Projection
from db.projection_writing import merge_things, note_session, write_events
from helpers.domain import Message, Mode

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ROW_FAULTS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    TypeError,
    OverflowError,
)
"""What says that a row, not the database, is to blame."""


class JournalFolder(Message, frozen=True):
    """A folder of runs and whether they are demos."""

    path: Path
    demo: bool


class Step(Message, frozen=True):
    """What one step did."""

    run: str
    rows: int
    rows_lost: int = 0
    damage: str = ""
    fault: str = ""


class _Place(NamedTuple):
    session: int
    account: int
    position: TailPosition


def journal_folder(path: Path) -> JournalFolder:
    """Return a folder of runs; demos are told by its name."""
    return JournalFolder(path, demo=path.name in DEMO_FOLDERS)


def journal_folders(root: Path) -> tuple[JournalFolder, ...]:
    """Return a worker's journal folder and those of the demos under it."""
    return tuple(journal_folder(path) for path in (root, *(root / name for name in DEMO_FOLDERS)))


async def catch_up(database: Database, folders: Sequence[JournalFolder]) -> int:
    """Carry over all that is left and return its rows; raises ``DatabaseUnavailableError``."""
    projector, rows = Projector(database, folders), 0
    while (step := await projector.step()) is not None:
        rows += step.rows
    return rows


class Projector:
    """Carries the runs of some folders over, oldest first."""

    def __init__(self, database: Database, folders: Sequence[JournalFolder]) -> None:
        """Take a database whose schema is up to date."""
        self._database = database
        self._folders = tuple(folders)
        self._finished: set[UUID] | None = None
        self._seen: dict[UUID, tuple[int, int]] = {}
        """Segments and size of the last one when nothing was left, of runs still open."""
        self._rows = PIECE_ROWS

    async def step(self) -> Step | None:
        """Carry one piece over, ``None`` when nothing is left.

        Raises ``DatabaseUnavailableError``; what it was about to do is then still to be done.
        """
        if self._finished is None:
            self._finished = await self._read_finished()
        for folder, run, key in self._open_runs(self._finished):
            # Asked before the reading: what was written until the writer left is read.
            held = is_held(run.path)
            extent = _extent(run.path)
            if held and self._seen.get(key) == extent:
                continue
            step, finished = await self._carry(folder, run, key, held=held)
            if finished or step.damage:
                # What is damaged is told once, and looked at again by the next projector.
                self._finished.add(key)
                self._seen.pop(key, None)
            elif not step.rows:
                self._seen[key] = extent
            if step.rows or step.damage:
                return step
        return None

    def _open_runs(self, finished: set[UUID]) -> Iterator[tuple[JournalFolder, RunFolder, UUID]]:
        for folder in self._folders:
            runs = [run for run in list_runs(folder.path) if run.mode is not Mode.REPLAY]
            identity = journal_identity(folder.path) if runs else None
            for run in runs:
                # Before its first segment a writer may not have locked it yet.
                if identity is None or not list_segments(run.path):
                    continue
                key = uuid5(identity, run.path.name)
                if key not in finished:
                    yield folder, run, key

    async def _read_finished(self) -> set[UUID]:
        async with self._database.transaction(read_only=True) as connection:
            rows = await connection.fetch(
                "SELECT key FROM sessions JOIN projections USING (session) WHERE finished"
            )
        return {UUID(str(row["key"])) for row in rows}

    async def _carry(
        self, folder: JournalFolder, run: RunFolder, key: UUID, *, held: bool
    ) -> tuple[Step, bool]:
        try:
            async with self._database.transaction() as connection:
                place = await _locked_place(connection, folder, run, key)
                piece = read_piece(run.path, place.position, self._rows)
                finished = not (held or piece.records or piece.damage)
                await _write(connection, place, piece)
                await _move(connection, place, piece, finished=finished)
        except ROW_FAULTS as fault:
            return await self._on_fault(folder, run, key, fault), False
        self._rows = min(PIECE_ROWS, self._rows * 2)
        step = Step(run.path.name, len(piece.records), piece.rows_lost, piece.damage)
        return step, finished

    async def _on_fault(
        self, folder: JournalFolder, run: RunFolder, key: UUID, fault: BaseException
    ) -> Step:
        # Halved until the row that no table takes is alone; then it is named, and passed by.
        if self._rows > 1:
            self._rows //= 2
            return Step(run.path.name, 1)
        async with self._database.transaction() as connection:
            place = await _locked_place(connection, folder, run, key)
            piece = read_piece(run.path, place.position, 1)
            for record in piece.records:
                problem = f"{type(fault).__name__}: {fault}".replace("\0", "\ufffd")
                await connection.execute(
                    "INSERT INTO projection_faults VALUES ($1, $2, $3, $4)",
                    *(place.session, record.seq, record.kind, problem[:1000]),
                )
            await _move(connection, place, piece, finished=False)
        self._rows = 2
        return Step(run.path.name, 1, fault=f"{type(fault).__name__}: {fault}")


async def _locked_place(
    connection: Connection, folder: JournalFolder, run: RunFolder, key: UUID
) -> _Place:
    """Return where a run is in the database, locked until the end of the transaction."""
    row = await connection.fetchrow(
        "SELECT session, account, seq, segment, byte_offset, chain "
        "FROM sessions JOIN projections USING (session) WHERE key = $1 FOR UPDATE OF projections",
        key,
    )
    if row is None:
        return await _first_place(connection, folder, run, key)
    position = TailPosition(row["segment"], row["byte_offset"], row["seq"], row["chain"])
    return _Place(row["session"], row["account"], position)


async def _first_place(
    connection: Connection, folder: JournalFolder, run: RunFolder, key: UUID
) -> _Place:
    mode = run.mode.value
    book = f"demo_{mode}" if folder.demo else mode
    # A demo begins a new world with new money; paper and live go on with what was left.
    owner = key if folder.demo else uuid5(journal_identity(folder.path), mode)
    await connection.execute(
        "INSERT INTO accounts (key, book) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", owner, book
    )
    await connection.execute(
        "INSERT INTO sessions (key, account, book, mode, run) "
        "SELECT $1, account, book, $3, $4 FROM accounts WHERE key = $2 ON CONFLICT DO NOTHING",
        *(key, owner, mode, run.path.name),
    )
    await connection.execute(
        "INSERT INTO projections (session, seq, segment, byte_offset, chain) "
        "SELECT session, 0, 0, 0, 0 FROM sessions WHERE key = $1 ON CONFLICT DO NOTHING",
        key,
    )
    return await _locked_place(connection, folder, run, key)


async def _write(connection: Connection, place: _Place, piece: Piece) -> None:
    if not piece.records:
        return
    projection = Projection(place.session)
    for record in piece.records:
        projection.add(record)
    await write_events(connection, projection)
    await merge_things(connection, projection, place.account)
    await note_session(connection, projection, place.session)


async def _move(connection: Connection, place: _Place, piece: Piece, *, finished: bool) -> None:
    end = piece.end
    await connection.execute(
        "UPDATE projections SET seq = $2, segment = $3, byte_offset = $4, chain = $5, "
        "rows_lost = rows_lost + $6, rows_unknown = rows_unknown + $7, damage = $8, "
        "finished = $9, projected_at = now() WHERE session = $1",
        *(place.session, end.seq, end.segment, end.byte_offset, end.chain),
        *(piece.rows_lost, piece.rows_unknown, piece.damage, finished),
    )


def _extent(run: Path) -> tuple[int, int]:
    segments = list_segments(run)
    try:
        return len(segments), segments[-1].stat().st_size if segments else 0
    except FileNotFoundError:
        return len(segments), 0
