"""Typed questions of the report: performance by what it has in common, execution, calibration.

Like the views of the schema, but of one account and any span of time. Must not: write.
"""

from __future__ import annotations

from typing import Final

from db.queries import (
    Connection,
    fetch_rows,
    find_equity_before,
    find_refusals,
    find_sessions,
    find_totals,
    find_trips,
    span,
)
from db.query_results import (
    Book,
    CalibrationBin,
    Drift,
    EquityPoint,
    Execution,
    HoldSeen,
    Performance,
    ReportRead,
    Scope,
    SessionSeen,
    UnexplainedOrder,
)
from helpers.domain import NS_PER_SECOND

POINTS_MAXIMUM: Final = 1500
"""Of an equity curve: more than a screen has pixels would only make the file larger."""
TRIPS_SHOWN: Final = 200
HOLDS_SHOWN: Final = 50
SAMPLE_NS: Final = 30 * NS_PER_SECOND
"""Decisions of one market within so much time are one sample: they are nearly the same twice a
second, and counting each would make every bin look certain."""
MINUTE_NS: Final = 60 * NS_PER_SECOND
_ASSET: Final = "asset::text"
_OUTCOME: Final = "outcome::text"
_ASSET_OUTCOME: Final = "asset::text || ' ' || outcome::text"
_HOUR: Final = "to_char(opened_at AT TIME ZONE 'UTC', 'HH24')"
_DAY: Final = "utc_day::text"
_ENTRY_PRICE: Final = "to_char(least(entry_price_micros / 50000, 19) * 5, 'FM00')"
_HOLD: Final = "to_char(width_bucket(hold_seconds, ARRAY[10,30,60,120,300,600,900,1800]), 'FM0')"

