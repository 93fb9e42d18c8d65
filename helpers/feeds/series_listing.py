"""Lists the windows of a series that cannot be named ahead; must not keep or deliver facts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from helpers.domain import NS_PER_SECOND, MarketOpened
from helpers.feeds.gamma import GammaParser
from helpers.feeds.http import VenueHttp
from helpers.feeds.retry import Unreachable
from helpers.feeds.slugs import parse_slug
from helpers.feeds.windows import ExpectedWindow, Series
from helpers.feeds.wire import UNREADABLE
from helpers.venues import Venues

PAGE_EVENTS: Final = 100
"""What the venue clamps a page to (reference F.2)."""
PAGES_MAXIMUM: Final = 40
"""All assets and lengths of ten hours are about 1,400 events."""
LAST_CURSOR: Final = "LTE="
"""The cursor that says there is no next page (reference B.2)."""


class _Page(Struct, frozen=True):
    next_cursor: str | None = None


async def list_windows(
    http: VenueHttp, venues: Venues, series: Collection[Series], from_ns: int, until_ns: int
) -> tuple[ExpectedWindow, ...]:
    """Return the open windows of these series that end in a span of time, soonest first.

    ``GET /events/keyset`` by tag and end date, page by page; the series filter of the venue returns
    stale events (reference F.2). Raises as ``VenueHttp.get``, and ``Unreachable`` for a page that
    is none.
    """
    url = f"{venues.gamma_rest}/events/keyset"
    found: dict[str, ExpectedWindow] = {}
    cursor = ""
    for _ in range(PAGES_MAXIMUM):
        query: list[tuple[str, str | int]] = [
            ("tag_slug", "up-or-down"),
            ("closed", "false"),
            ("end_date_min", _iso(from_ns)),
            ("end_date_max", _iso(until_ns)),
            ("limit", PAGE_EVENTS),
        ]
        if cursor:
            query.append(("after_cursor", cursor))
        reply = await http.get(url, tuple(query))
        try:
            following = msgspec.json.decode(reply.body, type=_Page).next_cursor
        except UNREADABLE as error:
            raise Unreachable(url, f"page was unreadable: {error}") from error
        for event in GammaParser().parse(reply.body, 0):
            if isinstance(event, MarketOpened):
                _keep(event, series, found)
        if not following or following in (LAST_CURSOR, cursor):
            break
        cursor = following
    return tuple(sorted(found.values(), key=lambda window: (window.closes_ns, window.slug)))


def _keep(
    event: MarketOpened, series: Collection[Series], found: dict[str, ExpectedWindow]
) -> None:
    named = parse_slug(event.market.slug)
    if named is not None and Series(named.asset, named.window_seconds) in series:
        found[event.market.slug] = ExpectedWindow(event.market.slug, event.market.closes_ns)


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
