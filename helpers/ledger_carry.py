"""Takes the books over from an earlier run: a checkpoint, then what was written after it.

A leg is a fold over the trades that stand, so the same trades give the same books, and a restart is
a replay. Must not: read a journal, or know who writes it; it is handed rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    Body,
    CashAdjusted,
    Checkpoint,
    FeeSchedule,
    Fill,
    LedgerError,
    Market,
    MarketSeen,
    Message,
    Mode,
    ResolutionSeen,
    RoundTrip,
    Settled,
)
from helpers.ledger import Ledger

DAY_NS: Final = 86_400 * NS_PER_SECOND


def restored_ledger(mode: Mode, checkpoint: Checkpoint) -> Ledger:
    """Return the books as they stood at a checkpoint.

    Raises ``LedgerError`` for a checkpoint that contradicts itself.
    """
    ledger = Ledger(mode, 0)
    for account in checkpoint.accounts:
        ledger.take_over(account)
    for order in checkpoint.orders:
        ledger.remember_market(order.market)
    ledger.rebase(
        checkpoint.cash_micros,
        checkpoint.realised_micros,
        checkpoint.day,
        checkpoint.realised_today_micros,
    )
    return ledger


class Replayed(Message, frozen=True):
    """What came of booking rows again."""

    refused: int
    """Rows that the books refused then and refuse again: the venue is asked about everything at a
    start, so what they were about is found by the comparison."""
    settled: tuple[Settled, ...]
    """Positions that were paid out, whether or not the earlier run had come to write it."""
    trips: tuple[RoundTrip, ...]
    """The same positions from their first share to their last."""


def replay_rows(ledger: Ledger, rows: Iterable[tuple[str, int, Body]]) -> Replayed:
    """Book what was written after the checkpoint, in order."""
    refused = 0
    settled: list[Settled] = []
    trips: list[RoundTrip] = []
    for slug, at_ns, body in rows:
        try:
            paid = _apply(ledger, slug, at_ns, body)
        except LedgerError:
            refused += 1
            continue
        settled += paid
        closed = (ledger.last_trip(slug, one.outcome) for one in paid)
        trips += [trip for trip in closed if trip is not None]
    return Replayed(refused, tuple(settled), tuple(trips))


def market_of(seen: MarketSeen) -> Market:
    """Return the market whose facts a row tells."""
    return Market(
        seen.slug,
        seen.condition_id,
        Asset(seen.asset),
        seen.opens_ns,
        seen.closes_ns,
        seen.up_token,
        seen.down_token,
        seen.tick_micros,
        seen.minimum_shares_micros,
        FeeSchedule(seen.fee_rate_ppm, seen.fee_exponent, seen.fee_taker_only),
        seen.problems,
    )


def ledger_part(ledger: Ledger, now_ns: int) -> Checkpoint:
    """Return a checkpoint that holds the books and nothing else."""
    return Checkpoint(
        wallet="",
        cash_micros=ledger.cash_micros,
        realised_micros=ledger.realised_micros,
        day=now_ns // DAY_NS,
        realised_today_micros=ledger.realised_today_micros(now_ns),
        accounts=ledger.carried_accounts(),
        orders=(),
        claims=(),
    )


def _apply(ledger: Ledger, slug: str, at_ns: int, body: Body) -> list[Settled]:
    settled: list[Settled] = []
    if isinstance(body, MarketSeen):
        ledger.remember_market(market_of(body))
    elif isinstance(body, Fill):
        ledger.apply(body)
        late = ledger.late_settlement(slug, at_ns)
        settled += [late] if late is not None else []
    elif isinstance(body, ResolutionSeen):
        market = ledger.market(slug)
        while market is not None and (paid := ledger.settle(market, body.outcome, at_ns)):
            settled.append(paid)
    elif isinstance(body, CashAdjusted):
        ledger.adjust_cash(body.after_micros - body.before_micros)
    return settled
