"""The ledger: exact, idempotent, and right in whatever order the venue speaks."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers import ledger as ledger_module
from helpers import ledger_report
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Asset,
    Fill,
    FillStatus,
    Market,
    Mode,
    Outcome,
    Position,
    RoundTrip,
    Side,
)
from helpers.ledger import Ledger, LedgerError
from helpers.stages import LedgerStage
from tests.trading_builders import CLOSES_NS, MARKET, NOW_NS, fill, market

START = 1_000 * MICROS
SECOND = NS_PER_SECOND


def new_ledger(*markets: Market) -> Ledger:
    ledger = Ledger(Mode.PAPER, START)
    for known in markets or (MARKET,):
        ledger.remember_market(known)
    return ledger


def at(status: FillStatus, of: Fill) -> Fill:
    return replace(of, status=status)


def assert_conserved(ledger: Ledger) -> None:
    """Not a micro-dollar is made or lost."""
    report = ledger.report()
    left = START + report.realised_micros + report.partly_realised_micros
    assert left == ledger.cash_micros + report.open_cost_micros
    assert report.cash_micros == ledger.cash_micros
    assert report.realised_micros == sum(row.pnl_micros for row in report.rows)


BUY = fill("b", Side.BUY, 10 * MICROS, 530_000, fee=174_370, deadline_ns=77)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_every_ladder_of_a_buy(length: int) -> None:
    """U17: FAILED voids and CONFIRMED settles, whatever the order and however often repeated."""
    for ladder in itertools.product(FillStatus, repeat=length):
        ledger = new_ledger()
        for status in ladder:
            ledger.apply(at(status, BUY))
            assert_conserved(ledger)
        held = ledger.position(MARKET.slug)
        if FillStatus.FAILED in ladder:
            assert held == Position(MARKET.slug)
            assert ledger.cash_micros == START
            assert ledger.report().fees_paid_micros == 0
            continue
        settled = FillStatus.CONFIRMED in ladder
        assert held.shares_settled_micros == (10 * MICROS if settled else 0)
        assert held.shares_pending_micros == (0 if settled else 10 * MICROS)
        assert held.cost_micros == 5_300_000 + 174_370
        assert ledger.cash_micros == START - held.cost_micros
        assert (held.outcome, held.opened_ns, held.deadline_ns) == (Outcome.UP, NOW_NS, 77)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_every_ladder_of_a_sale(length: int) -> None:
    """U17, I3: a sale that fails brings the shares, the cost and the trip back exactly once."""
    sale = fill("s", Side.SELL, 10 * MICROS, 600_000, fee=168_000, at_ns=NOW_NS + SECOND)
    for ladder in itertools.product(FillStatus, repeat=length):
        ledger = new_ledger()
        ledger.apply(BUY)
        before = ledger.position(MARKET.slug)
        for status in ladder:
            ledger.apply(at(status, sale))
            assert_conserved(ledger)
        if FillStatus.FAILED in ladder:
            assert ledger.position(MARKET.slug) == before
            assert ledger.round_trips() == ()
            assert ledger.last_exit_ns(MARKET.slug) == 0
            assert ledger.report().trades == 0
            continue
        (trip,) = ledger.round_trips()
        assert trip.pnl_micros == 6_000_000 - 168_000 - 5_300_000 - 174_370
        assert trip.fees_micros == 168_000 + 174_370
        assert (trip.how, trip.entry_price_micros) == ("sold", 530_000)
        assert ledger.last_exit_ns(MARKET.slug) == NOW_NS + SECOND
        assert ledger.cash_micros == START + trip.pnl_micros


def test_statuses_of_two_trades_interleave() -> None:
    """I3: the buy's and the sale's statuses in every order end in the same place."""
    sale = fill("s", Side.SELL, 10 * MICROS, 600_000)
    steps = [
        at(FillStatus.MATCHED, BUY),
        at(FillStatus.CONFIRMED, BUY),
        at(FillStatus.MATCHED, sale),
        at(FillStatus.CONFIRMED, sale),
    ]
    seen: set[tuple[int, int]] = set()
    for order in itertools.permutations(steps):
        ledger = new_ledger()
        waiting = list(order)
        while waiting:
            # A sale before its buy cannot be booked; it is applied again once it can (I18).
            step = waiting.pop(0)
            try:
                ledger.apply(step)
            except LedgerError:
                waiting.append(step)
            assert_conserved(ledger)
        assert ledger.position(MARKET.slug) == Position(MARKET.slug)
        seen.add((ledger.cash_micros, ledger.report().realised_micros))
    assert len(seen) == 1


def test_a_closed_position_is_told_once() -> None:
    """I17: the fill that closes a position returns it whole; repeats and reversals return none."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 10 * MICROS, 600_000, fee=168_000, at_ns=NOW_NS + SECOND)
    part = fill("p", Side.SELL, MICROS, 700_000)
    assert [ledger.apply(told) for told in (at(FillStatus.MATCHED, BUY), BUY)] == [None, None]
    assert ledger.apply(part) is None
    assert ledger.apply(at(FillStatus.FAILED, part)) is None
    closed = ledger.apply(at(FillStatus.MATCHED, sale))
    assert closed == RoundTrip(
        market=MARKET.slug,
        asset=MARKET.asset,
        outcome=Outcome.UP,
        shares_micros=10 * MICROS,
        cost_micros=5_474_370,
        proceeds_micros=6_000_000 - 168_000,
        fees_micros=168_000 + 174_370,
        pnl_micros=5_832_000 - 5_474_370,
        opened_ns=NOW_NS,
        closed_ns=NOW_NS + SECOND,
        how="sold",
        entry_price_micros=530_000,
    )
    assert closed is not None
    assert ledger.realised_micros == closed.pnl_micros
    for status in (FillStatus.MATCHED, FillStatus.CONFIRMED, FillStatus.FAILED):
        assert ledger.apply(at(status, sale)) is None
    assert ledger.realised_micros == 0


