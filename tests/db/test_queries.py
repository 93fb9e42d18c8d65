"""What questions answer of journals that were carried over, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from db.queries import (
    Connection,
    find_latest,
    find_sessions,
    find_totals,
    find_trips,
    read_status,
    scope_of,
)
from db.queries_report import POINTS_MAXIMUM, find_equity, find_unexplained, read_report
from db.query_results import Book, ReportRead, SessionSeen
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Accepted,
    Equity,
    HaltChanged,
    HoldCause,
    Mode,
    ModelChanged,
    Outcome,
    TradingState,
)
from tests.db.journals import carry_all, migrated, write_run
from tests.journal_samples import RUN_STARTED, SLUG, at, intent
from tests.report_samples import closed, story

EVERY_BOOK = tuple(Book)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """Return a connection to a database with the schema and no rows."""
    opened = await migrated(database_url)
    yield opened
    await opened.close()


async def latest_of(connection: Connection, *books: Book) -> SessionSeen:
    found = await find_latest(connection, books or EVERY_BOOK)
    assert found is not None
    return found


async def report_of(connection: Connection, since_ns: int = 0) -> ReportRead:
    latest = await latest_of(connection)
    return await read_report(connection, latest, scope_of(latest, since_ns))


async def test_nothing_has_run_yet(connection: Connection) -> None:
    """An empty database answers with nothing, not with an error."""
    assert await find_latest(connection, EVERY_BOOK) is None


async def test_a_run_that_ended_is_told_as_stopped(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Status: who ran, what it came to that day, what stands."""
    write_run(tmp_path, story())
    await carry_all(database_url, tmp_path)
    latest = await latest_of(connection)
    assert (latest.book, latest.strategy, latest.build_id) == (Book.PAPER, "rl", "b1")
    assert latest.state_at(at(10_000)) == "stopped"
    assert latest.state_text("stopped") == "stopped: tape ended"
    read = await read_status(connection, latest, at(340))
    assert (read.today.trips, read.today.wins, read.today.pnl_micros) == (2, 1, -190_000)
    assert [(r.rule, r.refusals) for r in read.refusals_today] == [
        ("spread_ceiling", 2),
        ("depth", 1),
    ]
    assert [(c.state, c.orders) for c in read.orders_today] == [("filled", 2)]
    assert [(h.cause, h.trading) for h in read.holds] == [(HoldCause.OPERATOR, TradingState.HALTED)]
    assert read.equity is not None
    assert read.equity.realised_micros == -190_000
    tomorrow = await read_status(connection, latest, at(86_400))
    assert (tomorrow.today.trips, tomorrow.refusals_today) == (0, ())