_PERFORMANCE: Final = """
SELECT {key} AS key, count(*) AS trips, count(*) FILTER (WHERE pnl_micros > 0) AS wins,
    sum(pnl_micros)::bigint AS pnl_micros, sum(fees_micros)::bigint AS fees_micros,
    sum(cost_micros)::bigint AS cost_micros
FROM trips
WHERE account = $1 AND closed_ns >= $2 AND closed_ns < $3
GROUP BY 1
ORDER BY 1
"""
_EQUITY_EXTENT: Final = """
SELECT coalesce(min(e.at_ns), 0) AS first_ns, coalesce(max(e.at_ns), 0) AS last_ns
FROM equity e JOIN sessions s USING (session)
WHERE s.account = $1 AND e.at_ns >= $2 AND e.at_ns < $3
"""
_EQUITY: Final = """
WITH points AS (
    SELECT e.session, e.seq, e.at_ns, e.realised_micros, e.unrealised_micros, e.cash_micros,
        e.at_ns / $4 AS part
    FROM equity e JOIN sessions s USING (session)
    WHERE s.account = $1 AND e.at_ns >= $2 AND e.at_ns < $3
), parts AS (
    SELECT session, part, max(seq) AS seq,
        min(realised_micros + unrealised_micros) AS lowest_micros,
        max(realised_micros + unrealised_micros) AS highest_micros
    FROM points
    GROUP BY session, part
)
SELECT p.session, p.at_ns, p.realised_micros, p.unrealised_micros, p.cash_micros,
    parts.lowest_micros, parts.highest_micros
FROM parts JOIN points p USING (session, seq)
ORDER BY p.session, p.seq
"""
_EXECUTION: Final = """
SELECT book::text, opens, style::text, count(*) AS orders,
    count(*) FILTER (WHERE filled_micros > 0) AS filled,
    count(*) FILTER (WHERE state = 'rejected') AS rejected,
    count(*) FILTER (WHERE state = 'unknown') AS unknown,
    sum(filled_micros)::double precision / nullif(sum(shares_micros), 0) AS filled_part,
    (sum(slippage_micros::numeric * filled_micros)
        / nullif(sum(filled_micros) FILTER (WHERE slippage_micros IS NOT NULL), 0)
    )::double precision AS slippage_micros,
    coalesce(sum(fee_micros), 0)::bigint AS fees_micros,
    sum(fee_micros)::double precision * 1000000 / nullif(sum(filled_micros), 0)
        AS fee_micros_a_share,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY answer_milliseconds) AS answer_milliseconds_p50,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY answer_milliseconds) AS answer_milliseconds_p99,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY fill_milliseconds) AS fill_milliseconds_p50,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY fill_milliseconds) AS fill_milliseconds_p99
FROM order_quality
WHERE account = ANY ($4) AND created_ns >= $2 AND created_ns < $3
    AND opens IS NOT NULL AND style IS NOT NULL
GROUP BY account, book, opens, style
ORDER BY account <> $1, opens DESC, style
"""
_COUNTERPART: Final = """
SELECT account FROM sessions WHERE book = $1::text::book ORDER BY session DESC LIMIT 1
"""
_CALIBRATION: Final = """
WITH told AS (
    SELECT DISTINCT ON (d.session, d.market, d.at_ns / $4)
        d.market, m.winner = 'up' AS won,
        (coalesce(d.forecast_up, d.probability_buy
            / nullif(d.probability_buy + d.probability_sell, 0)))::double precision AS probability,
        (d.up_bid_micros + d.up_ask_micros) / 2e6::double precision AS quoted,
        d.forecast_up IS NOT NULL AS forecast
    FROM decisions d
    JOIN sessions s USING (session)
    JOIN markets m ON m.account = s.account AND m.market = d.market
    WHERE s.account = $1 AND d.at_ns >= $2 AND d.at_ns < $3 AND m.winner IS NOT NULL
        AND d.up_bid_micros > 0 AND d.up_ask_micros > 0
        AND (d.forecast_up IS NOT NULL OR d.probability_buy + d.probability_sell > 0)
    ORDER BY d.session, d.market, d.at_ns / $4, d.seq
)
SELECT least(floor(probability * 10)::integer, 9) AS bin, count(*) AS samples,
    count(DISTINCT market) AS markets,
    avg(probability) AS probability, avg(quoted) AS quoted,
    count(*) FILTER (WHERE won) AS won,
    sum((probability - won::integer) ^ 2) AS policy_error,
    sum((quoted - won::integer) ^ 2) AS quoted_error,
    count(*) FILTER (WHERE forecast) AS forecasts
FROM told
GROUP BY 1
ORDER BY 1
"""
_DRIFT: Final = """
WITH quality AS (
    SELECT account, asset, outcome, count(*) AS orders,
        count(*) FILTER (WHERE filled_micros > 0) AS filled,
        (sum(slippage_micros::numeric * filled_micros)
            / nullif(sum(filled_micros) FILTER (WHERE slippage_micros IS NOT NULL), 0)
        )::double precision AS slippage_micros
    FROM order_quality
    WHERE opens AND account IN ($1, $4) AND created_ns >= $2 AND created_ns < $3
    GROUP BY account, asset, outcome
), performance AS (
    SELECT account, asset, outcome, count(*) AS trips,
        sum(pnl_micros)::double precision * 1000000 / sum(shares_micros) AS pnl_micros_a_share,
        (sum(entry_price_micros::numeric * shares_micros) / sum(shares_micros))::double precision
            AS entry_price_micros
    FROM trips
    WHERE account IN ($1, $4) AND closed_ns >= $2 AND closed_ns < $3
    GROUP BY account, asset, outcome
), figures AS (
    SELECT q.account, q.asset, q.outcome, coalesce(p.trips, 0) AS trips,
        q.filled::double precision / q.orders AS filled_part, q.slippage_micros,
        p.pnl_micros_a_share, p.entry_price_micros
    FROM quality q LEFT JOIN performance p USING (account, asset, outcome)
)
SELECT p.asset::text, p.outcome::text, p.trips AS paper_trips, l.trips AS live_trips,
    p.pnl_micros_a_share AS paper_pnl_micros_a_share,
    l.pnl_micros_a_share AS live_pnl_micros_a_share,
    p.slippage_micros AS paper_slippage_micros, l.slippage_micros AS live_slippage_micros,
    p.filled_part AS paper_filled_part, l.filled_part AS live_filled_part,
    p.entry_price_micros AS paper_entry_price_micros,
    l.entry_price_micros AS live_entry_price_micros
FROM figures p JOIN figures l USING (asset, outcome)
WHERE p.account = $5 AND l.account = $6
ORDER BY p.asset, p.outcome
"""
_UNEXPLAINED: Final = """
SELECT u.intent_id, coalesce(u.order_id, '') AS order_id, u.problem, o.reason::text,
    coalesce(o.market, '') AS market
FROM unexplained_orders u LEFT JOIN orders o USING (account, intent_id)
WHERE u.account = $1
ORDER BY o.created_ns, u.intent_id
LIMIT 1000
"""
_HOLD_CHANGES: Final = """
SELECT h.cause::text, h.change::text, h.at_ns, h.trading::text, h.detail
FROM halts h JOIN sessions s USING (session)
WHERE s.account = $1 AND h.at_ns >= $2 AND h.at_ns < $3
ORDER BY h.session DESC, h.seq DESC
LIMIT $4
"""


