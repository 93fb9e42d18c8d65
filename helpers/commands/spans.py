"""Moments as people type them: an hour ago, seven days ago, a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from helpers.domain import NS_PER_SECOND

EXPECTED: Final = "1h, 30m, 7d, 90 (seconds) or an ISO time"
LAST_MOMENT_NS: Final = 2**63 - 1
"""Of a journal's rows and the database's: later is never."""
_SECONDS_OF_UNIT: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d{1,9})([smhd]?)")


def parse_moment_ns(text: str, last_ns: int) -> int | None:
    """Return a moment: so long before ``last_ns``, or an ISO time, UTC unless it says otherwise.

    ``None`` where it is neither.
    """
    if match := _DURATION.fullmatch(text):
        return max(1, last_ns - int(match[1]) * _SECONDS_OF_UNIT[match[2]] * NS_PER_SECOND)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(1, round(moment.timestamp() * NS_PER_SECOND)), LAST_MOMENT_NS)
