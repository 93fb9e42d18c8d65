"""Pages of REST lists: cursors and the envelope around rows (protocol reference B.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

FIRST_CURSOR: Final = "MA=="
LAST_CURSOR: Final = "LTE="
PAGE_ROWS_MAX: Final = 500
"""Rows of one page of orders or trades."""
_Row = TypeVar("_Row")


def page_of(rows: tuple[_Row, ...], cursor: str) -> tuple[tuple[_Row, ...], str]:
    """Return the rows of a page and the cursor after it; raise ``ValueError`` for a bad cursor."""
    try:
        start = int(base64.b64decode(cursor or FIRST_CURSOR, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"cursor was {cursor!r}, expected one of an earlier page") from error
    end = start + PAGE_ROWS_MAX
    if start < 0:
        return (), LAST_CURSOR
    more = end < len(rows)
    following = base64.b64encode(str(end).encode()).decode() if more else LAST_CURSOR
    return rows[start:end], following


def page_envelope(rows: Sequence[object], following: str) -> str:
    """Return rows in the venue's envelope."""
    return msgspec.json.encode(
        {"data": rows, "next_cursor": following, "limit": PAGE_ROWS_MAX, "count": len(rows)}
    ).decode()
