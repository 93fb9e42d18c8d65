"""What questions to the database answer: frozen messages, money and shares in micro-units.

A field has the name of the column it comes from. Must not: hold SQL, or know how it is shown.
"""

from __future__ import annotations

import enum
from typing import Final, Literal

from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    HoldCause,
    IntentReason,
    Message,
    Mode,
    OrderStyle,
    Outcome,
    TradingState,
)

SILENT_SECONDS: Final = 120
"""A run that has no stop and no row for this long is not called running: equity alone writes one a
minute."""
HOLD_BINS: Final = (
    *("under 10 s", "10-30 s", "30-60 s", "1-2 min", "2-5 min"),
    *("5-10 min", "10-15 min", "15-30 min", "30 min and more"),
)
"""Names of the bins of holding times; their keys are 0, 1, ..."""


class Book(enum.StrEnum):
    """Whose money; nothing here ever mixes two of them."""

    PAPER = "paper"
    LIVE = "live"
    DEMO_PAPER = "demo_paper"
    DEMO_LIVE = "demo_live"

    @property
    def is_demo(self) -> bool:
        """Whether its time and its money are invented."""
        return self in (Book.DEMO_PAPER, Book.DEMO_LIVE)

    @property
    def mode(self) -> Mode:
        """Return how its orders are executed."""
        return Mode.PAPER if self in (Book.PAPER, Book.DEMO_PAPER) else Mode.LIVE

    @property
    def label(self) -> str:
        """Return what it is called to people."""
        return f"{self.mode.value.upper()}{' (demo)' if self.is_demo else ''}"

    @property
    def counterpart(self) -> Book:
        """Return the book of the other mode that it is compared with."""
        return {
            Book.PAPER: Book.LIVE,
            Book.LIVE: Book.PAPER,
            Book.DEMO_PAPER: Book.DEMO_LIVE,
            Book.DEMO_LIVE: Book.DEMO_PAPER,
        }[self]


class Scope(Message, frozen=True):
    """What is asked about: one account, from one moment up to another."""

    account: int
    book: Book
    since_ns: int
    until_ns: int
    """Exclusive."""


class SessionSeen(Message, frozen=True):
    """One run of the worker, and how far it is in the database."""

    session: int
    account: int
    book: Book
    run: str
    strategy: str
    model_id: str
    feature_version: str
    build_id: str
    settings_digest: str
    started_ns: int
    heartbeat_ns: int
    """Its latest row."""
    stopped_ns: int
    """0 while it runs, and for ever when it was killed."""
    stop_reason: str
    seq: int
    """Rows of its journal that are in the database."""
    finished: bool
    """Whether no process writes its journal any more, and all of it is here."""
    rows_lost: int
    rows_unknown: int
    rows_refused: int
    """Journal rows that no table took."""
    rows_retired: int
    """Decisions and refusals that grew too old for the database."""
    damage: str
    projected_ns: int
    other_accounts: int
    """Accounts of the same book that are not shown."""

    def state_at(self, now_ns: int) -> Literal["running", "silent", "stopped", "killed"]:
        """Return what became of it; ``now_ns`` is the real time."""
        if self.stopped_ns:
            return "stopped"
        if self.finished:
            return "killed"
        last_ns = self.projected_ns if self.book.is_demo else self.heartbeat_ns
        return "silent" if now_ns - last_ns > SILENT_SECONDS * NS_PER_SECOND else "running"

    def state_text(self, state: str) -> str:
        """Return a state with the reason of a stop."""
        told = self.stop_reason not in ("", state)
        return f"{state}: {self.stop_reason}" if told else state


class HoldSeen(Message, frozen=True):
    """A cause that holds entries, as it was last told, or one change of the past."""

    cause: HoldCause
    change: Literal["held", "released"]
    at_ns: int
    trading: TradingState
    detail: str


class OpenPosition(Message, frozen=True):
    """What is held in one market."""

    market: str
    asset: Asset | None
    outcome: Outcome
    shares_micros: int
    cost_micros: int
    opened_ns: int
    deadline_ns: int


class Trip(Message, frozen=True):
    """One position from its first share to its last."""

    run: str
    market: str
    asset: Asset
    outcome: Outcome
    shares_micros: int
    entry_price_micros: int
    cost_micros: int
    proceeds_micros: int
    fees_micros: int
    pnl_micros: int
    opened_ns: int
    closed_ns: int
    hold_seconds: float
    how: Literal["sold", "settled"]


class Performance(Message, frozen=True):
    """Round trips that have something in common: an asset, a side, an hour, a day, a bin."""

    key: str
    trips: int
    wins: int
    pnl_micros: int
    fees_micros: int
    cost_micros: int


class ShadowSeen(Message, frozen=True):
    """A shadow's window beside what the account itself earned in it."""

    shadow: str
    strategy: str
    """Of the run, which traded."""
    market: str
    asset: Asset
    opens_ns: int
    closes_ns: int
    up_won: bool
    pnl_micros: int
    fees_micros: int
    cost_micros: int
    trips: int
    wins: int
    champion_pnl_micros: int
    champion_fees_micros: int
    champion_cost_micros: int
    champion_trips: int
    champion_wins: int


