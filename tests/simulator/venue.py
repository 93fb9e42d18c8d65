"""A small venue for tests: one market, a house that quotes, two funded customers."""

from __future__ import annotations

from helpers.domain import NS_PER_SECOND, Outcome, Side
from simulator.exchange import Exchange
from simulator.exchange_messages import (
    COLLATERAL,
    ExchangeSettings,
    MarketListing,
    OrderAccepted,
    OrderReply,
    PlaceOrder,
)
from simulator.matching import TimeInForce

T0 = 1_795_000_000 * NS_PER_SECOND
SHARE = 1_000_000
DOLLAR = 1_000_000
CONDITION = "0x" + "ab" * 32
UP_TOKEN = "1111"
DOWN_TOKEN = "2222"

LISTING = MarketListing(
    market_id="1",
    event_id="2",
    slug="btc-updown-15m-1795000500",
    question="Bitcoin Up or Down",
    condition_id=CONDITION,
    up_token=UP_TOKEN,
    down_token=DOWN_TOKEN,
    asset="btc",
    duration="15m",
    series_slug="btc-up-or-down-15m",
    created_ns=T0 - NS_PER_SECOND,
    opens_ns=T0 + 500 * NS_PER_SECOND,
    closes_ns=T0 + 1400 * NS_PER_SECOND,
)
NO_HOLD = ExchangeSettings(taker_hold_ns=0)


def venue(settings: ExchangeSettings = NO_HOLD) -> Exchange:
    """Return an exchange with one market, house, and customers ann and bob with 1,000 dollars."""
    exchange = Exchange(settings)
    exchange.list_market(LISTING, T0)
    exchange.accounts.open("house", house=True)
    for name in ("ann", "bob"):
        exchange.accounts.open(name)
        exchange.accounts.deposit(name, COLLATERAL, 1_000 * DOLLAR, T0)
        exchange.accounts.update(name, COLLATERAL)
    exchange.drain()
    return exchange


_count = iter(range(1, 10**9))


def order(
    account: str,
    outcome: Outcome,
    side: Side,
    price: float,
    shares: float,
    kind: TimeInForce = TimeInForce.GTC,
    *,
    order_id: str = "",
    post_only: bool = False,
    expires_ns: int = 0,
    budget: float = 0,
) -> PlaceOrder:
    """Return an order in dollars and shares."""
    return PlaceOrder(
        order_id or f"{account}-{next(_count)}",
        account,
        LISTING.token(outcome),
        side,
        round(price * 1_000_000),
        round(shares * SHARE),
        kind,
        post_only,
        expires_ns,
        round(budget * DOLLAR),
    )


def quote(exchange: Exchange, bid: float = 0.49, ask: float = 0.51, size: float = 100) -> None:
    """Let the house quote Up on both sides."""
    accepted(exchange.place(order("house", Outcome.UP, Side.BUY, bid, size), T0))
    accepted(exchange.place(order("house", Outcome.UP, Side.SELL, ask, size), T0))


def accepted(reply: OrderReply) -> OrderAccepted:
    """Return a reply that must be an acceptance."""
    assert isinstance(reply, OrderAccepted), reply
    return reply
