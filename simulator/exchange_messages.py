"""What goes into the simulated exchange and what comes out of it; it computes nothing.

Requests and replies belong to the REST side, events to the two WebSocket channels. Prices, shares
and money are integers in micro-units, times nanoseconds since the epoch.
"""

from __future__ import annotations

import enum
from typing import Final

from helpers.domain import NS_PER_MS, NS_PER_SECOND, FillStatus, Message, Outcome, Side
from simulator.matching import LevelUpdate, MatchType, TimeInForce

COLLATERAL: Final = "pUSD"
"""Asset id of the collateral in accounts; every other asset id is a token."""


class Phase(enum.StrEnum):
    """State of the matching engine (reference B.4)."""

    NORMAL = "normal"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    RESTARTING = "restarting"
    DISABLED = "disabled"


class SettlementStep(Message, frozen=True):
    """One rung of a trade's ladder and the time it takes to reach it."""

    status: FillStatus
    after_ns: int


DEFAULT_LADDER: Final = (
    SettlementStep(FillStatus.MINED, 2 * NS_PER_SECOND),
    SettlementStep(FillStatus.CONFIRMED, 4 * NS_PER_SECOND),
)
"""Settlement lands about 2 s after the match (reference C.8)."""
FAILING_LADDER: Final = (
    SettlementStep(FillStatus.RETRYING, 2 * NS_PER_SECOND),
    SettlementStep(FillStatus.FAILED, 4 * NS_PER_SECOND),
)
"""A settlement that is retried once and then given up (reference D.4)."""


class ExchangeSettings(Message, frozen=True):
    """Everything of the venue that may be set."""

    taker_hold_ns: int = 150 * NS_PER_MS
    """Marketable orders are held this long (reference G.4)."""
    settlement: tuple[SettlementStep, ...] = DEFAULT_LADDER
    balance_cache_lag_ns: int = 0
    """Credits are seen by the venue this long after settlement, or at an update (H.3)."""
    heartbeat_timeout_ns: int = 10 * NS_PER_SECOND
    """Orders are cancelled this long after the last accepted heartbeat (reference I)."""
    heartbeat_slack_ns: int = 0
    """The venue may be up to about 5 s late."""
    post_only_after_restart_ns: int = 120 * NS_PER_SECOND
    """Post-only mode after every restart (reference B.4)."""
    gtd_security_ns: int = 60 * NS_PER_SECOND
    """GTD orders expire this long before their stated time (reference B.5)."""
    gtd_minimum_ns: int = 180 * NS_PER_SECOND
    """A stated GTD time must be this far ahead."""
    book_after_trade: bool = True
    """Send a whole book after each trade as the venue does (C.2); off for speed."""


class MarketListing(Message, frozen=True):
    """The facts of one market as Gamma and the CLOB serve them (reference F.3)."""

    market_id: str
    event_id: str
    slug: str
    question: str
    condition_id: str
    up_token: str
    down_token: str
    asset: str
    """Lower case, as in slugs."""
    duration: str
    """5m, 15m, 1h or 4h."""
    series_slug: str
    created_ns: int
    opens_ns: int
    closes_ns: int
    tick_micros: int = 10_000
    minimum_shares_micros: int = 5_000_000
    fee_rate_ppm: int = 70_000
    fee_exponent: int = 1
    fee_taker_only: bool = True
    rebate_rate_ppm: int = 200_000
    taker_delay: bool = True
    resolution_source: str = ""

    def token(self, outcome: Outcome) -> str:
        """Return the token of an outcome."""
        return self.up_token if outcome is Outcome.UP else self.down_token


class PlaceOrder(Message, frozen=True):
    """An order as the engine sees it, after its signature was checked (or without one).

    ``budget_micros`` > 0 is a dollar-sized FAK or FOK buy. ``expires_ns`` is the stated GTD time.
    """

    order_id: str
    account: str
    token: str
    side: Side
    price_micros: int
    shares_micros: int
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    expires_ns: int = 0
    budget_micros: int = 0


class Refusal(Message, frozen=True):
    """An answer that is an error, with the venue's status code and text (reference B.4)."""

    http_status: int
    error: str
    code: str = ""
    retry_after_seconds: int = 0
    order_id: str = ""


class OrderAccepted(Message, frozen=True):
    """An order that was taken; amounts are what matched at once (reference B.3)."""

    order_id: str
    status: str
    """live, matched or delayed."""
    making_micros: int = 0
    taking_micros: int = 0
    trade_ids: tuple[str, ...] = ()