class Totals(Message, frozen=True):
    """All round trips of a scope, and what led to them."""

    trips: int
    wins: int
    pnl_micros: int
    fees_micros: int
    cost_micros: int
    won_micros: int
    """Sum over the trips that gained."""
    lost_micros: int
    """Sum over those that did not; negative or 0."""
    best_micros: int
    worst_micros: int
    hold_seconds_median: float | None
    decisions: int
    orders: int
    refusals: int


class OrderCount(Message, frozen=True):
    """Orders that are in one state."""

    state: str
    orders: int


class Refusals(Message, frozen=True):
    """What one rule refused, or could not size."""

    kind: Literal["refused", "unsized"]
    rule: str
    refusals: int
    """Where it was the first rule that was broken."""
    times_broken: int
    markets: int
    first_ns: int
    last_ns: int


class EquityPoint(Message, frozen=True):
    """The account in one interval of one run."""

    session: int
    at_ns: int
    realised_micros: int
    """At its end, as the two below."""
    unrealised_micros: int
    cash_micros: int
    lowest_micros: int
    """Lowest and highest of realised and unrealised together."""
    highest_micros: int


class Execution(Message, frozen=True):
    """How orders of one kind were filled; slippage is against the best price decided on."""

    book: Book
    opens: bool
    style: OrderStyle
    orders: int
    filled: int
    rejected: int
    unknown: int
    filled_part: float | None
    slippage_micros: float | None
    fees_micros: int
    fee_micros_a_share: float | None
    answer_milliseconds_p50: float | None
    answer_milliseconds_p99: float | None
    fill_milliseconds_p50: float | None
    fill_milliseconds_p99: float | None


class CalibrationBin(Message, frozen=True):
    """Probabilities of Up that are near each other, and how often Up won."""

    bin: int
    """0 to 9: tenths."""
    samples: int
    markets: int
    probability: float
    """Average of what was told."""
    quoted: float
    """Average of the quoted mid."""
    won: int
    policy_error: float
    """Sum of squared errors of the policy's probability, then of the quoted mid."""
    quoted_error: float
    forecasts: int
    """Samples with a forecast of their own; the others have only the actions' probabilities."""


class Drift(Message, frozen=True):
    """The same asset and outcome on paper and live."""

    asset: Asset
    outcome: Outcome
    paper_trips: int
    live_trips: int
    paper_pnl_micros_a_share: float | None
    live_pnl_micros_a_share: float | None
    paper_slippage_micros: float | None
    live_slippage_micros: float | None
    paper_filled_part: float | None
    live_filled_part: float | None
    paper_entry_price_micros: float | None
    live_entry_price_micros: float | None


class UnexplainedOrder(Message, frozen=True):
    """An order without its verdict, decision or signature, or a fill without its order."""

    intent_id: str
    order_id: str
    problem: str
    reason: IntentReason | None
    market: str


class StatusRead(Message, frozen=True):
    """All that ``status`` shows, read in one transaction."""

    session: SessionSeen
    holds: tuple[HoldSeen, ...]
    positions: tuple[OpenPosition, ...]
    today: Totals
    orders_today: tuple[OrderCount, ...]
    refusals_today: tuple[Refusals, ...]
    equity: EquityPoint | None


class ReportRead(Message, frozen=True):
    """All that a report shows, read in one transaction."""

    scope: Scope
    latest: SessionSeen
    sessions: tuple[SessionSeen, ...]
    """Runs with rows in the span, oldest first."""
    totals: Totals
    equity_before: EquityPoint | None
    """The last before the span."""
    equity: tuple[EquityPoint, ...]
    by_day: tuple[Performance, ...]
    by_asset: tuple[Performance, ...]
    by_outcome: tuple[Performance, ...]
    by_asset_outcome: tuple[Performance, ...]
    by_hour: tuple[Performance, ...]
    by_entry_price: tuple[Performance, ...]
    by_hold: tuple[Performance, ...]
    execution: tuple[Execution, ...]
    refusals: tuple[Refusals, ...]
    calibration: tuple[CalibrationBin, ...]
    drift: tuple[Drift, ...]
    unexplained: tuple[UnexplainedOrder, ...]
    holds: tuple[HoldSeen, ...]
    trips: tuple[Trip, ...]
    """The latest ones, newest first."""


class RunRead(Message, frozen=True):
    """One run as the database has it: its first and last row, and what is missing."""

    session: int
    account: int
    key: str
    """Of the run on the disk it was written to."""
    mode: Mode
    run: str
    heartbeat_ns: int | None
    strategy: str | None
    model_id: str | None
    feature_version: str | None
    settings_digest: str | None
    build_id: str | None
    tape: str | None
    started_seq: int | None
    started_ns: int | None
    stopped_seq: int | None
    stopped_ns: int | None
    stop_reason: str | None
    trades: int | None
    pnl_micros: int | None
    fees_micros: int | None
    decisions: int | None
    refusals: int | None
    seq: int
    """Of its last row here."""
    rows_lost: int
    """Retired from the journal before they were carried over."""
    rows_unknown: int
    """Of kinds that only a newer build knows."""
    rows_refused: int
    """That no table took."""
    rows_retired: int
    """Decisions and refusals that grew too old, where they may be of the time asked for."""
    damage: str
