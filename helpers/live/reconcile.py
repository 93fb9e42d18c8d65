"""Compares our books with the venue's: what it may show, given everything still on its way.

Pure. Each amount is a range: a trade that is matched and not settled, an order in flight and a
claim that may be paid already each widen it by what they could have moved, so that a difference is
never mere timing. Must not: mend a difference; who reads it decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from helpers.domain import (
    MICROS,
    CarriedClaim,
    Fill,
    FillStatus,
    Market,
    Message,
    Outcome,
    Position,
    Side,
    from_micros,
)
from helpers.live.order import LiveOrder

SHARE_DUST_MICROS: Final = 10_000
"""A hundredth of a share (reference D.5)."""
CASH_DUST_MICROS: Final = 10_000
"""A cent: fees are computed, and how the venue rounds them is not documented (reference G.1)."""
COLLATERAL: Final = "collateral"


class Expected(Message, frozen=True):
    """What the venue may show of one asset."""

    least_micros: int
    most_micros: int

    def moved(self, by_micros: int) -> Expected:
        """Return the range moved."""
        return Expected(self.least_micros + by_micros, self.most_micros + by_micros)

    def widened(self, by_micros: int) -> Expected:
        """Return the range with its end moved up, or down for a negative amount."""
        if by_micros < 0:
            return Expected(self.least_micros + by_micros, self.most_micros)
        return Expected(self.least_micros, self.most_micros + by_micros)


class Books(Message, frozen=True):
    """Our side at one moment."""

    positions: tuple[tuple[str, Position], ...]
    """Token and position."""
    cash_micros: int
    unsettled: tuple[tuple[str, Fill], ...]
    """Token and trade."""
    claims: tuple[CarriedClaim, ...]
    """Won and not known to be paid."""


class Difference(Message, frozen=True):
    """One asset of which the venue shows what our books cannot explain."""

    asset: str
    """A token, or ``collateral``."""
    expected: Expected
    venue_micros: int

    @property
    def excess_micros(self) -> int:
        """Return what the venue shows beyond ours; negative when it shows less."""
        if self.venue_micros > self.expected.most_micros:
            return self.venue_micros - self.expected.most_micros
        return self.venue_micros - self.expected.least_micros

    def __str__(self) -> str:
        least, most = self.expected.least_micros, self.expected.most_micros
        ours = f"{from_micros(least):g}"
        ours += f" to {from_micros(most):g}" if most != least else ""
        name = self.asset if self.asset == COLLATERAL else f"token {self.asset[:8]}..."
        return f"{name}: ours {ours}, venue {from_micros(self.venue_micros):g}"


def merged_shares(
    books: Books, venue_shares: Mapping[str, int], asked: Mapping[str, int]
) -> dict[str, int]:
    """Return (market slug, shares) of pairs that were merged into dollars outside our books.

    One Up and one Down are always worth a dollar, so where the venue shows the same amount less of
    both, they were merged (reference H.6), by our own request or by the wallet's owner. Where we
    have ``asked`` for so many pairs, a shortage of one side up to that is enough: the owner may
    have bought the other meanwhile.
    """
    short: dict[str, list[int]] = {}
    for token, position in books.positions:
        if token in venue_shares:
            missing = position.shares_settled_micros - venue_shares[token]
            short.setdefault(position.market, []).append(missing)
    found: dict[str, int] = {}
    for slug, amounts in short.items():
        if len(amounts) != len(Outcome):
            continue
        most = max(amounts)
        if most > 0 and (min(amounts) == most or most <= asked.get(slug, 0)):
            found[slug] = most
    return found


def merge_fills(market: Market, shares_micros: int, now_ns: int) -> tuple[Fill, ...]:
    """Return the sales that a merge amounts to: both outcomes, for a dollar a pair."""
    return tuple(
        Fill(
            trade_id=f"merged-{now_ns}-{outcome}",
            order_id="merged",
            intent_id=f"{market.slug}/merged",
            market=market.slug,
            outcome=outcome,
            side=Side.SELL,
            shares_micros=shares_micros,
            price_micros=MICROS // 2,
            fee_micros=0,
            status=FillStatus.CONFIRMED,
            maker=False,
            opens=False,
            deadline_ns=0,
            at_ns=now_ns,
        )
        for outcome in Outcome
    )


def expected_shares(books: Books, orders: Iterable[LiveOrder]) -> dict[str, Expected]:
    """Return what the venue may show of every token our books or orders speak of."""
    found: dict[str, Expected] = {}

    def change(token: str, moved: int, widened: int) -> None:
        found[token] = found.get(token, Expected(0, 0)).moved(moved).widened(widened)

    for token, position in books.positions:
        change(token, position.shares_micros, 0)
    for token, fill in books.unsettled:
        # Our books have it; the venue's may not have it yet.
        change(token, 0, -fill.shares_micros if fill.side is Side.BUY else fill.shares_micros)
    for claim in books.claims:
        change(claim.token, 0, claim.shares_micros)
    for order in orders:
        left = order.remaining_micros
        change(order.intent.token, 0, left if order.intent.side is Side.BUY else -left)
    return found


def expected_cash(books: Books, orders: Iterable[LiveOrder]) -> Expected:
    """Return the dollars the venue may show."""
    owed = sum(claim.shares_micros for claim in books.claims)
    expected = Expected(books.cash_micros - owed, books.cash_micros - owed).widened(owed)
    for _, fill in books.unsettled:
        notional = fill.shares_micros * fill.price_micros // MICROS
        if fill.side is Side.BUY:
            expected = expected.widened(notional + fill.fee_micros + 1)
        else:
            expected = expected.widened(-notional)
    for order in orders:
        left = order.remaining_micros
        if order.intent.side is Side.BUY:
            cost = left * order.signed.limit_micros // MICROS
            fee = order.own.market.fees.taker_fee_micros(left, order.signed.limit_micros)
            expected = expected.widened(-cost - fee - CASH_DUST_MICROS)
        else:
            expected = expected.widened(left)
    return expected


def compare(
    books: Books,
    orders: Sequence[LiveOrder],
    venue_shares: Mapping[str, int],
    venue_cash_micros: int,
) -> tuple[Difference, ...]:
    """Return every asset of which the venue shows what our books cannot explain.

    ``venue_shares`` holds an amount for every token that was asked for; a token it does not hold
    was not asked for and is not judged.
    """
    shares = expected_shares(books, orders)
    found = [
        difference
        for token, micros in venue_shares.items()
        if (difference := _differs(token, shares.get(token, Expected(0, 0)), micros,
                                   SHARE_DUST_MICROS)) is not None
    ]  # fmt: skip
    cash = _differs(COLLATERAL, expected_cash(books, orders), venue_cash_micros, CASH_DUST_MICROS)
    return (*found, cash) if cash is not None else tuple(found)


def _differs(asset: str, expected: Expected, venue_micros: int, dust: int) -> Difference | None:
    if expected.least_micros - dust <= venue_micros <= expected.most_micros + dust:
        return None
    return Difference(asset, expected, venue_micros)
