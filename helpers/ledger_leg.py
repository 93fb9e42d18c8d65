"""The arithmetic of one outcome's shares in one market: fills in, cost, cash and round trips out.

Pure and exact: a leg is a fold over its standing fills in the order they were first seen, so a
failed one is undone by folding again without it. Must not: know of settlement ladders, of other
markets or of the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from helpers.domain import MICROS, Asset, Fill, Market, Message, Outcome, Side


class LedgerError(Exception):
    """The venue reported something that cannot be booked; the ledger is unchanged.

    Trading in that market stops until it is reconciled.
    """


class RoundTrip(Message, frozen=True):
    """One position from its first share to its last."""

    market: str
    asset: Asset
    outcome: Outcome
    shares_micros: int
    """All shares bought."""
    cost_micros: int
    """Paid for them, fees included."""
    proceeds_micros: int
    """Received by sales net of fees, or by the resolution."""
    fees_micros: int
    pnl_micros: int
    opened_ns: int
    closed_ns: int
    how: Literal["sold", "settled"]
    entry_price_micros: int
    """Average price a share, without fees."""


class Leg(Message, frozen=True):
    """What is held of one outcome, and what came of what was held before."""

    outcome: Outcome
    shares_micros: int = 0
    cost_micros: int = 0
    cash_micros: int = 0
    """Net cash received since the leg began; negative while shares are held."""
    realised_micros: int = 0
    """Of the closed trips and of what was sold of the open one."""
    fees_micros: int = 0
    opened_ns: int = 0
    deadline_ns: int = 0
    trip_shares_micros: int = 0
    trip_notional_micros: int = 0
    trip_cost_micros: int = 0
    trip_proceeds_micros: int = 0
    trip_fees_micros: int = 0
    trips: tuple[RoundTrip, ...] = ()


class Resolution(Message, frozen=True):
    """How and when a market was decided."""

    winner: Outcome
    at_ns: int


def fold(
    market: Market, outcome: Outcome, fills: Iterable[Fill], resolution: Resolution | None
) -> Leg:
    """Return the leg that these fills, and the resolution after them, leave.

    Raises ``LedgerError`` when more is sold than held.
    """
    leg = Leg(outcome)
    for fill in fills:
        leg = after_fill(leg, fill, market)
    return leg if resolution is None else after_resolution(leg, resolution, market)


def after_fill(leg: Leg, fill: Fill, market: Market) -> Leg:
    """Return the leg after one more fill; raises ``LedgerError`` when more is sold than held.

    A buy costs shares x price raised, a sale brings shares x price floored to a micro-dollar, so a
    fraction of one never turns into money.
    """
    product = fill.shares_micros * fill.price_micros
    if fill.side is Side.BUY:
        return _after_buy(leg, fill, -(-product // MICROS))
    if fill.shares_micros > leg.shares_micros:
        raise LedgerError(
            f"{fill.market} {fill.outcome}: {fill.shares_micros} micro-shares were sold in trade "
            f"{fill.trade_id}, expected at most the {leg.shares_micros} held"
        )
    return _after_sale(leg, fill, product // MICROS - fill.fee_micros, market)


def after_resolution(leg: Leg, resolution: Resolution, market: Market) -> Leg:
    """Return the leg paid out at 1 a share if its outcome won, at 0 if not."""
    if leg.shares_micros == 0:
        return leg
    payout = leg.shares_micros if leg.outcome is resolution.winner else 0
    paid = replace(
        leg,
        shares_micros=0,
        cost_micros=0,
        cash_micros=leg.cash_micros + payout,
        realised_micros=leg.realised_micros + payout - leg.cost_micros,
        trip_proceeds_micros=leg.trip_proceeds_micros + payout,
    )
    return _closed(paid, market, max(resolution.at_ns, leg.opened_ns), "settled")


def _after_buy(leg: Leg, fill: Fill, notional: int) -> Leg:
    cost = notional + fill.fee_micros
    opening = leg.shares_micros == 0
    return replace(
        leg,
        shares_micros=leg.shares_micros + fill.shares_micros,
        cost_micros=leg.cost_micros + cost,
        cash_micros=leg.cash_micros - cost,
        fees_micros=leg.fees_micros + fill.fee_micros,
        opened_ns=fill.at_ns if opening else leg.opened_ns,
        deadline_ns=fill.deadline_ns if opening else leg.deadline_ns,
        trip_shares_micros=leg.trip_shares_micros + fill.shares_micros,
        trip_notional_micros=leg.trip_notional_micros + notional,
        trip_cost_micros=leg.trip_cost_micros + cost,
        trip_fees_micros=leg.trip_fees_micros + fill.fee_micros,
    )


def _after_sale(leg: Leg, fill: Fill, proceeds: int, market: Market) -> Leg:
    # The last share takes what is left of the cost, so none is lost to the division.
    cost = leg.cost_micros * fill.shares_micros // leg.shares_micros
    sold = replace(
        leg,
        shares_micros=leg.shares_micros - fill.shares_micros,
        cost_micros=leg.cost_micros - cost,
        cash_micros=leg.cash_micros + proceeds,
        realised_micros=leg.realised_micros + proceeds - cost,
        fees_micros=leg.fees_micros + fill.fee_micros,
        trip_proceeds_micros=leg.trip_proceeds_micros + proceeds,
        trip_fees_micros=leg.trip_fees_micros + fill.fee_micros,
    )
    return sold if sold.shares_micros else _closed(sold, market, fill.at_ns, "sold")


def _closed(leg: Leg, market: Market, at_ns: int, how: Literal["sold", "settled"]) -> Leg:
    assert leg.cost_micros == 0, "a closed leg has no cost left"
    trip = RoundTrip(
        market=market.slug,
        asset=market.asset,
        outcome=leg.outcome,
        shares_micros=leg.trip_shares_micros,
        cost_micros=leg.trip_cost_micros,
        proceeds_micros=leg.trip_proceeds_micros,
        fees_micros=leg.trip_fees_micros,
        pnl_micros=leg.trip_proceeds_micros - leg.trip_cost_micros,
        opened_ns=leg.opened_ns,
        closed_ns=at_ns,
        how=how,
        entry_price_micros=leg.trip_notional_micros * MICROS // leg.trip_shares_micros,
    )
    return Leg(
        leg.outcome,
        cash_micros=leg.cash_micros,
        realised_micros=leg.realised_micros,
        fees_micros=leg.fees_micros,
        trips=(*leg.trips, trip),
    )
