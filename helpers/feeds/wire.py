"""What the wire formats share: time stamps, and reading JSON of unknown shape without raising."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from helpers.domain import NS_PER_MS, NS_PER_SECOND

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding hostile input can raise: wrong JSON or shape, bad UTF-8, too deep a nesting."""

Milliseconds = Annotated[int, Meta(ge=0, le=10**14)]
"""Milliseconds since the epoch; the limit (year 5138) refuses micro- and nanoseconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_PER_DAY: Final = 86_400
_NS_PER_MICROSECOND: Final = 1_000
_LATEST_SECONDS: Final = 10**11
"""A stamp below is in seconds (year 5138), one above in milliseconds (from 1973 on)."""

_T = TypeVar("_T")


class Wire(Struct, frozen=True, gc=False):
    """Base of the shapes on the wire: immutable, and holding no reference cycle."""


def datetime_ns(moment: datetime) -> int:
    """Return nanoseconds since the epoch; raise ``ValueError`` without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"time {moment} was without a zone, expected one")
    since = moment - _EPOCH
    seconds = since.days * _SECONDS_PER_DAY + since.seconds
    return seconds * NS_PER_SECOND + since.microseconds * _NS_PER_MICROSECOND


def iso_ns(text: str) -> int:
    """Return nanoseconds since the epoch of an ISO time with a zone (``Z``, ``+00``).

    Raise ``ValueError`` for any other text.
    """
    return datetime_ns(datetime.fromisoformat(text))


def stamp_ns(text: str) -> int:
    """Return nanoseconds of a stamp in seconds, milliseconds or ISO (reference D.2, D.4).

    Raise ``ValueError`` for any other text.
    """
    if not (text.isascii() and text.isdigit()):
        return iso_ns(text)
    number = int(text[:20])
    if number < _LATEST_SECONDS:
        return number * NS_PER_SECOND
    if number < _LATEST_SECONDS * 1_000:
        return number * NS_PER_MS
    raise ValueError(f"time stamp was {number}, expected seconds or milliseconds")


def read_json(raw: bytes | str) -> object | None:
    """Return any JSON value, or ``None`` for what is none (``null`` included: no feed sends it)."""
    try:
        return cast("object", msgspec.json.decode(raw))
    except UNREADABLE:
        return None


def as_object(value: object) -> Mapping[str, object] | None:
    """Return a JSON object, or ``None`` for any other value."""
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """Return a JSON array, or ``None`` for any other value."""
    return cast("list[object]", value) if isinstance(value, list) else None


def as_text(value: object) -> str:
    """Return a JSON string, or an empty one for any other value."""
    return value if isinstance(value, str) else ""


def read_as(value: object, kind: type[_T]) -> _T | None:
    """Return a decoded JSON value as ``kind``, numbers in strings allowed, or ``None``."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except UNREADABLE:
        return None