def test_one_venue_trade_may_fill_two_orders() -> None:
    """A taker that met two resting orders of ours is two fills of one trade id (D.4)."""
    ledger = new_ledger()
    ledger.apply(BUY)
    ledger.apply(replace(BUY, order_id="another"))
    assert ledger.position(MARKET.slug).shares_micros == 20 * MICROS


def test_cost_leaves_with_the_shares_and_the_last_takes_the_rest() -> None:
    """Proportional cost of partial sales adds up to the cost exactly."""
    ledger = new_ledger()
    ledger.apply(fill("b", Side.BUY, 7 * MICROS, 330_000, fee=1))
    for number in range(7):
        ledger.apply(fill(f"s{number}", Side.SELL, MICROS, 340_000))
        assert_conserved(ledger)
    (trip,) = ledger.round_trips()
    assert trip.pnl_micros == 7 * 340_000 - 7 * 330_000 - 1
    assert ledger.report().partly_realised_micros == 0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (fill("s", Side.SELL, 10 * MICROS + 1, 600_000), "expected at most the 10000000 held"),
        (fill("d", Side.SELL, MICROS, 400_000, outcome=Outcome.DOWN), "expected at most the 0"),
        (fill("n", Side.BUY, MICROS, 400_000, of=market(9)), "expected a known market"),
        (fill("z", Side.BUY, 0, 400_000), "expected a price inside"),
        (fill("z", Side.BUY, MICROS, MICROS), "expected a price inside"),
        (fill("z", Side.BUY, MICROS, 400_000, fee=-1), "expected a price inside"),
        (replace(BUY, shares_micros=MICROS), "trade b was"),
    ],
)
def test_what_cannot_be_is_not_booked(bad: Fill, message: str) -> None:
    """I18, I22: over-selling and nonsense raise and change nothing."""
    ledger = new_ledger()
    ledger.apply(BUY)
    before = (ledger.report(), ledger.positions())
    with pytest.raises(LedgerError, match=message):
        ledger.apply(bad)
    assert (ledger.report(), ledger.positions()) == before


def test_both_outcomes_are_booked_and_a_pair_is_worth_a_dollar() -> None:
    """What happened is booked, wanted or not: each leg has its own cost, and one of them pays."""
    ledger = new_ledger()
    ledger.apply(BUY)
    ledger.apply(fill("d", Side.BUY, 10 * MICROS, 400_000, outcome=Outcome.DOWN))
    held = {(p.outcome, p.shares_micros) for p in ledger.positions()}
    assert held == {(Outcome.UP, 10 * MICROS), (Outcome.DOWN, 10 * MICROS)}
    assert_conserved(ledger)
    paid = [ledger.settle(MARKET, Outcome.UP, CLOSES_NS) for _ in range(2)]
    assert sum(settled.payout_micros for settled in paid if settled) == 10 * MICROS
    assert ledger.positions() == ()
    assert_conserved(ledger)