async def test_a_run_without_an_end_is_killed_or_silent_never_running(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Stale state never passes for live: no stop, and nobody who writes."""
    write_run(tmp_path, story(ends=False))
    await carry_all(database_url, tmp_path)
    latest = await latest_of(connection)
    assert latest.state_at(at(330)) == "killed"
    written = replace(latest, finished=False)
    assert written.state_at(latest.heartbeat_ns + 119 * NS_PER_SECOND) == "running"
    assert written.state_at(latest.heartbeat_ns + 121 * NS_PER_SECOND) == "silent"


async def test_a_start_that_was_refused_does_not_hide_the_last_run(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """A mistyped MODEL_DIRECTORY left an empty run, told as killed 56 years ago."""
    empty = write_run(tmp_path, [])
    await carry_all(database_url, tmp_path)
    assert (await latest_of(connection)).started_ns == 0, "there is no other"
    write_run(tmp_path, story())
    write_run(tmp_path, [])
    await carry_all(database_url, tmp_path)
    latest = await latest_of(connection)
    assert latest.started_ns
    assert latest.state_at(at(10_000)) == "stopped"
    assert latest.session > 1, empty


async def test_what_passes_by_itself_does_not_outlive_its_process(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """A lost lease ends with its worker; an operator's halt stands over restarts."""
    rows = [
        (0.0, "", RUN_STARTED),
        (1.0, "", HaltChanged("held", "lease", "", TradingState.REDUCING, "")),
        (2.0, "", HaltChanged("held", "operator", "", TradingState.HALTED, "h1")),
        (3.0, "", HaltChanged("held", "mismatch", "", TradingState.HALTED, "")),
        (4.0, "", HaltChanged("released", "mismatch", "", TradingState.HALTED, "")),
    ]
    write_run(tmp_path, rows)
    write_run(tmp_path, [(10.0, "", RUN_STARTED)])
    await carry_all(database_url, tmp_path)
    read = await read_status(connection, await latest_of(connection), at(11))
    assert [hold.cause for hold in read.holds] == [HoldCause.OPERATOR]
    held = replace(read.session, session=1, finished=False)
    running = await read_status(connection, held, at(11))
    assert [hold.cause for hold in running.holds] == [HoldCause.OPERATOR, HoldCause.LEASE]


async def test_books_and_demos_never_mix(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Paper, live and each demo are accounts of their own."""
    write_run(tmp_path / "own", story())
    write_run(tmp_path / "own", story(), Mode.LIVE)
    await carry_all(database_url, tmp_path / "own")
    for _ in range(2):
        write_run(tmp_path / "demo", story())
    await carry_all(database_url, tmp_path / "demo", demo=True)
    latest = await latest_of(connection)
    assert (latest.book, latest.other_accounts) == (Book.DEMO_PAPER, 1)
    for book in (Book.PAPER, Book.LIVE, Book.DEMO_PAPER):
        of_book = await latest_of(connection, book)
        scope = scope_of(of_book)
        assert (await find_totals(connection, scope)).trips == 2
        assert len(await find_sessions(connection, scope)) == 1


async def test_a_report_has_every_part(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Each question answers what the rows say."""
    write_run(tmp_path, story())
    await carry_all(database_url, tmp_path)
    read = await report_of(connection)
    assert [(p.key, p.pnl_micros) for p in read.by_outcome] == [("down", -500_000), ("up", 310_000)]
    assert [(p.key, p.trips, p.wins) for p in read.by_asset] == [("BTC", 2, 1)]
    assert [p.key for p in read.by_asset_outcome] == ["BTC down", "BTC up"]
    assert [(p.key, p.trips) for p in read.by_hour] == [("00", 2)]
    assert [(p.key, p.trips) for p in read.by_entry_price] == [("50", 2)]
    assert [(p.key, p.trips) for p in read.by_hold] == [("2", 2)]
    assert [p.key for p in read.by_day] == ["2026-03-28"]
    assert (read.totals.won_micros, read.totals.lost_micros) == (310_000, -500_000)
    assert (read.totals.best_micros, read.totals.worst_micros) == (310_000, -500_000)
    assert (read.totals.orders, read.totals.refusals, read.totals.decisions) == (2, 3, 5)
    assert [p.realised_micros for p in read.equity] == [0, -190_000]
    (entries,) = read.execution
    assert (entries.book, entries.orders, entries.filled, entries.slippage_micros) == (
        *(Book.PAPER, 2, 2),
        0.0,
    )
    assert entries.answer_milliseconds_p50 == pytest.approx(200.0)
    assert (read.unexplained, read.drift) == ((), ())
    assert [hold.cause for hold in read.holds] == [HoldCause.OPERATOR]
    assert [trip.pnl_micros for trip in read.trips] == [-500_000, 310_000]


async def test_calibration_samples_a_market_once_in_half_a_minute(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Two decisions a second are not two witnesses; a forecast goes before the actions."""
    write_run(tmp_path, story())
    await carry_all(database_url, tmp_path)
    told = (await report_of(connection)).calibration
    assert [(one.bin, one.samples, one.markets, one.won) for one in told] == [(7, 4, 1, 4)]
    (one,) = told
    # Of the two trades' decisions 0.7 / (0.7 + 0.2), then two forecasts of 0.75.
    assert one.probability == pytest.approx((2 * 7 / 9 + 2 * 0.75) / 4)
    assert one.forecasts == 2
    assert one.policy_error == pytest.approx(2 * (2 / 9) ** 2 + 2 * 0.25**2)
    assert one.quoted_error == pytest.approx(4 * 0.475**2)


async def test_a_span_cuts_everything(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """What lies before a span is not counted; the curve knows where it began."""
    write_run(tmp_path, story())
    await carry_all(database_url, tmp_path)
    read = await report_of(connection, at(60))
    assert (read.totals.trips, read.totals.orders) == (1, 1)
    assert [point.realised_micros for point in read.equity] == [-190_000]
    assert read.equity_before is not None
    assert read.equity_before.realised_micros == 0
    latest = await latest_of(connection)
    trips = await find_trips(connection, scope_of(latest, 0, at(60)), 10)
    assert [trip.outcome for trip in trips] == [Outcome.UP]


async def test_paper_and_live_are_laid_side_by_side(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Drift: the same asset and side in both books, whichever the report is of."""
    write_run(tmp_path, story())
    lost = (20.0, SLUG, closed(10, 20, -940_000, Outcome.UP))
    write_run(tmp_path, (*story(ends=False), lost), Mode.LIVE)
    await carry_all(database_url, tmp_path)
    live = await latest_of(connection, Book.LIVE)
    paper = await latest_of(connection, Book.PAPER)
    for latest in (live, paper):
        read = await read_report(connection, latest, scope_of(latest))
        (up,) = read.drift
        assert (up.outcome, up.paper_trips, up.live_trips) == (Outcome.UP, 1, 2)
        assert up.paper_pnl_micros_a_share == pytest.approx(310_000 / 9.4)
        assert up.live_pnl_micros_a_share == pytest.approx((310_000 - 940_000) / 18.8)
        assert [row.book for row in read.execution] == [latest.book, latest.book.counterpart]


async def test_an_order_without_a_verdict_is_unexplained(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """Invariant 1, as the report shows it: an answer to what nobody approved."""
    stray = Accepted(intent(50.0).intent_id, "0xdef", at(50))
    write_run(tmp_path, (*story(ends=False), (400.0, SLUG, stray)))
    await carry_all(database_url, tmp_path)
    latest = await latest_of(connection)
    (found,) = await find_unexplained(connection, latest.account)
    assert (found.intent_id, found.order_id, found.problem) == (
        *(intent(50.0).intent_id, "0xdef"),
        "no_verdict",
    )


async def test_a_long_curve_is_told_in_intervals_that_keep_their_extremes(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """A month of minutes fits a page, and the deepest minute is still in it."""
    count = 4 * POINTS_MAXIMUM
    rows = [(60.0 * n, "", Equity(0, -MICROS if n == 4001 else n, 0, 0)) for n in range(count)]
    write_run(tmp_path, [(0.0, "", RUN_STARTED), *rows])
    await carry_all(database_url, tmp_path)
    latest = await latest_of(connection)
    points = await find_equity(connection, scope_of(latest))
    assert POINTS_MAXIMUM // 2 < len(points) <= POINTS_MAXIMUM + 1
    assert min(point.lowest_micros for point in points) == -MICROS
    assert points[-1].realised_micros == count - 1


async def test_the_model_of_a_run_is_the_one_that_decides_now(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    """A promotion while it runs shows in its status; one that was refused changes nothing."""
    changed = ModelChanged("promoted", "new", RUN_STARTED.model_id, "new", "")
    refused = ModelChanged("refused", "new", "new", "bad", "a NaN")
    write_run(tmp_path, [(0.0, "", RUN_STARTED), (1.0, "", changed), (2.0, "", refused)])
    await carry_all(database_url, tmp_path)
    assert (await latest_of(connection)).model_id == "new"
    rows = await connection.fetch("SELECT * FROM model_promotions ORDER BY seq")
    found = [(r["change"], r["previous_model_id"], r["offered_model_id"], r["why"]) for r in rows]
    assert found == [
        ("promoted", RUN_STARTED.model_id, "new", ""),
        ("refused", "new", "bad", "a NaN"),
    ]
