"""Orders, cancels and heartbeats at the CLOB (protocol reference B.3, B.6, I).

A marketable order is held by the venue: its request waits for the engine's final answer, which
arrives as an event, and says ``delayed`` only when none comes in time.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.routing import BaseRoute

from helpers.domain import NS_PER_SECOND
from simulator import refusals
from simulator.accounts import Account
from simulator.clob_bodies import (
    batch_answer,
    cancel_answer,
    error_answer,
    heartbeat_answer,
    order_answer,
)
from simulator.exchange import BATCH_ORDERS_MAX, Exchange
from simulator.exchange_messages import (
    CancelReply,
    OrderAccepted,
    OrderAnswered,
    OrderHeld,
    OrderReply,
    Refusal,
)
from simulator.order_signing import SignedOrder
from simulator.servers import order_requests as requests
from simulator.servers.answers import FORBIDDEN, HttpSurface, Reply, error, read_body, reply_of
from simulator.servers.clob_auth import ClobAuth
from simulator.servers.order_requests import OrderRequest
from simulator.servers.rate_limits import CANCELS, ORDERS, SignerLimits, with_headers
from simulator.servers.surroundings import Surroundings

HOLD_PATIENCE_NS: Final = 5 * NS_PER_SECOND
"""A held order is answered ``delayed`` after this long; the hold itself is 150 ms (G.4)."""
CANCEL_IDS_MAX: Final = 3_000
"""Ids of one DELETE /orders (reference B.2)."""
INVALID_PAYLOAD: Final = reply_of(error_answer(refusals.INVALID_PAYLOAD))
RESTRICTED: Final = error(FORBIDDEN, "Trading restricted in your region")


class Trading:
    """The order entry of the CLOB over HTTP."""

    def __init__(self, exchange: Exchange, surroundings: Surroundings, auth: ClobAuth) -> None:
        self._exchange = exchange
        self._surroundings = surroundings
        self._auth = auth
        self._waiting: dict[str, asyncio.Future[OrderAccepted | Refusal]] = {}
        self.order_limits = SignerLimits(ORDERS)
        self.cancel_limits = SignerLimits(CANCELS)
        self.region_restricted = False
        """Whether POST /order is answered 403, the geoblock that decides (reference H.7)."""

    def routes(self, http: HttpSurface) -> list[BaseRoute]:
        """Return the routes of order entry."""
        return [
            http.route("POST", "/order", self._post_order),
            http.route("POST", "/orders", self._post_orders),
            http.route("DELETE", "/order", self._cancel_order),
            http.route("DELETE", "/orders", self._cancel_orders),
            http.route("DELETE", "/cancel-all", self._cancel_all),
            http.route("DELETE", "/cancel-market-orders", self._cancel_market),
            http.route("POST", "/v1/heartbeats", self._heartbeat),
        ]

    def answered(self, event: OrderAnswered) -> None:
        """Let a held order's request have its answer."""
        waiting = self._waiting.get(event.order_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(event.reply)

    async def _post_order(self, request: Request) -> Reply:
        body = await read_body(request)
        account = self._allowed(request, body)
        if isinstance(account, Reply):
            return account
        limited = self._take(self.order_limits, account, 1)
        if limited is not None:
            return limited
        try:
            order_request, signed = requests.read_order(body)
        except ValueError:  # The venue answers without saying which field.
            return INVALID_PAYLOAD
        reply = await self._final(self._place(request, order_request, signed))
        return self._with_limits(reply_of(order_answer(reply)), self.order_limits, account)

    async def _post_orders(self, request: Request) -> Reply:
        body = await read_body(request)
        account = self._allowed(request, body)
        if isinstance(account, Reply):
            return account
        try:
            legs = requests.read_orders(body)
        except ValueError:  # As above.
            return INVALID_PAYLOAD
        if not 0 < len(legs) <= BATCH_ORDERS_MAX:
            refusal = refusals.too_many_orders(len(legs), BATCH_ORDERS_MAX)
            return reply_of(error_answer(refusal)) if legs else INVALID_PAYLOAD
        limited = self._take(self.order_limits, account, len(legs))
        if limited is not None:
            return limited
        placed = [self._place(request, leg, signed) for leg, signed in legs]
        replies = await asyncio.gather(*(self._final(reply) for reply in placed))
        answer = reply_of(batch_answer(tuple(replies)))
        return self._with_limits(answer, self.order_limits, account)

    async def _cancel_order(self, request: Request) -> Reply:
        body = await read_body(request)
        try:
            wanted = (requests.read_cancel(body).orderID,)
        except ValueError:  # Answered after the credentials are known to be right.
            wanted = None
        return self._cancel(request, body, wanted)

    async def _cancel_orders(self, request: Request) -> Reply:
        body = await read_body(request)
        try:
            wanted = tuple(requests.read_cancels(body))
        except ValueError:  # As above.
            wanted = None
        if wanted is not None and len(wanted) > CANCEL_IDS_MAX:
            wanted = None
        return self._cancel(request, body, wanted)

    async def _cancel_all(self, request: Request) -> Reply:
        return self._cancel_where(request, await read_body(request), "", "")

    async def _cancel_market(self, request: Request) -> Reply:
        body = await read_body(request)
        try:
            wanted = requests.read_cancel_market(body)
        except ValueError:  # As above.
            return self._cancel(request, body, None)
        return self._cancel_where(request, body, wanted.market, wanted.asset_id)

    async def _heartbeat(self, request: Request) -> Reply:
        body = await read_body(request)
        account = self._auth.account(request, body)
        if isinstance(account, Reply):
            return account
        try:
            heartbeat_id = requests.read_heartbeat(body).heartbeat_id or ""
        except ValueError:  # The venue answers without saying which field.
            return INVALID_PAYLOAD
        now_ns = self._surroundings.now_ns()
        return reply_of(
            heartbeat_answer(self._exchange.heartbeat(account.name, heartbeat_id, now_ns))
        )

    def _allowed(self, request: Request, body: bytes) -> Account | Reply:
        account = self._auth.account(request, body)
        return RESTRICTED if self.region_restricted and isinstance(account, Account) else account

    def _place(self, request: Request, leg: OrderRequest, signed: SignedOrder) -> OrderReply:
        reply = self._exchange.place_signed(
            signed,
            leg.owner,
            request.headers["POLY_API_KEY"],
            leg.orderType,
            post_only=leg.postOnly,
            now_ns=self._surroundings.now_ns(),
        )
        if isinstance(reply, OrderHeld):
            # At once: time may pass, and the answer come, before anybody waits for it.
            self._waiting[reply.order_id] = asyncio.get_running_loop().create_future()
        return reply

    async def _final(self, reply: OrderReply) -> OrderReply:
        """Wait for a held order's answer; what is still held after that is ``delayed``."""
        if not isinstance(reply, OrderHeld):
            return reply
        waiting = self._waiting[reply.order_id]
        self._surroundings.advance()  # So that whoever drives time knows of the release.
        try:
            async with asyncio.timeout(self._surroundings.seconds(HOLD_PATIENCE_NS)):
                return await waiting
        except TimeoutError:  # Whoever drives time is slow; the order is still held.
            return reply
        finally:
            self._waiting.pop(reply.order_id, None)

    def _cancel(self, request: Request, body: bytes, wanted: tuple[str, ...] | None) -> Reply:
        account = self._auth.account(request, body)
        if isinstance(account, Reply):
            return account
        if wanted is None:
            return INVALID_PAYLOAD
        limited = self._take(self.cancel_limits, account, max(1, len(wanted)))
        if limited is not None:
            return limited
        reply = self._exchange.cancel(account.name, wanted, self._surroundings.now_ns())
        return self._with_limits(reply_of(cancel_answer(reply)), self.cancel_limits, account)

    def _cancel_where(self, request: Request, body: bytes, condition_id: str, token: str) -> Reply:
        account = self._auth.account(request, body)
        if isinstance(account, Reply):
            return account
        limited = self._take(self.cancel_limits, account, 1)
        if limited is not None:
            return limited
        now_ns = self._surroundings.now_ns()
        reply = self._exchange.cancel_all(
            account.name, now_ns, condition_id=condition_id, token=token
        )
        if isinstance(reply, CancelReply):  # Costs one, and one for each order (B.6).
            self.cancel_limits.spend(account.signer, len(reply.canceled), now_ns)
        return self._with_limits(reply_of(cancel_answer(reply)), self.cancel_limits, account)

    def _take(self, limits: SignerLimits, account: Account, cost: int) -> Reply | None:
        return limits.take(account.signer, cost, self._surroundings.now_ns())

    def _with_limits(self, reply: Reply, limits: SignerLimits, account: Account) -> Reply:
        return with_headers(reply, limits.headers(account.signer, self._surroundings.now_ns()))
