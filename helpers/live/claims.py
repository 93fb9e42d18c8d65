"""Won positions on their way to dollars: due, submitted, paid; one at a time, until paid.

Pure: it says what to do next and hears what came of it. A claim is paid when the venue shows no
more of its shares, whoever redeemed them (the venue may do so itself, reference H.5), so a repeat
is harmless. Must not: touch cash; the ledger booked it when the market was resolved.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from helpers.domain import NS_PER_SECOND, CarriedClaim, ClaimChanged, Market, Settled

FIRST_WAIT_SECONDS: Final = 5.0
"""From the resolution to the first try: the chain learns of it a little later (reference E.6)."""
CHECK_SECONDS: Final = 5.0
"""From a submitted redemption to the look whether it was paid; blocks take 2 s."""
LONGEST_WAIT_SECONDS: Final = 600.0
"""Between tries of a claim that keeps failing; there is no deadline to redeem (reference H.5)."""
CHECKS_BEFORE_AGAIN: Final = 12
"""Looks at a submitted redemption before it is submitted anew."""
CLAIMS_MAXIMUM: Final = 256


class ClaimState(enum.StrEnum):
    """Where a claim is."""

    DUE = "due"
    SUBMITTED = "submitted"
    PAID = "paid"


class _Claim:
    __slots__ = ("attempts", "checks", "claim", "next_ns")

    def __init__(self, claim: CarriedClaim, next_ns: int) -> None:
        self.claim = claim
        self.next_ns = next_ns
        self.attempts = 0
        self.checks = 0


class Claims:
    """Owner of what the venue owes us."""

    def __init__(self) -> None:
        self._claims: dict[str, _Claim] = {}

    def add(self, settled: Settled, market: Market, at_ns: int) -> ClaimChanged | None:
        """Take in a settled position; ``None`` for a lost one, which is worth nothing."""
        if not settled.won or not settled.shares_micros:
            return None
        token = market.token(settled.outcome)
        known = self._claims.get(token)
        shares = settled.shares_micros + (known.claim.shares_micros if known else 0)
        claim = CarriedClaim(market.slug, market.condition_id, token, shares, ClaimState.DUE.value)
        self._claims[token] = _Claim(claim, at_ns + round(FIRST_WAIT_SECONDS * NS_PER_SECOND))
        return ClaimChanged(claim, 0, "resolved")

    def take_over(self, claims: Iterable[CarriedClaim], now_ns: int) -> None:
        """Go on with an earlier run's claims; a submitted one is looked at first."""
        for claim in claims:
            self.on_row(claim, now_ns)

    def on_row(self, claim: CarriedClaim, now_ns: int) -> None:
        """Take in what an earlier run wrote of a claim."""
        if claim.state == ClaimState.PAID:
            self._claims.pop(claim.token, None)
        else:
            self._claims[claim.token] = _Claim(claim, now_ns)

    def owed(self) -> tuple[CarriedClaim, ...]:
        """Return what is not known to be paid."""
        return tuple(one.claim for one in self._claims.values())

    def due(self, now_ns: int) -> CarriedClaim | None:
        """Return the claim that has waited longest and wants doing now, if any."""
        waiting = [one for one in self._claims.values() if one.next_ns <= now_ns]
        return min(waiting, key=lambda one: one.next_ns).claim if waiting else None

    def submitted(self, token: str, transaction_id: str, detail: str, now_ns: int) -> ClaimChanged:
        """Note that its redemption is on its way, or may be."""
        one = self._claims[token]
        one.attempts += 1
        one.checks = 0
        one.claim = replace(
            one.claim, state=ClaimState.SUBMITTED.value, transaction_id=transaction_id
        )
        one.next_ns = now_ns + round(CHECK_SECONDS * NS_PER_SECOND)
        return ClaimChanged(one.claim, one.attempts, detail)

    def failed(self, token: str, reason: str, now_ns: int) -> ClaimChanged:
        """Note that a try came to nothing, or that nobody knows; it is tried again later."""
        one = self._claims[token]
        one.attempts += 1
        one.claim = replace(one.claim, state=ClaimState.DUE.value)
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(one.attempts, 8))
        one.next_ns = now_ns + round(wait * NS_PER_SECOND)
        return ClaimChanged(one.claim, one.attempts, reason)

    def postponed(self, token: str, reason: str, now_ns: int) -> ClaimChanged:
        """Note that nothing could be read; looked at again soon, as it was."""
        one = self._claims[token]
        one.next_ns = now_ns + round(CHECK_SECONDS * NS_PER_SECOND)
        return ClaimChanged(one.claim, one.attempts, f"could not look: {reason}")

    def seen(self, token: str, venue_shares_micros: int, now_ns: int) -> ClaimChanged | None:
        """Take in how many of its shares the venue still shows; return the change, if any."""
        one = self._claims[token]
        if venue_shares_micros == 0:
            del self._claims[token]
            paid = replace(one.claim, state=ClaimState.PAID.value)
            return ClaimChanged(paid, one.attempts, "the venue shows no shares any more")
        if one.claim.state != ClaimState.SUBMITTED:
            return None
        one.checks += 1
        if one.checks >= CHECKS_BEFORE_AGAIN:
            return self.failed(token, "not paid after its redemption was submitted", now_ns)
        one.next_ns = now_ns + round(CHECK_SECONDS * NS_PER_SECOND)
        return None