async def read_report(connection: Connection, latest: SessionSeen, scope: Scope) -> ReportRead:
    """Return all that a report shows of a scope."""
    other = await connection.fetchval(_COUNTERPART, scope.book.counterpart.value)
    return ReportRead(
        scope=scope,
        latest=latest,
        sessions=await find_sessions(connection, scope),
        totals=await find_totals(connection, scope),
        equity_before=await find_equity_before(connection, scope.account, scope.since_ns),
        equity=await find_equity(connection, scope),
        by_day=await _performance(connection, scope, _DAY),
        by_asset=await _performance(connection, scope, _ASSET),
        by_outcome=await _performance(connection, scope, _OUTCOME),
        by_asset_outcome=await _performance(connection, scope, _ASSET_OUTCOME),
        by_hour=await _performance(connection, scope, _HOUR),
        by_entry_price=await _performance(connection, scope, _ENTRY_PRICE),
        by_hold=await _performance(connection, scope, _HOLD),
        execution=await find_execution(connection, scope, other),
        refusals=await find_refusals(connection, scope),
        calibration=await find_calibration(connection, scope),
        drift=() if other is None else await find_drift(connection, scope, other),
        unexplained=await find_unexplained(connection, scope.account),
        holds=await fetch_rows(connection, HoldSeen, _HOLD_CHANGES, *span(scope), HOLDS_SHOWN),
        trips=await find_trips(connection, scope, TRIPS_SHOWN),
    )


async def find_equity(connection: Connection, scope: Scope) -> tuple[EquityPoint, ...]:
    """Return the equity of a scope in at most ``POINTS_MAXIMUM`` intervals, or one a run more."""
    extent = await connection.fetchrow(_EQUITY_EXTENT, *span(scope))
    assert extent is not None, "an aggregate without groups has one row"
    long_ns = extent["last_ns"] - extent["first_ns"]
    part_ns = max(MINUTE_NS // 2, -(-long_ns // POINTS_MAXIMUM))
    return await fetch_rows(connection, EquityPoint, _EQUITY, *span(scope), part_ns)


async def find_execution(
    connection: Connection, scope: Scope, other: int | None
) -> tuple[Execution, ...]:
    """Return how orders of an account were filled, and then those of its counterpart."""
    accounts = [scope.account] if other is None else [scope.account, other]
    return await fetch_rows(connection, Execution, _EXECUTION, *span(scope), accounts)


async def find_calibration(connection: Connection, scope: Scope) -> tuple[CalibrationBin, ...]:
    """Return probabilities of Up against what won, in markets that are resolved."""
    return await fetch_rows(connection, CalibrationBin, _CALIBRATION, *span(scope), SAMPLE_NS)


async def find_drift(connection: Connection, scope: Scope, other: int) -> tuple[Drift, ...]:
    """Return what both accounts traded, side by side."""
    ours = scope.book in (Book.PAPER, Book.DEMO_PAPER)
    paper, live = (scope.account, other) if ours else (other, scope.account)
    return await fetch_rows(connection, Drift, _DRIFT, *span(scope), other, paper, live)


async def find_unexplained(connection: Connection, account: int) -> tuple[UnexplainedOrder, ...]:
    """Return what must be empty: orders and fills of an account that nothing explains."""
    return await fetch_rows(connection, UnexplainedOrder, _UNEXPLAINED, account)


async def _performance(connection: Connection, scope: Scope, key: str) -> tuple[Performance, ...]:
    sql = _PERFORMANCE.format(key=key)
    return await fetch_rows(connection, Performance, sql, *span(scope))
