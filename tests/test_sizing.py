"""From wishes to orders, both sides alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Action,
    IntentReason,
    OrderIntent,
    OrderStyle,
    Outcome,
    Position,
    Side,
    Unsized,
)
from helpers.order_rules import (
    TICKS_MICROS,
    OrderAmounts,
    clean_lot_micros,
    floor_shares,
    taker_amounts,
)
from helpers.quoting import ExecutionStyle
from helpers.sizing import Limits, exit_intent, size
from tests.trading_builders import (
    CLOSES_NS,
    MARKET,
    NOW_NS,
    book,
    decision,
    position,
    snapshot,
)

FLAT = Position(MARKET.slug)
TAKER = Limits(
    trade_size_micros=20 * MICROS,
    style=ExecutionStyle.TAKER,
    maker_lifetime_seconds=30.0,
    position_timeout_seconds=120.0,
    maximum_position_age_seconds=840.0,
    slippage_ticks=1,
    hold_to_resolution=False,
)
MAKER = replace(TAKER, style=ExecutionStyle.MAKER)


def wanted(found: object) -> OrderIntent:
    assert isinstance(found, OrderIntent)
    return found


def rule_of(found: object) -> str:
    assert isinstance(found, Unsized)
    return found.failure.rule


@pytest.mark.parametrize(
    ("action", "outcome", "price"),
    [(Action.BUY, Outcome.UP, 540_000), (Action.SELL, Outcome.DOWN, 490_000)],
)
def test_flat_opens_either_side(action: Action, outcome: Outcome, price: int) -> None:
    """I25: BUY opens Up and SELL opens Down, each at its own book's ask plus slippage (I27)."""
    intent = wanted(size(decision(action), snapshot(), FLAT, TAKER, 1.0))
    assert (intent.outcome, intent.side, intent.opens) == (outcome, Side.BUY, True)
    assert intent.token == MARKET.token(outcome)
    assert intent.price_limit_micros == price
    whole_cents = floor_shares(20 * MICROS * MICROS // price) // clean_lot_micros(price)
    assert intent.shares_micros == whole_cents * clean_lot_micros(price)
    assert intent.intent_id == f"{MARKET.slug}/{NOW_NS}/{outcome}/BUY"
    assert intent.reason is IntentReason.ENTRY_SIGNAL
    assert intent.deadline_ns == CLOSES_NS - 120 * NS_PER_SECOND
    assert intent.expires_ns == 0


@pytest.mark.parametrize(
    ("action", "held", "price"),
    [(Action.BUY, Outcome.DOWN, 460_000), (Action.SELL, Outcome.UP, 510_000)],
)
def test_the_opposite_wish_closes(action: Action, held: Outcome, price: int) -> None:
    """I25, I2: the wish against a position sells what is settled, floored to two decimals."""
    held_position = position(held, 12_345_678)
    intent = wanted(size(decision(action), snapshot(), held_position, TAKER, 0.3))
    assert (intent.outcome, intent.side, intent.opens) == (held, Side.SELL, False)
    assert intent.shares_micros == 12_340_000
    assert intent.price_limit_micros == price
    assert intent.reason is IntentReason.EXIT_SIGNAL
    assert intent.style is OrderStyle.TAKER


def test_nothing_wanted_is_nothing() -> None:
    """HOLD, and a wish for what is held already, give no order and no complaint."""
    up, down = position(Outcome.UP, 10 * MICROS), position(Outcome.DOWN, 10 * MICROS)
    assert size(decision(Action.HOLD), snapshot(), up, TAKER, 1.0) is None
    assert size(decision(Action.BUY), snapshot(), up, TAKER, 1.0) is None
    assert size(decision(Action.SELL), snapshot(), down, TAKER, 1.0) is None


@pytest.mark.parametrize(
    ("settled", "pending", "rule"),
    [
        (0, 20 * MICROS, "shares_pending"),
        (0, 2 * MICROS, "shares_pending"),
        (3 * MICROS, 10 * MICROS, "shares_pending"),
        (4_999_999, 0, "minimum_shares"),
        (2 * MICROS, 2 * MICROS, "minimum_shares"),
    ],
)
def test_what_cannot_be_sold_says_why(settled: int, pending: int, rule: str) -> None:
    """I2, I7: unsettled shares are waited for, dust goes to resolution."""
    held = position(Outcome.UP, settled, pending)
    assert rule_of(size(decision(Action.SELL), snapshot(), held, TAKER, 1.0)) == rule


def test_a_small_wish_becomes_the_minimum_if_the_full_size_pays_it() -> None:
    """I6: 5 dollars at 0.99 buy 5.05 shares, a quarter of them would be too few."""
    limits = replace(TAKER, trade_size_micros=5 * MICROS)
    view = snapshot(900_000, 980_000)
    intent = wanted(size(decision(Action.BUY), view, FLAT, limits, 0.25))
    assert (intent.price_limit_micros, intent.shares_micros) == (990_000, 5 * MICROS)
    found = size(
        decision(Action.BUY), view, FLAT, replace(limits, trade_size_micros=4 * MICROS), 1.0
    )
    assert rule_of(found) == "minimum_shares"


def test_a_cheap_side_is_bought_for_a_dollar_at_least() -> None:
    """I25: at one or two cents the dollar rule, not the share rule, sets the least lot."""
    limits = replace(TAKER, trade_size_micros=2 * MICROS)
    view = snapshot(980_000, 990_000)
    intent = wanted(size(decision(Action.SELL), view, FLAT, limits, 0.25))
    assert (intent.price_limit_micros, intent.shares_micros) == (30_000, 33_340_000)
    poor = replace(limits, trade_size_micros=MICROS // 2)
    assert rule_of(size(decision(Action.SELL), view, FLAT, poor, 1.0)) == "minimum_notional"


@given(
    st.sampled_from(TICKS_MICROS),
    st.data(),
    st.integers(MICROS, 500 * MICROS),
    st.floats(0.01, 1.0),
    st.sampled_from((Action.BUY, Action.SELL)),
)
def test_every_entry_can_be_sold_again(
    tick: int, drawn: st.DataObject, dollars: int, confidence: float, action: Action
) -> None:
    """I6, I25: a sized entry passes the venue, fits the budget and leaves a sellable lot."""
    bid = tick * drawn.draw(st.integers(1, MICROS // tick - 2))
    view = snapshot(bid, bid + tick, tick=tick)
    limits = replace(TAKER, trade_size_micros=dollars)
    found = size(decision(action), view, FLAT, limits, confidence)
    if isinstance(found, Unsized):
        return
    intent = wanted(found)
    amounts = taker_amounts(
        Side.BUY, intent.shares_micros, intent.price_limit_micros, tick, 5 * MICROS
    )
    assert isinstance(amounts, OrderAmounts)
    assert amounts.dollars_micros <= dollars
    assert floor_shares(amounts.shares_micros) >= 5 * MICROS
    best = view.book(intent.outcome).asks[0][0]
    assert best <= intent.price_limit_micros <= min(best + tick, MICROS - tick)


@pytest.mark.parametrize(("action", "price"), [(Action.BUY, 520_000), (Action.SELL, 470_000)])
def test_a_maker_joins_the_best_bid(action: Action, price: int) -> None:
    """A post-only entry rests at the best bid of its own book and expires by itself."""
    intent = wanted(size(decision(action), snapshot(), FLAT, MAKER, 1.0))
    assert intent.style is OrderStyle.MAKER
    assert intent.price_limit_micros == price
    assert intent.expires_ns == NOW_NS + 30 * NS_PER_SECOND
    late = snapshot(now_ns=CLOSES_NS - 10 * NS_PER_SECOND)
    held = replace(MAKER, hold_to_resolution=True)
    assert wanted(size(decision(action), late, FLAT, held, 1.0)).expires_ns == CLOSES_NS


def test_a_small_maker_wish_becomes_the_minimum() -> None:
    """I6: a resting lot has the venue's minimum, without a dollar rule."""
    limits = replace(MAKER, trade_size_micros=MICROS)
    intent = wanted(size(decision(Action.BUY), snapshot(20_000, 30_000), FLAT, limits, 0.05))
    assert intent.shares_micros == 5 * MICROS


def test_deadlines() -> None:
    """I1, I24: the deadline is the earlier of age and close, none to resolution."""
    young = replace(TAKER, maximum_position_age_seconds=60.0)
    intent = wanted(size(decision(Action.BUY), snapshot(), FLAT, young, 1.0))
    assert intent.deadline_ns == NOW_NS + 60 * NS_PER_SECOND
    held = replace(TAKER, hold_to_resolution=True)
    assert wanted(size(decision(Action.BUY), snapshot(), FLAT, held, 1.0)).deadline_ns == 0


def test_a_missing_side_is_said() -> None:
    """An empty side of the book gives no price, so no order and the reason."""
    bare = replace(snapshot(), up=book((), ()))
    held = position(Outcome.UP, 10 * MICROS)
    assert rule_of(size(decision(Action.BUY), bare, FLAT, TAKER, 1.0)) == "empty_book"
    assert rule_of(size(decision(Action.BUY), bare, FLAT, MAKER, 1.0)) == "empty_book"
    assert rule_of(size(decision(Action.SELL), bare, held, TAKER, 1.0)) == "empty_book"


def test_a_book_beyond_our_grid_is_said() -> None:
    """An ask above the highest price of the grid, or a bid below the lowest, is not chased."""
    above = replace(snapshot(), up=book(((980_000, MICROS),), ((995_000, MICROS),)))
    below = replace(snapshot(), up=book(((5_000, MICROS),), ((10_000, MICROS),)))
    assert rule_of(size(decision(Action.BUY), above, FLAT, TAKER, 1.0)) == "off_grid"
    assert rule_of(size(decision(Action.BUY), below, FLAT, MAKER, 1.0)) == "off_grid"


def test_an_unknown_tick_stops_an_exit() -> None:
    """A grid nobody knows fails closed, on the way out as well."""
    odd = replace(snapshot(), up=book(((520_000, MICROS),), ((530_000, MICROS),), 20_000))
    found = exit_intent(position(Outcome.UP, 9 * MICROS), odd, IntentReason.EXIT_STALE, 10_000)
    assert rule_of(found) == "tick_unknown"


def test_the_supervisor_names_its_reason() -> None:
    """I17, I22: an exit carries the enumerated reason and never goes below one tick."""
    view = snapshot(20_000, 30_000)
    held = position(Outcome.UP, 9 * MICROS)
    intent = wanted(exit_intent(held, view, IntentReason.EXIT_TIMEOUT, 50_000))
    assert (intent.reason, intent.price_limit_micros) == (IntentReason.EXIT_TIMEOUT, 10_000)
    with pytest.raises(ValueError, match="flat"):
        exit_intent(FLAT, view, IntentReason.EXIT_TIMEOUT, 0)


def test_mismatched_arguments_are_refused() -> None:
    """A decision, a position or a confidence that cannot be meant raises."""
    with pytest.raises(ValueError, match="expected window-1"):
        size(decision(Action.BUY, "other"), snapshot(), FLAT, TAKER, 1.0)
    with pytest.raises(ValueError, match="expected window-1"):
        size(decision(Action.BUY), snapshot(), Position("other"), TAKER, 1.0)
    for confidence in (0.0, 1.01, float("nan")):
        with pytest.raises(ValueError, match="confidence"):
            size(decision(Action.BUY), snapshot(), FLAT, TAKER, confidence)


def test_an_ask_between_two_ticks_is_reached() -> None:
    """A limit below an ask that is off the grid would never match, so it is raised."""
    between = replace(snapshot(), up=book(((520_000, MICROS),), ((535_000, MICROS),)))
    exact = replace(TAKER, slippage_ticks=0)
    intent = wanted(size(decision(Action.BUY), between, FLAT, exact, 1.0))
    assert intent.price_limit_micros == 540_000
