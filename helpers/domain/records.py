"""What the flow tells the journal beside the messages of the stages themselves."""

from __future__ import annotations

from helpers.domain.orders import (
    Accepted,
    Approved,
    Fill,
    OrderUpdate,
    Refused,
    Rejected,
    Settled,
    Unknown,
    Unsized,
)
from helpers.domain.views import Decision
from helpers.domain.words import Asset, Message, Outcome, Source, StrikeRung


class RunStarted(Message, frozen=True):
    """First row of a run: what ran, on what."""

    run_id: str
    strategy: str
    model_id: str
    feature_version: str
    settings_digest: str
    build_id: str
    tape: str
    """Name of the tape that is replayed; empty on live feeds."""


class MarketSeen(Message, frozen=True):
    """A market came into view, or its facts changed."""

    slug: str
    condition_id: str
    asset: Asset
    opens_ns: int
    closes_ns: int
    up_token: str
    down_token: str
    problems: tuple[str, ...]


class StrikeSeen(Message, frozen=True):
    """The price to beat of a market became known."""

    price: float
    rung: StrikeRung


class ResolutionSeen(Message, frozen=True):
    """A market we follow was decided."""

    outcome: Outcome
    final_price: float
    """Price it settled on, 0 where the venue did not say."""
    source: Source


class PositionClosed(Message, frozen=True):
    """A position left the ledger, sold or paid out."""

    market: str
    outcome: Outcome
    shares_micros: int
    """Shares that left, in micro-shares."""
    cost_micros: int
    """What they cost, entry fees included."""
    proceeds_micros: int
    """What came back, exit fees already taken off."""
    fees_micros: int
    """Entry and exit fees together, for showing: both are already in the two sums above."""
    reason: str
    opened_ns: int
    at_ns: int

    @property
    def pnl_micros(self) -> int:
        """Return profit after fees, in micro-dollars."""
        return self.proceeds_micros - self.cost_micros


class Equity(Message, frozen=True):
    """The account at one moment, in micro-dollars."""

    cash_micros: int
    realised_micros: int
    unrealised_micros: int
    open_positions: int


class HaltChanged(Message, frozen=True):
    """Entries were stopped or allowed again; exits continue either way."""

    state: str
    cause: str
    detail: str


class RunStopped(Message, frozen=True):
    """Last row of a run that ended in order; a run without one was killed or still runs."""

    reason: str
    trades: int
    """Closed positions."""
    pnl_micros: int
    """Realised profit after fees."""
    fees_micros: int
    decisions: int
    refusals: int


class FeedGap(Message, frozen=True):
    """A feed went silent, dropped, or lost its sequence."""

    source: Source
    reason: str


Body = (
    RunStarted
    | MarketSeen
    | StrikeSeen
    | ResolutionSeen
    | Decision
    | Approved
    | Refused
    | Unsized
    | Accepted
    | Rejected
    | Unknown
    | OrderUpdate
    | Fill
    | Settled
    | PositionClosed
    | Equity
    | HaltChanged
    | FeedGap
    | RunStopped
)