def test_a_sale_that_fails_after_the_resolution_leaves_shares_that_won() -> None:
    """Its shares are ours again and worth a dollar each: told once, so that they are claimed."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 4 * MICROS, 600_000)
    ledger.apply(BUY)
    ledger.apply(sale)
    while ledger.settle(MARKET, Outcome.UP, CLOSES_NS):
        pass
    assert ledger.late_settlement(MARKET.slug, CLOSES_NS) is None
    ledger.apply(at(FillStatus.FAILED, sale))
    late = ledger.late_settlement(MARKET.slug, CLOSES_NS)
    assert late is not None
    assert (late.outcome, late.shares_micros) == (Outcome.UP, 4 * MICROS)
    assert late.payout_micros == 4 * MICROS
    assert ledger.late_settlement(MARKET.slug, CLOSES_NS) is None
    assert_conserved(ledger)


def test_a_sale_of_the_loser_that_fails_late_leaves_nothing_to_claim() -> None:
    """Its shares are ours again and worth nothing."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 4 * MICROS, 600_000)
    ledger.apply(BUY)
    ledger.apply(sale)
    while ledger.settle(MARKET, Outcome.DOWN, CLOSES_NS):
        pass
    ledger.apply(at(FillStatus.FAILED, sale))
    assert ledger.late_settlement(MARKET.slug, CLOSES_NS) is None


def test_a_buy_that_fails_after_its_shares_were_sold_waits_for_the_sale_to_fail() -> None:
    """U17: the impossible order raises, leaves everything, and can be applied again."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 4 * MICROS, 600_000)
    ledger.apply(BUY)
    ledger.apply(sale)
    cash = ledger.cash_micros
    with pytest.raises(LedgerError, match="expected at most the 0 held"):
        ledger.apply(at(FillStatus.FAILED, BUY))
    assert ledger.cash_micros == cash
    ledger.apply(at(FillStatus.FAILED, sale))
    ledger.apply(at(FillStatus.FAILED, BUY))
    assert ledger.cash_micros == START
    assert ledger.position(MARKET.slug) == Position(MARKET.slug)


def test_a_sale_that_fails_after_the_other_side_was_bought_loses_nothing() -> None:
    """I3: both outcomes are then held; each is seen, marked and settled in turn."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 10 * MICROS, 600_000)
    down = fill("d", Side.BUY, 6 * MICROS, 400_000, outcome=Outcome.DOWN)
    for booked in (BUY, sale, down):
        ledger.apply(booked)
    ledger.apply(at(FillStatus.FAILED, sale))
    assert [held.outcome for held in ledger.positions()] == [Outcome.UP, Outcome.DOWN]
    assert_conserved(ledger)
    first = ledger.settle(MARKET, Outcome.DOWN, NOW_NS)
    second = ledger.settle(MARKET, Outcome.DOWN, NOW_NS)
    assert first is not None
    assert second is not None
    assert (first.won, second.won, second.payout_micros) == (False, True, 6 * MICROS)
    assert ledger.settle(MARKET, Outcome.DOWN, NOW_NS) is None
    assert ledger.cash_micros == START - 5_474_370 - 2_400_000 + 6 * MICROS
    assert_conserved(ledger)


@pytest.mark.parametrize(("winner", "payout"), [(Outcome.UP, 10 * MICROS), (Outcome.DOWN, 0)])
def test_a_resolution_pays_one_or_nothing_once(winner: Outcome, payout: int) -> None:
    """I26, U4: winners are paid 1 a share, losers 0, and a second message changes nothing."""
    ledger = new_ledger()
    ledger.apply(BUY)
    settled = ledger.settle(MARKET, winner, NOW_NS + SECOND)
    assert settled is not None
    assert (settled.payout_micros, settled.cost_micros) == (payout, 5_474_370)
    assert settled.won is (winner is Outcome.UP)
    assert ledger.settle(MARKET, winner, NOW_NS + SECOND) is None
    assert ledger.cash_micros == START - 5_474_370 + payout
    (trip,) = ledger.round_trips()
    assert (trip.how, trip.pnl_micros, trip.closed_ns) == (
        "settled",
        payout - 5_474_370,
        NOW_NS + SECOND,
    )
    with pytest.raises(LedgerError, match="was won by"):
        ledger.settle(MARKET, winner.other, NOW_NS)
    assert ledger.settle(market(5), winner, NOW_NS) is None
    assert_conserved(ledger)


