"""Intents, verdicts, submissions, fills: from sizing to the ledger."""

from __future__ import annotations

from helpers.domain.words import (
    MICROS,
    FillStatus,
    IntentReason,
    Message,
    Mode,
    OrderState,
    OrderStyle,
    Outcome,
    Side,
)


class OrderIntent(Message, frozen=True):
    """An order somebody wants, not yet allowed."""

    intent_id: str
    """Deterministic: slug, moment and side."""
    market: str
    token: str
    outcome: Outcome
    side: Side
    price_limit_micros: int
    shares_micros: int
    style: OrderStyle
    opens: bool
    """True for an entry; exits pass every entry rule."""
    reason: IntentReason
    created_ns: int
    expires_ns: int
    """End of life of a resting order; 0 for a taker order."""
    deadline_ns: int
    """Deadline of the position an entry opens; 0 to hold to resolution."""

    @property
    def notional_micros(self) -> int:
        """Return shares times limit, floored to a micro-dollar."""
        return self.shares_micros * self.price_limit_micros // MICROS


RuleValue = float | str


class RuleFailure(Message, frozen=True):
    """One rule that an intent broke: what was allowed, what was found."""

    rule: str
    limit: RuleValue
    found: RuleValue


class Approved(Message, frozen=True):
    """An intent that may be sent. Only ``helpers.safety`` builds one (kept by a test)."""

    intent: OrderIntent
    at_ns: int


class Refused(Message, frozen=True):
    """An intent that may not be sent; the first failure is the headline."""

    intent: OrderIntent
    failures: tuple[RuleFailure, ...]
    at_ns: int


class Unsized(Message, frozen=True):
    """A wish too small, too large or too late to become an order."""

    market: str
    outcome: Outcome
    side: Side
    failure: RuleFailure
    at_ns: int


Verdict = Approved | Refused


class OrderSigned(Message, frozen=True):
    """An approved intent became an order of this id; journalled before it is sent (I20)."""

    intent_id: str
    order_id: str
    """The EIP-712 hash: the venue's own id, known before the venue knows it (reference J.3)."""
    order_type: str
    shares_micros: int
    """Shares that are signed for: the intent's, cut to what the exchange accepts."""
    limit_micros: int
    expiration_seconds: int
    at_ns: int


class Accepted(Message, frozen=True):
    """The venue took the order."""

    intent_id: str
    order_id: str
    at_ns: int


class Rejected(Message, frozen=True):
    """The venue definitely did not take the order."""

    intent_id: str
    order_id: str
    reason: str
    at_ns: int
    missed: bool = False
    """A lost race (nothing to match, would cross, never arrived), no sign of wrong orders."""


class Unknown(Message, frozen=True):
    """Nobody knows whether the venue took the order; it is reconciled, never sent again."""

    intent_id: str
    order_id: str
    reason: str
    at_ns: int


Submission = Accepted | Rejected | Unknown


class OrderUpdate(Message, frozen=True):
    """An accepted order changed state."""

    intent_id: str
    order_id: str
    market: str
    state: OrderState
    remaining_shares_micros: int
    at_ns: int


class Fill(Message, frozen=True):
    """One trade of ours at one rung of the settlement ladder."""

    trade_id: str
    order_id: str
    intent_id: str
    market: str
    outcome: Outcome
    side: Side
    shares_micros: int
    price_micros: int
    fee_micros: int
    status: FillStatus
    maker: bool
    opens: bool
    deadline_ns: int
    at_ns: int


class Settled(Message, frozen=True):
    """A position was paid out at 0 or 1 by a resolution."""

    market: str
    outcome: Outcome
    won: bool
    shares_micros: int
    payout_micros: int
    cost_micros: int
    at_ns: int


ExecutionEvent = Accepted | Rejected | Unknown | OrderUpdate | Fill


class Exposure(Message, frozen=True):
    """What the gate must know of ledger and executor, read at one moment."""

    open_positions: int
    """Markets with a position or an entry in flight."""
    exposure_micros: int
    """Cost of positions plus notional and fees of entries in flight."""
    daily_pnl_micros: int
    """Realised today plus unrealised at executable prices net of fee (UTC day), since the last
    resume. Positions whose exit value is not known are left out."""
    losing_streak: int
    reject_streak: int
    cash_micros: int
    market_position_micros: int
    """Shares held in the intent's market."""
    market_order_open: bool
    """An order of ours is alive in that market."""
    market_unknown: bool
    """An order in that market has an unknown outcome."""
    last_exit_ns: int
    """When this market's last position was closed; 0 when never."""
    exit_retry_ns: int = 0
    """An exit was rejected here: none is sent before this moment."""
    unmarked_cost_micros: int = 0
    """Cost of positions whose exit value is not known: they may be worth nothing."""


class Account(Message, frozen=True):
    """What the gate must know beside the market: the exposure and how orders have gone."""

    exposure: Exposure
    orders_last_minute: int
    entries_stopped: str
    """Why no entry is allowed at all (shutting down, halted); empty when they are."""
    mode: Mode
    """Whose books these are."""
    real_money: bool
    """Whether the executor that would send the order trades with real money."""
