"""Order requests as they come over the wire, read strictly where money is meant (B.3)."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from helpers.domain import Message, Side
from simulator.matching import TimeInForce
from simulator.order_signing import SignedOrder
from simulator.servers.client_text import UNREADABLE

_AMOUNT_DIGITS_MAX: Final = 30
"""Far above any amount, time or token share; Python integers have no limit of their own."""
_TOKEN_DIGITS_MAX: Final = 78
"""Decimal digits of a uint256."""
_Wanted = TypeVar("_Wanted")


class OrderFields(Message, frozen=True):
    """The signed order, spelled as on the wire."""

    salt: int
    maker: str
    signer: str
    tokenId: str  # noqa: N815 - the wire's name
    makerAmount: str  # noqa: N815 - the wire's name
    takerAmount: str  # noqa: N815 - the wire's name
    side: Side
    signatureType: int  # noqa: N815 - the wire's name
    timestamp: str
    metadata: str
    builder: str
    signature: str
    expiration: str = "0"

    def signed(self) -> SignedOrder:
        """Return the order as the engine verifies it; raise ``ValueError`` for a bad number."""
        return SignedOrder(
            salt=self.salt,
            maker=self.maker,
            signer=self.signer,
            token=_digits(self.tokenId, "tokenId", _TOKEN_DIGITS_MAX),
            maker_amount_micros=int(_digits(self.makerAmount, "makerAmount")),
            taker_amount_micros=int(_digits(self.takerAmount, "takerAmount")),
            side=self.side,
            signature_type=self.signatureType,
            timestamp_ms=int(_digits(self.timestamp, "timestamp")),
            signature=self.signature,
            expiration_seconds=int(_digits(self.expiration, "expiration")),
            metadata=self.metadata,
            builder=self.builder,
        )


class OrderRequest(Message, frozen=True):
    """The body of POST /order and one leg of POST /orders.

    ``deferExec`` is read and has no effect: what it does on the server is undocumented (A.4).
    """

    order: OrderFields
    owner: str
    orderType: TimeInForce  # noqa: N815 - the wire's name
    deferExec: bool = False  # noqa: N815 - the wire's name
    postOnly: bool = False  # noqa: N815 - the wire's name


class CancelRequest(Message, frozen=True):
    """The body of DELETE /order."""

    orderID: str  # noqa: N815 - the wire's name


class CancelMarketRequest(Message, frozen=True):
    """The body of DELETE /cancel-market-orders."""

    market: str = ""
    asset_id: str = ""


class HeartbeatRequest(Message, frozen=True):
    """The body of POST /v1/heartbeats."""

    heartbeat_id: str | None = ""


def read_order(body: bytes) -> tuple[OrderRequest, SignedOrder]:
    """Return an order request and its order; raise ``ValueError`` for anything malformed."""
    return _with_signed(_decode(body, OrderRequest))


def read_orders(body: bytes) -> list[tuple[OrderRequest, SignedOrder]]:
    """Return the legs of a batch; raise ``ValueError`` for anything malformed."""
    return [_with_signed(request) for request in _decode(body, list[OrderRequest])]


def read_cancel(body: bytes) -> CancelRequest:
    """Return a cancel request; raise ``ValueError`` for anything malformed."""
    return _decode(body, CancelRequest)


def read_cancels(body: bytes) -> list[str]:
    """Return the ids of a cancel of several; raise ``ValueError`` for anything malformed."""
    return _decode(body, list[str])


def read_cancel_market(body: bytes) -> CancelMarketRequest:
    """Return which market or token to cancel; raise ``ValueError`` for anything malformed."""
    return _decode(body, CancelMarketRequest)


def read_heartbeat(body: bytes) -> HeartbeatRequest:
    """Return a heartbeat; raise ``ValueError`` for anything malformed."""
    return _decode(body, HeartbeatRequest)


def _with_signed(request: OrderRequest) -> tuple[OrderRequest, SignedOrder]:
    return request, request.order.signed()


def _digits(text: str, name: str, digits_max: int = _AMOUNT_DIGITS_MAX) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) <= digits_max):
        raise ValueError(f"{name} was {text[:100]!r}, expected decimal digits")
    return text


def _decode(body: bytes, kind: type[_Wanted]) -> _Wanted:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as problem:
        raise ValueError(f"body was malformed: {problem}") from problem
