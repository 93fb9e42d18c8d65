"""Asks the venues what time it is; must not set or correct any clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct, field

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Message, Source
from helpers.feeds.http import HttpReply, VenueHttp
from helpers.feeds.retry import FeedError
from helpers.feeds.wire import UNREADABLE, Milliseconds
from helpers.venues import Venues

_SECONDS_LATEST: Final = 10**11
"""A number of seconds past the year 5138 is milliseconds, and not what the venue documents."""


class SkewRow(Message, frozen=True):
    """One venue's clock minus ours; ``problem`` is empty when it could be read."""

    host: str
    skew_seconds: float
    round_trip_seconds: float
    problem: str


class _ServerTime(Struct, frozen=True):
    server_ms: Milliseconds = field(name="serverTime")


async def measure_skew(http: VenueHttp, venues: Venues, fast_source: Source) -> tuple[SkewRow, ...]:
    """Return one row a venue: the CLOB's clock (whole seconds), and Binance's if it is in use.

    The skew is the venue's time minus the middle of the round trip. Never raises a feed error: a
    clock that could not be read is a row that says so, and its numbers mean nothing.
    """
    asked: list[tuple[str, Callable[[bytes], int]]] = [(f"{venues.clob_rest}/time", _clob_ns)]
    if fast_source in (Source.BINANCE_PUBLIC, Source.BINANCE_MARKET):
        asked.append((f"{venues.binance_futures_rest}/fapi/v1/time", _binance_ns))
    elif fast_source is Source.BINANCE_SPOT:
        asked.append((f"{venues.binance_spot_rest}/api/v3/time", _binance_ns))
    return tuple([await _measure(http, url, read) for url, read in asked])


async def _measure(http: VenueHttp, url: str, read: Callable[[bytes], int]) -> SkewRow:
    try:
        reply = await http.get(url)
        venue_ns = read(reply.body)
    except (FeedError, ValueError) as failed:
        return SkewRow(url, 0.0, 0.0, str(failed) or type(failed).__name__)
    return _row(url, reply, venue_ns)


def _row(url: str, reply: HttpReply, venue_ns: int) -> SkewRow:
    middle_ns = (reply.sent_ns + reply.received_ns) // 2
    return SkewRow(
        url,
        (venue_ns - middle_ns) / NS_PER_SECOND,
        (reply.received_ns - reply.sent_ns) / NS_PER_SECOND,
        "",
    )


def _clob_ns(body: bytes) -> int:
    text = body.strip()
    if not text.isdigit() or len(text) > len(str(_SECONDS_LATEST)):
        raise ValueError(f"time was {text[:40]!r}, expected seconds since the epoch")
    # The server cuts the fraction off: half a second on average is put back.
    return int(text) * NS_PER_SECOND + NS_PER_SECOND // 2


def _binance_ns(body: bytes) -> int:
    try:
        return msgspec.json.decode(body, type=_ServerTime).server_ms * NS_PER_MS
    except UNREADABLE as error:
        raise ValueError(f"time was {body[:40]!r}, expected serverTime") from error
