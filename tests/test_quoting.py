"""Cross or rest: an edge must pay for fee and half-spread, and a bid is kept while it is right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Action,
    BookLevels,
    BookProblem,
    Decision,
    OrderIntent,
    OrderStyle,
    Outcome,
    Position,
)
from helpers.quoting import ExecutionStyle, entry_style, keeps, quote_micros
from helpers.sizing import Limits, size
from tests.trading_builders import MARKET, NOW_NS, book, decision, mirrored, snapshot

AUTO = Limits(
    trade_size_micros=20 * MICROS,
    style=ExecutionStyle.AUTO,
    maker_lifetime_seconds=30.0,
    position_timeout_seconds=120.0,
    maximum_position_age_seconds=840.0,
    slippage_ticks=1,
    hold_to_resolution=False,
)
WIDE = book(((500_000, 100 * MICROS),), ((540_000, 100 * MICROS),))
SEEN = replace(snapshot(), up=WIDE, down=mirrored(WIDE))


def thinks(up: float, action: Action = Action.BUY) -> Decision:
    return replace(decision(action), forecast_up=up)


@pytest.mark.parametrize(
    ("forecast", "style"),
    [
        (0.5500, OrderStyle.MAKER),
        (0.5573, OrderStyle.MAKER),
        (0.5575, OrderStyle.TAKER),  # the ask of 0.54 and the fee of 0.017388 a share
        (0.9000, OrderStyle.TAKER),
    ],
)
def test_auto_crosses_only_when_the_edge_pays_fee_and_half_spread(
    forecast: float, style: OrderStyle
) -> None:
    """1.74 cents a share of fee at 0.54, and two cents from the mid to the ask."""
    auto = ExecutionStyle.AUTO
    assert entry_style(auto, thinks(forecast), SEEN, Outcome.UP) is style
    mirrored_view = thinks(1.0 - forecast, Action.SELL)
    down = replace(SEEN, up=mirrored(WIDE), down=WIDE)
    assert entry_style(auto, mirrored_view, down, Outcome.DOWN) is style, "both sides alike (I25)"


def test_without_a_forecast_or_an_ask_auto_rests() -> None:
    """No expected edge is no reason to pay for one."""
    assert entry_style(ExecutionStyle.AUTO, decision(Action.BUY), SEEN, Outcome.UP) is (
        OrderStyle.MAKER
    )
    bidless = replace(SEEN, up=book(((500_000, MICROS),), ()))
    assert entry_style(ExecutionStyle.AUTO, thinks(0.9), bidless, Outcome.UP) is OrderStyle.MAKER


@pytest.mark.parametrize("style", [ExecutionStyle.TAKER, ExecutionStyle.MAKER])
def test_a_fixed_style_is_what_it_says(style: ExecutionStyle) -> None:
    """Whatever the edge."""
    assert entry_style(style, thinks(0.99), SEEN, Outcome.UP).value == style.value


@pytest.mark.parametrize(
    ("bid", "ask", "price"),
    [
        (500_000, 510_000, 500_000),  # no room: join
        (500_000, 520_000, 510_000),  # one tick better, one below the ask
        (500_000, 600_000, 510_000),
        (505_000, 520_000, 510_000),  # off our grid: the grid price above it
        (505_000, 510_000, 500_000),
        (500_000, 0, 500_000),  # nobody sells: join
    ],
)
def test_a_bid_joins_or_improves_and_never_crosses(bid: int, ask: int, price: int) -> None:
    """Price-time priority for a tick, where the spread has room."""
    asks: BookLevels = ((ask, MICROS),) if ask else ()
    assert quote_micros(book(((bid, MICROS),), asks), 10_000) == price


@given(bid=st.integers(1, 98), gap=st.integers(1, 50))
def test_no_quote_reaches_the_ask(bid: int, gap: int) -> None:
    """Post-only orders that cross are refused."""
    ask = min(99, bid + gap)
    quoted = quote_micros(book(((bid * 10_000, MICROS),), ((ask * 10_000, MICROS),)), 10_000)
    assert bid * 10_000 <= quoted <= max(bid, ask - 1) * 10_000


def resting(price: int = 510_000, age_seconds: float = 5.0) -> OrderIntent:
    found = size(thinks(0.53), SEEN, Position(MARKET.slug), AUTO, 1.0)
    assert isinstance(found, OrderIntent)
    assert found.style is OrderStyle.MAKER
    created_ns = NOW_NS - round(age_seconds * NS_PER_SECOND)
    return replace(found, price_limit_micros=price, created_ns=created_ns)


def test_a_bid_is_kept_while_signal_and_book_agree_with_it() -> None:
    """The best bid is ours or below."""
    assert keeps(resting(), thinks(0.53), SEEN)
    assert keeps(resting(), thinks(0.53, Action.HOLD), SEEN)


def test_a_bid_goes_when_the_signal_changes() -> None:
    """The other outcome is wanted, or the forecast no longer pays the price."""
    assert not keeps(resting(), thinks(0.53, Action.SELL), SEEN)
    assert not keeps(resting(), thinks(0.51, Action.HOLD), SEEN)


def test_a_bid_moves_when_it_was_overtaken_but_not_at_once() -> None:
    """Moving costs the place in the queue: not within a second."""
    overtaken = replace(SEEN, up=book(((520_000, MICROS),), ((540_000, MICROS),)))
    assert not keeps(resting(), thinks(0.53), overtaken)
    assert keeps(resting(age_seconds=0.5), thinks(0.53), overtaken)


def test_a_bid_goes_when_the_book_cannot_be_read() -> None:
    """Nobody knows what it is worth any more."""
    broken = replace(SEEN, up=replace(WIDE, problem=BookProblem.UNSYNCHRONISED))
    assert not keeps(resting(), thinks(0.53), broken)
    assert not keeps(resting(), thinks(0.53), replace(SEEN, up=book((), ((540_000, MICROS),))))
