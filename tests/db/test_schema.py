"""The schema: what the migrations make, the words of the code, and what the views show."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args, get_type_hints

import asyncpg
import msgspec
import pytest

from db.connection import Database
from db.projection_tables import EVENT_COLUMNS, STATE_TABLES
from db.retention import retire_batch
from helpers.domain import (
    MICROS,
    Action,
    AlertKind,
    AlertOutcome,
    AlertSeverity,
    Asset,
    BookHealth,
    ExitEnded,
    FillStatus,
    HoldCause,
    IntentReason,
    Mode,
    OperatorVerb,
    OrderState,
    OrderStyle,
    Outcome,
    RoundTrip,
    Side,
    Source,
    StrikeRung,
    TradingState,
)
from helpers.live.claims import ClaimState
from tests.db.journals import carry_all, counts_in, counts_of, migrated, trade, write_run
from tests.journal_samples import (
    MARKET_SEEN,
    RUN_STARTED,
    SETTLED,
    SLUG,
    at,
    decision,
    fill,
    refused,
)

SCHEMA = Path(__file__).resolve().parents[2] / "db" / "schema.sql"
CATALOGUE = """
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
    pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND c.relname !~ '^schema_migr'
UNION ALL SELECT 'view', viewname, definition, '', '', '' FROM pg_views
WHERE schemaname = 'public'
UNION ALL SELECT 'index', indexname, indexdef, '', '', '' FROM pg_indexes
WHERE schemaname = 'public' AND tablename !~ '^schema_migr'
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid), '', '', '' FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ '^schema_migr'
UNION ALL SELECT 'enum', t.typname, e.enumlabel, e.enumsortorder::text, '', ''
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
UNION ALL SELECT 'function', proname, pg_get_functiondef(oid), '', '', '' FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'comment', classoid::regclass::text, coalesce(description, ''), '', '', ''
FROM pg_description WHERE objoid IN (
    SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
)
ORDER BY 1, 2, 3, 4, 5, 6
"""
LABELS: dict[str, type[enum.Enum]] = {
    "alert_kind": AlertKind,
    "alert_outcome": AlertOutcome,
    "alert_severity": AlertSeverity,
    "asset": Asset,
    "claim_state": ClaimState,
    "feed_source": Source,
    "fill_status": FillStatus,
    "hold_cause": HoldCause,
    "intent_reason": IntentReason,
    "operator_verb": OperatorVerb,
    "order_style": OrderStyle,
    "outcome": Outcome,
    "run_mode": Mode,
    "side": Side,
    "strike_rung": StrikeRung,
    "trading_state": TradingState,
}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Return a connection to a database with the schema."""
    connection = await migrated(database_url)
    yield connection
    await connection.close()


async def labels(connection: asyncpg.Connection[asyncpg.Record], name: str) -> list[str]:
    """Return an enumeration's words."""
    rows = await connection.fetch(f"SELECT unnest(enum_range(NULL::{name}))::text AS word")
    return [row["word"] for row in rows]


