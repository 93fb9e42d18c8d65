"""Numbers, times and JSON as strangers write them; it decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from helpers.domain import NS_PER_SECOND

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding a stranger's JSON can raise: wrong shape, bad UTF-8, too deep a nesting."""
_COUNT_DIGITS_MAX: Final = 18


def is_count(text: str) -> bool:
    """Return whether a text is a whole number that a client can mean: at most 18 digits."""
    return text.isascii() and text.isdecimal() and len(text) <= _COUNT_DIGITS_MAX


def instant_ns(text: str) -> int:
    """Return an ISO time (Z or an offset) in nanoseconds; raise ``ValueError`` when it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_SECOND
