"""The projection backwards: a run's rows, in their order, as ``db.explain`` takes them.

Read page by page from the event tables, each by its key (session, seq), and put in order here: what
is held at once is a page of each, whatever the length of the run. Nothing here outlives a
transaction, so that a pooler before the server does no harm. Must not: write, or judge what it
reads.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

from db.explain import Row
from db.projection_inverse import (
    Maker,
    alike_rows,
    answer_body,
    decision_rows,
    fill_body,
    halt_body,
    health_body,
    market_body,
    model_body,
    order_body,
    position_body,
    refusal_rows,
    rows_with,
    run_rows,
    settlement_body,
    unread_rows,
)
from db.queries import Connection, fetch_rows
from db.query_results import RunRead, SessionSeen
from helpers.domain import FEATURE_NAMES

PAGE_ROWS: Final = 2000
"""Rows of one table that are held at once; a decision takes about a kilobyte."""
SPAN_ROWS: Final = 20_000
"""Rows of a run whose decisions are counted by the server at once: two minutes' worth of reasons
that differ take a few megabytes, a policy that gives none some dozens of rows."""

_FEATURES: Final = ", ".join(FEATURE_NAMES)
_INVALID: Final = " AND ".join(f"{name} = 0" for name in FEATURE_NAMES)
_TRADED: Final = f"""
SELECT seq, at_ns, market, action::text, probability_hold, probability_buy, probability_sell,
    value, model_id, reason, {_FEATURES}, cold, up_bid_micros, up_ask_micros, fast_mid,
    seconds_to_close, forecast_up
FROM decisions
WHERE session = $1 AND seq > $2
    AND seq IN (SELECT decision_seq FROM orders WHERE approved_session = $1)
ORDER BY seq
LIMIT $3
"""  # noqa: S608 - our own names
_DECISIONS: Final = f"""
SELECT min(seq) AS seq, min(at_ns), market, told, CASE WHEN told THEN action::text END AS action,
    CASE WHEN told THEN reason END AS reason, told AND invalid AS invalid,
    count(*) FILTER (WHERE at_ns >= $4), max(at_ns)
FROM (
    SELECT seq, at_ns, market, action, reason,
        at_ns >= $4::bigint AND ($5::text = '' OR market = $5) AS told,
        action = 'HOLD' AND reason <> '' AND {_INVALID} AS invalid
    FROM decisions d
    WHERE session = $1 AND seq > $2 AND seq <= $3 AND NOT EXISTS (
        SELECT FROM orders o WHERE o.approved_session = $1 AND o.decision_seq = d.seq
    )
) AS untraded
GROUP BY market, told, 5, 6, 7
ORDER BY seq
"""  # noqa: S608 - our own names
_REFUSALS: Final = """
SELECT seq, at_ns, market, kind::text, rule, limit_number, limit_text, found_number, found_text,
    outcome::text, side::text, opens
FROM safety_events
WHERE session = $1 AND seq IN (
    SELECT seq FROM safety_events
    WHERE session = $1 AND seq > $2 AND item = 0
        AND at_ns >= $4::bigint AND ($5::text = '' OR market = $5)
    ORDER BY seq
    LIMIT $3
)
ORDER BY seq, item
"""
_UNREAD_REFUSALS: Final = """
SELECT min(seq) AS seq, min(at_ns), market, count(*) FILTER (WHERE at_ns >= $4::bigint), max(at_ns)
FROM safety_events
WHERE session = $1 AND seq > $2 AND seq <= $3 AND item = 0
    AND (at_ns < $4 OR ($5::text <> '' AND market <> $5))
GROUP BY market
ORDER BY seq
"""
_ORDERS: Final = """
SELECT e.seq, e.at_ns, e.market, e.state::text, e.intent_id, e.order_id, e.detail, e.missed,
    e.remaining_shares_micros, o.token, o.outcome::text, o.side::text, o.price_limit_micros,
    o.shares_micros, o.style::text, o.opens, o.reason::text, o.created_ns, o.expires_ns,
    o.deadline_ns
