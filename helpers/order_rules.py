"""The venue's order rules as pure functions: price grid, amount decimals, minimums, error texts.

Sizing, the paper executor and the live client share them, so paper refuses what live would. Must
not: round a price in anybody's favour, or know about positions, books or the network.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import MICROS, Message, RuleFailure, RuleValue, Side, from_micros

TICKS_MICROS: Final = (100_000, 10_000, 5_000, 2_500, 1_000, 100)
"""Every grid the venue's builders know (reference B.5); another one fails closed."""

SHARE_STEP_MICROS: Final = 10_000
"""Shares of an order have two decimals (reference B.5)."""

CENT_MICROS: Final = 10_000
"""A FAK buy offers whole cents, whatever the tick (reference B.5)."""

TAKER_STEP_MICROS: Final = 100
"""The taker amount of a FAK order has four decimals at most (reference B.5)."""

MINIMUM_MARKETABLE_MICROS: Final = 1_000_000
"""A marketable buy is worth a dollar at least (reference B.4, B.5)."""

RULE_TICK: Final = "tick"
RULE_TICK_UNKNOWN: Final = "tick_unknown"
RULE_MINIMUM_SHARES: Final = "minimum_shares"
RULE_MINIMUM_NOTIONAL: Final = "minimum_notional"
RULE_AMOUNT_DECIMALS: Final = "amount_decimals"

FAK_UNMATCHED_TEXT: Final = (
    "no orders found to match with FAK order. "
    "FAK orders are partially filled or killed if no match is found."
)
POST_ONLY_CROSSES_TEXT: Final = "invalid post-only order: order crosses book"
EXPIRATION_TEXT: Final = "invalid expiration"


class OrderAmounts(Message, frozen=True):
    """What is signed: the maker amount is given, the taker amount is wanted, in micro-units."""

    side: Side
    maker_micros: int
    taker_micros: int

    @property
    def shares_micros(self) -> int:
        """Return the amount that is shares."""
        return self.taker_micros if self.side is Side.BUY else self.maker_micros

    @property
    def dollars_micros(self) -> int:
        """Return the amount that is pUSD, before any fee."""
        return self.maker_micros if self.side is Side.BUY else self.taker_micros


def floor_shares(shares_micros: int) -> int:
    """Return micro-shares floored to the two decimals an order may have."""
    return shares_micros // SHARE_STEP_MICROS * SHARE_STEP_MICROS


