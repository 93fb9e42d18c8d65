"""Whether the database has every row that the journal was given, and the journal's files are whole.

Compared are numbers of rows of each kind: what the worker wrote (counted as it wrote), against the
rows of the tables plus those that were retired from them, which the database counts as it removes
them. Files that the journal removed for their age are in the first number and in the tables, as the
projector read them before. What is left of the files is read back, line by line. Must not: write a
row, or excuse one.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from db.connection import Database
from db.embedded import serve
from db.journal_reading import JournalFaults, read_journal
from db.projector import JournalFolder, catch_up
from db.retention import retire_batch
from helpers.domain import Message

STATEMENT_SECONDS: Final = 600.0
"""A month of decisions is counted in one question."""

_POSITION: Final = """
SELECT p.seq, p.rows_lost, p.rows_unknown, p.damage, p.finished,
    (SELECT count(*) FROM projection_faults) AS faults,
    (SELECT coalesce(sum(rows), 0)::bigint FROM retired_rows) AS retired,
    (SELECT count(*) FROM trips) AS trips,
    (SELECT coalesce(sum(pnl_micros), 0)::bigint FROM trips) AS pnl_micros,
    (SELECT count(*) FROM unexplained_orders) AS unexplained
FROM projections p JOIN sessions s USING (session) WHERE s.run = $1
"""
_COUNTS: Final = """
SELECT c.kind, c.rows FROM journal_counts c JOIN sessions s USING (session) WHERE s.run = $1
"""


class RowsFound(Message, frozen=True):
    """What the worker wrote, what the database has of it, and what is left of the files."""

    written: dict[str, int]
    """Rows by kind."""
    counted: dict[str, int]
    """The same in the database: in its tables, and retired from them."""
    retired: int
    caught_up_late: int
    """Rows that the projector's process had not carried over when its run was over."""
    last_seq: int
    rows_lost: int
    rows_unknown: int
    faults: int
    damage: str
    finished: bool
    unexplained: int
    trips: int
    pnl_micros: int
    file_rows: int
    """Rows in the files that the journal still has."""
    file_first_seq: int
    file_last_seq: int
    file_faults: str

    @property
    def problems(self) -> tuple[str, ...]:
        """Return everything that is not as it must be."""
        kinds = sorted(self.written.keys() | self.counted.keys())
        found = [
            f"{kind}: {self.written.get(kind, 0)} written, {self.counted.get(kind, 0)} counted"
            for kind in kinds
            if self.written.get(kind, 0) != self.counted.get(kind, 0)
        ]
        total = sum(self.written.values())
        ends = (
            ("last row carried over", self.last_seq, total),
            ("last row in the files", self.file_last_seq, total),
            ("rows in the files", self.file_rows, total - self.file_first_seq + 1),
            ("rows lost", self.rows_lost, 0),
            ("rows of an unknown kind", self.rows_unknown, 0),
            ("rows that no table takes", self.faults, 0),
            ("orders without an explanation", self.unexplained, 0),
            ("runs finished", int(self.finished), 1),
        )
        found += [f"{name}: {one}, expected {other}" for name, one, other in ends if one != other]
        found += [text for text in (self.damage, self.file_faults) if text]
        return tuple(found)


async def check_rows(
    folder: Path, run: Path, written: Counter[str], retire_before_ns: int
) -> RowsFound:
    """Carry over what is left, retire what is older than a moment, and count.

    ``folder`` has the database in ``postgres`` and the run in ``journal``. Raises
    ``JournalDamagedError`` for a file that is not what was written.
    """
    faults = JournalFaults()
    rows, first, last = 0, 0, 0
    for record in read_journal(run, faults):
        first, last, rows = first or record.seq, record.seq, rows + 1
    async with serve(folder / "postgres") as url:
        database = Database(url, statement_seconds=STATEMENT_SECONDS)
        try:
            late = await catch_up(database, (JournalFolder(run.parent, demo=False),))
            while await retire_batch(database, retire_before_ns):
                pass
            async with database.transaction(read_only=True) as connection:
                found = await connection.fetchrow(_POSITION, run.name)
                counts = await connection.fetch(_COUNTS, run.name)
        finally:
            await database.close()
    assert found is not None, "the run was carried over"
    return RowsFound(
        written=dict(written),
        counted={row["kind"]: row["rows"] for row in counts},
        retired=found["retired"],
        caught_up_late=late,
        last_seq=found["seq"],
        rows_lost=found["rows_lost"],
        rows_unknown=found["rows_unknown"],
        faults=found["faults"],
        damage=found["damage"],
        finished=found["finished"],
        unexplained=found["unexplained"],
        trips=found["trips"],
        pnl_micros=found["pnl_micros"],
        file_rows=rows,
        file_first_seq=first,
        file_last_seq=last,
        file_faults=_told(faults),
    )


def _told(faults: JournalFaults) -> str:
    unknown = ", ".join(f"{kind} {count}" for kind, count in faults.unknown_kinds.items())
    torn = f"torn: {faults.torn_tail}" if faults.torn_tail else ""
    return "; ".join(text for text in (torn, unknown) if text)
