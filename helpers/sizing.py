"""Turns a policy's wish into an order the venue would take, or says why there is none.

Pure. Must not: judge risk, depth or freshness (the gate does), or read positions of its own.
"""

from __future__ import annotations

from typing import Final

from helpers.domain import (
    MICROS,
    NS_PER_SECOND,
    Action,
    BookLevels,
    Decision,
    IntentReason,
    Message,
    OrderIntent,
    OrderStyle,
    Outcome,
    Position,
    RuleFailure,
    RuleValue,
    Side,
    Snapshot,
    Unsized,
    from_micros,
)
from helpers.order_rules import (
    RULE_MINIMUM_SHARES,
    OrderAmounts,
    ceil_price,
    ceil_shares,
    clean_lot_micros,
    floor_price,
    floor_shares,
    resting_amounts,
    smallest_taker_buy,
    taker_amounts,
)
from helpers.quoting import ExecutionStyle, entry_style, quote_micros

RULE_SHARES_PENDING: Final = "shares_pending"
RULE_EMPTY_BOOK: Final = "empty_book"
RULE_OFF_GRID: Final = "off_grid"


class Limits(Message, frozen=True):
    """What sizing is allowed; built from the settings."""

    trade_size_micros: int
    """Dollars of an entry at full confidence, before the fee."""
    style: ExecutionStyle
    """How entries meet the book; exits always take."""
    maker_lifetime_seconds: float
    position_timeout_seconds: float
    """How long before the close a position is closed."""
    maximum_position_age_seconds: float
    slippage_ticks: int
    """How far beyond the best price a taker order may walk."""
    hold_to_resolution: bool


def size(
    decision: Decision,
    snapshot: Snapshot,
    position: Position,
    limits: Limits,
    confidence: float,
) -> OrderIntent | Unsized | None:
    """Return the order a decision wants, why it cannot be one, or ``None`` if nothing is wanted.

    BUY wants the Up token and SELL the Down token; either opens when flat and closes the opposite
    position (DESIGN section 5, I25). ``confidence`` in (0, 1] is the fraction of the trade size.
    Raises ``ValueError`` when the arguments speak of different markets or confidence is outside.
    """
    slug = snapshot.market.slug
    if decision.market != slug or position.market != slug:
        found = f"{decision.market} and {position.market}"
        raise ValueError(f"decision and position were of {found}, expected {slug}")
    if not 0.0 < confidence <= 1.0:
        raise ValueError(f"confidence was {confidence}, expected above 0, at most 1")
    if decision.action is Action.HOLD:
        return None
    wanted = Outcome.UP if decision.action is Action.BUY else Outcome.DOWN
    if position.outcome is None or position.shares_micros == 0:
        style = entry_style(limits.style, decision, snapshot, wanted)
        return _entry(wanted, snapshot, limits, confidence, style)
    if position.outcome is wanted:
        return None
    tick = snapshot.book(position.outcome).tick_micros or snapshot.market.tick_micros
    return exit_intent(position, snapshot, IntentReason.EXIT_SIGNAL, limits.slippage_ticks * tick)


def exit_intent(
    position: Position, snapshot: Snapshot, reason: IntentReason, slippage_micros: int
) -> OrderIntent | Unsized:
    """Return a FAK sale of everything that is settled, or why there is none.

    ``slippage_micros`` is how far below the best bid it may sell.

    Less than the venue's minimum is dust and goes to resolution (I7); shares that are matched but
    not settled cannot be sold yet (reference D.4, I2). Raises ``ValueError`` on a flat position.
    """
    outcome = position.outcome
    if outcome is None or position.shares_micros == 0:
        raise ValueError(f"position in {position.market} was flat, expected shares to sell")
    market, book = snapshot.market, snapshot.book(outcome)
    minimum = market.minimum_shares_micros
    sellable = floor_shares(position.shares_settled_micros)
    if sellable < minimum:
        awaited = floor_shares(position.shares_micros) >= minimum
        awaited = awaited or position.shares_settled_micros == 0
        rule = RULE_SHARES_PENDING if awaited else RULE_MINIMUM_SHARES
        limit, found = from_micros(minimum), from_micros(position.shares_settled_micros)
        return _unsized(snapshot, outcome, Side.SELL, rule, limit, found)
    tick = book.tick_micros or market.tick_micros
    if not book.bids:
        return _unsized(snapshot, outcome, Side.SELL, RULE_EMPTY_BOOK, "a bid", "none")
    price = floor_price(book.bids[0][0] - slippage_micros, tick)
    price = min(max(price, tick), MICROS - tick)
    amounts = taker_amounts(Side.SELL, sellable, price, tick, minimum)
    if isinstance(amounts, RuleFailure):
        return Unsized(market.slug, outcome, Side.SELL, amounts, snapshot.now_ns)
    return _intent(
        snapshot,
        outcome,
        Side.SELL,
        price_limit_micros=price,
        shares_micros=sellable,
        style=OrderStyle.TAKER,
        reason=reason,
        expires_ns=0,
        deadline_ns=0,
    )


