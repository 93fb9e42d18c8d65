"""Ticks, decimals and the meaning of signed amounts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helpers.domain import Side
from simulator import refusals
from simulator.exchange_messages import PlaceOrder, Refusal
from simulator.matching import TimeInForce
from simulator.order_rules import implied_shares, limit_notional, tick_refusal, translate
from simulator.order_signing import SignedOrder
from tests.shared import shared_file


def signed(side: Side, maker: int, taker: int) -> SignedOrder:
    return SignedOrder(1, "0x", "0x", "42", maker, taker, side, 0, 0, "0x")


def meaning(
    side: Side, maker: int, taker: int, kind: TimeInForce, tick: int
) -> PlaceOrder | Refusal:
    return translate(signed(side, maker, taker), "id", "a", kind, post_only=False, tick_micros=tick)


@pytest.mark.parametrize(
    ("price", "tick", "fine"),
    [
        (10_000, 10_000, True),
        (990_000, 10_000, True),
        (0, 10_000, False),
        (1_000_000, 10_000, False),
        (999_000, 10_000, False),
        (999_000, 1_000, True),
        (999_500, 1_000, False),
    ],
)
def test_prices_are_on_the_grid_within_a_tick_of_the_ends(price: int, tick: int, fine: bool):
    """A price is a multiple of the tick in [tick, 1 - tick] (reference B.5)."""
    assert (tick_refusal("id", price, tick) is None) is fine


def test_limit_amounts_of_the_vendors_clients_are_understood():
    """Every limit amount the official clients build means its own price and size."""
    path = shared_file("fixtures/polymarket/eip712_test_vectors.json")
    for vector in msgspec.json.decode(path.read_bytes())["limit_order_amounts"]:
        maker, taker = vector["polymarket_client"]
        tick = round(float(vector["tick"]) * 1_000_000)
        order = meaning(Side(vector["side"]), maker, taker, TimeInForce.GTC, tick)
        assert isinstance(order, PlaceOrder)
        assert order.price_micros == round(vector["price"] * 1_000_000)
        assert order.shares_micros == round(vector["size"] * 1_000_000)


def test_market_amounts_of_the_vendors_clients_are_understood_or_too_precise():
    """On a coarse tick they mean their price; on 0.001 five decimals are refused (B.5)."""
    path = shared_file("fixtures/polymarket/eip712_test_vectors.json")
    for vector in msgspec.json.decode(path.read_bytes())["market_order_amounts"]:
        maker, taker = vector["polymarket_client"]
        tick = round(float(vector["tick"]) * 1_000_000)
        side = Side(vector["side"])
        order: Any = meaning(side, maker, taker, TimeInForce.FAK, tick)
        if taker % 100:
            assert isinstance(order, Refusal)
            assert "max accuracy" in order.error
            floored = taker - taker % 100
            order = meaning(side, maker, floored, TimeInForce.FAK, tick)
        assert isinstance(order, PlaceOrder)
        assert order.price_micros == round(vector["price"] * 1_000_000)


def test_a_market_buy_is_dollar_sized_and_a_sale_share_sized():
    """A buy spends its maker amount, a sale gives it (reference D.2)."""
    buy = meaning(Side.BUY, 10_000_000, 18_867_900, TimeInForce.FAK, 10_000)
    assert isinstance(buy, PlaceOrder)
    assert (buy.budget_micros, buy.shares_micros, limit_notional(buy)) == (
        10_000_000,
        0,
        10_000_000,
    )
    assert implied_shares(buy) == 18_867_924
    sale = meaning(Side.SELL, 20_000_000, 10_000_000, TimeInForce.FOK, 10_000)
    assert isinstance(sale, PlaceOrder)
    assert (sale.budget_micros, sale.shares_micros, sale.price_micros) == (0, 20_000_000, 500_000)


def test_a_floored_sale_keeps_its_limit():
    """A sale's floored proceeds imply a price just under the tick, which is meant (B.5)."""
    sale = meaning(Side.SELL, 10_130_000, 9_978_000, TimeInForce.FAK, 1_000)
    assert isinstance(sale, PlaceOrder)
    assert sale.price_micros == 985_000


@pytest.mark.parametrize(
    ("side", "maker", "taker", "kind"),
    [
        (Side.BUY, 3_333_333, 10_000_000, TimeInForce.GTC),
        (Side.BUY, 3_330_000, 10_000_000, TimeInForce.GTC),
        (Side.SELL, 10_000_000, 3_330_000, TimeInForce.FAK),
        (Side.BUY, 10_000_000, 9_000_000, TimeInForce.GTC),
    ],
)
def test_prices_off_the_grid_are_refused(side: Side, maker: int, taker: int, kind: TimeInForce):
    """Amounts that imply no tick price break the tick rule."""
    order = meaning(side, maker, taker, kind, 10_000)
    assert isinstance(order, Refusal)
    assert "minimum tick size rule: 0.01" in order.error


def test_batches_have_a_limit():
    """An oversized batch is refused with its size (reference B.4)."""
    assert refusals.too_many_orders(16, 15).error == (
        "Too many orders in payload: 16, max allowed: 15"
    )
