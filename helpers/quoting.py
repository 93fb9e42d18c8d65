"""How an entry meets the book: cross it, or rest a bid; at what price; and how long a bid is kept.

Pure. Crossing costs the taker fee and half the spread, 1.75 cents and more a share at 0.50, so it
is done only for an edge that pays for both. Must not: judge risk, or know whether a fill came.
"""

from __future__ import annotations

import enum
from typing import Final

from helpers.domain import (
    MICROS,
    NO_FORECAST,
    NS_PER_SECOND,
    Action,
    BookProblem,
    BookView,
    Decision,
    OrderIntent,
    OrderStyle,
    Outcome,
    Snapshot,
)
from helpers.order_rules import floor_price

LEAST_QUOTE_NS: Final = 1 * NS_PER_SECOND
"""A bid is not moved sooner: each move costs its place in the queue and two requests."""


class ExecutionStyle(enum.StrEnum):
    """How entries are executed."""

    TAKER = "taker"
    MAKER = "maker"
    AUTO = "auto"
    """Cross when the expected edge pays for fee and half-spread, else rest a bid."""


def entry_style(
    style: ExecutionStyle, decision: Decision, snapshot: Snapshot, outcome: Outcome
) -> OrderStyle:
    """Return how this entry meets the book; a policy without a forecast never crosses by itself."""
    if style is not ExecutionStyle.AUTO:
        return OrderStyle(style.value)
    forecast = forecast_of(decision, outcome)
    asks = snapshot.book(outcome).asks
    if forecast is None or not asks:
        return OrderStyle.MAKER
    ask = asks[0][0]
    # forecast - mid > fee + half-spread is the same as forecast > ask + fee.
    cost = ask + snapshot.market.fees.taker_fee_micros(MICROS, ask)
    return OrderStyle.TAKER if forecast * MICROS > cost else OrderStyle.MAKER


def forecast_of(decision: Decision, outcome: Outcome) -> float | None:
    """Return the probability the policy gives an outcome, ``None`` where it has no view."""
    if decision.forecast_up == NO_FORECAST:
        return None
    return decision.forecast_up if outcome is Outcome.UP else 1.0 - decision.forecast_up


def quote_micros(book: BookView, tick_micros: int) -> int:
    """Return the price of a bid: one tick better where the spread has room for it, else joined.

    A floor keeps a best bid off our grid from being crossed. Raises ``IndexError`` without a bid.
    """
    best = book.bids[0][0]
    joined = floor_price(best, tick_micros)
    improved = joined + tick_micros
    if book.asks and improved > best and improved < book.asks[0][0] - tick_micros // 2:
        return improved
    return joined


def keeps(resting: OrderIntent, decision: Decision, snapshot: Snapshot) -> bool:
    """Return whether a resting bid still is what the policy and the book call for.

    It goes when the policy wants the other outcome, when its forecast no longer pays the price,
    when the book cannot be read, and when the book has moved away from it.
    """
    wanted = _WANTED.get(decision.action)
    if wanted is not None and wanted is not resting.outcome:
        return False
    book = snapshot.book(resting.outcome)
    if book.problem is not BookProblem.NONE or not book.bids:
        return False
    forecast = forecast_of(decision, resting.outcome)
    if forecast is not None and forecast * MICROS <= resting.price_limit_micros:
        return False
    if wanted is None or snapshot.now_ns - resting.created_ns < LEAST_QUOTE_NS:
        return True
    return book.bids[0][0] <= resting.price_limit_micros < _ask(book)


def _ask(book: BookView) -> int:
    return book.asks[0][0] if book.asks else MICROS


_WANTED: Final = {Action.BUY: Outcome.UP, Action.SELL: Outcome.DOWN}
