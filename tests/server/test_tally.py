"""Rows are counted, and the steps of orders timed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from helpers.domain import (
    NS_PER_MS,
    Accepted,
    Action,
    AlertKind,
    AlertOutcome,
    AlertSent,
    AlertSeverity,
    Body,
    FeedGap,
    FeedRestored,
    FillStatus,
    HaltChanged,
    LedgerConflict,
    OperatorAnswered,
    OperatorVerb,
    OrderSigned,
    Outcome,
    Rejected,
    Side,
    Source,
    TradingState,
    Unknown,
)
from helpers.engine import _seen
from helpers.server.tally import (
    BOUNDS_SECONDS,
    ORDERS_REMEMBERED_MAXIMUM,
    SAMPLES_KEPT,
    Histogram,
    Tally,
)
from tests.report_samples import closed
from tests.trading_builders import MARKET, NOW_NS, approved, decision, fill, intent

SLUG = MARKET.slug
HOLD = decision(Action.HOLD)
MATCHED = fill("t", Side.BUY, 10, 530_000, fee=7, status=FillStatus.MATCHED)


def told(*rows: Body, at_ns: int = NOW_NS) -> Tally:
    tally = Tally()
    tally.write(at_ns, SLUG, _seen(MARKET))
    for row in rows:
        tally.write(at_ns, SLUG, row)
    return tally


def test_durations_fall_into_buckets() -> None:
    """Each at or below its bound; what is above all is counted last."""
    histogram = Histogram()
    for seconds in (0.0005, 0.0006, 99.0):
        histogram.add(seconds)
    assert histogram.counts[:2] == [1, 1]
    assert histogram.counts[-1] == 1
    assert len(histogram.counts) == len(BOUNDS_SECONDS) + 1
    assert histogram.total == 3


def test_percentiles_are_of_the_latest() -> None:
    """p50 and p99 by rank; nothing before the first; old ones are forgotten."""
    histogram = Histogram()
    assert histogram.percentiles() is None
    for _ in range(SAMPLES_KEPT):
        histogram.add(9.0)
    for number in range(SAMPLES_KEPT):
        histogram.add(number / 1000)
    assert histogram.percentiles() == pytest.approx((0.255, 0.506))
    assert len(histogram.latest) == SAMPLES_KEPT


def test_decisions_orders_and_trades_are_counted_by_asset() -> None:
    """Labels are assets and fixed words, never a market."""
    tally = told(
        HOLD, approved(intent()), MATCHED, replace(MATCHED, status=FillStatus.CONFIRMED),
        closed(1, 2, 5, Outcome.UP), closed(1, 2, -5, Outcome.UP),
    )  # fmt: skip
    assert tally.decisions == {("BTC", "hold"): 1}
    assert tally.approved == {("BTC", "entry"): 1}
    assert tally.fills == {("BTC", "matched"): 1, ("BTC", "confirmed"): 1}
    assert tally.fees_micros == 7, "a fee is paid once, whatever the rung"
    assert tally.trips == {("BTC", "won"): 1, ("BTC", "lost"): 1}
    stranger = Tally()
    stranger.write(NOW_NS, "another-market", HOLD)
    assert stranger.decisions == {("other", "hold"): 1}


def test_answers_are_four() -> None:
    """A lost race is no rejection, and unknown is not either."""
    tally = told(
        Accepted("i", "o", 1), Rejected("i", "o", "no", 1), Unknown("i", "o", "?", 1),
        Rejected("i", "o", "no match", 1, missed=True),
    )  # fmt: skip
    assert tally.answers == {"accepted": 1, "rejected": 1, "unknown": 1, "missed": 1}


def test_an_orders_way_is_timed_from_the_gates_word() -> None:
    """sign, submit and ack from the rows' moments; what is unknown is timed by nothing."""
    tally = Tally()
    allowed = approved(intent())
    intent_id = allowed.intent.intent_id
    tally.write(NOW_NS, SLUG, allowed)
    signed = OrderSigned(intent_id, "o", "FAK", 1, 1, 0, NOW_NS)
    tally.write(NOW_NS + 2 * NS_PER_MS, SLUG, signed)
    tally.write(NOW_NS + 50 * NS_PER_MS, SLUG, Accepted(intent_id, "o", NOW_NS))
    found = {stage: tuple(one.latest) for stage, one in tally.stages.items() if one.total}
    assert found == {"sign": (0.002,), "submit": (0.048,), "ack": (0.05,)}
    tally.write(NOW_NS, SLUG, allowed)
    tally.write(NOW_NS + NS_PER_MS, SLUG, Unknown(intent_id, "o", "timeout", NOW_NS))
    assert tally.stages["ack"].total == 1


def test_orders_without_an_answer_are_forgotten() -> None:
    """Memory is bounded."""
    tally = Tally()
    for number in range(2 * ORDERS_REMEMBERED_MAXIMUM):
        tally.write(NOW_NS, SLUG, approved(replace(intent(), intent_id=str(number))))
    assert len(tally._approved_ns) == ORDERS_REMEMBERED_MAXIMUM


def test_the_first_decision_of_a_batch_is_timed() -> None:
    """The others came of the same forward."""
    tally = Tally()
    tally.seen(0.25)
    tally.seen(float("inf"))  # no quote yet: no age
    tally.write(NOW_NS, SLUG, HOLD)
    tally.write(NOW_NS, SLUG, HOLD)
    assert tally.stages["decision"].total == 1
    assert tuple(tally.stages["feed_age"].latest) == (0.25,)


def test_feeds_that_dropped_are_lost_until_they_are_back() -> None:
    """A feed that speaks again is connected."""
    tally = told(FeedGap(Source.GAMMA, "silent"), FeedGap(Source.OKX, "silent"))
    tally.write(NOW_NS, "", FeedRestored(Source.OKX, 1.0))
    assert tally.lost == {Source.GAMMA}
    assert tally.gaps == {"gamma": 1, "okx.public": 1}


def test_holds_operators_conflicts_and_alerts_are_counted() -> None:
    """A release is no hold."""
    alert = AlertSent(
        1, AlertKind.TEST, AlertSeverity.INFO, "t", "", AlertOutcome.DELIVERED, 1, NOW_NS
    )
    answer = OperatorAnswered("id", OperatorVerb.HALT, TradingState.HALTED, "")
    tally = told(
        HaltChanged("held", "operator", "me"), HaltChanged("released", "operator", "me"),
        answer, LedgerConflict("odd"), alert,
    )  # fmt: skip
    assert tally.holds == {"operator": 1}
    assert tally.requests == {"halt": 1}
    assert tally.conflicts == 1
    assert tally.alerts == {"delivered": 1}
