"""What the engine sees of each stage: protocols only, so that the flow depends on no stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from helpers.domain import (
    Account,
    Asset,
    Body,
    Decision,
    FeedEvent,
    Fill,
    HoldCause,
    IntentReason,
    Market,
    MarketState,
    Mode,
    OrderIntent,
    Outcome,
    Position,
    RoundTrip,
    Settled,
    Snapshot,
    Unsized,
    Verdict,
)

FeatureFunction = Callable[[Snapshot, Position], MarketState]


class BoardStage(Protocol):
    """The owner of market state."""

    def apply(self, event: FeedEvent) -> None:
        """Take in what a feed said."""
        ...

    def on_grid(self, now_ns: int) -> None:
        """Sample what is measured on the decision grid."""
        ...

    def snapshot(self, slug: str, now_ns: int, on_grid: bool) -> Snapshot:
        """Return one market at one moment."""
        ...

    def open_markets(self, now_ns: int) -> tuple[Market, ...]:
        """Return the markets whose window is running."""
        ...

    def market(self, slug: str) -> Market | None:
        """Return a market's facts."""
        ...

    def market_by_condition(self, condition_id: str) -> Market | None:
        """Return a market's facts by the venue's id."""
        ...

    def fast_mid(self, asset: Asset) -> float:
        """Return the fast market's mid, 0 before its first quote."""
        ...


class StrategyStage(Protocol):
    """The policy."""

    def decide(self, states: Sequence[MarketState]) -> Sequence[Decision]:
        """Return one decision for each state."""
        ...

    def forget(self, market: str) -> None:
        """Drop what is remembered of a market."""
        ...


class SizingStage(Protocol):
    """From a wish to an order."""

    def size(
        self, decision: Decision, snapshot: Snapshot, position: Position
    ) -> OrderIntent | Unsized | None:
        """Return the order a decision asks for, why there is none, or ``None`` for no wish."""
        ...

    def keeps(self, resting: OrderIntent, decision: Decision, snapshot: Snapshot) -> bool:
        """Return whether a resting entry still is what policy and book call for."""
        ...

    def due_exit(
        self, snapshot: Snapshot, position: Position, book_age_seconds: float
    ) -> IntentReason | None:
        """Return why a position must be closed now, whatever the policy wants."""
        ...

    def exit(
        self, snapshot: Snapshot, position: Position, reason: IntentReason, attempt: int
    ) -> OrderIntent | Unsized:
        """Return the sale of an exit's attempt, counted from 1, or why there is none."""
        ...

    def urgent(self, snapshot: Snapshot, reason: IntentReason) -> bool:
        """Say whether an exit must not wait for a better price."""
        ...

    def book_state(self, age_seconds: float) -> Literal["fresh", "degraded", "critical"]:
        """Return what data of that age is good for."""
        ...


class GateStage(Protocol):
    """The safety gate."""

    def check(self, intent: OrderIntent, state: MarketState, account: Account) -> Verdict:
        """Return the intent approved or refused."""
        ...

    def breaches(self, account: Account) -> tuple[tuple[HoldCause, str], ...]:
        """Return the halts that the account's state calls for."""
        ...


class LedgerStage(Protocol):
    """The owner of positions, cash and PnL."""

    def remember_market(self, market: Market) -> None:
        """Keep the facts a position needs until it is settled (I15)."""
        ...

    def apply(self, fill: Fill) -> RoundTrip | None:
        """Book a fill; return the position it closed, if it did.

        Raises ``LedgerError`` when the fill contradicts what is booked.
        """
        ...

    def settle(self, market: Market, winner: Outcome, at_ns: int) -> Settled | None:
        """Pay out a position; ``None`` when there is none (call until then).

        Raises ``LedgerError`` on a second, other winner.
        """
        ...

    def last_trip(self, slug: str, outcome: Outcome) -> RoundTrip | None:
        """Return the position of an outcome that was closed last, if any was."""
        ...

    def late_settlement(self, slug: str, at_ns: int) -> Settled | None:
        """Return the pay-out of winning shares that a late trade left after the resolution."""
        ...

    def mark(self, slug: str, exit_value_micros: int | None) -> None:
        """Note what a position would bring if it were sold now; ``None`` when nobody knows."""
        ...

    def market(self, slug: str) -> Market | None:
        """Return the facts of a market it remembers (I15)."""
        ...

    def position(self, slug: str) -> Position:
        """Return the position in a market."""
        ...

    def positions(self) -> tuple[Position, ...]:
        """Return every open position."""
        ...

    def last_exit_ns(self, slug: str) -> int:
        """Return when the last position in a market was closed, 0 when never."""
        ...

    def daily_pnl_micros(self, now_ns: int) -> int:
        """Return realised PnL of the UTC day plus unrealised."""
        ...

    def losing_streak(self, now_ns: int, since_ns: int = 0) -> int:
        """Return today's losing trades in a row, of those that were closed after ``since_ns``."""
        ...

    @property
    def mode(self) -> Mode:
        """Return whose money the books speak of."""
        ...

    @property
    def cash_micros(self) -> int:
        """Return the cash."""
        ...

    @property
    def realised_micros(self) -> int:
        """Return all realised PnL after fees."""
        ...

    @property
    def unrealised_micros(self) -> int:
        """Return what the open positions would bring now, less their cost."""
        ...

    @property
    def unmarked_cost_micros(self) -> int:
        """Return the cost of open positions of which nobody knows what they would bring."""
        ...


class Outlet(Protocol):
    """Where everything that happens is told: the journal first, then whoever else listens."""

    def write(self, at_ns: int, market: str, body: Body) -> None:
        """Tell one thing."""
        ...

    def commit(self) -> None:
        """Return once everything told so far survives a crash of this program."""
        ...
