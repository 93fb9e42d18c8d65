"""Pure checks of one order against the rules of its market (protocol reference B.5).

Every check returns the venue's refusal or ``None``; none of them knows a book or an account.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import MICROS, NS_PER_SECOND, Side
from simulator import refusals
from simulator.exchange_messages import PlaceOrder, Refusal
from simulator.matching import TimeInForce
from simulator.order_signing import SignedOrder

MARKETABLE_BUY_MINIMUM_MICROS: Final = MICROS
"""Marketable buys are at least one dollar."""
TWO_DECIMALS_MICROS: Final = 10_000
FOUR_DECIMALS_MICROS: Final = 100
AMOUNT_DECIMALS: Final = {
    100_000: 3,
    10_000: 4,
    5_000: 5,
    2_500: 6,
    1_000: 5,
    100: 6,
}
"""Decimals of the dollar amount of a limit order, by tick."""
FLOORING_TOLERANCE_PPM: Final = 100
"""A market order's amount is floored to 4 decimals, which moves its implied price this much."""


def tick_refusal(order_id: str, price_micros: int, tick_micros: int) -> Refusal | None:
    """Refuse a price that is no multiple of the tick or outside [tick, 1 - tick]."""
    on_grid = price_micros % tick_micros == 0
    if on_grid and tick_micros <= price_micros <= MICROS - tick_micros:
        return None
    return refusals.tick_broken(order_id, price_micros, tick_micros)


def expiry_refusal(order: PlaceOrder, now_ns: int, minimum_ns: int) -> Refusal | None:
    """Refuse an expiry on an order that has none, or one that is too close."""
    if order.time_in_force is TimeInForce.GTD:
        too_close = order.expires_ns < now_ns + minimum_ns
        return refusals.INVALID_EXPIRATION if too_close else None
    return refusals.INVALID_EXPIRATION if order.expires_ns else None


def implied_shares(order: PlaceOrder) -> int:
    """Return an order's shares; of a dollar-sized one, what it buys at its limit."""
    if order.budget_micros:
        return order.budget_micros * MICROS // order.price_micros
    return order.shares_micros


def limit_notional(order: PlaceOrder) -> int:
    """Return the dollars of an order at its limit, rounded up."""
    if order.budget_micros:
        return order.budget_micros
    return -(-order.shares_micros * order.price_micros // MICROS)


def precision_refusal(
    side: Side, time_in_force: TimeInForce, maker: int, taker: int, tick_micros: int
) -> Refusal | None:
    """Refuse amounts with more decimals than the venue takes.

    FAK and FOK: 2 decimals for what is given, 4 for what is taken, whatever the tick. Limit
    orders: 2 decimals of a share, and dollars as exact as the tick makes them.
    """
    if time_in_force in (TimeInForce.FAK, TimeInForce.FOK):
        if maker % TWO_DECIMALS_MICROS or taker % FOUR_DECIMALS_MICROS:
            return refusals.too_precise("market buy" if side is Side.BUY else "sell", 2, 4)
        return None
    decimals = AMOUNT_DECIMALS[tick_micros]
    shares, dollars = (taker, maker) if side is Side.BUY else (maker, taker)
    if shares % TWO_DECIMALS_MICROS == 0 and dollars % 10 ** (6 - decimals) == 0:
        return None
    if side is Side.BUY:
        return refusals.too_precise("buy", decimals, 2)
    return refusals.too_precise("sell", 2, decimals)


def translate(
    signed: SignedOrder,
    order_id: str,
    account: str,
    time_in_force: TimeInForce,
    *,
    post_only: bool,
    tick_micros: int,
) -> PlaceOrder | Refusal:
    """Return the order that signed amounts mean, or why they mean none.

    A limit order's price must come out exact. A market order's limit is the tick at or just
    inside its implied price, because its amounts are floored; a market buy is dollar-sized.
    """
    maker, taker = signed.maker_amount_micros, signed.taker_amount_micros
    if maker <= 0 or taker <= 0:
        return refusals.INVALID_PAYLOAD
    buying = signed.side is Side.BUY
    dollars, shares = (maker, taker) if buying else (taker, maker)
    price, remainder = divmod(dollars * MICROS, shares)
    market_order = time_in_force in (TimeInForce.FAK, TimeInForce.FOK)
    if market_order:
        tolerance = price * FLOORING_TOLERANCE_PPM // MICROS + 1
        snapped = price - price % tick_micros
        if not buying and snapped * shares < dollars * MICROS:
            snapped += tick_micros
        if abs(snapped - price) > tolerance:
            return refusals.tick_broken(order_id, price, tick_micros)
        price, remainder = snapped, 0
    if remainder:
        return refusals.tick_broken(order_id, price, tick_micros)
    refusal = tick_refusal(order_id, price, tick_micros) or precision_refusal(
        signed.side, time_in_force, maker, taker, tick_micros
    )
    if refusal is not None:
        return refusal
    return PlaceOrder(
        order_id,
        account,
        signed.token,
        signed.side,
        price,
        0 if market_order and buying else shares,
        time_in_force,
        post_only,
        signed.expiration_seconds * NS_PER_SECOND,
        maker if market_order and buying else 0,
    )
