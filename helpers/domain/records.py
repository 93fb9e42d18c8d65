"""What the flow tells the journal beside the messages of the stages themselves."""

from __future__ import annotations

from typing import Literal

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


class LedgerConflict(Message, frozen=True):
    """The venue told something that contradicts the ledger: entries stop in that market."""

    detail: str


class Equity(Message, frozen=True):
    """The account at one moment, in micro-dollars."""

    cash_micros: int
    realised_micros: int
    unrealised_micros: int
    open_positions: int


class HaltChanged(Message, frozen=True):
    """Entries were held or released; exits continue either way."""

    state: str
    """held or released"""
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
    | RoundTrip
    | LedgerConflict
    | Equity
    | HaltChanged
    | FeedGap
    | RunStopped
)
