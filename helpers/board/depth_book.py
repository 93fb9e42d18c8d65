"""A fast market's sequenced depth: snapshot plus continuous diffs, or nothing at all.

Must not: show levels whose sequence is broken.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from helpers.domain import DepthChange, DepthSnapshot, PriceSize

MAXIMUM_BUFFERED: Final = 2_048
"""Diffs kept while a snapshot is awaited: 100 s at one every 50 ms; older ones fall out, and a
snapshot that needs them is found too old."""
MAXIMUM_LEVELS: Final = 8_192
"""Levels a side; at twice the snapshot's reach the far ones are stale leftovers, so the far half
is cut."""


class DepthBook:
    """Bids and asks by price, in step with the venue's update ids."""

    __slots__ = ("_asks", "_best_ask", "_best_bid", "_bids", "_buffer", "_last_id", "_linked",
                 "synchronised")  # fmt: skip

    def __init__(self) -> None:
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._best_bid = 0.0
        self._best_ask = 0.0
        self._buffer: deque[DepthChange] = deque(maxlen=MAXIMUM_BUFFERED)
        self._last_id = 0
        self._linked = False
        """Whether a diff was already joined to the snapshot."""
        self.synchronised = False

    @property
    def last_update_id(self) -> int:
        """Return the id up to which the book is true; 0 while unsynchronised."""
        return self._last_id if self.synchronised else 0

    def best(self) -> tuple[PriceSize, PriceSize] | None:
        """Return best bid and ask with their sizes; ``None`` while unsynchronised or one-sided."""
        if not self.synchronised or not self._bids or not self._asks:
            return None
        bid, ask = self._best_bid, self._best_ask
        return (bid, self._bids[bid]), (ask, self._asks[ask])

    def snapshot(self, event: DepthSnapshot) -> bool:
        """Start from a snapshot and apply what was buffered; return whether it was usable.

        A snapshot older than the buffer is refused: the diffs between are lost (reference 3.3).
        """
        if self.synchronised and event.last_update_id <= self._last_id:
            return True
        buffered = tuple(self._buffer)
        self._buffer.clear()
        self._bids = {price: size for price, size in event.bids if size > 0.0}
        self._asks = {price: size for price, size in event.asks if size > 0.0}
        self._best_bid = max(self._bids, default=0.0)
        self._best_ask = min(self._asks, default=0.0)
        self._last_id = event.last_update_id
        self._linked = False
        self.synchronised = True
        for index, change in enumerate(buffered):
            if not self.change(change):
                self._buffer.extend(buffered[index + 1 :])
                return False
        return True

    def change(self, event: DepthChange) -> bool:
        """Apply or buffer a diff; return False when it showed that diffs were lost."""
        if not self.synchronised:
            self._buffer.append(event)
            return True
        last_id = self._last_id
        if event.last_update_id <= last_id:
            return True
        if self._linked:
            continuous = event.previous_update_id == last_id
        else:
            # The first diff either spans the snapshot or continues it exactly (reference 3.1).
            spans = event.first_update_id <= last_id + 1 <= event.last_update_id + 1
            continuous = spans or event.previous_update_id == last_id
        if not continuous:
            self.synchronised = False
            self._buffer.clear()
            self._buffer.append(event)
            return False
        self._apply(event)
        self._linked = True
        self._last_id = event.last_update_id
        return True

    def _apply(self, event: DepthChange) -> None:
        bids, asks = self._bids, self._asks
        best = self._best_bid
        for price, size in event.bids:
            if size > 0.0:
                bids[price] = size
                best = max(best, price)
            else:
                bids.pop(price, None)
        self._best_bid = best if best in bids else max(bids, default=0.0)
        best = self._best_ask
        for price, size in event.asks:
            if size > 0.0:
                asks[price] = size
                if price < best or not best:
                    best = price
            else:
                asks.pop(price, None)
        self._best_ask = best if best in asks else min(asks, default=0.0)
        if len(bids) > MAXIMUM_LEVELS or len(asks) > MAXIMUM_LEVELS:
            self._cut()

    def _cut(self) -> None:
        half = MAXIMUM_LEVELS // 2
        self._bids = {price: self._bids[price] for price in sorted(self._bids)[-half:]}
        self._asks = {price: self._asks[price] for price in sorted(self._asks)[:half]}
