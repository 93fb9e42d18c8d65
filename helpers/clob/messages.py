"""What is asked of the CLOB and what it answers, typed; knows no transport.

Amounts are micro-units. ``None`` marks what the venue left blank: unknown is not zero (I18).
"""

from __future__ import annotations

import enum

from helpers.domain import FeeSchedule, Message, Side


class OrderType(enum.StrEnum):
    """Time in force, in the venue's spelling."""

    GTC = "GTC"
    GTD = "GTD"
    FAK = "FAK"
    FOK = "FOK"


class OrderTerms(Message, frozen=True):
    """Everything that is signed or sent beside the identity (reference B.3)."""

    token: str
    side: Side
    maker_micros: int
    taker_micros: int
    salt: int
    """Below 2**53: the body carries it as a JSON number."""
    timestamp_ms: int
    order_type: OrderType
    post_only: bool = False
    expiration_seconds: int = 0
    """Unix seconds, only of a GTD order."""
    neg_risk: bool = False


class HashedOrder(Message, frozen=True):
    """An order whose id is known, not signed yet."""

    terms: OrderTerms
    order_id: str
    """The EIP-712 hash, 0x and 64 hex digits (reference J.3)."""
    digest: bytes
    """What is signed; the wrapped digest of a deposit wallet's order (reference J.2)."""
    contents_hash: bytes


class SignedOrder(Message, frozen=True):
    """An order ready to be sent."""

    order_id: str
    body: bytes
    """The exact bytes of POST /order."""

    def __repr__(self) -> str:
        """Return the id only: the body holds the API key and the signature."""
        return f"SignedOrder({self.order_id})"


class Condition(enum.StrEnum):
    """What an answer says of the venue itself."""

    NONE = ""
    RESTARTING = "restarting"
    """425: the matching engine restarts."""
    RATE_LIMITED = "rate_limited"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"
    RESTRICTED = "restricted"
    """403: the venue does not serve this region; obeyed, never routed around (I11)."""
    FIREWALL = "firewall"
    """403 in other words: the front's no, which counts by minutes."""
    CLOSED_ONLY = "closed_only"
    BANNED = "banned"
    VERSION_MISMATCH = "version_mismatch"
    BAD_CREDENTIALS = "bad_credentials"


class PostAccepted(Message, frozen=True):
    """The venue took an order."""

    order_id: str
    status: str
    """live, matched, delayed, unmatched, or another text."""
    making_micros: int | None
    taking_micros: int | None
    trade_ids: tuple[str, ...]


class PostRejected(Message, frozen=True):
    """The venue surely did not take an order."""

    reason: str


class PostUnknown(Message, frozen=True):
    """Nobody knows whether the venue took an order."""

    reason: str


class PostReply(Message, frozen=True):
    """What came of one POST /order."""

    outcome: PostAccepted | PostRejected | PostUnknown
    condition: Condition = Condition.NONE
    retry_after_seconds: float = 0.0


class CancelReply(Message, frozen=True):
    """What came of a cancellation."""

    canceled: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    """Order id and the venue's reason."""


class OpenOrder(Message, frozen=True):
    """An order the venue has open."""

    order_id: str
    condition_id: str
    token: str
    side: Side
    price_micros: int
    original_micros: int | None
    matched_micros: int | None
    status: str
    order_type: str
    created_seconds: int


class Balance(Message, frozen=True):
    """What the wallet has of one asset, and who may spend it."""

    balance_micros: int
    allowances: tuple[tuple[str, int], ...]
    """Spender in lower case, micro-units."""


class VenuePosition(Message, frozen=True):
    """A position as the Data API tells it; late by minutes (reference H.5)."""

    condition_id: str
    token: str
    outcome: str
    slug: str
    shares_micros: int
    average_price_micros: int
    redeemable: bool


class ClobMarket(Message, frozen=True):
    """A market's trading facts as the CLOB has them (reference B.2)."""

    minimum_shares_micros: int
    tick_micros: int
    fees: FeeSchedule
    neg_risk: bool
    taker_delay: bool


class HeartbeatReply(Message, frozen=True):
    """Whether a heartbeat was accepted, and the id to send next."""

    accepted: bool
    heartbeat_id: str


class Geoblock(Message, frozen=True):
    """What the website says of this address (reference H.7)."""

    blocked: bool
    country: str
    region: str


class RequestFailedError(Exception):
    """A request had no usable answer; nothing may be concluded from it (I18)."""

    def __init__(
        self,
        reason: str,
        status: int = 0,
        condition: Condition = Condition.NONE,
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.condition = condition
        self.retry_after_seconds = retry_after_seconds
