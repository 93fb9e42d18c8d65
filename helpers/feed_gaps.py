"""Which feeds are lost, since when, and the row that says so or that one speaks again. Pure."""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    NS_PER_SECOND,
    Connected,
    Disconnected,
    FeedGap,
    FeedRestored,
    Source,
)

LINKS: Final = (Connected, Disconnected)


class FeedGaps:
    """Remembers one gap a feed; several connections of one source count as one feed."""

    def __init__(self) -> None:
        self._since: dict[Source, int] = {}

    def row_of(self, event: Connected | Disconnected) -> FeedGap | FeedRestored | None:
        """Return what is worth a row; the first connection of all is not."""
        if isinstance(event, Disconnected):
            self._since.setdefault(event.source, event.received_ns)
            return FeedGap(event.source, event.reason)
        since_ns = self._since.pop(event.source, 0)
        if not since_ns:
            return None
        return FeedRestored(event.source, (event.received_ns - since_ns) / NS_PER_SECOND)