FROM order_events e
LEFT JOIN orders o ON o.account = $4 AND o.intent_id = e.intent_id AND e.state = 'approved'
WHERE e.session = $1 AND e.seq > $2
ORDER BY e.seq
LIMIT $3
"""
_FILLS: Final = """
SELECT e.seq, e.at_ns, e.market, e.trade_id, e.order_id, e.status::text, f.intent_id,
    f.outcome::text, f.side::text, f.shares_micros, f.price_micros, f.fee_micros, f.maker, f.opens,
    f.deadline_ns
FROM fill_events e
JOIN fills f ON f.account = $4 AND f.trade_id = e.trade_id AND f.order_id = e.order_id
WHERE e.session = $1 AND e.seq > $2
ORDER BY e.seq
LIMIT $3
"""
_POSITIONS: Final = """
SELECT seq, closed_ns AS at_ns, market, asset::text, outcome::text, shares_micros, cost_micros,
    proceeds_micros, fees_micros, pnl_micros, opened_ns, closed_ns, how::text, entry_price_micros
FROM positions
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""
_SETTLEMENTS: Final = """
SELECT seq, at_ns, market, outcome::text, won, shares_micros, payout_micros, cost_micros
FROM settlements
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""
_MARKETS: Final = """
SELECT e.seq, e.at_ns, e.market, e.kind::text, e.strike, e.strike_rung::text, e.winner::text,
    e.final_price, e.source::text, e.problems, m.condition_id, m.asset::text, m.opens_ns,
    m.closes_ns, m.up_token, m.down_token, m.tick_micros, m.minimum_shares_micros, m.fee_rate_ppm,
    m.fee_exponent, m.fee_taker_only
FROM market_events e
LEFT JOIN markets m ON m.account = $4 AND m.market = e.market AND e.kind = 'market_seen'
WHERE e.session = $1 AND e.seq > $2
ORDER BY e.seq
LIMIT $3
"""
_HALTS: Final = """
SELECT seq, at_ns, '' AS market, change::text, cause::text, trading::text, detail, request_id
FROM halts
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""
_ANSWERS: Final = """
SELECT seq, at_ns, '' AS market, request_id, verb::text, trading::text, done, detail
FROM operator_answers
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""
_MODELS: Final = """
SELECT seq, at_ns, '' AS market, change::text, model_id, previous_model_id, offered_model_id, why
FROM model_promotions
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""
_HEALTH: Final = """
SELECT seq, at_ns, market, kind::text, source::text, detail
FROM health_events
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""
_COUNTED: Final = """
SELECT seq, at_ns, market FROM (
    SELECT session, seq, at_ns, market FROM redemptions
    UNION ALL SELECT session, seq, at_ns, market FROM exits
    UNION ALL SELECT session, seq, at_ns, market FROM alerts
    UNION ALL SELECT session, seq, at_ns, market FROM shadow_windows
    UNION ALL SELECT session, seq, at_ns, '' FROM equity
    UNION ALL SELECT session, seq, at_ns, '' FROM checkpoints
    UNION ALL SELECT session, seq, at_ns, '' FROM cash_adjustments
    UNION ALL SELECT session, seq, at_ns, '' FROM reconciliations
) AS counted
WHERE session = $1 AND seq > $2
ORDER BY seq
LIMIT $3
"""


class Part(NamedTuple):
    """One table's part of a run.

    The question takes a session, the number after which to go on, how many rows to give at most
    (or the last number, of a part by spans), and then the ``parameters``: of ``account``,
    ``since_ns`` and ``market``.
    """

    sql: str
    make: Maker
    parameters: tuple[str, ...] = ()
    by_spans: bool = False


PARTS: Final = (
    Part(_DECISIONS, alike_rows, ("since_ns", "market"), by_spans=True),
    Part(_TRADED, decision_rows),
    Part(_REFUSALS, refusal_rows, ("since_ns", "market")),
    Part(_UNREAD_REFUSALS, unread_rows, ("since_ns", "market"), by_spans=True),
    Part(_ORDERS, rows_with(order_body), ("account",)),
    Part(_FILLS, rows_with(fill_body), ("account",)),
    Part(_POSITIONS, rows_with(position_body)),
    Part(_SETTLEMENTS, rows_with(settlement_body)),
    Part(_MARKETS, rows_with(market_body), ("account",)),
    Part(_HALTS, rows_with(halt_body)),
    Part(_ANSWERS, rows_with(answer_body)),
    Part(_MODELS, rows_with(model_body)),
    Part(_HEALTH, rows_with(health_body)),
    Part(_COUNTED, rows_with(lambda _: None)),
)
"""Every event table once: together all rows but the first and the last (kept by a test)."""

_RUNS: Final = """
SELECT s.session, s.account, s.key::text, s.mode::text, s.run, s.heartbeat_ns,
    s.strategy, s.model_id, s.feature_version, s.settings_digest, s.build_id, s.tape,
    s.started_seq, s.started_ns, s.stopped_seq, s.stopped_ns, s.stop_reason,
    s.trades, s.pnl_micros, s.fees_micros, s.decisions, s.refusals,
    p.seq, p.rows_lost, p.rows_unknown, p.damage,
    (SELECT count(*) FROM projection_faults f WHERE f.session = s.session) AS rows_refused,
    (SELECT coalesce(sum(r.rows), 0)::bigint FROM retired_rows r
        WHERE r.session = s.session AND (r.until_ns IS NULL OR r.until_ns >= $3)) AS rows_retired
