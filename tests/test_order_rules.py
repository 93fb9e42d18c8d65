"""The venue's order rules, on every grid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.domain import MICROS, RuleFailure, Side
from helpers.order_rules import (
    RULE_AMOUNT_DECIMALS,
    RULE_MINIMUM_NOTIONAL,
    RULE_MINIMUM_SHARES,
    RULE_TICK,
    RULE_TICK_UNKNOWN,
    TICKS_MICROS,
    OrderAmounts,
    amount_decimals_failure,
    ceil_price,
    ceil_shares,
    floor_price,
    floor_shares,
    price_failure,
    resting_amounts,
    smallest_taker_buy,
    taker_amounts,
    venue_text,
)

MINIMUM = 5 * MICROS
ticks = st.sampled_from(TICKS_MICROS)
shares_micros = st.integers(0, 100_000 * MICROS)


@st.composite
def grid_prices(draw: st.DrawFn) -> tuple[int, int]:
    """Draw a tick and a price on its grid."""
    tick = draw(ticks)
    return tick, tick * draw(st.integers(1, MICROS // tick - 1))


@given(ticks, st.integers(-MICROS, 2 * MICROS))
def test_a_price_is_allowed_exactly_on_the_inner_grid(tick: int, price: int) -> None:
    """A price passes if and only if it is a whole number of ticks within [tick, 1 - tick]."""
    allowed = price in range(tick, MICROS - tick + 1, tick)
    assert (price_failure(price, tick) is None) is allowed


@pytest.mark.parametrize("tick", [0, -1, 1, 20_000, 50])
def test_an_unknown_tick_fails_closed(tick: int) -> None:
    """A grid nobody told us about is refused, not guessed."""
    failure = price_failure(500_000, tick)
    assert failure is not None
    assert failure.rule == RULE_TICK_UNKNOWN
    assert "expected one of 0.1, 0.01, 0.005, 0.0025, 0.001, 0.0001" in venue_text(failure, "1")


@given(grid_prices(), shares_micros)
def test_a_taker_buy_is_cents_for_four_decimals(at: tuple[int, int], shares: int) -> None:
    """I6: amounts keep the venue's decimals, never exceed the wish and stay within the tick."""
    tick, price = at
    amounts = taker_amounts(Side.BUY, shares, price, tick, MINIMUM)
    if isinstance(amounts, RuleFailure):
        assert amounts.rule in (RULE_MINIMUM_SHARES, RULE_MINIMUM_NOTIONAL)
        return
    assert amount_decimals_failure(amounts) is None
    assert amounts.maker_micros % 10_000 == 0
    assert amounts.taker_micros % 100 == 0
    assert MINIMUM <= amounts.shares_micros <= shares
    assert MICROS <= amounts.dollars_micros <= shares * price // MICROS
    implied = amounts.dollars_micros * MICROS
    assert price * amounts.shares_micros <= implied < (price + tick) * amounts.shares_micros


@given(grid_prices(), shares_micros)
def test_a_taker_sale_is_two_decimals_for_four(at: tuple[int, int], shares: int) -> None:
    """A sale gives whole hundredths of a share and refuses only what is under the minimum."""
    tick, price = at
    amounts = taker_amounts(Side.SELL, shares, price, tick, MINIMUM)
    if isinstance(amounts, RuleFailure):
        assert amounts.rule == RULE_MINIMUM_SHARES
        assert floor_shares(shares) < MINIMUM
        return
    assert amount_decimals_failure(amounts) is None
    assert amounts.maker_micros == floor_shares(shares) == amounts.shares_micros
    assert 0 <= amounts.shares_micros * price // MICROS - amounts.dollars_micros < 100


@given(grid_prices(), st.sampled_from((5 * MICROS, 15 * MICROS, 5_010_000)))
def test_the_smallest_buy_passes_and_one_step_less_does_not(
    at: tuple[int, int], minimum: int
) -> None:
    """I6: the least lot is the least: the venue takes it, and nothing smaller."""
    tick, price = at
    least = smallest_taker_buy(minimum, price)
    amounts = taker_amounts(Side.BUY, least, price, tick, minimum)
    assert isinstance(amounts, OrderAmounts)
    assert floor_shares(amounts.shares_micros) >= minimum
    assert isinstance(taker_amounts(Side.BUY, least - 10_000, price, tick, minimum), RuleFailure)


