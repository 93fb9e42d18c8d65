"""What must hold of every journal, whatever ran (DESIGN section 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from db.records import Record
from helpers.domain import (
    NS_PER_SECOND,
    Approved,
    Fill,
    FillStatus,
    LedgerConflict,
    MarketSeen,
    OrderIntent,
    Outcome,
    Settled,
    Side,
)

ENTRY_STOP_SECONDS = 180


def check(records: Iterable[Record]) -> Counter[str]:
    """Assert the invariants over a journal and return how often each kind of row was met."""
    kinds: Counter[str] = Counter()
    approved: dict[str, OrderIntent] = {}
    closes: dict[str, int] = {}
    held: Counter[tuple[str, Outcome]] = Counter()
    last_seq = 0
    for record in records:
        body = record.body
        kinds[record.kind] += 1
        assert record.seq == last_seq + 1, "the order of rows is the order of things"
        last_seq = record.seq
        assert not isinstance(body, LedgerConflict), body
        if isinstance(body, MarketSeen):
            closes[body.slug] = body.closes_ns
        elif isinstance(body, Approved):
            intent = body.intent
            assert intent.intent_id not in approved, "nothing is sent twice for one intent"
            approved[intent.intent_id] = intent
            left = closes[intent.market] - record.at_ns
            assert not intent.opens or left >= ENTRY_STOP_SECONDS * NS_PER_SECOND
        elif isinstance(body, Fill) and body.status is FillStatus.MATCHED:
            _check_fill(body, approved[body.intent_id])
            kinds["maker" if body.maker else "taker"] += 1
            sign = 1 if body.side is Side.BUY else -1
            held[body.market, body.outcome] += sign * body.shares_micros
            assert held[body.market, body.outcome] >= 0, "sold what was not held"
        elif isinstance(body, Settled):
            assert body.payout_micros in (0, body.shares_micros)
            held[body.market, body.outcome] -= body.shares_micros
            assert held[body.market, body.outcome] == 0, "a settlement pays everything"
    return kinds


def _check_fill(fill: Fill, intent: OrderIntent) -> None:
    if intent.side is Side.BUY:
        assert fill.price_micros <= intent.price_limit_micros
    else:
        assert fill.price_micros >= intent.price_limit_micros
    assert (fill.fee_micros == 0) is fill.maker, "takers pay, makers do not"
    assert not intent.expires_ns or fill.at_ns <= intent.expires_ns
    assert fill.outcome is intent.outcome
