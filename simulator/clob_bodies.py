"""Bodies of the CLOB's REST answers (protocol reference B); it decides no status of an order.

Every function returns finished text, or an ``HttpAnswer`` where the status code is part of it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, TypeVar

import msgspec

from helpers.domain import MICROS, NS_PER_SECOND, Message, Outcome, Side
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
from simulator.market_state import MarketState
from simulator.order_signing import EXCHANGE, NEG_RISK_EXCHANGE, Credentials
from simulator.polymarket_frames import (
    OUTCOME_LABELS,
    UserFrames,
    expiration_text,
    settled_hash,
)
from simulator.wire_text import iso_text, micros_text, price_text

FIRST_CURSOR: Final = "MA=="
LAST_CURSOR: Final = "LTE="
PAGE_ROWS_MAX: Final = 500
"""Rows of one page of orders or trades."""
BASE_FEE_BPS: Final = 1000
"""Ceiling served as ``base_fee``; not the fee that is charged (reference B.2)."""
OK: Final = 200
BAD_REQUEST: Final = 400
_Row = TypeVar("_Row")


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
    shown, following = _page(orders, cursor)
    return _envelope([_order_row(order, frames) for order in shown], following)


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
    shown, following = _page(trades, cursor)
    return _envelope([_trade_row(trade, frames, prefix) for trade in shown], following)


def balance_allowance(account: Account, asset: str) -> str:
    """Return the venue's cached view of an asset and the allowances (reference H.3)."""
    holding = account.holdings.get(asset)
    is_collateral = asset == COLLATERAL
    allowance = account.collateral_allowance if is_collateral else account.conditional_allowance
    return _encode(
        {
            "balance": str(holding.seen_micros if holding else 0),
            "allowances": {EXCHANGE: str(allowance), NEG_RISK_EXCHANGE: "0"},
        }
    )


def clob_market(market: MarketState) -> str:
    """Return the body of GET /clob-markets/{condition}; ``nr`` is omitted when false (B.2)."""
    listing = market.listing
    return _encode(
        {
            "c": listing.condition_id,
            "t": [
                {"t": listing.token(outcome), "o": OUTCOME_LABELS[outcome]} for outcome in Outcome
            ],
            "mos": _number(listing.minimum_shares_micros),
            "mts": _number(market.tick_micros),
            "mbf": BASE_FEE_BPS,
            "tbf": BASE_FEE_BPS,
            "fd": {
                "r": listing.fee_rate_ppm / MICROS,
                "e": listing.fee_exponent,
                "to": listing.fee_taker_only,
            },
            "ao": not market.resolved,
            "itode": listing.taker_delay,
            "oas": iso_text(listing.created_ns),
            "gst": None,
            "rfqe": False,
            "ibce": False,
        }
    )


def market_by_token(market: MarketState) -> str:
    """Return the body of GET /markets-by-token/{token}."""
    listing = market.listing
    return _encode(
        {
            "condition_id": listing.condition_id,
            "primary_token_id": listing.up_token,
            "secondary_token_id": listing.down_token,
        }
    )


def market_body(market: MarketState) -> str:
    """Return the body of GET /markets/{condition}."""
    listing = market.listing
    return _encode(
        {
            **_simplified_row(market),
            "accepting_order_timestamp": iso_text(listing.created_ns),
            "description": "",
            "enable_order_book": not market.resolved,
            "end_date_iso": iso_text(listing.closes_ns),
            "fpmm": "",
            "game_start_time": iso_text(listing.opens_ns),
            "icon": "",
            "image": "",
            "is_50_50_outcome": False,
            "maker_base_fee": BASE_FEE_BPS,
            "market_slug": listing.slug,
            "minimum_order_size": _number(listing.minimum_shares_micros),
            "minimum_tick_size": _number(market.tick_micros),
            "neg_risk": False,
            "neg_risk_market_id": "",
            "neg_risk_request_id": "",
            "notifications_enabled": True,
            "question": listing.question,
            "question_id": listing.condition_id,
            "seconds_delay": 0,
            "tags": ["Crypto", "Up or Down"],
            "taker_base_fee": BASE_FEE_BPS,
        }
    )


