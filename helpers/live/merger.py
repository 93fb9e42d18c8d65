"""Turns pairs of both outcomes into dollars before the close: a way out without a fee (H.6).

Both are held when a sale failed after the other side was bought, or when the wallet's owner bought
by hand. It only asks; that a merge happened is seen when the books are compared. Must not: merge
while an order of ours is alive in that market, or what is not settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from helpers.clob.account import AccountOutcome, AccountRefused
from helpers.clock import Clock
from helpers.domain import MICROS, NS_PER_SECOND, Body, MergeAsked, Outcome
from helpers.live.orders import LiveOrders
from helpers.live.ports import BooksOwner
from helpers.logs import Log

LOOK_SECONDS: Final = 5.0
AGAIN_NS: Final = 120 * NS_PER_SECOND
"""From one request in a market to the next: a merge takes seconds to be mined and seen."""
MINIMUM_MICROS: Final = MICROS
"""Pairs worth less than a dollar wait for the resolution."""
MARKETS_MAXIMUM: Final = 64

Merge = Callable[[str], Awaitable[AccountOutcome]]
"""Merges all pairs of a condition; returns once it is submitted."""


class PendingMerges:
    """Owner of what was asked for and not seen yet, by market."""

    def __init__(self) -> None:
        self.pairs: dict[str, int] = {}

    def on_row(self, row: MergeAsked) -> None:
        """Take in a request, or its end."""
        if row.pairs_micros:
            self.pairs[row.market] = row.pairs_micros
        else:
            self.pairs.pop(row.market, None)
        while len(self.pairs) > MARKETS_MAXIMUM:
            del self.pairs[next(iter(self.pairs))]

    def carried(self) -> tuple[MergeAsked, ...]:
        """Return them, for whoever goes on after us."""
        return tuple(MergeAsked(slug, pairs) for slug, pairs in self.pairs.items())

    def take_over(self, rows: Iterable[MergeAsked]) -> None:
        """Go on with an earlier run's."""
        for row in rows:
            self.on_row(row)


class Merger:
    """Asks for merges."""

    def __init__(
        self,
        merge: Merge,
        pending: PendingMerges,
        orders: LiveOrders,
        books: BooksOwner,
        clock: Clock,
        write: Callable[[int, str, Body], None],
        log: Log,
    ) -> None:
        self._merge = merge
        self._pending = pending
        self._orders = orders
        self._books = books
        self._clock = clock
        self._write = write
        self._log = log
        self._asked_ns: dict[str, int] = {}

    async def run(self) -> None:
        """Look for pairs until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> None:
        """Ask for the merge of every market that holds pairs."""
        now_ns = self._clock.now_ns()
        for slug, pairs in self._pairs().items():
            market = self._books.market(slug)
            if market is None or now_ns >= market.closes_ns or slug in self._orders.markets():
                continue
            if now_ns - self._asked_ns.get(slug, 0) < AGAIN_NS:
                continue
            recent = {s: ns for s, ns in self._asked_ns.items() if now_ns - ns < AGAIN_NS}
            self._asked_ns = {**recent, slug: now_ns}
            self._tell(slug, pairs)
            outcome = await self._merge(market.condition_id)
            if isinstance(outcome, AccountRefused):
                self._tell(slug, 0)
            self._log.info(
                "merge_asked", market=slug, pairs=pairs / MICROS, outcome=type(outcome).__name__
            )

    def _tell(self, slug: str, pairs: int) -> None:
        row = MergeAsked(slug, pairs)
        self._pending.on_row(row)
        self._write(self._clock.now_ns(), slug, row)

    def _pairs(self) -> dict[str, int]:
        settled: dict[str, list[int]] = {}
        for position in self._books.positions():
            settled.setdefault(position.market, []).append(position.shares_settled_micros)
        return {
            slug: min(amounts)
            for slug, amounts in settled.items()
            if len(amounts) == len(Outcome) and min(amounts) >= MINIMUM_MICROS
        }
