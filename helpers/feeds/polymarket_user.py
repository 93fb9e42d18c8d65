"""Polymarket's user channel: our orders and trades as typed messages; decides nothing about them.

Shapes: reference D. Numbers that the venue leaves blank stay unknown (``None``), they never become
zero (I18); statuses we do not know survive as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import msgspec

from helpers.domain import Message, OutcomePrice, Side, Size, to_micros
from helpers.feeds.skipped import Skipped
from helpers.feeds.wire import as_list, as_object, as_text, read_as, read_json, stamp_ns

_SILENT: Final = ("PONG", "", b"PONG", b"")
_BLANK: Final = ("", None)
_PRICE: Final = cast("type[float]", OutcomePrice)
_SIZE: Final = cast("type[float]", Size)

KNOWN_ORDER_STATUSES: Final = frozenset(
    {
        "LIVE",
        "MATCHED",
        "DELAYED",
        "UNMATCHED",
        "CANCELED",
        "CANCELED_MARKET_RESOLVED",
        "CANCELED_NOT_ENOUGH_BALANCE",
        "CANCELED_MARKET_NOT_FOUND",
        "CANCELED_EXPIRED_ORDER",
        "CANCELED_ORDER_TIMED_OUT",
        "INVALID",
    }
)
"""Reference D.3; ``CANCELED_`` also comes with free text."""
KNOWN_TRADE_STATUSES: Final = frozenset(
    {"MATCHED", "MATCHED_NOT_BROADCASTED", "MINED", "CONFIRMED", "RETRYING", "FAILED"}
)
"""Reference D.4."""
KNOWN_ORDER_KINDS: Final = frozenset({"PLACEMENT", "UPDATE", "CANCELLATION"})
"""Reference D.2."""


class UserOrder(Message, frozen=True):
    """An order of ours as the venue tells it."""

    order_id: str
    kind: str
    """PLACEMENT, UPDATE or CANCELLATION; another text when the venue has a new one."""
    condition_id: str
    token: str
    side: Side
    price_micros: int
    original_micros: int | None
    """Shares, but dollars for a FAK or FOK BUY (reference D.2); ``None`` where it was blank."""
    matched_micros: int | None
    """Shares matched so far; ``None`` where it was blank."""
    order_type: str
    status: str
    owner: str
    trade_ids: tuple[str, ...]
    venue_ns: int
    received_ns: int


class UserMakerOrder(Message, frozen=True):
    """One resting order that a trade met."""

    order_id: str
    owner: str
    token: str
    side: Side | None
    """``None`` where the frame neither says nor implies it."""
    outcome: str
    price_micros: int
    matched_micros: int


class UserTrade(Message, frozen=True):
    """A trade at one rung of its settlement ladder.

    When we are the maker, the top level is the counterparty's view: ours is the entry of
    ``maker_orders`` with our order id (reference D.4).
    """

    trade_id: str
    status: str
    condition_id: str
    token: str
    side: Side
    outcome: str
    price_micros: int
    size_micros: int
    taker_order_id: str
    trader_side: str
    """TAKER or MAKER: which we are."""
    maker_orders: tuple[UserMakerOrder, ...]
    owner: str
    transaction_hash: str
    matched_ns: int
    venue_ns: int
    received_ns: int


class _UnreadableFieldError(Exception):
    """A field without which the message means nothing was missing or wrong."""


class PolymarketUserParser:
    """Turns frames of the user channel into messages; what it cannot use is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[UserOrder | UserTrade]:
        """Return the messages of one frame, an object or an array; never raises."""
        if raw in _SILENT:
            return ()
        found = read_json(raw)
        if found is None:
            self.skipped.count("malformed:not JSON")
            return ()
        elements = as_list(found)
        messages = (
            self._message(element, received_ns)
            for element in ([found] if elements is None else elements)
        )
        return [message for message in messages if message is not None]

    def trade_row(self, row: object, received_ns: int) -> UserTrade | None:
        """Return a row of GET /data/trades, ``None`` for one that cannot be read (counted)."""
        fields = as_object(row)
        if fields is None:
            self.skipped.count("malformed:not an object")
            return None
        try:
            return self._trade(fields, received_ns)
        except _UnreadableFieldError as problem:
            self.skipped.count(f"malformed:trade row {problem}")
            return None

    def _message(self, element: object, received_ns: int) -> UserOrder | UserTrade | None:
        fields = as_object(element)
        if fields is None:
            self.skipped.count("malformed:not an object")
            return None
        kind = as_text(fields.get("event_type")) or _implied_kind(fields)
        try:
            if kind == "order":
                return self._order(fields, received_ns)
            if kind == "trade":
                return self._trade(fields, received_ns)
        except _UnreadableFieldError as problem:
            self.skipped.count(f"malformed:{kind} {problem}")
            return None
        self.skipped.count(f"unknown:{kind or 'no event_type'}")
        return None

    def _order(self, fields: Mapping[str, object], received_ns: int) -> UserOrder:
        status = _text(fields, "status").removeprefix("ORDER_STATUS_")
        if status not in KNOWN_ORDER_STATUSES and not status.startswith("CANCELED_"):
            self.skipped.count(f"unknown:order status {status}")
        kind = _text(fields, "type")
        if kind not in KNOWN_ORDER_KINDS:
            self.skipped.count(f"unknown:order type {kind}")
        trade_ids = as_list(fields.get("associate_trades")) or []
        return UserOrder(
            order_id=_text(fields, "id"),
            kind=kind,
            condition_id=_text(fields, "market"),
            token=_text(fields, "asset_id"),
            side=_side(fields),
            price_micros=_price_micros(fields),
            original_micros=_optional_micros(fields, "original_size"),
            matched_micros=_optional_micros(fields, "size_matched"),
            order_type=as_text(fields.get("order_type")),
            status=status,
            owner=as_text(fields.get("owner")),
            trade_ids=tuple(item for item in trade_ids if isinstance(item, str)),
            venue_ns=_stamp(fields, "timestamp"),
            received_ns=received_ns,
        )

    def _trade(self, fields: Mapping[str, object], received_ns: int) -> UserTrade:
        status = _text(fields, "status").removeprefix("TRADE_STATUS_")
        if status not in KNOWN_TRADE_STATUSES:
            self.skipped.count(f"unknown:trade status {status}")
        makers = as_list(fields.get("maker_orders"))
        if makers is None:
            raise _UnreadableFieldError("maker_orders")
        return UserTrade(
            trade_id=_text(fields, "id"),
            status=status,
            condition_id=_text(fields, "market"),
            token=_text(fields, "asset_id"),
            side=_side(fields),
            outcome=as_text(fields.get("outcome")),
            price_micros=_price_micros(fields),
            size_micros=_micros(fields, "size"),
            taker_order_id=as_text(fields.get("taker_order_id")),
            trader_side=as_text(fields.get("trader_side")),
            maker_orders=tuple(_maker_order(maker, fields) for maker in makers),
            owner=as_text(fields.get("owner")),
            transaction_hash=as_text(fields.get("transaction_hash")),
            matched_ns=_stamp(fields, "match_time") or _stamp(fields, "matchtime"),
            venue_ns=_stamp(fields, "timestamp"),
            received_ns=received_ns,
        )


