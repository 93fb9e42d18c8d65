"""Bodies of the CLOB's answers about orders, trades and accounts (protocol reference B).

It decides no order's status. Functions return finished text, or an ``HttpAnswer`` where the
status code is part of the answer.
"""

from __future__ import annotations

from typing import Final

import msgspec

from helpers.domain import NS_PER_SECOND, Message
from simulator.accounts import Account
from simulator.exchange_messages import (
    COLLATERAL,
    CancelReply,
    HeartbeatAccepted,
    HeartbeatMismatch,
    OrderAccepted,
    OrderHeld,
    OrderReply,
    OrderView,
    Refusal,
    TradeChanged,
)
from simulator.order_signing import EXCHANGE, NEG_RISK_EXCHANGE, Credentials
from simulator.pages import page_envelope, page_of
from simulator.polymarket_frames import (
    OUTCOME_LABELS,
    UserFrames,
    expiration_text,
    settled_hash,
)
from simulator.wire_text import micros_text, price_text

OK: Final = 200
BAD_REQUEST: Final = 400


class HttpAnswer(Message, frozen=True):
    """A status code, a body, and seconds for a ``Retry-After`` header (0: none)."""

    status: int
    body: str
    retry_after_seconds: int = 0


def error_answer(refusal: Refusal) -> HttpAnswer:
    """Return a refusal as the venue answers it."""
    body: dict[str, object] = {"error": refusal.error}
    if refusal.code:
        body["code"] = refusal.code
        body["retry_after_seconds"] = refusal.retry_after_seconds
    if refusal.order_id:
        body["orderID"] = refusal.order_id
    return HttpAnswer(refusal.http_status, _encode(body), refusal.retry_after_seconds)


def order_answer(reply: OrderReply) -> HttpAnswer:
    """Return the answer of POST /order; a held order not waited for is ``delayed``."""
    if isinstance(reply, Refusal):
        return error_answer(reply)
    return HttpAnswer(OK, _encode(_order_body(reply)))


def batch_answer(replies: tuple[OrderReply, ...]) -> HttpAnswer:
    """Return the answer of POST /orders: a failed leg has its reason in ``errorMsg`` (B.3)."""
    legs = [
        _failed_leg(reply) if isinstance(reply, Refusal) else _order_body(reply)
        for reply in replies
    ]
    return HttpAnswer(OK, _encode(legs))


def cancel_answer(reply: CancelReply | Refusal) -> HttpAnswer:
    """Return the answer of the four cancel calls."""
    if isinstance(reply, Refusal):
        return error_answer(reply)
    body = {"canceled": list(reply.canceled), "not_canceled": dict(reply.not_canceled)}
    return HttpAnswer(OK, _encode(body))


