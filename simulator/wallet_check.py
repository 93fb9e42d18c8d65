"""The worker's books against what the simulated exchange itself holds: to the micro-share.

Reads the exchange's own accounts, not its answers: nothing the worker was told can hide a
difference. Must not: change either side.
"""

from __future__ import annotations

from collections.abc import Iterable

from helpers.domain import MICROS, CarriedClaim, Message, Outcome, Position
from simulator.exchange import Exchange
from simulator.exchange_messages import COLLATERAL


class WalletCheck(Message, frozen=True):
    """Both sides, and where they differ."""

    tokens: int
    ours_micros: int
    venue_micros: int
    ours_cash_micros: int
    venue_cash_micros: int
    differences: tuple[str, ...]

    def __str__(self) -> str:
        verdict = "ledger == venue" if not self.differences else "; ".join(self.differences)
        return (
            f"{verdict}: {self.tokens} tokens to the micro-share (ours "
            f"{self.ours_micros / MICROS:.6f}, venue {self.venue_micros / MICROS:.6f} shares), "
            f"dollars ours {self.ours_cash_micros / MICROS:.6f}, "
            f"venue {self.venue_cash_micros / MICROS:.6f}"
        )


def check_wallet(
    positions: Iterable[Position],
    claims: Iterable[CarriedClaim],
    cash_micros: int,
    exchange: Exchange,
    account: str,
    cash_dust_micros: int,
) -> WalletCheck:
    """Return the comparison; a lost token is worth nothing and is held by the venue for ever."""
    held = {(position.market, position.outcome): position.shares_micros for position in positions}
    owed = {claim.token: claim.shares_micros for claim in claims}
    holdings = exchange.accounts.get(account).holdings
    tokens = ours_total = venue_total = 0
    differences: list[str] = []
    for market in exchange.markets():
        for outcome in Outcome:
            token = market.listing.token(outcome)
            ours = held.get((market.listing.slug, outcome), 0) + owed.get(token, 0)
            venue = holdings[token].total_micros if token in holdings else 0
            lost = market.winner is not None and market.winner is not outcome
            if not (ours or venue) or (lost and not ours):
                continue
            tokens += 1
            ours_total += ours
            venue_total += venue
            if ours != venue:
                differences.append(f"{market.listing.slug} {outcome}: ours {ours}, venue {venue}")
    ours_cash = cash_micros - sum(owed.values())
    venue_cash = holdings[COLLATERAL].total_micros
    if abs(ours_cash - venue_cash) > cash_dust_micros:
        differences.append(f"dollars: ours {ours_cash}, venue {venue_cash}")
    return WalletCheck(tokens, ours_total, venue_total, ours_cash, venue_cash, tuple(differences))
