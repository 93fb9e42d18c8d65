"""Builders of what the venue says of our orders, sound by default."""

from __future__ import annotations

from helpers.domain import MICROS, NS_PER_SECOND, OrderIntent, OrderSigned, OrderStyle, Side
from helpers.feeds.polymarket_user import UserMakerOrder, UserOrder, UserTrade
from helpers.live.orders import LiveOrders
from tests.builders import DOWN_TOKEN, UP_TOKEN, a_market, an_intent

MARKET = a_market()
NOW_NS = MARKET.opens_ns + 60 * NS_PER_SECOND
SECOND = NS_PER_SECOND


def wanted(
    number: int = 1,
    side: Side = Side.BUY,
    style: OrderStyle = OrderStyle.TAKER,
    shares: float = 10,
) -> OrderIntent:
    """Return an intent on the Up token at 0.53."""
    return an_intent(
        intent_id=f"{MARKET.slug}/{number}/up/{side}",
        market=MARKET.slug,
        token=UP_TOKEN,
        side=side,
        opens=side is Side.BUY,
        style=style,
        price_limit_micros=530_000,
        shares_micros=round(shares * MICROS),
        created_ns=NOW_NS,
        expires_ns=NOW_NS + 10 * SECOND if style is OrderStyle.MAKER else 0,
    )


def order_id(number: int = 1) -> str:
    """Return the id of an order of ours."""
    return "0x" + f"{number:064x}"


def signed(intent: OrderIntent, number: int = 1, at_ns: int = NOW_NS) -> OrderSigned:
    """Return what is journalled of an order."""
    kind = "FAK" if intent.style is OrderStyle.TAKER else "GTD"
    return OrderSigned(
        intent.intent_id,
        order_id(number),
        kind,
        intent.shares_micros,
        intent.price_limit_micros,
        0,
        at_ns,
    )


def one_order(
    side: Side = Side.BUY, style: OrderStyle = OrderStyle.TAKER, shares: float = 10
) -> LiveOrders:
    """Return our orders with one that was just signed."""
    orders = LiveOrders()
    intent = wanted(side=side, style=style, shares=shares)
    orders.add(intent, MARKET, signed(intent))
    return orders


def met(number: int, shares: float, price: float = 0.53, token: str = UP_TOKEN) -> UserMakerOrder:
    """Return somebody's resting order that a trade met."""
    return UserMakerOrder(
        order_id="0x" + f"{900 + number:064x}",
        owner="somebody",
        token=token,
        side=Side.SELL if token == UP_TOKEN else Side.BUY,
        outcome="Up" if token == UP_TOKEN else "Down",
        price_micros=round(price * MICROS),
        matched_micros=round(shares * MICROS),
    )


def trade(
    *makers: UserMakerOrder,
    status: str = "MATCHED",
    number: int = 1,
    trade_id: str = "t1",
    side: Side = Side.BUY,
    size: float | None = None,
) -> UserTrade:
    """Return a trade in which an order of ours took."""
    shares = sum(maker.matched_micros for maker in makers)
    return UserTrade(
        trade_id=trade_id,
        status=status,
        condition_id=MARKET.condition_id,
        token=UP_TOKEN,
        side=side,
        outcome="Up",
        price_micros=530_000,
        size_micros=shares if size is None else round(size * MICROS),
        taker_order_id=order_id(number),
        trader_side="TAKER",
        maker_orders=makers,
        owner="us",
        transaction_hash="",
        matched_ns=NOW_NS,
        venue_ns=NOW_NS,
        received_ns=NOW_NS,
    )


def sold_to_us(shares: float, status: str = "MATCHED", trade_id: str = "m1") -> UserTrade:
    """Return a trade in which somebody took our resting order: the top level is theirs (D.4)."""
    ours = UserMakerOrder(
        order_id=order_id(),
        owner="us",
        token=UP_TOKEN,
        side=Side.BUY,
        outcome="Up",
        price_micros=530_000,
        matched_micros=round(shares * MICROS),
    )
    return UserTrade(
        trade_id=trade_id,
        status=status,
        condition_id=MARKET.condition_id,
        token=DOWN_TOKEN,
        side=Side.BUY,
        outcome="Down",
        price_micros=480_000,
        size_micros=round(99 * MICROS),
        taker_order_id="0x" + "ee" * 32,
        trader_side="MAKER",
        maker_orders=(met(1, 99 - shares), ours),
        owner="somebody",
        transaction_hash="",
        matched_ns=NOW_NS,
        venue_ns=NOW_NS,
        received_ns=NOW_NS,
    )


def told(
    kind: str, status: str, matched: float | None = None, number: int = 1, order_type: str = "GTD"
) -> UserOrder:
    """Return an order event of the user channel."""
    return UserOrder(
        order_id=order_id(number),
        kind=kind,
        condition_id=MARKET.condition_id,
        token=UP_TOKEN,
        side=Side.BUY,
        price_micros=530_000,
        original_micros=10 * MICROS,
        matched_micros=None if matched is None else round(matched * MICROS),
        order_type=order_type,
        status=status,
        owner="us",
        trade_ids=(),
        venue_ns=NOW_NS,
        received_ns=NOW_NS,
    )
