"""Ladders and moves of single trades, apart from the venue around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helpers.domain import MICROS, FillStatus, Outcome, Side
from simulator.accounts import Accounts
from simulator.agenda import Agenda
from simulator.exchange_messages import (
    COLLATERAL,
    DEFAULT_LADDER,
    ExchangeEvent,
    MakerLeg,
    TradeFacts,
)
from simulator.matching import MatchType, cost_micros
from simulator.settlement import CONTRACT, VENUE, Settlement, trade_moves

UP, DOWN, BUY, SELL = Outcome.UP, Outcome.DOWN, Side.BUY, Side.SELL
TOKENS = {UP: "1", DOWN: "2"}


def facts(
    trade_id: str, side: Side, outcome: Outcome, price: int, shares: int, match: MatchType
) -> TradeFacts:
    """Return a trade at an Up price against one maker."""
    maker_outcome = outcome if match is MatchType.NORMAL else outcome.other
    other_side = SELL if side is BUY else BUY
    maker_side = other_side if match is MatchType.NORMAL else side
    own = price if maker_outcome is UP else MICROS - price
    leg = MakerLeg("m", "bob", TOKENS[maker_outcome], maker_outcome, maker_side, own, shares, match)
    cost = cost_micros(outcome, price, shares)
    return TradeFacts(
        trade_id,
        "0x1",
        "t",
        "ann",
        TOKENS[outcome],
        outcome,
        side,
        shares,
        cost,
        10,
        0,
        "0x",
        (leg,),
    )


@given(
    st.sampled_from([BUY, SELL]),
    st.sampled_from([UP, DOWN]),
    st.integers(1, MICROS - 1),
    st.integers(1, 10**10),
    st.sampled_from(list(MatchType)),
)
def test_moves_of_a_trade_sum_to_nothing(
    side: Side, outcome: Outcome, price: int, shares: int, match: MatchType
):
    """Dollars sum to zero in every kind of match; shares appear and vanish only in pairs."""
    if match is not MatchType.NORMAL:
        match = MatchType.MINT if side is BUY else MatchType.MERGE
    moves = trade_moves(facts("x", side, outcome, price, shares, match))
    assert sum(move.micros for move in moves if move.asset == COLLATERAL) == 0
    up, down = (
        sum(move.micros for move in moves if move.asset == TOKENS[token]) for token in (UP, DOWN)
    )
    expected = {MatchType.NORMAL: 0, MatchType.MINT: shares, MatchType.MERGE: -shares}[match]
    assert up == down == expected
    assert sum(move.micros for move in moves if move.account == CONTRACT) == expected
    assert sum(move.micros for move in moves if move.account == VENUE) == 10


def test_the_oldest_ended_trades_are_forgotten():
    """Trades kept for /data/trades are bounded; one still on its way is kept."""
    accounts, agenda = Accounts(), Agenda()
    events: list[ExchangeEvent] = []
    settlement = Settlement(accounts, agenda, events.append, DEFAULT_LADDER, kept_max=2)
    for name in (VENUE, CONTRACT):
        accounts.open(name, house=True)
    for name in ("ann", "bob"):
        accounts.open(name)
    for index in range(3):
        trade = facts(f"t{index}", BUY, UP, 500_000, 10, MatchType.MINT)
        settlement.start(trade, trade_moves(trade))
    assert len(settlement.trades("ann")) == 3
    assert not settlement.is_settled("0x1")
    assert len(settlement.pending_moves()) > 0
    agenda.run(10**12)
    assert settlement.is_settled("0x1")
    trade = facts("t3", BUY, UP, 500_000, 10, MatchType.MINT)
    settlement.start(trade, trade_moves(trade))
    kept = [view.facts.trade_id for view in settlement.trades("bob")]
    assert kept == ["t1", "t2", "t3"]
    assert settlement.trade("ann", "t0") is None
    last = settlement.trade("ann", "t3")
    assert last is not None
    assert last.status is FillStatus.MATCHED
