"""Puts a projection's rows into their tables, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import asyncpg

from db.projection import Projection
from db.projection_changes import Value
from db.projection_tables import EVENT_COLUMNS, ORDERS, STATE_TABLES, StateTable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
DECISION_ROWS_BACK: Final = 1000
"""How far before a verdict its decision is looked for: a tick writes both within a few rows."""


async def write_events(connection: Connection, projection: Projection) -> None:
    """Add the rows of event tables."""
    for table, rows in projection.events.items():
        if rows:
            await connection.copy_records_to_table(
                table, records=rows, columns=EVENT_COLUMNS[table]
            )


async def merge_things(connection: Connection, projection: Projection, account: int) -> None:
    """Merge what was said of markets, orders and trades into their rows."""
    for table in STATE_TABLES:
        things = projection.things[table]
        if things:
            columns = [list(column) for column in zip(*things, strict=True)]
            columns += [[words.get(name) for words in things.values()] for name, _ in table.columns]
            await connection.execute(_MERGES[table], account, *columns)
    await _note_decisions(connection, projection, account)


async def note_session(connection: Connection, projection: Projection, session: int) -> None:
    """Write what was said of the run itself."""
    words: Mapping[str, Value] = projection.session_words
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(words, start=2))
    await connection.execute(
        f"UPDATE sessions SET {sets} WHERE session = $1",  # noqa: S608 - our own names
        session,
        *words.values(),
    )


async def _note_decisions(connection: Connection, projection: Projection, account: int) -> None:
    approved = [
        key[0] for key, words in projection.things[ORDERS].items() if "approved_seq" in words
    ]
    if approved:
        await connection.execute(_NOTE_DECISIONS, account, approved, DECISION_ROWS_BACK)


def _merge(table: StateTable) -> str:
    names = (*table.key, *(name for name, _ in table.columns))
    types = (*("text" for _ in table.key), *(kind for _, kind in table.columns))
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, start=2))
    sets = ", ".join(_latest(table, name) for name, _ in table.columns)
    return (
        f"INSERT INTO {table.name} AS known (account, {', '.join(names)}) "  # noqa: S608
        f"SELECT $1, * FROM unnest({arrays}) "
        f"ON CONFLICT (account, {', '.join(table.key)}) DO UPDATE SET {sets}"
    )


def _latest(table: StateTable, name: str) -> str:
    said, known = f"EXCLUDED.{name}", f"known.{name}"
    order = (known, said) if name in table.first else (said, known)
    return f"{name} = coalesce({', '.join(order)})"


_MERGES: Final = {table: _merge(table) for table in STATE_TABLES}
_NOTE_DECISIONS: Final = """
UPDATE orders SET
    decision_seq = found.seq,
    decision_up_bid_micros = found.up_bid_micros,
    decision_up_ask_micros = found.up_ask_micros,
    decided = found.at_ns = orders.created_ns
FROM orders AS o CROSS JOIN LATERAL (
    SELECT d.seq, d.at_ns, d.up_bid_micros, d.up_ask_micros
    FROM decisions d
    WHERE d.session = o.approved_session AND d.market = o.market
        AND d.seq BETWEEN o.approved_seq - $3::bigint AND o.approved_seq
    ORDER BY d.seq DESC
    LIMIT 1
) AS found
WHERE o.account = $1 AND o.intent_id = ANY ($2::text[])
    AND orders.account = o.account AND orders.intent_id = o.intent_id
"""
