"""Invariants 1 and 2: no order without an approval, none sent twice, all of it on disk before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from helpers.domain import Approved, Mode
from tests.chaos.invariants.fold import Fold
from tests.chaos.worker_run import Evidence


def every_order_was_approved_and_written(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find orders at the venue whose approval and signature are not in the journal read back."""
    for order_id in run.venue.arrivals:
        if order_id not in fold.signed:
            yield f"the venue got {order_id}, which no journal knows"
    approved = {(seen.intent.intent_id, seen.life): seen.seq for seen in fold.approved}
    for order_id, (intent_id, life, seq) in fold.signed.items():
        approval = approved.get((intent_id, life))
        if approval is None or approval >= seq:
            yield f"order {order_id} was signed without an approval of {intent_id} before it"


def rows_were_durable_before_the_order_left(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find orders that reached the venue before their rows were out of our process (I20)."""
    for order_id in run.venue.undurable:
        yield f"order {order_id} was at the venue before its row was written"


def nothing_is_sent_twice(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find orders sent again, intents approved or signed again, and intents with two orders."""
    for order_id, times in run.venue.arrivals.items():
        if times > 1:
            yield f"order {order_id} reached the venue {times} times"
    signed = Counter(intent_id for intent_id, _, _ in fold.signed.values())
    yield from (f"intent {intent} was signed {n} times" for intent, n in signed.items() if n > 1)
    if run.plan.live:
        approvals = Counter(seen.intent.intent_id for seen in fold.approved)
        yield from (f"{intent} was approved {n} times" for intent, n in approvals.items() if n > 1)


def what_was_rejected_never_traded(run: Evidence, fold: Fold) -> Iterator[str]:
    """Find orders called rejected that the venue has trades of: unknown is not rejected (I20)."""
    for rejected in fold.rejected:
        if run.venue.traded.get(rejected.order_id):
            yield f"order {rejected.order_id} traded, and was called rejected: {rejected.reason}"


def one_order_of_a_market_at_a_time(_run: Evidence, fold: Fold) -> Iterator[str]:
    """Find orders approved while another of their market was alive; two exits sell twice (I22)."""
    for seen in fold.approved:
        for other in seen.alive:
            if other.intent.opens == seen.intent.opens and other.life == seen.life:
                yield f"{seen.intent.intent_id} was approved while {other.intent.intent_id} lived"


def every_row_says_its_mode(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find rows of the other mode (invariant 5)."""
    mode = Mode.LIVE if run.plan.live else Mode.PAPER
    for life, records in zip(run.lives, run.records, strict=True):
        wrong = [record.seq for record in records if record.mode is not mode]
        if wrong or not life.run.name.endswith(mode.value):
            yield f"{life.run.name}: rows {wrong[:3]} are not {mode.value}"
        if not run.plan.live and any(record.kind == "order_signed" for record in records):
            yield f"{life.run.name}: a paper run signed an order"


def rows_are_in_order(run: Evidence, _fold: Fold) -> Iterator[str]:
    """Find gaps in the numbers of the rows, and approvals that differ from their row's moment."""
    for life, records in zip(run.lives, run.records, strict=True):
        for expected, record in enumerate(records, 1):
            if record.seq != expected:
                yield f"{life.run.name}: row {record.seq} where {expected} was due"
                break
        for record in records:
            if isinstance(record.body, Approved) and record.market != record.body.intent.market:
                yield f"{life.run.name}: row {record.seq} is of another market than its intent"