def heartbeat_answer(reply: HeartbeatAccepted | HeartbeatMismatch) -> HttpAnswer:
    """Return the answer of POST /v1/heartbeats (reference I)."""
    if isinstance(reply, HeartbeatAccepted):
        return HttpAnswer(OK, _encode({"heartbeat_id": reply.heartbeat_id}))
    body = {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": reply.expected_id}
    return HttpAnswer(BAD_REQUEST, _encode(body))


def credentials_body(credentials: Credentials) -> str:
    """Return created or derived API credentials (reference A.5)."""
    return _encode(
        {
            "apiKey": credentials.api_key,
            "secret": credentials.secret,
            "passphrase": credentials.passphrase,
        }
    )


def order_body(order: OrderView, frames: UserFrames) -> str:
    """Return the body of GET /data/order/{id}."""
    return _encode(_order_row(order, frames))


def orders_page(orders: tuple[OrderView, ...], frames: UserFrames, cursor: str = "") -> str:
    """Return a page of GET /data/orders; raise ``ValueError`` for a malformed cursor."""
    shown, following = page_of(orders, cursor)
    return page_envelope([_order_row(order, frames) for order in shown], following)


def trades_page(
    trades: tuple[TradeChanged, ...],
    frames: UserFrames,
    cursor: str = "",
    *,
    prefixed: bool = True,
) -> str:
    """Return a page of GET /data/trades; raise ``ValueError`` for a malformed cursor.

    ``prefixed``: REST may write ``TRADE_STATUS_MINED`` where the stream has ``MINED`` (D.4).
    """
    prefix = "TRADE_STATUS_" if prefixed else ""
    shown, following = page_of(trades, cursor)
    return page_envelope([_trade_row(trade, frames, prefix) for trade in shown], following)


def balance_allowance(account: Account, asset: str, signature_type: int) -> str:
    """Return the venue's cached view of an asset and the allowances (reference H.3).

    Asked with another signature type it is about another wallet of the same key, an empty one (I5).
    """
    if signature_type != account.signature_type:
        return _encode({"balance": "0", "allowances": {EXCHANGE: "0", NEG_RISK_EXCHANGE: "0"}})
    holding = account.holdings.get(asset)
    is_collateral = asset == COLLATERAL
    allowance = account.collateral_allowance if is_collateral else account.conditional_allowance
    return _encode(
        {
            "balance": str(max(0, holding.seen_micros) if holding else 0),
            "allowances": {EXCHANGE: str(allowance), NEG_RISK_EXCHANGE: "0"},
        }
    )


def _order_body(reply: OrderAccepted | OrderHeld) -> dict[str, object]:
    if isinstance(reply, OrderHeld):
        status, making, taking, trade_ids = "delayed", "0", "0", ()
    else:
        status, trade_ids = reply.status, reply.trade_ids
        making = micros_text(reply.making_micros) if reply.trade_ids else ""
        taking = micros_text(reply.taking_micros) if reply.trade_ids else ""
    return {
        "success": True,
        "errorMsg": "",
        "orderID": reply.order_id,
        "status": status,
        "makingAmount": making,
        "takingAmount": taking,
        "tradeIDs": list(trade_ids),
        "transactionsHashes": [],
    }


def _failed_leg(refusal: Refusal) -> dict[str, object]:
    return {
        "success": True,
        "errorMsg": refusal.error,
        "orderID": "",
        "status": "",
        "makingAmount": "",
        "takingAmount": "",
    }


def _order_row(order: OrderView, frames: UserFrames) -> dict[str, object]:
    return {
        "associate_trades": list(order.trade_ids),
        "id": order.order_id,
        "status": order.status,
        "market": order.condition_id,
        "original_size": micros_text(order.original_micros),
        "outcome": OUTCOME_LABELS[order.outcome],
        "maker_address": frames.address(order.account),
        "owner": frames.owner_key(order.account),
        "price": price_text(order.price_micros),
        "side": order.side.value,
        "size_matched": micros_text(order.matched_micros),
        "asset_id": order.token,
        "expiration": expiration_text(order),
        "order_type": order.time_in_force.value,
        "created_at": order.created_ns // NS_PER_SECOND,
    }


def _trade_row(trade: TradeChanged, frames: UserFrames, prefix: str) -> dict[str, object]:
    facts = trade.facts
    return {
        "id": facts.trade_id,
        "taker_order_id": facts.taker_order_id,
        "market": facts.condition_id,
        "asset_id": facts.token,
        "side": facts.side.value,
        "size": micros_text(facts.shares_micros),
        "fee_rate_bps": "0",
        "price": price_text(facts.price_micros),
        "status": prefix + trade.status.value,
        "match_time": str(facts.matched_ns // NS_PER_SECOND),
        "last_update": str(trade.at_ns // NS_PER_SECOND),
        "outcome": OUTCOME_LABELS[facts.outcome],
        "bucket_index": 0,
        "owner": frames.owner_key(facts.taker),
        "maker_address": frames.address(facts.taker),
        "transaction_hash": settled_hash(trade),
        "maker_orders": [frames.maker_order(leg) for leg in facts.makers],
        "trader_side": "MAKER" if trade.maker else "TAKER",
    }


def _encode(body: object) -> str:
    return msgspec.json.encode(body).decode()
