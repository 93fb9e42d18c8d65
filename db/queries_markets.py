"""The question of `markets`: the windows that are open, and what the last decision in each saw.

Must not: read a whole run's decisions for a market in which nothing was ever decided.
"""

from __future__ import annotations

from typing import Final, Literal

from db.queries import Connection, fetch_rows
from db.query_results import SessionSeen
from helpers.domain import Asset, Message, StrikeRung

ROWS_LOOKED_AT: Final = 20_000
"""Of the run's journal, from its end: some minutes of many markets."""
_OPEN_MARKETS: Final = """
SELECT m.market, m.asset::text, m.opens_ns, m.closes_ns, coalesce(m.problems, '') AS problems,
    m.strike, m.strike_rung::text, d.at_ns AS decided_ns, d.action::text,
    nullif(d.up_bid_micros, 0) AS up_bid_micros, nullif(d.up_ask_micros, 0) AS up_ask_micros,
    nullif(d.fast_mid, 0) AS fast_mid, coalesce(d.reason, '') AS reason
FROM markets m LEFT JOIN LATERAL (
    SELECT at_ns, action, up_bid_micros, up_ask_micros, fast_mid, reason
    FROM decisions
    WHERE session = $2 AND seq > $3 AND market = m.market
    ORDER BY seq DESC LIMIT 1
) d ON true
WHERE m.account = $1 AND m.opens_ns <= $4 AND m.closes_ns > $4 AND m.winner IS NULL
ORDER BY m.closes_ns, m.market
"""


class MarketSeen(Message, frozen=True):
    """One open window; what is not known is ``None``."""

    market: str
    asset: Asset | None
    opens_ns: int
    closes_ns: int
    problems: str
    """Why it is not traded, empty where it is."""
    strike: float | None
    strike_rung: StrikeRung | None
    decided_ns: int | None
    action: Literal["HOLD", "BUY", "SELL"] | None
    up_bid_micros: int | None
    up_ask_micros: int | None
    fast_mid: float | None
    reason: str


async def find_open_markets(
    connection: Connection, session: SessionSeen, at_ns: int
) -> tuple[MarketSeen, ...]:
    """Return a run's windows that are open at a moment, the next to close first."""
    begin = session.seq - ROWS_LOOKED_AT
    return await fetch_rows(
        connection, MarketSeen, _OPEN_MARKETS, session.account, session.session, begin, at_ns
    )
