"""The projection and back: the report from SQL is that of the files, field by field."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from db.connection import Database
from db.explain_report import Report
from db.explain_text import report_lines
from db.journal import list_runs
from db.journal_reading import last_moment_ns
from db.queries import find_latest
from db.queries_why import find_runs, read_rows
from db.query_results import Book
from db.retention import retire_batch
from helpers.domain import NS_PER_SECOND, Action, Body, RuleFailure
from helpers.settings import load_settings
from simulator.in_process import run_in_process
from tests.db.journals import carry_all, migrated, trade, write_run
from tests.db.why_reports import (
    every_kind_like_the_flow,
    told_by_files,
    told_by_sql,
    write_like_the_worker,
)
from tests.journal_samples import (
    MARKET_SEEN,
    RUN_STARTED,
    RUN_STOPPED,
    SLUG,
    STORY,
    at,
    decision,
    refused,
)
from tests.report_samples import story

OTHER = "eth-updown-5m-1774656000"


def odd_rows() -> list[tuple[float, str, Body]]:
    """Return what is easily lost: infinity, several rules, ties, alike decisions, no start."""
    several = replace(
        refused(30.0, found=float("inf")),
        failures=(
            RuleFailure("stale_book", 5.0, float("inf")),
            RuleFailure("mode", "paper", "live"),
            RuleFailure("depth", 1.0, float("nan")),
        ),
    )
    held = replace(decision(0.0, Action.HOLD, "edge 0.01 under 0.02"), market=OTHER)
    return [
        *((n / 10, OTHER, replace(held, at_ns=at(n / 10))) for n in range(25)),
        (3.0, SLUG, replace(MARKET_SEEN, problems=("market is closed", "negRisk was true"))),
        *trade(4.0),
        (20.0, SLUG, decision(20.0, Action.HOLD, "empty_book", valid=False)),
        (21.0, SLUG, decision(21.0, Action.HOLD, "spread 3 of 2")),
        (22.0, SLUG, decision(22.0, Action.SELL, "spread 4 of 2")),
        (30.0, SLUG, several),
        *((31.0 + n, OTHER, refused(31.0 + n)) for n in range(3)),
        *trade(40.0),
        (60.0, OTHER, replace(held, at_ns=at(60))),
    ]


RUNS = {
    "story": STORY,
    "report": list(story()),
    "killed": list(story(ends=False)),
    "every kind": every_kind_like_the_flow(),
    "odd": odd_rows(),
}


@pytest.mark.parametrize("name", RUNS)
async def test_every_sample_is_told_alike(database_url: str, tmp_path: Path, name: str) -> None:
    """Whole, since a moment, of one market; by pages of two rows and spans of three as well."""
    (await migrated(database_url)).terminate()
    run = write_like_the_worker(tmp_path, RUNS[name])
    await carry_all(database_url, tmp_path)
    for since_ns, market, size in (
        *((0, "", 2), (0, "", 1000), (0, SLUG, 5), (0, "nowhere", 1000)),
        *((at(21.5), "", 3), (at(21.5), OTHER, 1000), (at(1000.0), "", 1000)),
    ):
        told = await told_by_sql(
            *(database_url, since_ns, market), page_rows=size, span_rows=size + 1
        )
        assert told == told_by_files([run], since_ns, market), (since_ns, market, size)


def test_the_samples_are_not_empty() -> None:
    """What is compared has entries, exits, refusals, moments and odd values in it."""
    kinds = {type(body) for rows in RUNS.values() for _, _, body in rows}
    assert len(kinds) == len({type(body) for _, _, body in every_kind_like_the_flow()})


@pytest.mark.parametrize(("style", "seed"), [("taker", 6), ("maker", 2)])
async def test_a_run_of_the_worker_is_told_alike(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    style: str,
    seed: int,
) -> None:
    """The real flow on simulated venues: the same report, and the same words on the terminal."""
    monkeypatch.setenv("LOSING_STREAK_LIMIT", "100")
    folder = tmp_path / "journal"
    settings = load_settings(
        strategy="momentum", execution_style=style, journal_directory=str(folder)
    )
    run_in_process(seed, 4.0, settings)
    (run,) = [found.path for found in list_runs(folder)]
    (await migrated(database_url)).terminate()
    await carry_all(database_url, folder)
    last_ns = last_moment_ns(run) or 0
    whole = told_by_files([run])
    assert sum(len(market.entries) for market in whole.markets) > 1
    assert sum(market.decisions for market in whole.markets) > 1000
    slug = whole.markets[0].slug
    for since_ns, market in ((0, ""), (0, slug), (last_ns - 60 * NS_PER_SECOND, "")):
        wanted = _without_names(told_by_files([run], since_ns, market))
        told = _without_names(await told_by_sql(database_url, since_ns, market))
        assert told == wanted
        for one_market in (False, True):
            lines = report_lines(told, 10, one_market=one_market)
            assert lines == report_lines(wanted, 10, one_market=one_market)


def _without_names(report: Report) -> Report:
    # The in-process run is named by its seed, a worker's by its folder, as the database has it.
    runs = tuple(
        run if run.started is None else replace(run, started=replace(run.started, run_id=""))
        for run in report.runs
    )
    return replace(report, runs=runs)


async def test_since_reaches_back_over_restarts_of_one_account(
    database_url: str, tmp_path: Path
) -> None:
    """The runs before the latest as far as asked, and nothing of other books."""
    (await migrated(database_url)).terminate()
    start = (0.0, "", RUN_STARTED)
    write_like_the_worker(tmp_path / "demo-paper", [start, (5000.0, SLUG, refused(5000.0))])
    old, second, latest = (
        write_like_the_worker(
            tmp_path, [(begins, "", RUN_STARTED), (ends, SLUG, refused(ends)), stopped]
        )
        for begins, ends, stopped in (
            (0.0, 10.0, (11.0, "", RUN_STOPPED)),
            (4000.0, 5000.0, (5001.0, "", RUN_STOPPED)),
            (6000.0, 6000.0, (6001.0, "", RUN_STOPPED)),
        )
    )
    await carry_all(database_url, tmp_path / "demo-paper", demo=True)
    await carry_all(database_url, tmp_path)
    assert await told_by_sql(database_url) == told_by_files([latest])
    wanted = told_by_files([second, latest], at(4500.0))
    assert len(wanted.runs) == 2
    assert await told_by_sql(database_url, at(4500.0)) == wanted
    assert len((await told_by_sql(database_url, 1)).runs) == len([old, second, latest])


async def test_what_was_traded_is_told_when_the_rest_grew_too_old(
    database_url: str, tmp_path: Path
) -> None:
    """Entries keep their decisions; how much is gone is known, and from when on nothing is."""
    (await migrated(database_url)).terminate()
    held = [(float(n), SLUG, decision(float(n), Action.HOLD, "calm")) for n in range(50, 90)]
    rows = [(0.0, "", RUN_STARTED), *trade(10.0), *held, (95.0, SLUG, refused(95.0)), *trade(99.0)]
    run = write_like_the_worker(tmp_path, rows)
    await carry_all(database_url, tmp_path)
    database = Database(database_url)
    while await retire_batch(database, at(80.0), rows=7):
        pass
    told, whole = await told_by_sql(database_url), told_by_files([run])
    assert told.markets[0].entries == whole.markets[0].entries
    assert told.markets[0].decisions == whole.markets[0].decisions - 30
    async with database.transaction(read_only=True) as connection:
        latest = await find_latest(connection, tuple(Book))
        assert latest is not None
        for since_ns, gone in ((0, 30), (at(79.0), 30), (at(79.5), 0)):
            (found,) = await find_runs(connection, latest, since_ns)
            assert found.rows_retired == gone
    await database.close()
    later = at(79.5)
    assert await told_by_sql(database_url, later) == told_by_files([run], later)


async def test_a_page_is_all_that_is_held(database_url: str, tmp_path: Path) -> None:
    """Many refusals come in pages, many decisions that are alike as one row a span."""
    (await migrated(database_url)).terminate()
    rows: list[tuple[float, str, Body]] = []
    for n in range(900):
        rows += [(float(n), SLUG, decision(float(n))), (float(n), SLUG, refused(float(n)))]
    write_run(tmp_path, rows)
    await carry_all(database_url, tmp_path)
    database = Database(database_url)
    async with database.transaction(read_only=True) as connection:
        latest = await find_latest(connection, tuple(Book))
        assert latest is not None
        (run,) = await find_runs(connection, latest, 0)
        sizes = [
            len(batch) async for batch in read_rows(connection, run, page_rows=50, span_rows=200)
        ]
    await database.close()
    assert sum(sizes) == 900 + 9
    assert max(sizes) <= 50 + 1
