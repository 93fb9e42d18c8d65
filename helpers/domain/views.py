"""What the board shows, what a policy sees and what it decides."""

from __future__ import annotations

from typing import Final

from helpers.domain.market import Market
from helpers.domain.words import (
    FEATURE_VERSION,
    MICROS,
    NS_PER_SECOND,
    Action,
    BookProblem,
    Message,
    Outcome,
    Source,
    StrikeRung,
)

NO_FORECAST: Final = -1.0
BookLevels = tuple[tuple[int, int], ...]
"""(price_micros, shares_micros), best first."""


class BookView(Message, frozen=True):
    """An outcome's book at one moment: up to five levels a side."""

    bids: BookLevels
    asks: BookLevels
    tick_micros: int
    age_seconds: float
    """Age of the venue's data for this token; infinite when there was none."""
    problem: BookProblem

    @property
    def mid(self) -> float:
        """Return the mid in dollars; raise ``ValueError`` on a book that has none."""
        if not self.bids or not self.asks:
            raise ValueError("an empty or one-sided book has no mid")
        return (self.bids[0][0] + self.asks[0][0]) / (2 * MICROS)


class FastView(Message, frozen=True):
    """A fast market at one moment. ``None`` marks a window that is not filled: cold."""

    source: Source | None
    bid: float
    ask: float
    age_seconds: float
    mid_1s_ago: float | None
    mid_5s_ago: float | None
    mid_60s_ago: float | None
    mid_300s_ago: float | None
    mid_600s_ago: float | None
    mid_3600s_ago: float | None
    flow_buy_usd: float | None
    """Taker buys in dollars, decayed with a half-life of 395 s."""
    flow_sell_usd: float | None
    signed_flow_500ms_usd: float | None
    trades_10s: int | None
    large_trade: float | None
    """1 at a trade over 3 x the median of the last 100, then x 0.7 every 5 s."""
    volume_1h_usd: float | None
    volume_24h_usd: float | None
    minute_return_sd: float | None
    """Population sd of 59 one-minute returns."""
    volatility_per_sqrt_second: float | None
    """Root mean square of one-second log returns over the last 300 s."""

    @property
    def mid(self) -> float:
        """Return the mid in dollars (0 before the first quote)."""
        return (self.bid + self.ask) / 2


class Strike(Message, frozen=True):
    """The price to beat and where it came from."""

    price: float
    rung: StrikeRung


class Snapshot(Message, frozen=True):
    """Everything known of one market at one moment."""

    market: Market
    now_ns: int
    on_grid: bool
    """True on a 0.5 s grid step; False when a move of the fast market called for a decision."""
    up: BookView
    down: BookView
    fast: FastView
    up_mid_sd: float | None
    """Population sd, in dollars, of the last 30 Up mids on the grid; ``None`` while cold."""
    strike: Strike | None
    reference_price: float
    """Latest price of the settlement source in dollars, 0 where none was seen."""
    clock_skew_seconds: float
    """Venue clock minus ours, the largest over the feeds of this market that have shown theirs;
    infinite before any has."""

    @property
    def seconds_to_close(self) -> float:
        """Return the time left in the window; negative after its end."""
        return (self.market.closes_ns - self.now_ns) / NS_PER_SECOND

    def book(self, outcome: Outcome) -> BookView:
        """Return the book of an outcome."""
        return self.up if outcome is Outcome.UP else self.down


class Position(Message, frozen=True):
    """What this mode's ledger holds in one market; ``outcome`` is ``None`` when flat."""

    market: str
    """Slug."""
    outcome: Outcome | None = None
    shares_settled_micros: int = 0
    """Confirmed, can be sold."""
    shares_pending_micros: int = 0
    """Matched, not yet settled."""
    cost_micros: int = 0
    """What the open shares cost, fees included."""
    opened_ns: int = 0
    deadline_ns: int = 0
    """When the supervisor closes it; 0 for one that is held to resolution."""

    @property
    def shares_micros(self) -> int:
        """Return all shares, settled or not."""
        return self.shares_settled_micros + self.shares_pending_micros


class MarketState(Message, frozen=True):
    """What a policy sees: 18 features in [-1, 1], or the reason why there is nothing to see."""

    features: tuple[float, ...]
    """In the order of ``FEATURE_NAMES``; zeros when the state is invalid."""
    invalid: str
    """Empty when valid, else why (stale, crossed, one-sided, ...): the decision must be HOLD."""
    cold: tuple[int, ...]
    """Indices of features whose window is not filled; they read 0."""
    snapshot: Snapshot
    position: Position
    version: str = FEATURE_VERSION


class Decision(Message, frozen=True):
    """What the policy wants in one market at one moment, and from what."""

    market: str
    at_ns: int
    action: Action
    probabilities: tuple[float, float, float]
    """Of HOLD, BUY, SELL."""
    value: float
    model_id: str
    reason: str
    """Why, in a baseline's words; why not, for an invalid state."""
    features: tuple[float, ...]
    cold: tuple[int, ...]
    up_bid_micros: int
    """Best prices and fast mid at the moment of decision; 0 where there was none."""
    up_ask_micros: int
    fast_mid: float
    seconds_to_close: float
    forecast_up: float = NO_FORECAST
    """Probability that Up wins as the policy sees it; ``NO_FORECAST`` where it has no view."""


def exit_value_micros(snapshot: Snapshot, position: Position) -> int:
    """Return what all shares would bring now: walking the displayed bids, net of the taker fee.

    Never the mid (I26). Shares beyond the displayed levels count as worth nothing.
    """
    if position.outcome is None:
        return 0
    left_micros = position.shares_micros
    value_micros = 0
    for price_micros, displayed_micros in snapshot.book(position.outcome).bids:
        sold_micros = min(left_micros, displayed_micros)
        fee_micros = snapshot.market.fees.taker_fee_micros(sold_micros, price_micros)
        value_micros += sold_micros * price_micros // MICROS - fee_micros
        left_micros -= sold_micros
        if not left_micros:
            break
    return value_micros
