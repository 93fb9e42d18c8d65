"""The gate's rules on the order itself: its form, its price, its size against book and money."""

from __future__ import annotations

from helpers.domain import (
    MICROS,
    Account,
    MarketState,
    OrderIntent,
    OrderStyle,
    RuleFailure,
    Side,
    from_micros,
)
from helpers.safety_data import FEE_EXPONENT
from helpers.safety_limits import GateLimits


def well_formed(intent: OrderIntent, state: MarketState) -> RuleFailure | None:
    """Check what must hold of any order, exits included."""
    if intent.shares_micros <= 0:
        return RuleFailure("well_formed", "shares > 0", from_micros(intent.shares_micros))
    if not 0 < intent.price_limit_micros < MICROS:
        return RuleFailure("well_formed", "0 < price < 1", from_micros(intent.price_limit_micros))
    if intent.opens != (intent.side is Side.BUY):
        return RuleFailure("well_formed", "entries buy, exits sell", intent.side.value)
    token = state.snapshot.market.token(intent.outcome)
    if intent.token != token:
        return RuleFailure("well_formed", f"{intent.outcome} token {token}", intent.token)
    return None


def price_band(
    intent: OrderIntent, _state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse a price so near 0 or 1 that a tick is most of what can be won or lost."""
    price = intent.price_limit_micros
    if not limits.price_minimum_micros <= price <= limits.price_maximum_micros:
        low, high = (
            from_micros(limits.price_minimum_micros),
            from_micros(limits.price_maximum_micros),
        )
        return RuleFailure("price_band", f"{low:g} to {high:g}", from_micros(price))
    return None


def spread(
    intent: OrderIntent, state: MarketState, _account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse a spread that costs more than any edge pays, and a book that has none."""
    book = state.snapshot.book(intent.outcome)
    limit = from_micros(limits.spread_micros)
    if not book.bids or not book.asks:
        return RuleFailure("spread", limit, "a side is empty")
    found = book.asks[0][0] - book.bids[0][0]
    return (
        RuleFailure("spread", limit, from_micros(found)) if found > limits.spread_micros else None
    )


def depth(
    intent: OrderIntent, state: MarketState, _account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse what the book could not take back, or could not fill within a taker's limit."""
    book = state.snapshot.book(intent.outcome)
    within = sum(s for p, s in book.asks if p <= intent.price_limit_micros)
    back = sum(shares for _, shares in book.bids)
    wanted = intent.shares_micros
    found = min(within, back) if intent.style is OrderStyle.TAKER else back
    if found < wanted:
        return RuleFailure("depth", from_micros(wanted), from_micros(found))
    return None


def exposure(
    intent: OrderIntent, state: MarketState, account: Account, limits: GateLimits
) -> RuleFailure | None:
    """Refuse more money at risk than allowed; entries in flight and fees count."""
    after = account.exposure.exposure_micros + _cost_micros(intent, state)
    if after > limits.exposure_micros:
        return RuleFailure("exposure", from_micros(limits.exposure_micros), from_micros(after))
    return None


def balance(
    intent: OrderIntent, state: MarketState, account: Account, _limits: GateLimits
) -> RuleFailure | None:
    """Refuse what cash cannot pay: notional plus the taker fee, which is charged on top (G.2)."""
    needed = _cost_micros(intent, state)
    found = account.exposure.cash_micros
    if needed > found:
        return RuleFailure("balance", from_micros(needed), from_micros(found))
    return None


def _cost_micros(intent: OrderIntent, state: MarketState) -> int:
    # Raised to a micro-dollar, as the books do with what a buy costs.
    notional = -(-intent.shares_micros * intent.price_limit_micros // MICROS)
    fees = state.snapshot.market.fees
    if fees.exponent != FEE_EXPONENT:
        return notional  # market_facts refuses this one: its fee is not known
    return notional + fees.taker_fee_micros(intent.shares_micros, intent.price_limit_micros)
