"""What the flow tells the journal beside the messages of the stages themselves."""

from __future__ import annotations

from typing import Literal

from helpers.domain.alerts import AlertSent
from helpers.domain.halts import HaltChanged, OperatorAnswered
from helpers.domain.market import Market
from helpers.domain.orders import (
    Accepted,
    Approved,
    Fill,
    OrderIntent,
    OrderSigned,
    OrderUpdate,
    Refused,
    Rejected,
    Settled,
    Unknown,
    Unsized,
)
from helpers.domain.views import Decision
from helpers.domain.words import Asset, IntentReason, Message, Outcome, Source, StrikeRung


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
    tick_micros: int = 0
    minimum_shares_micros: int = 0
    fee_rate_ppm: int = 0
    fee_exponent: int = 0
    fee_taker_only: bool = False


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


class ShadowWindow(Message, frozen=True):
    """What a shadow strategy earned in one whole window, in books of its own: never our money."""

    shadow: str
    """The strategy's name, or its model's folder."""
    model_id: str
    asset: Asset
    opens_ns: int
    closes_ns: int
    pnl_micros: int
    """After fees; 0 where it did not trade."""
    fees_micros: int
    cost_micros: int
    trips: int
    wins: int
    up_won: bool


class LedgerConflict(Message, frozen=True):
    """The venue told something that contradicts the ledger: entries stop in that market."""

    detail: str


class CarriedAccount(Message, frozen=True):
    """One market of the ledger: its facts, our trades in it, how it was decided."""

    market: Market
    fills: tuple[Fill, ...]
    """Each trade once, at the rung it had reached, in the order it was first seen."""
    winner: Outcome | None = None
    resolved_ns: int = 0


class CarriedOrder(Message, frozen=True):
    """One order of ours whose fills can still arrive or change, and the facts of its market."""

    market: Market
    intent: OrderIntent
    signed: OrderSigned
    stage: str
    matched_micros: int
    matched_known: bool


class CarriedClaim(Message, frozen=True):
    """A won position that the venue still owes the dollars for."""

    market: str
    condition_id: str
    token: str
    shares_micros: int
    state: str
    transaction_id: str = ""


class MergeAsked(Message, frozen=True):
    """Pairs of both outcomes were asked to be merged; told before that, and 0 when it is over."""

    market: str
    pairs_micros: int


class Checkpoint(Message, frozen=True):
    """Everything a start needs to know of what went before; later rows are applied on top."""

    wallet: str
    """Whose books: another wallet's are never taken over."""
    cash_micros: int
    realised_micros: int
    day: int
    """UTC day of ``realised_today_micros``, in days since the epoch."""
    realised_today_micros: int
    accounts: tuple[CarriedAccount, ...]
    orders: tuple[CarriedOrder, ...]
    claims: tuple[CarriedClaim, ...]
    merges: tuple[MergeAsked, ...] = ()


class CashAdjusted(Message, frozen=True):
    """The wallet's dollars changed without a trade of ours: a deposit, a withdrawal, a rebate."""

    before_micros: int
    after_micros: int


class ClaimChanged(Message, frozen=True):
    """A won position on its way from shares to dollars: due, submitted, paid, or failed so far."""

    claim: CarriedClaim
    attempt: int
    detail: str


class Reconciled(Message, frozen=True):
    """The books were compared with the venue's."""

    agrees: bool
    differences: tuple[str, ...]
    tokens: int
    """Tokens compared, ours and the venue's."""
    shares_micros: int
    """All shares of the venue's side."""
    cash_micros: int
    """Dollars of ours that the venue should show, and what it shows."""
    venue_cash_micros: int
    open_orders: int
    unknown_orders: int


class ModelChanged(Message, frozen=True):
    """Other weights decide from here on, or were refused and the running model stayed."""

    change: Literal["promoted", "rolled_back", "refused", "learned"]
    model_id: str
    """What decides after this row."""
    replaces: str
    """What decided before it; the same model where it stayed."""
    offered: str
    """The id that the files claim; empty when their manifest cannot be read."""
    why: str
    """What the manifest says of the model, what is wrong with the files, or of the update."""


class Equity(Message, frozen=True):
    """The account at one moment, in micro-dollars."""

    cash_micros: int
    realised_micros: int
    unrealised_micros: int
    open_positions: int


class ExitAttempted(Message, frozen=True):
    """The supervisor tried to close a position: one sale of its schedule."""

    market: str
    outcome: Outcome
    reason: IntentReason
    attempt: int
    """From 1."""
    shares_micros: int
    price_limit_micros: int
    """0 when there was no bid to sell to."""
    slippage_micros: int
    """How far below the best bid this attempt may sell."""


class ExitEnded(Message, frozen=True):
    """The supervisor is done with a position, and what became of it."""

    market: str
    outcome: Outcome
    reason: IntentReason
    how: Literal["flat", "awaiting_resolution"]
    """What cannot be sold waits for the resolution and is redeemed."""
    attempts: int
    shares_left_micros: int
    detail: str


class BookHealth(Message, frozen=True):
    """The data a held position is valued by grew old, or is fresh again (I16)."""

    market: str
    outcome: Outcome
    state: Literal["fresh", "degraded", "critical"]
    age_seconds: float


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


class FeedRestored(Message, frozen=True):
    """A feed that was lost speaks again."""

    source: Source
    gap_seconds: float


Body = (
    RunStarted
    | MarketSeen
    | StrikeSeen
    | ResolutionSeen
    | Decision
    | Approved
    | Refused
    | Unsized
    | OrderSigned
    | Accepted
    | Rejected
    | Unknown
    | OrderUpdate
    | Fill
    | Settled
    | RoundTrip
    | ShadowWindow
    | LedgerConflict
    | Checkpoint
    | CashAdjusted
    | ClaimChanged
    | MergeAsked
    | Reconciled
    | ModelChanged
    | Equity
    | HaltChanged
    | OperatorAnswered
    | ExitAttempted
    | ExitEnded
    | BookHealth
    | FeedGap
    | FeedRestored
    | AlertSent
    | RunStopped
)
