"""Bodies of the CLOB's and the Data API's reads as typed messages; raises on what is incomplete.

Pure. Must not: turn what cannot be read into an empty list or a zero (I18).
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from helpers.clob.auth import ApiCredentials
from helpers.clob.messages import (
    Balance,
    CancelReply,
    ClobMarket,
    Geoblock,
    HeartbeatReply,
    OpenOrder,
    RequestFailedError,
    VenuePosition,
)
from helpers.domain import MICROS, FeeSchedule, Side, to_micros
from helpers.feeds.polymarket_user import PolymarketUserParser, UserTrade

LAST_CURSOR: Final = "LTE="
FIRST_CURSOR: Final = "MA=="
REFUSED_HEARTBEAT: Final = "Invalid Heartbeat ID"
_Wanted = TypeVar("_Wanted")


class _Page(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]
    next_cursor: str


class _OrderRow(msgspec.Struct, frozen=True):
    id: str
    status: str
    market: str
    asset_id: str
    side: Side
    price: str | float
    original_size: str | float = ""
    size_matched: str | float = ""
    order_type: str = ""
    created_at: int | str = 0


class _BalanceBody(msgspec.Struct, frozen=True):
    balance: str | int
    allowances: dict[str, str | int]


class _CancelBody(msgspec.Struct, frozen=True):
    canceled: list[str]
    not_canceled: dict[str, str]


class _HeartbeatBody(msgspec.Struct, frozen=True):
    heartbeat_id: str
    error_msg: str = ""


class _GeoblockBody(msgspec.Struct, frozen=True):
    blocked: bool
    country: str = ""
    region: str = ""


class _PositionRow(msgspec.Struct, frozen=True):
    token_id: str
    condition_id: str
    current_size: float
    avg_price: float = 0.0
    redeemable: bool = False
    slug: str = ""
    outcome: str = ""


class _Pagination(msgspec.Struct, frozen=True):
    has_more: bool
    next_cursor: str | None = None


class _PositionsBody(msgspec.Struct, frozen=True):
    data: list[_PositionRow]
    pagination: _Pagination


class _FeeBody(msgspec.Struct, frozen=True):
    r: float
    e: int
    to: bool = False


class _MarketBody(msgspec.Struct, frozen=True):
    mos: float
    mts: float
    fd: _FeeBody
    nr: bool = False
    itode: bool = False


class _VersionBody(msgspec.Struct, frozen=True):
    version: int


class _ClosedOnlyBody(msgspec.Struct, frozen=True):
    closed_only: bool


class _ApiKeysBody(msgspec.Struct, frozen=True):
    apiKeys: list[str]  # noqa: N815 - the wire's name


class _CredentialsBody(msgspec.Struct, frozen=True):
    apiKey: str  # noqa: N815 - the wire's name
    secret: str
    passphrase: str


class Page(msgspec.Struct, frozen=True):
    """Rows of one page and where the next begins; no cursor after the last."""

    rows: tuple[bytes, ...]
    cursor: str


def read_page(raw: bytes, what: str) -> Page:
    """Return a page of the CLOB's lists (reference B.2)."""
    page = decode(raw, _Page, what)
    if not page.next_cursor:
        raise RequestFailedError(f"{what} had a blank cursor, expected one or {LAST_CURSOR}")
    # ``Raw`` claims to be bytes but cannot be sliced or decoded as text.
    rows = tuple(map(bytes, page.data))
    return Page(rows, "" if page.next_cursor == LAST_CURSOR else page.next_cursor)


def read_open_order(raw: bytes) -> OpenOrder:
    """Return one open order."""
    row = decode(raw, _OrderRow, "an open order")
    price_micros = _micros(row.price, "price")
    if not row.id or not 0 < price_micros < MICROS:
        raise RequestFailedError(f"an open order was {row.id!r} at {row.price!r}, expected 0 to 1")
    return OpenOrder(
        order_id=row.id,
        condition_id=row.market,
        token=row.asset_id,
        side=row.side,
        price_micros=price_micros,
        original_micros=_optional_micros(row.original_size),
        matched_micros=_optional_micros(row.size_matched),
        status=row.status.removeprefix("ORDER_STATUS_"),
        order_type=row.order_type,
        created_seconds=_whole(row.created_at or 0, "created_at"),
    )


def read_trade(raw: bytes, parser: PolymarketUserParser, received_ns: int) -> UserTrade:
    """Return one trade of ours; one that cannot be read fails the whole read."""
    trade = parser.trade_row(decode(raw, dict[str, Any], "a trade"), received_ns)
    if trade is None:
        raise RequestFailedError("a trade could not be read: " + raw[:200].decode(errors="replace"))
    return trade