def _entry(
    outcome: Outcome,
    snapshot: Snapshot,
    limits: Limits,
    confidence: float,
    style: OrderStyle,
) -> OrderIntent | Unsized:
    price = _entry_price(outcome, snapshot, limits, style)
    if isinstance(price, Unsized):
        return price
    shares = _entry_shares(outcome, snapshot, limits, confidence, price, style)
    if isinstance(shares, RuleFailure):
        return Unsized(snapshot.market.slug, outcome, Side.BUY, shares, snapshot.now_ns)
    expires_ns = 0
    if style is OrderStyle.MAKER:
        lifetime_ns = int(limits.maker_lifetime_seconds * NS_PER_SECOND)
        expires_ns = min(snapshot.now_ns + lifetime_ns, snapshot.market.closes_ns)
    return _intent(
        snapshot,
        outcome,
        Side.BUY,
        price_limit_micros=price,
        shares_micros=shares,
        style=style,
        reason=IntentReason.ENTRY_SIGNAL,
        expires_ns=expires_ns,
        deadline_ns=_deadline_ns(snapshot, limits),
    )


def _deadline_ns(snapshot: Snapshot, limits: Limits) -> int:
    if limits.hold_to_resolution:
        return 0
    before_close_ns = int(limits.position_timeout_seconds * NS_PER_SECOND)
    age_ns = int(limits.maximum_position_age_seconds * NS_PER_SECOND)
    return min(snapshot.market.closes_ns - before_close_ns, snapshot.now_ns + age_ns)


def _entry_price(
    outcome: Outcome, snapshot: Snapshot, limits: Limits, style: OrderStyle
) -> int | Unsized:
    book = snapshot.book(outcome)
    tick = book.tick_micros or snapshot.market.tick_micros
    taking = style is OrderStyle.TAKER
    levels: BookLevels = book.asks if taking else book.bids
    if not levels:
        side = "an ask" if taking else "a bid"
        return _unsized(snapshot, outcome, Side.BUY, RULE_EMPTY_BOOK, side, "none")
    best = levels[0][0]
    if not taking:
        price = quote_micros(book, tick)
    else:
        price = min(ceil_price(best, tick) + limits.slippage_ticks * tick, MICROS - tick)
    if price < tick or (taking and price < best):
        found = from_micros(best)
        return _unsized(snapshot, outcome, Side.BUY, RULE_OFF_GRID, from_micros(tick), found)
    return price


def _entry_shares(
    outcome: Outcome,
    snapshot: Snapshot,
    limits: Limits,
    confidence: float,
    price: int,
    style: OrderStyle,
) -> int | RuleFailure:
    market = snapshot.market
    tick = snapshot.book(outcome).tick_micros or market.tick_micros
    minimum = market.minimum_shares_micros
    taking = style is OrderStyle.TAKER
    rule = taker_amounts if taking else resting_amounts
    dollars = int(limits.trade_size_micros * confidence)
    wished = floor_shares(dollars * MICROS // price)
    if taking:
        # Whole cents for the whole lot: a lot that is cut to the cent on buying leaves a residue
        # that no sale can take (I7).
        step = clean_lot_micros(price)
        clean = max(wished // step, -(-minimum // step)) * step
        if clean * price // MICROS <= limits.trade_size_micros:
            wished = clean
    amounts = rule(Side.BUY, wished, price, tick, minimum)
    if isinstance(amounts, OrderAmounts):
        return wished
    # A lot is only bought if it can be sold again (I6): the least one, if the full size pays it.
    least = smallest_taker_buy(minimum, price) if taking else ceil_shares(minimum)
    enlarged = rule(Side.BUY, least, price, tick, minimum)
    if isinstance(enlarged, RuleFailure) or enlarged.dollars_micros > limits.trade_size_micros:
        return amounts
    return least


def _intent(
    snapshot: Snapshot,
    outcome: Outcome,
    side: Side,
    *,
    price_limit_micros: int,
    shares_micros: int,
    style: OrderStyle,
    reason: IntentReason,
    expires_ns: int,
    deadline_ns: int,
) -> OrderIntent:
    market = snapshot.market
    return OrderIntent(
        intent_id=f"{market.slug}/{snapshot.now_ns}/{outcome}/{side}",
        market=market.slug,
        token=market.token(outcome),
        outcome=outcome,
        side=side,
        price_limit_micros=price_limit_micros,
        shares_micros=shares_micros,
        style=style,
        opens=side is Side.BUY,
        reason=reason,
        created_ns=snapshot.now_ns,
        expires_ns=expires_ns,
        deadline_ns=deadline_ns,
    )


def _unsized(
    snapshot: Snapshot,
    outcome: Outcome,
    side: Side,
    rule: str,
    limit: RuleValue,
    found: RuleValue,
) -> Unsized:
    failure = RuleFailure(rule, limit, found)
    return Unsized(snapshot.market.slug, outcome, side, failure, snapshot.now_ns)
