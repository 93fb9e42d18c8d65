"""Typed questions to the database: which run, what state it is in, what it traded.

Every question is of one account (``Scope``), so that books never mix. The questions of the report
are in ``db.queries_report``. Must not: write, or round (micro-units stay integers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias, TypeVar

import asyncpg
import msgspec

from db.query_results import (
    Book,
    EquityPoint,
    HoldSeen,
    OpenPosition,
    OrderCount,
    Refusals,
    Scope,
    SessionSeen,
    ShadowSeen,
    StatusRead,
    Totals,
    Trip,
)
from helpers.domain import NS_PER_SECOND, Message

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ALL_TIME_NS: Final = (1 << 63) - 1
DAY_NS: Final = 86_400 * NS_PER_SECOND
_Row = TypeVar("_Row", bound=Message)

_SESSIONS: Final = """
SELECT s.session, s.account, s.book::text, s.run, coalesce(s.strategy, '') AS strategy,
    coalesce((
        SELECT c.model_id FROM model_promotions c
        WHERE c.session = s.session ORDER BY c.seq DESC LIMIT 1
    ), s.model_id, '') AS model_id, coalesce(s.feature_version, '') AS feature_version,
    coalesce(s.build_id, '') AS build_id, coalesce(s.settings_digest, '') AS settings_digest,
    coalesce(s.started_ns, 0) AS started_ns, coalesce(s.heartbeat_ns, 0) AS heartbeat_ns,
    coalesce(s.stopped_ns, 0) AS stopped_ns, coalesce(s.stop_reason, '') AS stop_reason,
    p.seq, p.finished, p.rows_lost, p.rows_unknown, p.damage,
    (SELECT count(*) FROM projection_faults f WHERE f.session = s.session) AS rows_refused,
    (extract(epoch FROM p.projected_at) * 1000000)::bigint * 1000 AS projected_ns,
    (SELECT count(*) FROM accounts a WHERE a.book = s.book AND a.account <> s.account)
        AS other_accounts,
    (SELECT coalesce(sum(r.rows), 0)::bigint FROM retired_rows r WHERE r.session = s.session)
        AS rows_retired
FROM sessions s JOIN projections p USING (session)
"""
_LATEST: Final = f"""{_SESSIONS}
WHERE s.book = ANY ($1::text[]::book[])
-- A start that was refused before its first row (no model, no tape) does not hide the last run.
ORDER BY (p.finished AND s.started_ns IS NULL), s.session DESC
LIMIT 1
"""
_WITHIN: Final = f"""{_SESSIONS}
WHERE s.account = $1 AND s.heartbeat_ns >= $2 AND s.started_ns < $3
ORDER BY s.session
"""
_HOLDS: Final = """
SELECT DISTINCT ON (h.cause) h.cause::text, h.change::text, h.at_ns, h.trading::text, h.detail
FROM halts h JOIN sessions s USING (session)
WHERE s.account = $1
ORDER BY h.cause, h.session DESC, h.seq DESC
"""
_LATEST_HOLDS: Final = """
SELECT DISTINCT ON (cause) cause::text, change::text, at_ns, trading::text, detail
FROM halts
WHERE session = $1
ORDER BY cause, seq DESC
"""
_OPEN_POSITIONS: Final = """
SELECT market, asset::text, outcome::text, shares_micros, cost_micros,
    coalesce(opened_ns, 0) AS opened_ns, coalesce(deadline_ns, 0) AS deadline_ns
FROM open_positions
WHERE account = $1
ORDER BY opened_ns
"""
_EQUITY_NOW: Final = """
SELECT e.session, e.at_ns, e.realised_micros, e.unrealised_micros, e.cash_micros,
    e.realised_micros + e.unrealised_micros AS lowest_micros,
    e.realised_micros + e.unrealised_micros AS highest_micros
FROM equity e JOIN sessions s USING (session)
WHERE s.account = $1 AND e.at_ns < $2
ORDER BY e.session DESC, e.seq DESC
LIMIT 1
"""
_TOTALS: Final = """
SELECT count(*) AS trips,
    count(*) FILTER (WHERE pnl_micros > 0) AS wins,
    coalesce(sum(pnl_micros), 0)::bigint AS pnl_micros,
    coalesce(sum(fees_micros), 0)::bigint AS fees_micros,
    coalesce(sum(cost_micros), 0)::bigint AS cost_micros,
    coalesce(sum(pnl_micros) FILTER (WHERE pnl_micros > 0), 0)::bigint AS won_micros,
    coalesce(sum(pnl_micros) FILTER (WHERE pnl_micros <= 0), 0)::bigint AS lost_micros,
    coalesce(max(pnl_micros), 0) AS best_micros,
    coalesce(min(pnl_micros), 0) AS worst_micros,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY hold_seconds) AS hold_seconds_median,
    (SELECT count(*) FROM decisions d JOIN sessions s USING (session)
        WHERE s.account = $1 AND d.at_ns >= $2 AND d.at_ns < $3) AS decisions,
    (SELECT count(*) FROM orders o
        WHERE o.account = $1 AND o.created_ns >= $2 AND o.created_ns < $3) AS orders,
    (SELECT count(*) FROM safety_events e JOIN sessions s USING (session)
        WHERE s.account = $1 AND e.item = 0 AND e.at_ns >= $2 AND e.at_ns < $3) AS refusals
FROM trips
WHERE account = $1 AND closed_ns >= $2 AND closed_ns < $3
"""
_ORDER_COUNTS: Final = """
SELECT state::text, count(*) AS orders
FROM orders
WHERE account = $1 AND created_ns >= $2 AND created_ns < $3
GROUP BY state
ORDER BY state
"""
_REFUSALS: Final = """
SELECT e.kind::text, e.rule,
    count(*) FILTER (WHERE e.item = 0) AS refusals,
    count(*) AS times_broken,
    count(DISTINCT e.market) AS markets,
    min(e.at_ns) AS first_ns, max(e.at_ns) AS last_ns
