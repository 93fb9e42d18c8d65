"""Times as clients write them in queries, in nanoseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime

from helpers.domain import NS_PER_SECOND


def instant_ns(text: str) -> int:
    """Return an ISO time (Z or an offset) in nanoseconds; raise ``ValueError`` when it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_SECOND
