"""Removes decisions and refusals that are too old; whatever was traded stays explained for ever.

How many were removed is kept, so that rows can still be counted against the journal's, and up to
which moment, so that who asks about later ones knows that all of them are here. Must not: remove a
decision that an order was made of, or anything about money.
"""

from __future__ import annotations

from typing import Final

from db.connection import Database

BATCH_ROWS: Final = 5000
"""Removed in one transaction, so that the projector behind it does not wait."""


async def retire_batch(database: Database, before_ns: int, rows: int = BATCH_ROWS) -> int:
    """Remove some of what is older than a moment; return how many rows, 0 when all is done.

    A demo's own time is simulated: it is as old as its last projection. Raises
    ``DatabaseUnavailableError``.
    """
    async with database.transaction() as connection:
        sessions = await connection.fetch(_OLD_SESSIONS, before_ns)
        for session in sessions:
            limit_ns = session["limit_ns"]
            for statement in (_RETIRE_DECISIONS, _RETIRE_REFUSALS):
                gone = await connection.fetchval(statement, session["session"], limit_ns, rows)
                if gone:
                    return int(gone)
    return 0


_OLD_SESSIONS: Final = """
SELECT session,
    CASE WHEN book IN ('paper', 'live') THEN $1::bigint ELSE 9223372036854775807 END AS limit_ns
FROM sessions JOIN projections USING (session)
WHERE CASE WHEN book IN ('paper', 'live')
    THEN started_ns IS NULL OR started_ns < $1
    ELSE projected_at < moment($1) END
ORDER BY session
"""
_NOTE: Final = """
INSERT INTO retired_rows (session, kind, rows, until_ns)
SELECT $1, kind, count(*), max(at_ns) FROM gone WHERE leads GROUP BY kind
ON CONFLICT (session, kind) DO UPDATE SET
    rows = retired_rows.rows + EXCLUDED.rows,
    until_ns = greatest(retired_rows.until_ns, EXCLUDED.until_ns)
"""
_RETIRE_DECISIONS: Final = f"""
WITH gone AS (
    DELETE FROM decisions WHERE session = $1 AND seq IN (
        SELECT d.seq FROM decisions d
        WHERE d.session = $1 AND d.at_ns < $2 AND NOT EXISTS (
            SELECT FROM orders o WHERE o.approved_session = $1 AND o.decision_seq = d.seq
        )
        LIMIT $3
    )
    RETURNING 'decision' AS kind, true AS leads, at_ns
), noted AS ({_NOTE})
SELECT count(*) FROM gone
"""  # noqa: S608 - our own words
_RETIRE_REFUSALS: Final = f"""
WITH gone AS (
    DELETE FROM safety_events WHERE session = $1 AND seq IN (
        SELECT seq FROM safety_events WHERE session = $1 AND at_ns < $2 AND item = 0 LIMIT $3
    )
    RETURNING kind::text AS kind, item = 0 AS leads, at_ns
), noted AS ({_NOTE})
SELECT count(*) FROM gone
"""  # noqa: S608 - our own words
