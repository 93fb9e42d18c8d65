"""Books that are carried over a restart go on as if nothing had happened."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from db.records import decode_body, encode_body
from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Body,
    CashAdjusted,
    Checkpoint,
    Fill,
    FillStatus,
    LedgerError,
    MarketSeen,
    Mode,
    Outcome,
    ResolutionSeen,
    Side,
    Source,
)
from helpers.ledger import Ledger
from helpers.ledger_carry import ledger_part, market_of, replay_rows, restored_ledger
from tests.trading_builders import CLOSES_NS, NOW_NS, fill, market

START = 1_000 * MICROS
MARKETS = (market(1), market(2))
Row = tuple[str, int, Body]

STATUSES = st.sampled_from(list(FillStatus))


def seen(number: int) -> MarketSeen:
    known = MARKETS[number]
    return MarketSeen(
        known.slug,
        known.condition_id,
        known.asset,
        known.opens_ns,
        known.closes_ns,
        known.up_token,
        known.down_token,
        (),
        known.tick_micros,
        known.minimum_shares_micros,
        known.fees.rate_ppm,
        known.fees.exponent,
        known.fees.taker_only,
    )


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Return what a venue might say in any order: trades at any rung, resolutions, deposits."""
    told: list[Row] = []
    for index in range(draw(st.integers(1, 25))):
        at_ns = NOW_NS + index * NS_PER_SECOND
        known = MARKETS[draw(st.integers(0, 1))]
        kind = draw(st.sampled_from(["fill"] * 12 + ["resolution", "cash"]))
        if kind == "cash":
            told.append(("", at_ns, CashAdjusted(0, draw(st.integers(-5, 5)) * MICROS)))
        elif kind == "resolution":
            outcome = draw(st.sampled_from(list(Outcome)))
            told.append((known.slug, at_ns, ResolutionSeen(outcome, 0.0, Source.GAMMA)))
        else:
            number = draw(st.integers(1, 6))
            side = Side.BUY if number < 4 else Side.SELL
            trade = fill(f"t{number}", side, number * MICROS, 400_000 + number * 10_000)
            row = replace(trade, market=known.slug, status=draw(STATUSES), at_ns=at_ns)
            told.append((known.slug, at_ns, row))
    return told


def new_ledger() -> Ledger:
    ledger = Ledger(Mode.LIVE, START)
    replay_rows(ledger, [("", 0, seen(0)), ("", 0, seen(1))])
    return ledger


def standing(ledger: Ledger) -> tuple[object, ...]:
    return (
        ledger.cash_micros,
        ledger.realised_micros,
        ledger.daily_pnl_micros(CLOSES_NS),
        sorted(ledger.positions(), key=lambda position: (position.market, str(position.outcome))),
        sorted(ledger.unsettled_fills(), key=lambda trade: (trade.market, trade.trade_id)),
        sorted((a.market.slug, a.winner) for a in ledger.carried_accounts() if a.winner),
    )


@settings(max_examples=150, deadline=None)
@given(told=rows(), cut=st.integers(0, 25))
def test_a_restart_anywhere_gives_the_same_books(told: list[Row], cut: int) -> None:
    """Invariant 4: checkpoint, rows after it, and what comes then equal a life without a crash."""
    unbroken = new_ledger()
    replay_rows(unbroken, told)
    before = new_ledger()
    replay_rows(before, told[:cut])
    kept = decode_body("checkpoint", encode_body(ledger_part(before, CLOSES_NS)))
    assert isinstance(kept, Checkpoint)
    after = restored_ledger(Mode.LIVE, kept)
    assert standing(after) == standing(before)
    replay_rows(after, [("", 0, seen(0)), ("", 0, seen(1))])
    replay_rows(after, told[cut:])
    assert standing(after) == standing(unbroken)


def test_market_facts_survive_the_journal() -> None:
    """I15: what a position needs of its market is in the row that tells of it."""
    read = decode_body("market_seen", encode_body(seen(0)))
    assert isinstance(read, MarketSeen)
    assert market_of(read) == MARKETS[0]


def test_a_refused_row_is_counted_and_changes_nothing() -> None:
    """A sale of what is not held is refused when it is read again, too."""
    ledger = new_ledger()
    sale = fill("s", Side.SELL, 5 * MICROS, 500_000)
    assert replay_rows(ledger, [(sale.market, 1, sale)]).refused == 1
    assert ledger.cash_micros == START


def test_what_was_paid_out_is_told_as_a_round_trip() -> None:
    """Held to the resolution is closed, too: whoever counts trades must hear of it."""
    ledger = new_ledger()
    bought = fill("b", Side.BUY, 10 * MICROS, 530_000)
    seen_won = ResolutionSeen(bought.outcome, 0.0, Source.GAMMA)
    rows = [(bought.market, NOW_NS, bought), (bought.market, CLOSES_NS, seen_won)]
    (trip,) = replay_rows(ledger, rows).trips
    assert (trip.how, trip.closed_ns, trip.shares_micros) == ("settled", CLOSES_NS, 10 * MICROS)
    assert trip.pnl_micros == ledger.realised_micros
    assert ledger.last_trip(bought.market, bought.outcome) == trip
    assert ledger.last_trip(bought.market, bought.outcome.other) is None
    assert ledger.last_trip("another", bought.outcome) is None


def test_a_failed_trade_stays_failed() -> None:
    """A late CONFIRMED after the restart does not book what was reversed."""
    ledger = new_ledger()
    bought = fill("b", Side.BUY, 10 * MICROS, 530_000)
    failed: Fill = replace(bought, status=FillStatus.FAILED)
    replay_rows(ledger, [(bought.market, 1, bought), (bought.market, 2, failed)])
    again = restored_ledger(Mode.LIVE, ledger_part(ledger, NOW_NS))
    assert again.apply(replace(bought, status=FillStatus.CONFIRMED)) is None
    assert again.positions() == ()
    assert again.cash_micros == START


def test_a_contradicting_checkpoint_is_told() -> None:
    """A sale without a purchase cannot be booked."""
    ledger = new_ledger()
    bought = fill("b", Side.BUY, 10 * MICROS, 530_000)
    replay_rows(ledger, [(bought.market, 1, bought)])
    part = ledger_part(ledger, NOW_NS)
    account = replace(part.accounts[0], fills=(fill("s", Side.SELL, 5 * MICROS, 500_000),))
    with pytest.raises(LedgerError, match="were sold"):
        restored_ledger(Mode.LIVE, replace(part, accounts=(account,)))
