"""What a run of the live side must end with (DESIGN section 4)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from db.journal_reading import list_runs, read_journal
from helpers.domain import Approved, OrderSigned
from helpers.live.reconcile import CASH_DUST_MICROS
from simulator.wallet_check import check_wallet
from tests.chaos.live_venue import WALLET

if TYPE_CHECKING:
    from tests.chaos.live_run import LiveRun


class Outcomes(NamedTuple):
    """What a run came to, for people."""

    seed: int
    orders: int
    fills: int
    faults: Counter[str]
    restarts: int
    claims_paid: int


class ChaosError(AssertionError):
    """A run ended wrong; the text names the seed and how to run it again."""


def check(run: LiveRun) -> Outcomes:
    """Assert what every run must end with (DESIGN section 4)."""
    live = run.live
    assert live is not None
    books = check_wallet(
        live.ledger.positions(),
        live.claims.owed(),
        live.ledger.cash_micros,
        run.venue.exchange,
        WALLET,
        CASH_DUST_MICROS,
    )
    assert not books.differences, books
    assert run.venue.exchange.open_orders(WALLET) == (), "an order of ours rests after the stop"
    assert live.last_reconciled is not None
    assert live.last_reconciled.agrees, live.last_reconciled
    assert not live.orders.alive(), [order.order_id for order in live.orders.alive()]
    for position in live.ledger.positions():
        market = live.ledger.market(position.market)
        assert market is not None, "a position without its market's facts"
        assert 0 < position.deadline_ns < market.closes_ns, "a position without a deadline"
    approved: set[str] = set()
    signed: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for folder in list_runs(run.folder):
        for record in read_journal(folder.path):
            counts[record.kind] += 1
            if isinstance(record.body, Approved):
                assert record.body.intent.intent_id not in approved, "an intent approved twice"
                approved.add(record.body.intent.intent_id)
            elif isinstance(record.body, OrderSigned):
                assert record.body.intent_id in approved, "an order without an intent"
                assert record.body.intent_id not in signed, "an intent sent twice"
                signed[record.body.intent_id] = record.body.order_id
    strangers = run.venue.placed - set(signed.values()) - run.venue.by_hand
    assert not strangers, f"the venue has orders that no journal knows: {strangers}"
    struck = Counter({kind.value: n for kind, n in run.schedule.counts.items() if n})
    paid = counts["claim_changed"]
    return Outcomes(run.seed, len(signed), counts["fill"], struck, run.restarts, paid)
