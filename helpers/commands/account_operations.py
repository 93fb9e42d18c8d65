"""A wallet's rare operations on chain, each in a child process, none once the worker stops.

Must not: block the event loop, or let a stop wait for an operation that began after it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from helpers.clob.account import (
    AccountOutcome,
    AccountRefused,
    AccountRequest,
    Operation,
    run_account_operation,
)
from helpers.commands.arming import identity_of
from helpers.settings import Settings
from helpers.venues import Venues

CHILD_SECONDS: Final = 25.0
"""Longest operation while trading: a stop waits for the one under way, and platforms kill a minute
after they asked. What comes of one that was cut short is seen at the venue."""


class AccountOperations:
    """Redeems and merges of one wallet."""

    def __init__(
        self, settings: Settings, venues: Venues, child_seconds: float = CHILD_SECONDS
    ) -> None:
        """Take whose wallet it is; nothing is started."""
        self._settings = settings
        self._venues = venues
        self._child_seconds = child_seconds
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopped = True

    async def redeem(self, condition_id: str) -> AccountOutcome:
        """Redeem both outcomes of a condition; return once it is submitted."""
        return await self._run("redeem", condition_id)

    async def merge(self, condition_id: str) -> AccountOutcome:
        """Merge all pairs of a condition; return once it is submitted."""
        return await self._run("merge", condition_id)

    async def _run(self, operation: Operation, condition_id: str) -> AccountOutcome:
        if self._stopped:
            return AccountRefused("the worker stops; the next start asks again")
        request = AccountRequest(identity_of(self._settings, self._venues), operation, condition_id)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, run_account_operation, request, self._child_seconds)
