"""Micro-units and times as the venue spells them; it knows no message."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from helpers.domain import MICROS, NS_PER_MS, NS_PER_SECOND

PRICE_CACHE_ENTRIES: Final = 16_384
"""Above the 9,999 prices of the finest grid, so that every price is spelled once."""
NS_PER_MICROSECOND: Final = 1_000


def micros_text(micros: int) -> str:
    """Return micro-units as the shortest decimal, as the venue writes prices and sizes."""
    whole, part = divmod(micros, MICROS)
    if part == 0:
        return str(whole)
    return f"{whole}.{part:06d}".rstrip("0")


price_text = lru_cache(maxsize=PRICE_CACHE_ENTRIES)(micros_text)
"""``micros_text`` for prices, which repeat."""


def milliseconds_text(at_ns: int) -> str:
    """Return a moment in milliseconds since the epoch."""
    return str(at_ns // NS_PER_MS)


def seconds_text(at_ns: int) -> str:
    """Return a moment in seconds since the epoch."""
    return str(at_ns // NS_PER_SECOND)


def iso_text(at_ns: int) -> str:
    """Return a moment as Gamma writes window times: whole seconds, Z."""
    return _utc(at_ns).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_micro_text(at_ns: int) -> str:
    """Return a moment as Gamma writes creation times: microseconds, Z."""
    return _utc(at_ns).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def closed_time_text(at_ns: int) -> str:
    """Return a moment in Gamma's other form, used for ``closedTime`` (reference F.3)."""
    return _utc(at_ns).strftime("%Y-%m-%d %H:%M:%S+00")


def date_text(at_ns: int) -> str:
    """Return the UTC date of a moment."""
    return _utc(at_ns).strftime("%Y-%m-%d")


def _utc(at_ns: int) -> datetime:
    # Whole microseconds: a float of nanoseconds would lose the last digits.
    seconds, rest_ns = divmod(at_ns, NS_PER_SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // NS_PER_MICROSECOND)