def test_failures_after_the_resolution_take_the_payout_with_them() -> None:
    """U17: pending shares are paid at resolution, and reversed with their payout if they FAIL."""
    ledger = new_ledger()
    ledger.apply(BUY)
    late = fill("late", Side.BUY, 5 * MICROS, 900_000, status=FillStatus.MATCHED)
    ledger.apply(late)
    settled = ledger.settle(MARKET, Outcome.UP, NOW_NS + SECOND)
    assert settled is not None
    assert settled.shares_micros == 15 * MICROS
    before = ledger.realised_micros
    assert ledger.apply(at(FillStatus.FAILED, late)) is None
    assert ledger.realised_micros == before - 500_000
    (trip,) = ledger.round_trips()
    assert (trip.shares_micros, trip.how) == (10 * MICROS, "settled")
    assert ledger.cash_micros == START - 5_474_370 + 10 * MICROS
    ledger.apply(at(FillStatus.FAILED, BUY))
    assert (ledger.cash_micros, ledger.round_trips()) == (START, ())
    assert_conserved(ledger)


def test_a_sale_that_fails_after_the_resolution_is_paid_out_instead() -> None:
    """I3: the shares come back into a market that is decided, so they are paid at 0 or 1."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 10 * MICROS, 900_000, status=FillStatus.MATCHED)
    ledger.apply(BUY)
    ledger.apply(sale)
    assert ledger.settle(MARKET, Outcome.DOWN, NOW_NS) is None
    ledger.apply(at(FillStatus.FAILED, sale))
    assert ledger.cash_micros == START - 5_474_370
    (trip,) = ledger.round_trips()
    assert (trip.how, trip.proceeds_micros) == ("settled", 0)
    assert_conserved(ledger)


def test_a_fill_that_is_heard_of_after_the_resolution_is_paid_at_once() -> None:
    """I4: a late first sight books the trade and its payout together; a bad one books nothing."""
    ledger = new_ledger()
    ledger.settle(MARKET, Outcome.UP, NOW_NS - SECOND)
    with pytest.raises(LedgerError, match="held"):
        ledger.apply(fill("s", Side.SELL, MICROS, 900_000))
    closed = ledger.apply(BUY)
    assert closed is not None
    assert closed.pnl_micros == 10 * MICROS - 5_474_370
    assert (closed.opened_ns, closed.closed_ns, closed.how) == (NOW_NS, NOW_NS, "settled")
    assert ledger.position(MARKET.slug) == Position(MARKET.slug)
    assert_conserved(ledger)


trades = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(Side),
        st.sampled_from(Outcome),
        st.integers(1, 200_000).map(lambda hundredths: hundredths * 100),
        st.integers(1, 9_999).map(lambda step: step * 100),
        st.integers(0, 30_000).map(lambda step: step * 10),
        st.sampled_from(FillStatus),
    ),
    max_size=24,
)


@settings(deadline=None)
@given(trades, st.sampled_from([None, Outcome.UP, Outcome.DOWN]), st.integers(0, 24))
def test_money_is_conserved(
    drawn: list[tuple[int, Side, Outcome, int, int, int, FillStatus]],
    winner: Outcome | None,
    when: int,
) -> None:
    """U4: start plus realised is cash plus cost after any story, told or refused."""
    ledger = new_ledger()
    for number, (trade, side, outcome, shares, price, fee, status) in enumerate(drawn):
        if number == when and winner is not None:
            ledger.settle(MARKET, winner, NOW_NS + number)
        before = (ledger.report(), ledger.positions())
        told = fill(f"t{trade}", side, shares, price, fee=fee, status=status, outcome=outcome)
        try:
            ledger.apply(told)
        except LedgerError:
            assert (ledger.report(), ledger.positions()) == before
        assert_conserved(ledger)
        for held in ledger.positions():
            assert held.shares_micros > 0
            assert min(held.shares_settled_micros, held.shares_pending_micros) >= 0


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_order_of_statuses_ends_alike(shuffle: random.Random) -> None:
    """U17: shuffled and repeated statuses of many buys give the state of the sorted ones."""
    buys = [
        fill(f"b{n}", Side.BUY, (5 + n) * MICROS, 400_000 + 10_000 * n, fee=1_000 * n)
        for n in range(5)
    ]
    ladder = (FillStatus.MATCHED, FillStatus.MINED, FillStatus.CONFIRMED, FillStatus.MATCHED)
    story = [at(status, buy) for buy in buys for status in ladder]
    story.append(at(FillStatus.FAILED, buys[2]))
    shuffle.shuffle(story)
    ledger = new_ledger()
    for told in story:
        ledger.apply(told)
    held = ledger.position(MARKET.slug)
    standing = [buy for number, buy in enumerate(buys) if number != 2]
    assert held.shares_settled_micros == sum(buy.shares_micros for buy in standing)
    assert held.shares_pending_micros == 0
    cost = sum(buy.shares_micros * buy.price_micros // MICROS + buy.fee_micros for buy in standing)
    assert (held.cost_micros, ledger.cash_micros) == (cost, START - cost)


def test_a_fraction_of_a_micro_dollar_is_never_money() -> None:
    """A buy's cost is raised and a sale's proceeds are floored, never the other way."""
    ledger = new_ledger()
    ledger.apply(fill("b", Side.BUY, 5_000_100, 530_100))
    assert START - ledger.cash_micros == -(-5_000_100 * 530_100 // MICROS)
    ledger.apply(fill("s", Side.SELL, 5_000_100, 530_100))
    assert START - ledger.cash_micros == 1


def test_daily_pnl_is_realised_today_plus_marks() -> None:
    """Marks count against cost, an unmarked position counts at cost, midnight starts anew."""
    ledger = new_ledger(MARKET, market(2))
    ledger.apply(BUY)
    assert ledger.daily_pnl_micros(NOW_NS) == 0
    ledger.mark(MARKET.slug, 5_000_000)
    ledger.mark("window-2", 9)
    assert ledger.daily_pnl_micros(NOW_NS) == 5_000_000 - 5_474_370
    assert ledger.unrealised_micros == 5_000_000 - 5_474_370
    ledger.apply(fill("s", Side.SELL, 5 * MICROS, 600_000))
    # The mark was of ten shares; of five it says nothing.
    assert ledger.daily_pnl_micros(NOW_NS) == 3_000_000 - 2_737_185
    tomorrow = NOW_NS + 86_400 * SECOND
    assert ledger.daily_pnl_micros(tomorrow) == 0
    for day in range(2, 20):
        later = NOW_NS + day * 86_400 * SECOND
        ledger.apply(fill(f"b{day}", Side.BUY, MICROS, 500_000, at_ns=later))
        ledger.apply(fill(f"s{day}", Side.SELL, MICROS, 400_000, at_ns=later))
        assert ledger.daily_pnl_micros(later) != 0
    assert ledger.daily_pnl_micros(NOW_NS) == 0


def round_trip(ledger: Ledger, number: int, price: int, *, of: Market = MARKET) -> None:
    for side, at_price in ((Side.BUY, 500_000), (Side.SELL, price)):
        ledger.apply(fill(f"{side}{number}", side, 10 * MICROS, at_price, of=of))


def test_streak_and_drawdown() -> None:
    """Losses are counted back from the latest, break-even ends them; drawdown is the worst."""
    ledger = new_ledger()
    assert ledger.losing_streak(NOW_NS) == 0
    for number, price in enumerate((600_000, 400_000, 450_000)):
        round_trip(ledger, number, price)
    assert ledger.losing_streak(NOW_NS) == 2
    assert ledger.losing_streak(NOW_NS + 86_400 * SECOND) == 0
    assert ledger.report().maximum_drawdown_micros == 1_500_000
    round_trip(ledger, 8, 500_000)
    assert ledger.losing_streak(NOW_NS) == 0
    report = ledger.report()
    assert (report.trades, report.wins, report.losses) == (4, 1, 2)
    assert report.maximum_drawdown_micros == 1_500_000


def test_report_rows_by_asset_and_outcome() -> None:
    """The closing table has a row per asset and side; gross is before fees."""
    ether = market(2, asset=Asset.ETH)
    ledger = new_ledger(MARKET, ether)
    ledger.apply(BUY)
    ledger.apply(fill("s", Side.SELL, 10 * MICROS, 600_000, fee=168_000))
    down = fill("d", Side.BUY, 10 * MICROS, 400_000, fee=7, outcome=Outcome.DOWN, of=ether)
    ledger.apply(down)
    ledger.settle(ether, Outcome.UP, NOW_NS)
    report = ledger.report()
    assert [(r.asset, r.outcome, r.trades, r.wins) for r in report.rows] == [
        (Asset.BTC, Outcome.UP, 1, 1),
        (Asset.ETH, Outcome.DOWN, 1, 0),
    ]
    assert report.fees_micros == report.fees_paid_micros == 168_000 + 174_370 + 7
    assert report.gross_micros == 700_000 - 4_000_000
    assert report.mode is Mode.PAPER
    assert (report.open_positions, report.open_cost_micros) == (0, 0)


def test_the_history_is_bounded_and_the_totals_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I34: old round trips leave the list, never the sums; a late reversal brings none back."""
    monkeypatch.setattr(ledger_report, "ROUND_TRIPS_KEPT", 3)
    ledger = new_ledger()
    for number in range(5):
        round_trip(ledger, number, 600_000)
    assert len(ledger.round_trips()) == 3
    assert ledger.report().trades == 5
    assert ledger.report().realised_micros == 5_000_000
    ledger.apply(fill("SELL4", Side.SELL, 10 * MICROS, 600_000, status=FillStatus.FAILED))
    assert len(ledger.round_trips()) == 2
    assert ledger.report().trades == 4


