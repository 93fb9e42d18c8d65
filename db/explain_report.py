"""What ``why`` can say, as frozen messages; their field names are the stable keys of ``--json``.

Must not: hold logic. Units are in the names: ``_ns`` since the epoch, ``_micros`` of a dollar, a
share or an outcome's price. A field may be added; none is renamed or removed.
"""

from __future__ import annotations

from helpers.domain import (
    FeedGap,
    HaltChanged,
    Message,
    ModelChanged,
    OperatorAnswered,
    ResolutionSeen,
    RuleValue,
    RunStarted,
    RunStopped,
    StrikeSeen,
)


class Count(Message, frozen=True):
    """How often something was."""

    name: str
    count: int


class FeatureSeen(Message, frozen=True):
    """One feature by its name."""

    name: str
    value: float


class DecisionSeen(Message, frozen=True):
    """What the policy saw and wanted when an order was sized."""

    at_ns: int
    action: str
    probability_hold: float
    probability_buy: float
    probability_sell: float
    value: float
    model_id: str
    reason: str
    top_features: tuple[FeatureSeen, ...]
    """Largest by absolute value first."""
    cold_features: tuple[str, ...]
    up_bid_micros: int
    up_ask_micros: int
    fast_mid: float
    seconds_to_close: float


class FillSeen(Message, frozen=True):
    """One trade at its latest rung of the settlement ladder."""

    at_ns: int
    shares_micros: int
    price_micros: int
    fee_micros: int
    status: str
    maker: bool


class OrderSeen(Message, frozen=True):
    """An approved order and what became of it."""

    at_ns: int
    intent_id: str
    outcome: str
    side: str
    style: str
    reason: str
    price_limit_micros: int
    shares_micros: int
    submission: str
    """``accepted``, ``rejected``, ``unknown``, or ``unanswered``: no answer is in the journal."""
    submission_detail: str
    state: str
    """Last order state told by the venue, empty when none was."""
    fills: tuple[FillSeen, ...]
    decision: DecisionSeen | None
    """The decision of that market just before, ``None`` when the journal has none."""
    strike: StrikeSeen | None
    """The price to beat as it was known then; a better one may have come later."""


class EntrySeen(Message, frozen=True):
    """An entry, the exits of its position, and how that ended."""

    order: OrderSeen
    exits: tuple[OrderSeen, ...]
    ended: str
    """``open``, ``sold``, ``settled_won``, ``settled_lost`` or ``not_filled``."""
    ended_ns: int
    """When it ended, 0 while open."""
    pnl_micros: int
    """Of the whole position after fees; 0 while open."""
    fees_micros: int


class RefusalSeen(Message, frozen=True):
    """Consecutive refusals of one market by one headline rule."""

    market: str
    stage: str
    """``gate`` or ``sizing``."""
    rule: str
    opens: bool
    """True when entries were refused, False for exits."""
    outcome: str
    """Of the last one, as ``side``, ``limit`` and ``found`` are."""
    side: str
    first_ns: int
    last_ns: int
    count: int
    limit: RuleValue
    """A number, or words; ``infinite`` is the age of what never came."""
    found_first: RuleValue
    found: RuleValue
    also: tuple[str, ...]
    """Further rules the last one broke."""


class MarketReport(Message, frozen=True):
    """Everything about one market."""

    slug: str
    opens_ns: int
    closes_ns: int
    problems: tuple[str, ...]
    strike: StrikeSeen | None
    resolution: ResolutionSeen | None
    decisions: int
    actions: tuple[Count, ...]
    reasons: tuple[Count, ...]
    """Reasons of valid decisions, numbers replaced by ``#``, most frequent first."""
    invalid: tuple[Count, ...]
    """States that could not be decided on, by reason."""
    refusals_by_rule: tuple[Count, ...]
    orders: tuple[Count, ...]
    """Orders by outcome of sending: accepted, rejected, unknown, unanswered."""
    entries_total: int
    entries: tuple[EntrySeen, ...]
    """The last ones, oldest first."""
    refusals: tuple[RefusalSeen, ...]
    """The last merged ones, oldest first."""
    refusals_merged_total: int
    positions_closed: int
    pnl_micros: int
    """Of closed positions, after fees."""
    fees_micros: int
    fills_without_order: int
    """Fills whose order is not in the journal: its beginning was retired."""


class RunSeen(Message, frozen=True):
    """One run that was read."""

    mode: str
    first_seq: int
    first_ns: int
    last_ns: int
    started: RunStarted | None
    """``None`` when the journal's beginning was retired."""
    stopped: RunStopped | None
    """``None`` when it was killed, or still runs."""


class Moment(Message, frozen=True):
    """A halt, an answer to an operator, a feed gap or a change of the model, and when."""

    at_ns: int
    market: str
    halt: HaltChanged | None
    gap: FeedGap | None
    answer: OperatorAnswered | None = None
    model: ModelChanged | None = None


class Report(Message, frozen=True):
    """The answer to ``why``."""

    since_ns: int
    """Rows before it count for nothing but context; 0 for all."""
    rows: int
    runs: tuple[RunSeen, ...]
    markets: tuple[MarketReport, ...]
    """In order of appearance."""
    markets_dropped: int
    """Earlier markets that were not kept."""
    markets_left_out: tuple[str, ...]
    """Slugs that were met but not asked for."""
    moments: tuple[Moment, ...]
    """The last halts, answers to operators, feed gaps and changes of the model."""
    moments_total: int
    unknown_kinds: tuple[Count, ...]
    warnings: tuple[str, ...]
    """Damage that was met: a torn last line, a broken chain."""
