"""Tells everything the flow does to several listeners in order, the journal before all but keepers.

A keeper makes some things durable by itself: were it told after the journal, a crash in between
would leave the row of a halt without the halt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from helpers.domain import Body
from helpers.stages import Outlet


class RowKeeper(Protocol):
    """What the flow needs of a journal (``db.journal.Journal``); an evaluation keeps no rows."""

    @property
    def seq(self) -> int:
        """Return the number of the latest row."""
        ...

    def append(self, at_ns: int, market: str, body: Body) -> object:
        """Take in one row."""
        ...

    def commit(self) -> None:
        """Return once every row survives a crash of this program."""
        ...

    def sync_soon(self) -> None:
        """Begin to put every row so far on the disk."""
        ...

    def wait_on_disk(self, seq: int) -> None:
        """Return once the row of that number is on the disk."""
        ...


class Outlets:
    """Tells everything to several listeners in order: keepers, the journal, the others."""

    def __init__(
        self, keepers: Sequence[Outlet], journal: RowKeeper, others: Sequence[Outlet]
    ) -> None:
        self._keepers = tuple(keepers)
        self._journal = journal
        self._others = tuple(others)

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Keep and journal one thing, then tell it."""
        for keeper in self._keepers:
            keeper.write(at_ns, market, body)
        self._journal.append(at_ns, market, body)
        for other in self._others:
            other.write(at_ns, market, body)

    def commit(self) -> None:
        """Return once the journal survives a crash of this program."""
        self._journal.commit()

    def start_sync(self) -> int:
        """Begin to put every row so far on the disk; return the last one's number."""
        self._journal.sync_soon()
        return self._journal.seq

    async def durable(self, ticket: int) -> None:
        """Return once the row of that number survives a power loss."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._journal.wait_on_disk, ticket)


class NoJournal:
    """Keeps no row: for flows whose results are all that is wanted of them."""

    def __init__(self) -> None:
        self.seq = 0

    def append(self, at_ns: int, market: str, body: Body) -> int:  # noqa: ARG002
        """Count one row."""
        self.seq += 1
        return self.seq

    def commit(self) -> None:
        """Keep nothing: there is nothing to lose."""

    def sync_soon(self) -> None:
        """Keep nothing: there is nothing to lose."""

    def wait_on_disk(self, seq: int) -> None:
        """Return at once."""
