"""Reports of `why` from both sources, to be laid side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from db.connection import Database
from db.explain import Explainer, explain
from db.explain_report import Report
from db.journal import Journal, read_journal
from db.queries import find_latest, hold_still
from db.queries_why import PAGE_ROWS, SPAN_ROWS, find_runs, read_rows
from db.query_results import Book
from helpers.domain import (
    NS_PER_SECOND,
    Body,
    CashAdjusted,
    Checkpoint,
    Equity,
    HaltChanged,
    Mode,
    ModelChanged,
    OperatorAnswered,
    Reconciled,
    RoundTrip,
    RunStarted,
    RunStopped,
)
from tests.journal_samples import EVERY_BODY, RUN_STARTED, RUN_STOPPED, SLUG, at

OF_THE_RUN = (
    *(RunStarted, RunStopped, HaltChanged, OperatorAnswered),
    *(Equity, Checkpoint, CashAdjusted, Reconciled, ModelChanged),
)
"""Kinds that the flow writes without a market."""


def write_like_the_worker(
    folder: Path, rows: Iterable[tuple[float, str, Body]], mode: Mode = Mode.PAPER
) -> Path:
    """Write one run whose first row has the run's own name; return its folder."""
    with Journal.open_run(folder, mode, at(0)) as journal:
        for seconds, market, body in rows:
            own = replace(body, run_id=journal.run.name) if isinstance(body, RunStarted) else body
            journal.append(at(seconds), market, own)
        return journal.run


def every_kind_like_the_flow() -> list[tuple[float, str, Body]]:
    """Return a row of every kind, each where and when the flow writes it."""
    rows: list[tuple[float, str, Body]] = []
    for body in EVERY_BODY:
        if isinstance(body, RunStarted | RunStopped):
            continue
        moment_ns = (
            body.closed_ns if isinstance(body, RoundTrip) else getattr(body, "at_ns", at(15))
        )
        seconds = (moment_ns - at(0)) / NS_PER_SECOND
        rows.append((seconds, "" if isinstance(body, OF_THE_RUN) else SLUG, body))
    return [(0.0, "", RUN_STARTED), *rows, (400.0, "", RUN_STOPPED)]


def told_by_files(runs: Iterable[Path], since_ns: int = 0, market: str = "") -> Report:
    """Return the report of some runs' files."""
    records = (record for run in runs for record in read_journal(run))
    return explain(records, since_ns, market)


async def told_by_sql(
    url: str,
    since_ns: int = 0,
    market: str = "",
    *,
    page_rows: int = PAGE_ROWS,
    span_rows: int = SPAN_ROWS,
) -> Report:
    """Return the report of a database's latest run, and of those before it since a moment."""
    database = Database(url)
    explainer = Explainer(since_ns, market)
    try:
        async with database.transaction(read_only=True) as connection:
            await hold_still(connection)
            latest = await find_latest(connection, tuple(Book))
            assert latest is not None
            for run in await find_runs(connection, latest, since_ns):
                pages = read_rows(
                    *(connection, run, since_ns, market), page_rows=page_rows, span_rows=span_rows
                )
                async for rows in pages:
                    for row in rows:
                        explainer.add(row)
    finally:
        await database.close()
    return explainer.report()
