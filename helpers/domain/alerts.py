"""What is told to the owner outside, and what became of it."""

from __future__ import annotations

import enum

from helpers.domain.words import Message


class AlertKind(enum.StrEnum):
    """What an alert tells of."""

    STARTED = "started"
    STOPPED = "stopped"
    ENTERED = "entered"
    CLOSED = "closed"
    """A position was sold or paid out."""
    FILL_FAILED = "fill_failed"
    """A trade that was booked never settled at the venue."""
    REFUSED = "refused"
    """Entries the gate refused, merged over some minutes."""
    ENTRIES_HELD = "entries_held"
    """A halt, or a passing cause that holds entries; exits continue."""
    ENTRIES_RELEASED = "entries_released"
    FEED_STALE = "feed_stale"
    FEED_RECOVERED = "feed_recovered"
    ORDER_UNKNOWN = "order_unknown"
    """Nobody knows whether the venue took an order."""
    MISMATCH = "mismatch"
    """The books and the venue's disagree."""
    BOOKS_AGREE = "books_agree"
    """They agree again."""
    EXIT_STEP = "exit_step"
    """One sale of a forced exit, or its end."""
    REDEEM = "redeem"
    CASH_ADJUSTED = "cash_adjusted"
    MODEL_PROMOTED = "model_promoted"
    MODEL_ROLLED_BACK = "model_rolled_back"
    MODEL_REFUSED = "model_refused"
    """Files that are no usable model; the running one stayed."""
    MILESTONE = "milestone"
    DAILY_SUMMARY = "daily_summary"
    TEST = "test"
    """Sent by hand, to see whether anything arrives."""


class AlertSeverity(enum.StrEnum):
    """How much an alert matters; when there are too many, the least important are dropped."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    """Never dropped."""


class AlertOutcome(enum.StrEnum):
    """What became of an alert."""

    DELIVERED = "delivered"
    """Discord has stored it."""
    MERGED = "merged"
    """Its words went into another alert that was still waiting."""
    DROPPED = "dropped"
    """The queue was full of what matters more, or of newer things that matter as much."""
    FAILED = "failed"
    """Discord will not take it, or the run ended first."""


class AlertSent(Message, frozen=True):
    """The end of one alert; every alert that was made has exactly one such row."""

    number: int
    """Of the alert in its run, from 1."""
    kind: AlertKind
    severity: AlertSeverity
    title: str
    text: str
    outcome: AlertOutcome
    count: int
    """Alerts it stands for: itself and those merged into it."""
    made_ns: int
    """When what it tells of happened."""
    message_id: str = ""
    """Discord's; alerts delivered in one message share it."""
    merged_into: int = 0
    """Number of the alert it was merged into."""
    tries: int = 0
    """Posts it took part in."""
    detail: str = ""
    """Why it was dropped or failed."""