def test_five_shares_off_the_cent_grid_would_be_too_few() -> None:
    """I6: 5 shares at 0.535 are floored to 2.67 dollars, which is under 5 shares."""
    failure = taker_amounts(Side.BUY, MINIMUM, 535_000, 5_000, MINIMUM)
    assert failure == RuleFailure(RULE_MINIMUM_SHARES, 5.0, 4.9906)
    least = smallest_taker_buy(MINIMUM, 535_000)
    amounts = taker_amounts(Side.BUY, least, 535_000, 5_000, MINIMUM)
    assert amounts == OrderAmounts(Side.BUY, 2_680_000, 5_009_300)


@given(grid_prices(), shares_micros, st.sampled_from(Side))
def test_a_resting_order_is_exact(at: tuple[int, int], shares: int, side: Side) -> None:
    """A limit order's dollars are shares times price without any rounding."""
    tick, price = at
    amounts = resting_amounts(side, shares, price, tick, MINIMUM)
    if isinstance(amounts, RuleFailure):
        assert amounts.rule == RULE_MINIMUM_SHARES
        return
    assert amounts.dollars_micros * MICROS == amounts.shares_micros * price
    assert amounts.shares_micros == floor_shares(shares)


@pytest.mark.parametrize("amounts_of", [taker_amounts, resting_amounts])
def test_a_bad_price_is_refused_whatever_the_style(
    amounts_of: type[None],
) -> None:
    """Both kinds of order check the grid first."""
    for price in (0, 535_000, MICROS):
        failure = amounts_of(Side.BUY, 100 * MICROS, price, 10_000, MINIMUM)  # pyright: ignore
        assert isinstance(failure, RuleFailure)
        assert failure.rule == RULE_TICK


def test_rounding_goes_the_way_it_says() -> None:
    """Floors and ceilings keep what is already on the grid."""
    assert (floor_shares(5_019_999), ceil_shares(5_010_001)) == (5_010_000, 5_020_000)
    assert (floor_shares(5_010_000), ceil_shares(5_010_000)) == (5_010_000, 5_010_000)
    assert (floor_price(539_999, 10_000), ceil_price(530_001, 10_000)) == (530_000, 540_000)


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (
            price_failure(535_000, 10_000),
            "order 0x1 is invalid. Price (0.535) breaks minimum tick size rule: 0.01",
        ),
        (
            taker_amounts(Side.SELL, 4_990_000, 500_000, 10_000, MINIMUM),
            "order 0x1 is invalid. Size (4.99) lower than the minimum: 5",
        ),
        (
            taker_amounts(Side.BUY, 50 * MICROS, 10_000, 10_000, MINIMUM),
            "invalid amount for a marketable BUY order ($0.5), min size: $1",
        ),
        (
            amount_decimals_failure(OrderAmounts(Side.BUY, 9_980_000, 10_131_970)),
            "invalid amounts, the market buy orders maker amount supports a max accuracy of "
            "2 decimals, taker amount a max of 4 decimals",
        ),
        (
            amount_decimals_failure(OrderAmounts(Side.SELL, 5_001_000, 2_000_000)),
            "invalid amounts, the market sell orders maker amount supports a max accuracy of "
            "2 decimals, taker amount a max of 4 decimals",
        ),
    ],
)
def test_refusals_speak_the_venues_words(failure: RuleFailure, text: str) -> None:
    """The texts are the reference's (B.4), so a log reads the same in paper and live."""
    assert venue_text(failure, "0x1") == text


def test_a_foreign_rule_has_no_venue_text() -> None:
    """A rule of ours is not put in the venue's mouth."""
    with pytest.raises(KeyError):
        venue_text(RuleFailure("daily_loss", 1.0, 2.0), "0x1")
    assert RULE_AMOUNT_DECIMALS == "amount_decimals"