def user_subscribe_frame(
    api_key: str, secret: str, passphrase: str, condition_ids: Iterable[str] = ()
) -> str:
    """Return the first frame on a user socket; no markets means all (reference D.1).

    The frame holds the credentials: it must be sent and never be logged or kept (invariant 11).
    """
    frame: dict[str, object] = {
        "type": "user",
        "auth": {"apiKey": api_key, "secret": secret, "passphrase": passphrase},
    }
    markets = list(condition_ids)
    if markets:
        frame["markets"] = markets
    return msgspec.json.encode(frame).decode()


def user_subscribe_more_frame(condition_ids: Iterable[str]) -> str:
    """Return the frame that adds markets to an open user socket (reference D.1)."""
    return msgspec.json.encode({"operation": "subscribe", "markets": list(condition_ids)}).decode()


def user_unsubscribe_frame(condition_ids: Iterable[str]) -> str:
    """Return the frame that drops markets from an open user socket (reference D.1)."""
    return msgspec.json.encode(
        {"operation": "unsubscribe", "markets": list(condition_ids)}
    ).decode()


def _implied_kind(fields: Mapping[str, object]) -> str:
    kind = as_text(fields.get("type"))
    if kind == "TRADE" or "maker_orders" in fields:
        return "trade"
    return "order" if kind in KNOWN_ORDER_KINDS else ""


def _maker_order(item: object, trade: Mapping[str, object]) -> UserMakerOrder:
    fields = as_object(item)
    if fields is None:
        raise _UnreadableFieldError("maker_orders")
    return UserMakerOrder(
        order_id=_text(fields, "order_id"),
        owner=as_text(fields.get("owner")),
        token=_text(fields, "asset_id"),
        side=_maker_side(fields, trade),
        outcome=as_text(fields.get("outcome")),
        price_micros=_price_micros(fields),
        matched_micros=_micros(fields, "matched_amount"),
    )


def _maker_side(fields: Mapping[str, object], trade: Mapping[str, object]) -> Side | None:
    if fields.get("side") not in _BLANK:
        return _side(fields)
    # Old frames carry no side. Orders on one token meet with opposite sides, orders on the two
    # tokens with the same side (mint, merge). Where token and outcome disagree, nothing is implied.
    same_token = fields.get("asset_id") == trade.get("asset_id")
    if same_token != (fields.get("outcome") == trade.get("outcome")):
        return None
    taker = _side(trade)
    if not same_token:
        return taker
    return Side.SELL if taker is Side.BUY else Side.BUY


def _text(fields: Mapping[str, object], name: str) -> str:
    text = as_text(fields.get(name))
    if not text:
        raise _UnreadableFieldError(name)
    return text


def _side(fields: Mapping[str, object]) -> Side:
    side = read_as(fields.get("side"), Side)
    if side is None:
        raise _UnreadableFieldError("side")
    return side


def _price_micros(fields: Mapping[str, object]) -> int:
    price = read_as(fields.get("price"), _PRICE)
    if price is None:
        raise _UnreadableFieldError("price")
    return to_micros(price)


def _micros(fields: Mapping[str, object], name: str) -> int:
    size = read_as(fields.get(name), _SIZE)
    if size is None:
        raise _UnreadableFieldError(name)
    return to_micros(size)


def _optional_micros(fields: Mapping[str, object], name: str) -> int | None:
    return None if fields.get(name) in _BLANK else _micros(fields, name)


def _stamp(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if value in _BLANK:
        return 0
    try:
        return stamp_ns(str(value))
    except ValueError as error:
        raise _UnreadableFieldError(name) from error