async def test_the_schema_is_the_sum_of_the_migrations(
    server_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """db/schema.sql makes the same catalogue as all migrations in order."""
    await connection.execute("CREATE DATABASE whole_schema")
    other = await asyncpg.connect(server_url.replace("@/postgres?", "@/whole_schema?"))
    try:
        await other.execute(SCHEMA.read_text())
        wanted = [tuple(row) for row in await connection.fetch(CATALOGUE)]
        found = [tuple(row) for row in await other.fetch(CATALOGUE)]
    finally:
        await other.close()
        await connection.execute("DROP DATABASE whole_schema")
    assert len(wanted) > 300
    assert found == wanted


async def test_enumerations_have_the_words_of_the_code(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """A word that was added to the code without a migration is found here (I17)."""
    for name, words in LABELS.items():
        assert set(await labels(connection, name)) == {str(word.value) for word in words}, name


async def test_words_without_an_enumeration_of_the_code(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """Literals and names of actions, too."""
    assert await labels(connection, "policy_action") == [action.name for action in Action]
    assert set(await labels(connection, "order_state")) > {state.value for state in OrderState}
    for name, body, field in (
        ("trip_end", RoundTrip, "how"),
        ("exit_end", ExitEnded, "how"),
        ("book_state", BookHealth, "state"),
    ):
        allowed = get_args(get_type_hints(body)[field])
        assert await labels(connection, name) == list(allowed)


async def test_the_projections_columns_are_the_tables(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    """Nothing that a table requires is left out by its rows."""
    tables = {
        **EVENT_COLUMNS,
        **{t.name: (*t.key, *(n for n, _ in t.columns)) for t in STATE_TABLES},
    }
    for name, columns in tables.items():
        rows = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = $1 "
            "AND is_generated = 'NEVER'",
            name,
        )
        wanted = {str(row["column_name"]) for row in rows} - {"account"}
        # Looked up in the database, from the decision before the verdict.
        wanted -= {column for column in wanted if column.startswith("decision_")} | {"decided"}
        assert set(columns) == wanted, name


async def test_an_open_position_is_what_trades_and_pay_outs_leave(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Bought twice, one trade failed, then paid out: open, then gone."""
    failed = msgspec.structs.replace(
        fill(20.3, trade_id="bad", intent_seconds=10.0), status=FillStatus.FAILED
    )
    rows = [(0.0, "", RUN_STARTED), (1.0, SLUG, MARKET_SEEN), *trade(10.0), (21.0, SLUG, failed)]
    write_run(tmp_path, rows)
    await carry_all(database_url, tmp_path)
    (position,) = await connection.fetch("SELECT * FROM open_positions")
    assert (position["shares_micros"], position["cost_micros"]) == (9_400_000, 5_142_000)
    assert (position["asset"], position["opened_ns"]) == ("BTC", at(10.3))
    write_run(tmp_path, [(99.0, "", RUN_STARTED), (100.0, SLUG, SETTLED)])
    await carry_all(database_url, tmp_path)
    assert await connection.fetch("SELECT * FROM open_positions") == []


async def test_quality_is_against_the_best_price_at_the_decision(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """One cent worse than the ask that the decision saw, 200 ms to the answer, paper and live."""
    write_run(tmp_path, [(0.0, "", RUN_STARTED), (1.0, SLUG, MARKET_SEEN), *trade(10.0)])
    live = trade(10.0, price_micros=540_000)
    write_run(tmp_path, [(0.0, "", RUN_STARTED), (1.0, SLUG, MARKET_SEEN), *live], Mode.LIVE)
    await carry_all(database_url, tmp_path)
    rows = await connection.fetch("SELECT * FROM execution_quality ORDER BY book")
    paper, real = rows
    assert (paper["slippage_micros"], real["slippage_micros"]) == (0.0, 10_000.0)
    assert real["answer_milliseconds_p50"] == pytest.approx(200.0)
    assert real["fee_micros_a_share"] == pytest.approx(160_000 * MICROS / 9_400_000)
    (drift,) = await connection.fetch("SELECT * FROM paper_live_drift")
    assert (drift["asset"], drift["slippage_drift_micros"]) == ("BTC", 10_000.0)


@pytest.mark.parametrize(
    ("left_out", "problem"),
    [("decision", "no_decision"), ("approved", "no_verdict"), ("order", "no_order")],
)
async def test_what_is_not_explained_is_shown(
    database_url: str,
    connection: asyncpg.Connection[asyncpg.Record],
    tmp_path: Path,
    left_out: str,
    problem: str,
) -> None:
    """An order without its decision or verdict, a trade without its order."""
    rows = trade(10.0)
    kept = {"decision": rows[1:], "approved": rows[2:], "order": rows[3:4]}[left_out]
    write_run(tmp_path, [(0.0, "", RUN_STARTED), *kept])
    await carry_all(database_url, tmp_path)
    found = await connection.fetch("SELECT problem FROM unexplained_orders")
    assert [row["problem"] for row in found] == [problem]


async def test_an_order_of_real_money_was_signed_first(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """I20: an order that was sent without its row is not explained."""
    write_run(tmp_path, [(0.0, "", RUN_STARTED), *trade(10.0)], Mode.LIVE)
    await carry_all(database_url, tmp_path)
    found = await connection.fetch("SELECT book, problem FROM unexplained_orders")
    assert [tuple(row) for row in found] == [("live", "not_signed")]


async def test_old_detail_goes_and_what_was_traded_stays(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """Retention: rows are still counted, and every order still has its decision."""
    rows = [(float(second), SLUG, decision(float(second))) for second in range(50, 90)]
    refusals = [(float(second), SLUG, refused(float(second))) for second in range(90, 110)]
    write_run(tmp_path, [(0.0, "", RUN_STARTED), *trade(10.0), *rows, *refusals])
    await carry_all(database_url, tmp_path)
    database, gone = Database(database_url), 0
    while removed := await retire_batch(database, at(100.0), rows=7):
        gone += removed
    await database.close()
    assert gone == 50
    assert await connection.fetchval("SELECT count(*) FROM decisions") == 1
    assert await connection.fetchval("SELECT count(*) FROM safety_events") == 10
    assert await connection.fetch("SELECT * FROM unexplained_orders") == []
    assert await counts_in(connection) == counts_of(tmp_path)