def ceil_shares(shares_micros: int) -> int:
    """Return micro-shares raised to the two decimals an order may have."""
    return -(-shares_micros // SHARE_STEP_MICROS) * SHARE_STEP_MICROS


def floor_price(price_micros: int, tick_micros: int) -> int:
    """Return the grid price at or below a price."""
    return price_micros // tick_micros * tick_micros


def ceil_price(price_micros: int, tick_micros: int) -> int:
    """Return the grid price at or above a price."""
    return -(-price_micros // tick_micros) * tick_micros


def price_failure(price_micros: int, tick_micros: int) -> RuleFailure | None:
    """Return why a price is not allowed: off the grid or outside [tick, 1 - tick] (B.5)."""
    if tick_micros not in TICKS_MICROS:
        known = ", ".join(_text(from_micros(tick)) for tick in TICKS_MICROS)
        return RuleFailure(RULE_TICK_UNKNOWN, f"one of {known}", from_micros(tick_micros))
    inside = tick_micros <= price_micros <= MICROS - tick_micros
    if not inside or price_micros % tick_micros:
        return RuleFailure(RULE_TICK, from_micros(tick_micros), from_micros(price_micros))
    return None


def taker_amounts(
    side: Side,
    shares_micros: int,
    price_micros: int,
    tick_micros: int,
    minimum_shares_micros: int,
) -> OrderAmounts | RuleFailure:
    """Return the exact amounts of a FAK order, or the first rule it breaks (reference B.5).

    A buy gives shares x price floored to cents and wants that over the price floored to four
    decimals, so a little less than ``shares_micros`` may be bought, never more; a sale gives shares
    floored to two decimals. The dollar minimum is the venue's for marketable *buys*: its error text
    names no other, and refusing a small sale here would shut an exit the venue leaves open.
    """
    failure = price_failure(price_micros, tick_micros)
    if failure is not None:
        return failure
    shares = floor_shares(shares_micros)
    if side is Side.SELL:
        if shares < minimum_shares_micros:
            return _too_few(shares, minimum_shares_micros)
        dollars = _floor(shares * price_micros // MICROS, TAKER_STEP_MICROS)
        return OrderAmounts(side, shares, dollars)
    dollars = _floor(shares * price_micros // MICROS, CENT_MICROS)
    bought = _floor(dollars * MICROS // price_micros, TAKER_STEP_MICROS)
    if bought < minimum_shares_micros:
        return _too_few(bought, minimum_shares_micros)
    if dollars < MINIMUM_MARKETABLE_MICROS:
        limit = from_micros(MINIMUM_MARKETABLE_MICROS)
        return RuleFailure(RULE_MINIMUM_NOTIONAL, limit, from_micros(dollars))
    return OrderAmounts(side, dollars, bought)


def resting_amounts(
    side: Side,
    shares_micros: int,
    price_micros: int,
    tick_micros: int,
    minimum_shares_micros: int,
) -> OrderAmounts | RuleFailure:
    """Return the exact amounts of a post-only limit order, or the first rule it breaks (B.5).

    Shares have two decimals; pUSD is shares x price, which is exact on every known grid.
    """
    failure = price_failure(price_micros, tick_micros)
    if failure is not None:
        return failure
    shares = floor_shares(shares_micros)
    if shares < minimum_shares_micros:
        return _too_few(shares, minimum_shares_micros)
    dollars, rest = divmod(shares * price_micros, MICROS)
    assert rest == 0, "two-decimal shares at a four-decimal price are whole micro-dollars"
    if side is Side.BUY:
        return OrderAmounts(side, dollars, shares)
    return OrderAmounts(side, shares, dollars)


def amount_decimals_failure(amounts: OrderAmounts) -> RuleFailure | None:
    """Return a failure if a FAK order's amounts have more decimals than the venue takes (B.5)."""
    if amounts.maker_micros % CENT_MICROS == 0 and amounts.taker_micros % TAKER_STEP_MICROS == 0:
        return None
    found = f"{from_micros(amounts.maker_micros)} for {from_micros(amounts.taker_micros)}"
    return RuleFailure(RULE_AMOUNT_DECIMALS, f"{amounts.side} 2 and 4 decimals", found)


def smallest_taker_buy(minimum_shares_micros: int, price_micros: int) -> int:
    """Return the fewest micro-shares to ask for so that a FAK buy passes both minimums.

    Off the cent grids the floors of ``taker_amounts`` would turn a request for exactly the minimum
    into a lot below it, which could not be sold again (I6).
    """
    least = -(-minimum_shares_micros * price_micros // MICROS)
    dollars = -(-max(least, MINIMUM_MARKETABLE_MICROS) // CENT_MICROS) * CENT_MICROS
    return ceil_shares(-(-dollars * MICROS // price_micros))


def venue_text(failure: RuleFailure, order_id: str) -> str:
    """Return the venue's error text for a broken rule (reference B.4).

    Raises ``KeyError`` for a rule that is not the venue's.
    """
    limit, found = _text(failure.limit), _text(failure.found)
    tick = f"order {order_id} is invalid. Price ({found}) breaks minimum tick size rule: {limit}"
    word = "sell" if limit.startswith(Side.SELL) else "buy"
    return {
        RULE_TICK: tick,
        RULE_TICK_UNKNOWN: f"order {order_id} is invalid. Tick was {found}, expected {limit}",
        RULE_MINIMUM_SHARES: (
            f"order {order_id} is invalid. Size ({found}) lower than the minimum: {limit}"
        ),
        RULE_MINIMUM_NOTIONAL: (
            f"invalid amount for a marketable BUY order (${found}), min size: ${limit}"
        ),
        RULE_AMOUNT_DECIMALS: (
            f"invalid amounts, the market {word} orders maker amount supports a max accuracy "
            "of 2 decimals, taker amount a max of 4 decimals"
        ),
    }[failure.rule]


def _too_few(shares_micros: int, minimum_shares_micros: int) -> RuleFailure:
    return RuleFailure(
        RULE_MINIMUM_SHARES, from_micros(minimum_shares_micros), from_micros(shares_micros)
    )


def _floor(amount_micros: int, step_micros: int) -> int:
    return amount_micros // step_micros * step_micros


def _text(value: RuleValue) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.6f}".rstrip("0").rstrip(".")