def read_balance(raw: bytes) -> Balance:
    """Return a balance and its allowances (reference H.3)."""
    body = decode(raw, _BalanceBody, "a balance")
    return Balance(
        _whole(body.balance, "balance"),
        tuple(
            (spender.lower(), _whole(amount, "allowance"))
            for spender, amount in body.allowances.items()
        ),
    )


def read_credentials(raw: bytes) -> ApiCredentials:
    """Return created or derived API credentials; an error never quotes the body."""
    try:
        body = msgspec.json.decode(raw, type=_CredentialsBody)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise RequestFailedError("API credentials could not be read") from None
    return ApiCredentials(body.apiKey, body.secret, body.passphrase)


def read_cancel(raw: bytes) -> CancelReply:
    """Return what came of a cancellation (reference B.3)."""
    body = decode(raw, _CancelBody, "a cancellation")
    return CancelReply(tuple(body.canceled), tuple(body.not_canceled.items()))


def read_heartbeat(raw: bytes, accepted: bool) -> HeartbeatReply:
    """Return the id to send next (reference I)."""
    body = decode(raw, _HeartbeatBody, "a heartbeat")
    return HeartbeatReply(accepted, body.heartbeat_id)


def read_geoblock(raw: bytes) -> Geoblock:
    """Return what the website says of this address (reference H.7)."""
    body = decode(raw, _GeoblockBody, "the geoblock")
    return Geoblock(body.blocked, body.country, body.region)


def read_positions(raw: bytes) -> tuple[tuple[VenuePosition, ...], str]:
    """Return a page of positions and the cursor of the next, empty after the last."""
    body = decode(raw, _PositionsBody, "positions")
    rows = tuple(
        VenuePosition(
            condition_id=row.condition_id,
            token=row.token_id,
            outcome=row.outcome,
            slug=row.slug,
            shares_micros=_micros(row.current_size, "current_size"),
            average_price_micros=_micros(row.avg_price, "avg_price"),
            redeemable=row.redeemable,
        )
        for row in body.data
    )
    if body.pagination.has_more and not body.pagination.next_cursor:
        raise RequestFailedError("positions had more pages and no cursor")
    return rows, (body.pagination.next_cursor or "") if body.pagination.has_more else ""


def read_market(raw: bytes) -> ClobMarket:
    """Return a market's trading facts (reference B.2)."""
    body = decode(raw, _MarketBody, "a market")
    tick_micros = _micros(body.mts, "tick")
    rate_ppm = _micros(body.fd.r, "fee rate")
    if not 0 < tick_micros < MICROS or rate_ppm >= MICROS:
        raise RequestFailedError(f"tick was {body.mts}, fee rate {body.fd.r}, expected 0 to 1")
    return ClobMarket(
        minimum_shares_micros=_micros(body.mos, "minimum size"),
        tick_micros=tick_micros,
        fees=FeeSchedule(rate_ppm, body.fd.e, body.fd.to),
        neg_risk=body.nr,
        taker_delay=body.itode,
    )


def read_version(raw: bytes) -> int:
    """Return the version of orders the venue takes (reference B.2)."""
    return decode(raw, _VersionBody, "the version").version


def read_closed_only(raw: bytes) -> bool:
    """Return whether the account may only close positions (reference B.2)."""
    return decode(raw, _ClosedOnlyBody, "the ban status").closed_only


def read_api_keys(raw: bytes) -> tuple[str, ...]:
    """Return the ids of the signer's API keys (reference B.2)."""
    return tuple(decode(raw, _ApiKeysBody, "the API keys").apiKeys)


def decode(raw: bytes, kind: type[_Wanted], what: str) -> _Wanted:
    """Return a body as a type; raises ``RequestFailedError`` for anything else."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RequestFailedError(f"{what} could not be read: {error}") from error


def _micros(value: str | float, what: str) -> int:
    try:
        micros = to_micros(float(value))
    except (ValueError, OverflowError) as error:
        raise RequestFailedError(f"{what} was {value!r}, expected a number") from error
    if micros < 0:
        raise RequestFailedError(f"{what} was {value!r}, expected 0 or more")
    return micros


def _optional_micros(value: str | float) -> int | None:
    return None if value == "" else _micros(value, "amount")


def _whole(value: str | int, what: str) -> int:
    try:
        whole = int(value)
    except ValueError as error:
        raise RequestFailedError(f"{what} was {value!r:.60}, expected a whole number") from error
    if whole < 0:
        raise RequestFailedError(f"{what} was {value!r}, expected 0 or more")
    return whole
