"""Journals for tests of the projector, and what a database must then have of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import msgspec

from db.connection import Database
from db.journal import Journal, list_runs, read_journal
from db.migrate import migrate
from db.projector import JournalFolder, Projector, Step
from helpers.domain import (
    MICROS,
    Accepted,
    Action,
    Approved,
    Body,
    Fill,
    FillStatus,
    Mode,
    OrderState,
    OrderUpdate,
)
from tests.journal_samples import EVERY_BODY, RUN_STARTED, SLUG, at, decision, fill, intent


def write_run(
    folder: Path,
    rows: Iterable[tuple[float, str, Body]],
    mode: Mode = Mode.PAPER,
    *,
    segment_bytes: int = 1 << 20,
) -> Path:
    """Write one run that ended in order; return its folder."""
    with Journal.open_run(folder, mode, at(0), segment_bytes=segment_bytes) as journal:
        for seconds, market, body in rows:
            journal.append(at(seconds), market, body)
        return journal.run


def trade(seconds: float, *, price_micros: int = 530_000) -> list[tuple[float, str, Body]]:
    """Return an entry from its decision to its confirmed shares."""
    wish = intent(seconds)
    bought = fill(seconds + 0.3, price_micros=price_micros, intent_seconds=seconds)
    done = OrderUpdate(wish.intent_id, "0xabc", SLUG, OrderState.FILLED, 0, at(seconds + 0.3))
    return [
        (seconds, SLUG, decision(seconds, Action.BUY)),
        (seconds, SLUG, Approved(wish, at(seconds))),
        (seconds + 0.2, SLUG, Accepted(wish.intent_id, "0xabc", at(seconds + 0.2))),
        (seconds + 0.3, SLUG, msgspec.structs.replace(bought, status=FillStatus.MATCHED)),
        (seconds + 0.3, SLUG, done),
        (seconds + 0.4, SLUG, msgspec.structs.replace(bought, at_ns=at(seconds + 0.4))),
    ]


def sale(seconds: float, price_micros: int = 580_000) -> Fill:
    """Return a fill that sells what ``trade`` bought, as the wallet's owner would."""
    sold = fill(seconds, price_micros=price_micros, trade_id=f"sale-{seconds}")
    return msgspec.structs.replace(sold, order_id="merged", opens=False, fee_micros=MICROS // 10)


def every_kind(count: int = 1) -> list[tuple[float, str, Body]]:
    """Return so many rows of every kind."""
    rows: list[tuple[float, str, Body]] = [(0.0, "", RUN_STARTED)]
    middle = [body for body in EVERY_BODY if body is not RUN_STARTED]
    for number in range(count):
        last = number == count - 1
        rows += [(number + 1.0, SLUG, body) for body in (middle if last else middle[:-1])]
    return rows


async def migrated(url: str) -> asyncpg.Connection[asyncpg.Record]:
    """Return a connection to a database with the schema."""
    connection = await asyncpg.connect(url)
    await migrate(connection)
    return connection


async def carry_all(url: str, folder: Path, *, demo: bool = False) -> list[Step]:
    """Carry a folder over until nothing is left; return what each step did."""
    database = Database(url)
    projector = Projector(database, (JournalFolder(folder, demo=demo),))
    steps: list[Step] = []
    try:
        while (step := await projector.step()) is not None:
            steps.append(step)
    finally:
        await database.close()
    return steps


def counts_of(folder: Path) -> Counter[str]:
    """Return the rows of each kind in a folder's journals."""
    counts: Counter[str] = Counter()
    for run in list_runs(folder):
        counts.update(record.kind for record in read_journal(run.path))
    return counts


async def counts_in(connection: asyncpg.Connection[asyncpg.Record]) -> Counter[str]:
    """Return the rows of each kind in a database."""
    rows = await connection.fetch("SELECT kind, sum(rows)::int AS n FROM journal_counts GROUP BY 1")
    return Counter({row["kind"]: row["n"] for row in rows})