def simplified_page(markets: tuple[MarketState, ...], cursor: str = "") -> str:
    """Return a page of GET /simplified-markets; raise ``ValueError`` for a malformed cursor."""
    shown, following = _page(markets, cursor)
    return _envelope([_simplified_row(market) for market in shown], following)


def tick_size(market: MarketState) -> str:
    """Return the body of GET /tick-size."""
    return _encode({"minimum_tick_size": _number(market.tick_micros)})


def neg_risk() -> str:
    """Return the body of GET /neg-risk; Up/Down markets are never neg-risk."""
    return '{"neg_risk":false}'


def fee_rate() -> str:
    """Return the body of GET /fee-rate: the ceiling."""
    return _encode({"base_fee": BASE_FEE_BPS})


def version() -> str:
    """Return the body of GET /version."""
    return '{"version":2}'


def server_time(now_ns: int) -> str:
    """Return the body of GET /time: whole seconds."""
    return str(now_ns // NS_PER_SECOND)


def midpoint(market: MarketState, outcome: Outcome) -> str | None:
    """Return the body of GET /midpoint, ``None`` (404) while a side is empty."""
    bid, ask = _touch(market, outcome)
    if bid is None or ask is None:
        return None
    return _encode({"mid": price_text((bid + ask) // 2)})


def price(market: MarketState, outcome: Outcome, side: Side) -> str | None:
    """Return the body of GET /price: BUY the best bid, SELL the best ask (reference B.2)."""
    bid, ask = _touch(market, outcome)
    found = bid if side is Side.BUY else ask
    return None if found is None else _encode({"price": price_text(found)})


def spread(market: MarketState, outcome: Outcome) -> str | None:
    """Return the body of GET /spread, ``None`` (404) while a side is empty."""
    bid, ask = _touch(market, outcome)
    return None if bid is None or ask is None else _encode({"spread": price_text(ask - bid)})


def last_trade_price(market: MarketState, outcome: Outcome) -> str:
    """Return the body of GET /last-trade-price."""
    return _encode({"price": price_text(market.last_price_micros(outcome)), "side": ""})


def _touch(market: MarketState, outcome: Outcome) -> tuple[int | None, int | None]:
    bid, ask = market.book.best_bid, market.book.best_ask
    if outcome is Outcome.UP:
        return bid, ask
    return (None if ask is None else MICROS - ask), (None if bid is None else MICROS - bid)


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


def _simplified_row(market: MarketState) -> dict[str, object]:
    listing = market.listing
    middle = market.middle_micros or MICROS // 2
    tokens: list[dict[str, object]] = []
    for outcome in Outcome:
        own = middle if outcome is Outcome.UP else MICROS - middle
        if market.resolved:
            own = MICROS if market.winner is outcome else 0
        tokens.append(
            {
                "outcome": OUTCOME_LABELS[outcome],
                "price": _number(own),
                "token_id": listing.token(outcome),
                "winner": market.winner is outcome,
            }
        )
    return {
        "accepting_orders": not market.resolved,
        "active": True,
        "archived": False,
        "closed": market.resolved,
        "condition_id": listing.condition_id,
        "rewards": {"max_spread": 4.5, "min_size": 50, "rates": None},
        "tokens": tokens,
    }


def _page(rows: tuple[_Row, ...], cursor: str) -> tuple[tuple[_Row, ...], str]:
    try:
        start = int(base64.b64decode(cursor or FIRST_CURSOR, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"cursor was {cursor!r}, expected one of an earlier page") from error
    end = start + PAGE_ROWS_MAX
    if start < 0:
        return (), LAST_CURSOR
    more = end < len(rows)
    following = base64.b64encode(str(end).encode()).decode() if more else LAST_CURSOR
    return rows[start:end], following


def _envelope(rows: list[dict[str, object]], following: str) -> str:
    return _encode(
        {"data": rows, "next_cursor": following, "limit": PAGE_ROWS_MAX, "count": len(rows)}
    )


def _number(micros: int) -> int | float:
    return micros // MICROS if micros % MICROS == 0 else micros / MICROS


def _encode(body: object) -> str:
    return msgspec.json.encode(body).decode()