class OrderHeld(Message, frozen=True):
    """A marketable order under the taker hold; ``OrderAnswered`` follows at its release."""

    order_id: str
    release_ns: int


OrderReply = OrderAccepted | OrderHeld | Refusal


class CancelReply(Message, frozen=True):
    """Answer of the four cancel calls: ids, and ids with reasons."""

    canceled: tuple[str, ...]
    not_canceled: tuple[tuple[str, str], ...] = ()


class HeartbeatAccepted(Message, frozen=True):
    """The id the next heartbeat must carry (reference I)."""

    heartbeat_id: str


class HeartbeatMismatch(Message, frozen=True):
    """A stale heartbeat id and the expected one; the deadline was not refreshed."""

    expected_id: str


class OrderView(Message, frozen=True):
    """One order of an account at one moment."""

    order_id: str
    account: str
    condition_id: str
    token: str
    outcome: Outcome
    side: Side
    price_micros: int
    original_micros: int
    """Shares; dollars for a dollar-sized buy (reference D.2)."""
    matched_micros: int
    time_in_force: TimeInForce
    status: str
    created_ns: int
    expires_ns: int
    trade_ids: tuple[str, ...]


class MakerLeg(Message, frozen=True):
    """One maker order's part of a trade, in its own token and price."""

    order_id: str
    account: str
    token: str
    outcome: Outcome
    side: Side
    price_micros: int
    shares_micros: int
    match_type: MatchType


class TradeFacts(Message, frozen=True):
    """What was matched; its status is told separately."""

    trade_id: str
    condition_id: str
    taker_order_id: str
    taker: str
    token: str
    outcome: Outcome
    side: Side
    shares_micros: int
    cost_micros: int
    fee_micros: int
    matched_ns: int
    transaction_hash: str
    makers: tuple[MakerLeg, ...]

    @property
    def price_micros(self) -> int:
        """Return the size-weighted price, rounded to a micro."""
        return (2 * self.cost_micros * 1_000_000 + self.shares_micros) // (2 * self.shares_micros)


class BookChanged(Message, frozen=True):
    """Levels of a market's Up book changed; best prices are after the change, 0 when none."""

    condition_id: str
    changes: tuple[LevelUpdate, ...]
    best_bid_micros: int
    best_ask_micros: int
    sequence: int
    at_ns: int


class BookPublished(Message, frozen=True):
    """A whole Up book, best first, as it was at that moment."""

    condition_id: str
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    at_ns: int


class MarketTraded(Message, frozen=True):
    """A public trade at one price, from the taker's view."""

    condition_id: str
    token: str
    outcome: Outcome
    side: Side
    price_micros: int
    shares_micros: int
    trade_id: str
    transaction_hash: str
    at_ns: int


class TickSizeChanged(Message, frozen=True):
    """Both tokens of a market have another tick."""

    condition_id: str
    old_micros: int
    new_micros: int
    at_ns: int


class MarketListed(Message, frozen=True):
    """A market was created."""

    listing: MarketListing
    at_ns: int


class MarketResolved(Message, frozen=True):
    """A market was resolved; the winner pays one dollar a share."""

    condition_id: str
    winner: Outcome
    at_ns: int


class OrderEventType(enum.StrEnum):
    """Kinds of order events on the user channel (reference D.2)."""

    PLACEMENT = "PLACEMENT"
    UPDATE = "UPDATE"
    CANCELLATION = "CANCELLATION"


class OrderChanged(Message, frozen=True):
    """An order of a customer changed; only its account may see this."""

    account: str
    kind: OrderEventType
    order: OrderView
    at_ns: int


class TradeChanged(Message, frozen=True):
    """A trade reached a rung of its ladder, told to one of its accounts (reference D.4)."""

    account: str
    maker: bool
    facts: TradeFacts
    status: FillStatus
    at_ns: int


class OrderAnswered(Message, frozen=True):
    """The final answer to an order that was held."""

    account: str
    order_id: str
    reply: OrderAccepted | Refusal
    at_ns: int


class PhaseChanged(Message, frozen=True):
    """The matching engine entered another phase."""

    phase: Phase
    at_ns: int


ExchangeEvent = (
    BookChanged
    | BookPublished
    | MarketTraded
    | TickSizeChanged
    | MarketListed
    | MarketResolved
    | OrderChanged
    | TradeChanged
    | OrderAnswered
    | PhaseChanged
)
