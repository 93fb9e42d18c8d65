"""Comparison of books, claims and venue modes: ranges, not guesses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from helpers.clob.messages import Condition
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    CarriedClaim,
    Fill,
    FillStatus,
    Outcome,
    Position,
    Settled,
    Side,
)
from helpers.live.claims import CHECKS_BEFORE_AGAIN, Claims, ClaimState
from helpers.live.reconcile import Books, compare, merge_fills, merged_shares
from helpers.live.venue_mode import VenueMode
from tests.builders import DOWN_TOKEN, UP_TOKEN
from tests.live.builders import MARKET, NOW_NS, one_order
from tests.trading_builders import fill

TEN = 10 * MICROS
HELD = Position(MARKET.slug, Outcome.UP, TEN, 0, 5_300_000)
SECOND = NS_PER_SECOND


def books(
    *,
    positions: tuple[tuple[str, Position], ...] = ((UP_TOKEN, HELD),),
    cash: int = 100 * MICROS,
    unsettled: tuple[tuple[str, Fill], ...] = (),
    claims: tuple[CarriedClaim, ...] = (),
) -> Books:
    return Books(positions, cash, unsettled, claims)


def claim(shares: int = TEN, state: ClaimState = ClaimState.DUE) -> CarriedClaim:
    return CarriedClaim(MARKET.slug, MARKET.condition_id, UP_TOKEN, shares, state.value)


@pytest.mark.parametrize(
    ("venue", "differs"),
    [(TEN, False), (TEN + 10_000, False), (TEN + 10_001, True), (TEN - 10_001, True), (0, True)],
)
def test_settled_shares_must_be_there_but_for_dust(venue: int, differs: bool) -> None:
    """A hundredth of a share is dust (reference D.5); anything else is a difference."""
    assert bool(compare(books(), (), {UP_TOKEN: venue}, 100 * MICROS)) is differs


@pytest.mark.parametrize(("cash", "differs"), [(0, False), (10_000, False), (-10_001, True)])
def test_dollars_must_be_there_but_for_a_cent(cash: int, differs: bool) -> None:
    """Fees are computed, and how the venue rounds them is not documented (G.1)."""
    assert bool(compare(books(), (), {}, 100 * MICROS + cash)) is differs


def test_a_trade_that_is_not_settled_may_show_or_not() -> None:
    """Both sides of a matched buy are fine until its ladder ends; anything beyond is not."""
    bought = fill("t", Side.BUY, TEN, 530_000)
    ours = books(unsettled=((UP_TOKEN, bought),))
    assert not compare(ours, (), {UP_TOKEN: 0}, 105_300_000)
    assert not compare(ours, (), {UP_TOKEN: TEN}, 100 * MICROS)
    assert compare(ours, (), {UP_TOKEN: TEN + MICROS}, 100 * MICROS)
    assert compare(ours, (), {UP_TOKEN: TEN}, 106 * MICROS)


def test_an_order_in_flight_may_have_matched() -> None:
    """Its shares may be there already, and their cost gone."""
    alive = one_order().alive()
    assert not compare(books(positions=()), alive, {UP_TOKEN: TEN}, 100 * MICROS - 5_474_000)
    assert compare(books(positions=()), (), {UP_TOKEN: TEN}, 100 * MICROS)


def test_a_claim_may_be_paid_already() -> None:
    """The ledger has the payout; the venue has the shares or the dollars."""
    ours = books(positions=(), claims=(claim(),))
    assert not compare(ours, (), {UP_TOKEN: TEN}, 90 * MICROS)
    assert not compare(ours, (), {UP_TOKEN: 0}, 100 * MICROS)
    assert compare(ours, (), {UP_TOKEN: 0}, 89 * MICROS)


def test_a_token_that_could_not_be_read_is_not_judged() -> None:
    """Could-not-read is never zero (I18)."""
    assert not compare(books(), (), {}, 100 * MICROS)


def test_a_difference_says_both_sides() -> None:
    """For the log line a person reads."""
    (difference,) = compare(books(), (), {UP_TOKEN: 0}, 100 * MICROS)
    assert str(difference) == "token 11111111...: ours 10, venue 0"
    assert difference.excess_micros == -TEN


def test_pairs_that_left_the_venue_together_were_merged() -> None:
    """Reference H.6: the same amount less of both outcomes, and a dollar for each pair."""
    both = (
        (UP_TOKEN, HELD),
        (DOWN_TOKEN, replace(HELD, outcome=Outcome.DOWN, shares_settled_micros=6 * MICROS)),
    )
    ours = books(positions=both)
    found = merged_shares(ours, {UP_TOKEN: 4 * MICROS, DOWN_TOKEN: 0}, {})
    assert found == {MARKET.slug: 6 * MICROS}
    uneven = {UP_TOKEN: 4 * MICROS, DOWN_TOKEN: MICROS}
    assert merged_shares(ours, uneven, {}) == {}
    assert merged_shares(ours, uneven, {MARKET.slug: 6 * MICROS}) == {MARKET.slug: 6 * MICROS}
    assert merged_shares(ours, uneven, {MARKET.slug: 5 * MICROS}) == {}
    assert merged_shares(ours, {UP_TOKEN: 4 * MICROS}, {}) == {}, "one of them was not read"
    sales = merge_fills(MARKET, 6 * MICROS, NOW_NS)
    assert sum(s.shares_micros * s.price_micros // MICROS for s in sales) == 6 * MICROS
    assert {(s.outcome, s.status) for s in sales} == {
        (Outcome.UP, FillStatus.CONFIRMED),
        (Outcome.DOWN, FillStatus.CONFIRMED),
    }


def settled(won: bool, shares: int = TEN) -> Settled:
    return Settled(MARKET.slug, Outcome.UP, won, shares, shares if won else 0, 1, NOW_NS)


def test_only_what_was_won_is_claimed() -> None:
    """A lost position is worth nothing and waits for nobody."""
    claims = Claims()
    assert claims.add(settled(won=False), MARKET, NOW_NS) is None
    assert claims.add(settled(won=True), MARKET, NOW_NS) is not None
    assert claims.owed() == (claim(),)


def test_a_claim_waits_is_submitted_and_is_paid_when_its_shares_are_gone() -> None:
    """Submitted is not money; what the venue shows is."""
    claims = Claims()
    claims.add(settled(won=True), MARKET, NOW_NS)
    assert claims.due(NOW_NS + 4 * SECOND) is None
    assert claims.due(NOW_NS + 5 * SECOND) == claim()
    claims.submitted(UP_TOKEN, "tx", "submitted", NOW_NS + 5 * SECOND)
    assert claims.due(NOW_NS + 9 * SECOND) is None
    assert claims.seen(UP_TOKEN, TEN, NOW_NS + 10 * SECOND) is None
    paid = claims.seen(UP_TOKEN, 0, NOW_NS + 15 * SECOND)
    assert paid is not None
    assert paid.claim.state == ClaimState.PAID
    assert claims.owed() == ()


def test_a_submitted_claim_that_is_never_paid_is_tried_again() -> None:
    """After so many looks it is due anew, and waits longer each time it fails."""
    claims = Claims()
    claims.add(settled(won=True), MARKET, NOW_NS)
    claims.submitted(UP_TOKEN, "tx", "submitted", NOW_NS)
    changes = [claims.seen(UP_TOKEN, TEN, NOW_NS + n * SECOND) for n in range(CHECKS_BEFORE_AGAIN)]
    assert [change is not None for change in changes] == [False] * 11 + [True]
    first = claims.due(NOW_NS + 100 * SECOND)
    assert first is not None
    assert first.state == ClaimState.DUE
    claims.failed(UP_TOKEN, "busy", NOW_NS + 100 * SECOND)
    assert claims.due(NOW_NS + 130 * SECOND) is None
    assert claims.due(NOW_NS + 141 * SECOND) is not None


def test_an_earlier_runs_claims_are_looked_at_first() -> None:
    """A paid one is gone, any other is due for a look at once."""
    claims = Claims()
    claims.take_over((claim(), claim(state=ClaimState.PAID)), NOW_NS)
    assert claims.owed() == ()
    claims.on_row(claim(state=ClaimState.SUBMITTED), NOW_NS)
    assert claims.due(NOW_NS) is not None


@pytest.mark.parametrize("condition", list(Condition))
def test_every_condition_but_none_holds_entries_for_a_while_or_asks_for_a_person(
    condition: Condition,
) -> None:
    """Region, ban, version and credentials need a person; the others pass by themselves (I11)."""
    mode = VenueMode(posts_only=False)
    mode.note(condition, 0.0, NOW_NS)
    refused, passing = mode.take_refusals(), mode.reason(NOW_NS)
    forever = {"restricted", "closed_only", "banned", "version_mismatch", "bad_credentials"}
    assert bool(refused) is (condition.value in forever)
    assert bool(passing) is (condition is not Condition.NONE and not refused)
    assert mode.take_refusals() == "", "told once: whoever resumes asks the venue again"
    assert mode.reason(NOW_NS + 3_600 * SECOND) == ""


def test_after_a_restart_takers_wait_two_minutes_and_makers_do_not() -> None:
    """Reference B.4: post-only mode follows every restart of the engine."""
    taker, maker = VenueMode(posts_only=False), VenueMode(posts_only=True)
    for mode in (taker, maker):
        mode.note(Condition.RESTARTING, 1.0, NOW_NS)
        mode.note(Condition.POST_ONLY, 10.0, NOW_NS)
    assert taker.reason(NOW_NS + 120 * SECOND)
    assert not taker.reason(NOW_NS + 126 * SECOND)
    assert maker.reason(NOW_NS + 4 * SECOND)
    assert not maker.reason(NOW_NS + 6 * SECOND)


def test_the_venues_own_time_counts_where_it_is_longer() -> None:
    """Retry-After is obeyed."""
    mode = VenueMode(posts_only=False)
    mode.note(Condition.RATE_LIMITED, 40.0, NOW_NS)
    assert mode.reason(NOW_NS + 39 * SECOND)
    assert not mode.reason(NOW_NS + 41 * SECOND)
