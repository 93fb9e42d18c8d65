"""What the dashboard is sent: one document a view, one of the history. Names are the page's.

Dollars and prices are floats, for show only. What is not known is ``None``, never 0. Moments are
milliseconds since the epoch, in the worker's time: simulated in a demo.
"""

from __future__ import annotations

import math
from typing import Final

from helpers.domain import NS_PER_MS, Message

EQUITY_POINTS_MAXIMUM: Final = 2_000
"""Points of the equity curve; a longer one is thinned to every second point."""
TRADES_SHOWN: Final = 100


class Hold(Message, frozen=True):
    """A cause that holds entries."""

    cause: str
    why: str
    since_ms: int | None


class Safety(Message, frozen=True):
    """What the worker may do."""

    state: str
    """``trading``, ``held`` (passes by itself), ``halted`` (until a resume) or ``stopping``."""
    holds: tuple[Hold, ...]
    entries_allowed: bool


class AccountLimits(Message, frozen=True):
    """The settings that the account's figures are judged by."""

    daily_loss: float
    losing_streak: int
    positions: int
    exposure: float
    trade_size: float


class AccountView(Message, frozen=True):
    """The account, in dollars."""

    equity: float
    """Cash, open positions at cost, and what they gained or lost since."""
    cash: float
    realised: float
    """After fees."""
    unrealised: float
    """At prices the books would pay now, net of fees; positions nobody can value are left out."""
    unmarked_cost: float
    """Cost of the positions nobody can value."""
    fees: float
    drawdown: float
    """Largest fall of realised equity from its highest point, in this run."""
    exposure: float
    """Cost of positions, and notional of entries on their way."""
    day_pnl: float
    trades: int
    wins: int
    losing_streak: int
    limits: AccountLimits


class QuoteView(Message, frozen=True):
    """An outcome's best prices in dollars a share."""

    bid: float | None
    ask: float | None
    age_seconds: float | None
    problem: str
    """Why the book must not be traded on; empty when it may."""


class ProbabilitiesView(Message, frozen=True):
    """Of the three actions."""

    hold: float
    buy: float
    sell: float


class PositionView(Message, frozen=True):
    """What is held in a market."""

    outcome: str
    shares: float
    shares_pending: float
    """Of them, matched and not settled yet."""
    cost: float
    worth_now: float | None
    """What a sale of all would bring now, net of its fee."""
    pnl: float | None
    opened_ms: int
    deadline_ms: int | None
    """When it is closed; ``None`` when it is held to resolution."""


class DecisionView(Message, frozen=True):
    """A market's last decision, and what became of it."""

    at_ms: int
    action: str
    reason: str
    outcome_text: str


class MarketView(Message, frozen=True):
    """One market as it was decided on last."""

    slug: str
    asset: str
    window: str
    opens_ms: int
    closes_ms: int
    fast_price: float | None
    fast_source: str | None
    fast_age_seconds: float | None
    strike: float | None
    strike_rung: str | None
    reference_price: float | None
    up: QuoteView
    down: QuoteView
    probabilities: ProbabilitiesView | None
    value: float | None
    """What the critic says; ``None`` where there is none, or it was not asked."""
    forecast_up: float | None
    features: tuple[float, ...]
    """In the order of ``View.feature_names``; empty where none could be computed."""
    cold: tuple[str, ...]
    invalid: str
    history_depth: int | None
    position: PositionView | None
    decision: DecisionView | None


class CountView(Message, frozen=True):
    """A rule of the gate, and how many orders it refused."""

    rule: str
    count: int


class FeedView(Message, frozen=True):
    """A source of frames."""

    source: str
    connected: bool
    age_seconds: float | None
    """Since its last frame; keep-alives do not count."""
    messages: int


class LatencyView(Message, frozen=True):
    """The latest samples of one step, in milliseconds."""

    stage: str
    p50_ms: float | None
    p99_ms: float | None
    count: int
    """Of the whole run."""


class LagView(Message, frozen=True):
    """How late the event loop came to its work; ``None`` on simulated time."""

    last: float | None
    p99: float | None


class LearnerView(Message, frozen=True):
    """The learner's last update."""

    updates: int
    entropy_nats: float | None
    kl: float | None
    policy_loss: float | None
    value_loss: float | None
    clip_fraction: float | None
    explained_variance: float | None
    buffer_win_rate: float | None
    trade_win_rate: float | None
    problem: str
    """Why it was refused; empty when its weights decide."""
    at_ms: int | None
    """When weights that were learned last began to decide."""


class ShadowView(Message, frozen=True):
    """A shadow strategy on the windows both saw whole: dollars a window, 95 % intervals."""

    name: str
    windows: int
    mean: float | None
    low: float | None
    high: float | None
    difference_mean: float | None
    """Shadow less the strategy that trades."""
    difference_low: float | None
    difference_high: float | None
    ended: str
    """Why it takes part no more; empty while it does."""


class View(Message, frozen=True):
    """Everything the page shows at one moment."""

    seq: int
    at_ms: int
    mode: str
    run: str
    build: str
    strategy: str
    model_id: str
    feature_version: str
    feature_names: tuple[str, ...]
    started_at_ms: int
    simulated: bool
    safety: Safety
    account: AccountView
    markets: tuple[MarketView, ...]
    refusals: tuple[CountView, ...]
    feeds: tuple[FeedView, ...]
    latency: tuple[LatencyView, ...]
    loop_lag_ms: LagView
    learner: LearnerView | None
    shadows: tuple[ShadowView, ...]
    trades_seq: int
    equity_seq: int


class TradeView(Message, frozen=True):
    """One position from its first share to its last, in dollars."""

    at_ms: int
    """When it was closed."""
    opened_ms: int
    slug: str
    asset: str
    outcome: str
    shares: float
    entry_price: float
    cost: float
    proceeds: float
    fees: float
    pnl: float
    how: str
    """``sold`` or ``settled``."""
    reason: str
    """Why it was closed."""


class History(Message, frozen=True):
    """What is fetched once and when it changed."""

    equity: tuple[tuple[int, float], ...]
    """(at_ms, dollars), oldest first."""
    trades: tuple[TradeView, ...]
    """Oldest first."""
    equity_seq: int
    trades_seq: int


def known(value: float | None) -> float | None:
    """Return a number that can be shown; ``None`` for one that is not finite."""
    return value if value is not None and math.isfinite(value) else None


def milliseconds(at_ns: int) -> int:
    """Return a moment in milliseconds."""
    return at_ns // NS_PER_MS