FROM sessions s JOIN projections p USING (session)
WHERE s.account = $1 AND s.session <= $2
    AND (s.session = $2 OR ($3 > 0 AND s.heartbeat_ns >= $3))
ORDER BY s.session
"""


async def find_runs(
    connection: Connection, latest: SessionSeen, since_ns: int
) -> tuple[RunRead, ...]:
    """Return a run and those of its account before it that reach a moment; 0 for itself only."""
    return await fetch_rows(connection, RunRead, _RUNS, latest.account, latest.session, since_ns)


async def read_rows(
    connection: Connection,
    run: RunRead,
    since_ns: int = 0,
    market: str = "",
    *,
    page_rows: int = PAGE_ROWS,
    span_rows: int = SPAN_ROWS,
) -> AsyncIterator[list[Row]]:
    """Yield a run's rows in order, some at a time; of decisions that are alike the first one.

    Decisions and refusals of before a moment and of other markets than one, where either is given,
    are only counted, except for what orders were made of: one of before may still be a position.
    """
    values = {"account": run.account, "since_ns": since_ns, "market": market}
    streams = [
        _Stream(connection, part, run, values, span_rows if part.by_spans else page_rows)
        for part in PARTS
    ]
    ahead = run_rows(run)
    while True:
        for stream in streams:
            await stream.fill()
        # What lies beyond what one stream knows may have rows before it there.
        known = [stream.known_seq for stream in streams if not stream.ended]
        until = min(known) if known else None
        batch = [row for stream in streams for row in stream.take(until)]
        batch += [row for row in ahead if until is None or row.seq <= until]
        ahead = [row for row in ahead if until is not None and row.seq > until]
        batch.sort(key=_seq)
        if batch:
            yield batch
        if until is None:
            return


class _Stream:
    """One part of a run, a page or a span at a time."""

    def __init__(
        self,
        connection: Connection,
        part: Part,
        run: RunRead,
        values: Mapping[str, int | str],
        size_rows: int,
    ) -> None:
        self._connection = connection
        self._part = part
        self._run = run
        self._values = tuple(values[name] for name in part.parameters)
        self._size_rows = size_rows
        self._rows: list[Row] = []
        self.known_seq = 0
        """Up to there all rows were read."""
        self.ended = False

    async def fill(self) -> None:
        """Read on when all that was read is taken."""
        while not self._rows and not self.ended:
            part, after = self._part, self.known_seq
            limit = after + self._size_rows if part.by_spans else self._size_rows
            found = await self._connection.fetch(
                part.sql, self._run.session, after, limit, *self._values
            )
            self._rows = part.make(found, self._run.mode)
            if part.by_spans:
                self.known_seq, self.ended = limit, limit >= self._run.seq
            else:
                self.known_seq = self._rows[-1].seq if self._rows else after
                self.ended = len(self._rows) < self._size_rows

    def take(self, until: int | None) -> list[Row]:
        """Return the rows up to a number, all without one; they are not here any more."""
        count = len(self._rows) if until is None else bisect_right(self._rows, until, key=_seq)
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken


def _seq(row: Row) -> int:
    return row.seq