FROM safety_events e JOIN sessions s USING (session)
WHERE s.account = $1 AND e.at_ns >= $2 AND e.at_ns < $3
GROUP BY e.kind, e.rule
ORDER BY refusals DESC, times_broken DESC, e.rule
"""
_TRIPS: Final = """
SELECT run, market, asset::text, outcome::text, shares_micros, entry_price_micros, cost_micros,
    proceeds_micros, fees_micros, pnl_micros, opened_ns, closed_ns, hold_seconds, how::text
FROM trips
WHERE account = $1 AND closed_ns >= $2 AND closed_ns < $3
ORDER BY session DESC, seq DESC
LIMIT $4
"""

_SHADOW_WINDOWS: Final = """
SELECT shadow, coalesce(strategy, '') AS strategy, market, asset::text, opens_ns, closes_ns, up_won,
    pnl_micros, fees_micros, cost_micros, trips, wins, champion_pnl_micros, champion_fees_micros,
    champion_cost_micros, champion_trips, champion_wins
FROM champion_windows
WHERE account = $1 AND at_ns >= $2 AND at_ns < $3
ORDER BY session, seq
"""


async def hold_still(connection: Connection) -> None:
    """Let all questions of this transaction see one moment; call before the first of them."""
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


async def fetch_rows(
    connection: Connection, row: type[_Row], sql: str, *values: object
) -> tuple[_Row, ...]:
    """Return what a question answers, each row as its message."""
    return tuple(row_of(row, found) for found in await connection.fetch(sql, *values))


def row_of(row: type[_Row], found: asyncpg.Record) -> _Row:
    """Return one row of an answer as its message; raises ``msgspec.ValidationError``."""
    return msgspec.convert(dict(found.items()), row)


def scope_of(session: SessionSeen, since_ns: int = 0, until_ns: int = ALL_TIME_NS) -> Scope:
    """Return the scope of a run's account, from one moment up to another."""
    return Scope(session.account, session.book, since_ns, until_ns)


async def find_latest(connection: Connection, books: Sequence[Book]) -> SessionSeen | None:
    """Return the run of some books that was begun last, ``None`` where there is none.

    One that never began is returned only where there is no other.
    """
    found = await fetch_rows(connection, SessionSeen, _LATEST, [book.value for book in books])
    return found[0] if found else None


async def find_sessions(connection: Connection, scope: Scope) -> tuple[SessionSeen, ...]:
    """Return the runs of a scope, oldest first."""
    return await fetch_rows(connection, SessionSeen, _WITHIN, *span(scope))


async def find_trips(connection: Connection, scope: Scope, last: int) -> tuple[Trip, ...]:
    """Return the latest round trips that ended in a scope, newest first."""
    return await fetch_rows(connection, Trip, _TRIPS, *span(scope), last)


async def find_shadow_windows(connection: Connection, scope: Scope) -> tuple[ShadowSeen, ...]:
    """Return each shadow's windows that were resolved in a scope, in order of time."""
    return await fetch_rows(connection, ShadowSeen, _SHADOW_WINDOWS, *span(scope))


async def find_totals(connection: Connection, scope: Scope) -> Totals:
    """Return the sums of a scope."""
    (totals,) = await fetch_rows(connection, Totals, _TOTALS, *span(scope))
    return totals


async def find_refusals(connection: Connection, scope: Scope) -> tuple[Refusals, ...]:
    """Return what was refused in a scope, most often first."""
    return await fetch_rows(connection, Refusals, _REFUSALS, *span(scope))


async def find_equity_before(
    connection: Connection, account: int, before_ns: int
) -> EquityPoint | None:
    """Return the last equity of an account before a moment."""
    found = await fetch_rows(connection, EquityPoint, _EQUITY_NOW, account, before_ns)
    return found[0] if found else None


async def read_status(connection: Connection, session: SessionSeen, now_ns: int) -> StatusRead:
    """Return what ``status`` shows of a run; a demo's day is that of its own time."""
    moment_ns = session.heartbeat_ns if session.book.is_demo else now_ns
    midnight_ns = moment_ns - moment_ns % DAY_NS
    today = scope_of(session, midnight_ns, midnight_ns + DAY_NS)
    positions = await fetch_rows(connection, OpenPosition, _OPEN_POSITIONS, session.account)
    counts = await fetch_rows(connection, OrderCount, _ORDER_COUNTS, *span(today))
    return StatusRead(
        session=session,
        holds=await _holds_that_stand(connection, session),
        positions=positions,
        today=await find_totals(connection, today),
        orders_today=counts,
        refusals_today=await find_refusals(connection, today),
        equity=await find_equity_before(connection, session.account, ALL_TIME_NS),
    )


async def _holds_that_stand(connection: Connection, session: SessionSeen) -> tuple[HoldSeen, ...]:
    # What passes by itself ends with its process; the rest stands over restarts.
    stand = await fetch_rows(connection, HoldSeen, _HOLDS, session.account)
    latched = [hold for hold in stand if hold.cause.latched]
    passing: list[HoldSeen] = []
    if not session.stopped_ns and not session.finished:
        own = await fetch_rows(connection, HoldSeen, _LATEST_HOLDS, session.session)
        passing = [hold for hold in own if not hold.cause.latched]
    return tuple(hold for hold in (*latched, *passing) if hold.change == "held")


def span(scope: Scope) -> tuple[int, int, int]:
    """Return the first three parameters of a question about a scope."""
    return scope.account, scope.since_ns, scope.until_ns
