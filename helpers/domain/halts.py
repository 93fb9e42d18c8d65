"""When no entry is allowed: the three trading states, their causes, and what an operator asks.

A halt stops entries and never exits (DESIGN section 4, invariant 7). Some causes pass by
themselves; the others stand until ``worker.py resume``, across restarts.
"""

from __future__ import annotations

import enum
from typing import Final

from helpers.domain.words import Message


class TradingState(enum.StrEnum):
    """What the worker may do."""

    ACTIVE = "active"
    """Entries and exits."""
    REDUCING = "reducing"
    """Exits only, until what holds the entries has passed."""
    HALTED = "halted"
    """Exits only, until an operator resumes."""


class HoldCause(enum.StrEnum):
    """Why entries are held."""

    STOPPING = "stopping"
    SUPERVISOR = "supervisor"
    """The position supervisor has not ticked since the start (I1)."""
    LEASE = "lease"
    """Another worker may trade: the lease of the one trader is lost (I31)."""
    RECONCILING = "reconciling"
    """The books were not compared with the venue's since the start."""
    PREFLIGHT = "preflight"
    """Something a trade needs was not right at the start: region, clock, balance, approvals, ..."""
    VENUE = "venue"
    """The venue takes no such orders now: restart, post-only, cancel-only, version."""
    UNREAD = "unread"
    """The venue's side of the books could not be read for too long."""
    OPERATOR = "operator"
    LOSS_LIMIT = "loss_limit"
    LOSING_STREAK = "losing_streak"
    REJECT_STREAK = "reject_streak"
    MISMATCH = "mismatch"
    """The books and the venue's disagree beyond dust."""
    FEED_LOSS = "feed_loss"
    """A held position's book went silent for so long that it had to be closed blind."""
    RESTRICTED = "restricted"
    """The venue refuses this region or this account; obeyed, never routed around (I11)."""
    WATCHDOG = "watchdog"
    """An earlier process was stuck and ended itself."""
    CONTROL = "control"
    """The record of halts could not be read: whether one stands is not known."""

    @property
    def latched(self) -> bool:
        """Whether only an operator ends it, also after a restart."""
        return self in LATCHED


LATCHED: Final = frozenset(
    {
        HoldCause.OPERATOR,
        HoldCause.LOSS_LIMIT,
        HoldCause.LOSING_STREAK,
        HoldCause.REJECT_STREAK,
        HoldCause.MISMATCH,
        HoldCause.FEED_LOSS,
        HoldCause.RESTRICTED,
        HoldCause.WATCHDOG,
        HoldCause.CONTROL,
    }
)
"""Causes that a person must look at."""


class OperatorVerb(enum.StrEnum):
    """What an operator can ask of a running worker."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    """Close every position now; entries are halted first."""


class OperatorRequest(Message, frozen=True):
    """An operator's wish as it reached the worker; also on the tape, so that a replay obeys it."""

    request_id: str
    verb: OperatorVerb
    reason: str
    received_ns: int


class HaltChanged(Message, frozen=True):
    """A cause began or ceased to hold entries; exits continue either way."""

    state: str
    """held or released"""
    cause: str
    detail: str
    trading: TradingState = TradingState.REDUCING
    """The state after it."""
    request_id: str = ""
    """Of the operator who asked for it; empty otherwise."""


class OperatorAnswered(Message, frozen=True):
    """The worker's own answer to an operator (I30): what it did, and the state after it."""

    request_id: str
    verb: OperatorVerb
    trading: TradingState
    detail: str
    done: bool = True
    """False for the first answer to ``flatten``: another one follows when nothing is left to sell.
    """
