"""Turns won positions into dollars, one at a time, until the venue shows none of their shares.

Idempotent: it looks before it acts, so a claim that was paid by anybody is done (reference H.5).
Must not: count a submitted redemption as money.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from helpers.clob.account import AccountOutcome, AccountRefused, AccountUnknown
from helpers.clob.messages import Balance, RequestFailedError
from helpers.clock import Clock
from helpers.domain import Body, CarriedClaim, ClaimChanged
from helpers.live.claims import Claims, ClaimState

LOOK_SECONDS: Final = 1.0

Redeem = Callable[[str], Awaitable[AccountOutcome]]
"""Redeems both outcomes of a condition; returns once it is submitted."""


class BalanceGateway(Protocol):
    """What the venue shows of the wallet."""

    async def balance(self, token: str = "") -> Balance:
        """Return a balance; raises ``RequestFailedError``."""
        ...

    async def refresh_balance(self, token: str = "") -> None:
        """Let the venue look at the chain again; raises ``RequestFailedError``."""
        ...


class Redeemer:
    """Works off the claims."""

    def __init__(
        self,
        claims: Claims,
        gateway: BalanceGateway,
        redeem: Redeem,
        write: Callable[[int, str, Body], None],
        clock: Clock,
    ) -> None:
        self._claims = claims
        self._gateway = gateway
        self._redeem = redeem
        self._write = write
        self._clock = clock

    async def run(self) -> None:
        """Redeem until cancelled."""
        while True:
            claim = self._claims.due(self._clock.now_ns())
            if claim is None:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                await self.step(claim)

    async def step(self, claim: CarriedClaim) -> None:
        """Take one claim one step further."""
        try:
            await self._gateway.refresh_balance(claim.token)
            shown = (await self._gateway.balance(claim.token)).balance_micros
        except RequestFailedError as failed:
            self._tell(self._claims.postponed(claim.token, failed.reason, self._clock.now_ns()))
            return
        self._tell(self._claims.seen(claim.token, shown, self._clock.now_ns()))
        if shown == 0:
            await self._refresh_collateral()
        elif claim.state == ClaimState.DUE:
            await self._submit(claim)

    async def _submit(self, claim: CarriedClaim) -> None:
        outcome = await self._redeem(claim.condition_id)
        now_ns = self._clock.now_ns()
        if isinstance(outcome, AccountRefused):
            self._tell(self._claims.failed(claim.token, outcome.reason, now_ns))
        elif isinstance(outcome, AccountUnknown):
            # It may be on its way: what the venue shows next decides, not this answer.
            self._tell(self._claims.submitted(claim.token, "", outcome.reason, now_ns))
        else:
            transaction, detail = outcome.transaction_id, outcome.detail
            self._tell(self._claims.submitted(claim.token, transaction, detail, now_ns))

    async def _refresh_collateral(self) -> None:
        try:
            await self._gateway.refresh_balance()
        except RequestFailedError:
            # The comparison of books asks for it again before it judges.
            return

    def _tell(self, change: ClaimChanged | None) -> None:
        if change is not None:
            self._write(self._clock.now_ns(), change.claim.market, change)
