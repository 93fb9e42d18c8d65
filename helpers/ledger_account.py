"""Everything of one market in the books: its facts, our trades, both legs, how it was decided.

Changed by ``helpers.ledger`` only.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from helpers.domain import Fill, FillStatus, Market, Outcome, Position, Side
from helpers.ledger_leg import Leg, Resolution, fold


class LedgerTrade:
    """A trade of ours at the highest rung it has reached."""

    __slots__ = ("confirmed", "failed", "fill")

    def __init__(self, fill: Fill) -> None:
        self.fill = fill
        self.confirmed = fill.status is FillStatus.CONFIRMED
        self.failed = fill.status is FillStatus.FAILED

    @property
    def latest(self) -> Fill:
        """Return the trade at the rung it has reached."""
        if self.failed:
            return replace(self.fill, status=FillStatus.FAILED)
        return replace(self.fill, status=FillStatus.CONFIRMED) if self.confirmed else self.fill


TradeKey = tuple[str, str]
"""Trade and order: one venue trade may fill two orders of ours (reference D.4)."""


class LedgerAccount:
    """Everything of one market: its facts (I15), our trades in it, both legs, its resolution."""

    __slots__ = (
        "legs",
        "mark_micros",
        "market",
        "positions",
        "resolution",
        "told_micros",
        "trades",
    )

    def __init__(self, market: Market) -> None:
        self.market = market
        self.trades: dict[TradeKey, LedgerTrade] = {}
        self.legs = {outcome: Leg(outcome) for outcome in Outcome}
        self.resolution: Resolution | None = None
        self.mark_micros: int | None = None
        self.positions: tuple[Position, ...] = ()
        self.told_micros = 0
        """Shares of the winner whose pay-out was told."""

    def won_micros(self) -> int:
        """Return the shares of the winner that the trades which stand leave; 0 before it."""
        if self.resolution is None:
            return 0
        return sum(
            trade.fill.shares_micros * (1 if trade.fill.side is Side.BUY else -1)
            for trade in self.trades.values()
            if trade.fill.outcome is self.resolution.winner and not trade.failed
        )

    @property
    def has_mark(self) -> bool:
        """Return whether it is known what the position would bring.

        Where both outcomes are held there is one mark for two, so it is not.
        """
        return self.mark_micros is not None and len(self.positions) == 1

    @property
    def position(self) -> Position:
        """Return the position of the leg opened first; a flat one where nothing is held."""
        return self.positions[0] if self.positions else Position(self.market.slug)

    def open_legs(self) -> Iterator[Leg]:
        """Return the legs that hold shares."""
        return (leg for leg in self.legs.values() if leg.shares_micros)

    def refold(self, outcome: Outcome, without: LedgerTrade | None) -> Leg:
        """Return the leg made anew of the trades that stand, in their order, without one."""
        standing = (
            trade.fill
            for trade in self.trades.values()
            if trade.fill.outcome is outcome and not trade.failed and trade is not without
        )
        return fold(self.market, outcome, standing, self.resolution)

    def position_of(self, leg: Leg) -> Position:
        """Return a leg as a position; shares of buys not yet confirmed are pending ones."""
        unconfirmed = sum(
            trade.fill.shares_micros
            for trade in self.trades.values()
            if trade.fill.outcome is leg.outcome
            and trade.fill.side is Side.BUY
            and not (trade.confirmed or trade.failed)
        )
        pending = min(unconfirmed, leg.shares_micros)
        return Position(
            market=self.market.slug,
            outcome=leg.outcome,
            shares_settled_micros=leg.shares_micros - pending,
            shares_pending_micros=pending,
            cost_micros=leg.cost_micros,
            opened_ns=leg.opened_ns,
            deadline_ns=leg.deadline_ns,
        )