def test_closed_markets_are_forgotten_and_open_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I15, I34: trade ids of old flat markets go, positions stay whatever discovery does."""
    monkeypatch.setattr(ledger_module, "CLOSED_MARKETS_REMEMBERED", 3)
    first, long_ = market(100), replace(market(101), closes_ns=CLOSES_NS + 9_000 * SECOND)
    ledger = new_ledger(MARKET, first, long_)
    ledger.apply(BUY)
    round_trip(ledger, 0, 600_000, of=first)
    assert ledger.last_exit_ns(first.slug) == NOW_NS
    for number in range(200, 210):
        later = CLOSES_NS + number * SECOND
        ledger.remember_market(replace(market(number), closes_ns=later))
    assert ledger.market(long_.slug) == long_
    assert ledger.market("window-207") is None
    assert ledger.market("window-208") is not None
    assert ledger.market(MARKET.slug) == MARKET
    assert ledger.market(first.slug) is None
    assert ledger.last_exit_ns(first.slug) == 0
    assert ledger.position(MARKET.slug).shares_micros == 10 * MICROS
    assert ledger.report().trades == 1
    with pytest.raises(LedgerError, match="expected a known market"):
        ledger.apply(fill("BUY0", Side.BUY, 10 * MICROS, 500_000, of=first))


def test_trades_of_one_market_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """I34: a loop that never ends stops being booked, loudly."""
    monkeypatch.setattr(ledger_module, "TRADES_PER_MARKET_MAXIMUM", 2)
    ledger = new_ledger()
    ledger.apply(BUY)
    ledger.apply(replace(BUY, trade_id="b2"))
    with pytest.raises(LedgerError, match="expected no more"):
        ledger.apply(replace(BUY, trade_id="b3"))


def test_market_facts_may_change_but_not_their_tokens() -> None:
    """I15: a new tick is learned, other tokens under the same slug are refused."""
    ledger = new_ledger()
    finer = replace(MARKET, tick_micros=1_000)
    ledger.remember_market(finer)
    assert ledger.market(MARKET.slug) == finer
    with pytest.raises(LedgerError, match="tokens"):
        ledger.remember_market(replace(MARKET, up_token="other"))


def test_a_position_keeps_the_deadline_it_was_opened_with() -> None:
    """I1, I24: adding to a position gives it no more time."""
    ledger = new_ledger()
    ledger.apply(BUY)
    ledger.apply(replace(BUY, trade_id="b2", deadline_ns=99, at_ns=NOW_NS + SECOND))
    held = ledger.position(MARKET.slug)
    assert (held.deadline_ns, held.opened_ns) == (77, NOW_NS)


def test_a_revised_trip_that_fell_out_of_the_history_stays_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I34: a late failure corrects the totals without making an old trip the latest."""
    monkeypatch.setattr(ledger_report, "ROUND_TRIPS_KEPT", 2)
    other = market(2)
    ledger = new_ledger(MARKET, other)
    late = fill("late", Side.BUY, 5 * MICROS, 500_000, status=FillStatus.MATCHED)
    ledger.apply(BUY)
    ledger.apply(late)
    ledger.settle(MARKET, Outcome.DOWN, NOW_NS)
    for number in range(3):
        round_trip(ledger, number, 600_000, of=other)
    realised = ledger.report().realised_micros
    ledger.apply(at(FillStatus.FAILED, late))
    assert ledger.report().realised_micros == realised + 2_500_000
    assert [trip.market for trip in ledger.round_trips()] == [other.slug] * 2
    assert ledger.losing_streak(NOW_NS) == 0


def test_it_is_the_engines_ledger() -> None:
    """The ledger keeps the protocol that the engine speaks."""
    stage: LedgerStage = new_ledger()
    assert stage.positions() == ()
    assert stage.cash_micros == START
