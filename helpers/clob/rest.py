"""The CLOB over HTTPS: one attempt a call, bounded, every failure typed.

A POST of an order never raises for what network or venue do: its outcome is accepted, rejected or
unknown. A read raises ``RequestFailedError`` when it is missing, incomplete or malformed. Must not:
retry by itself, or keep any order state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, Protocol

import httpx
import msgspec

from helpers.clob import decoding
from helpers.clob.auth import ApiCredentials, l1_headers
from helpers.clob.eip712 import OrderSigner
from helpers.clob.messages import (
    Balance,
    CancelReply,
    ClobMarket,
    Condition,
    Geoblock,
    HeartbeatReply,
    OpenOrder,
    PostRejected,
    PostReply,
    PostUnknown,
    RequestFailedError,
    SignedOrder,
    VenuePosition,
)
from helpers.clob.outcome import (
    Answer,
    condition_of,
    error_text,
    post_reply,
    retry_after_seconds,
)
from helpers.clob.rate_limits import RequestLimits
from helpers.clock import Clock
from helpers.domain import NS_PER_SECOND
from helpers.feeds.polymarket_user import PolymarketUserParser, UserTrade
from helpers.venues import USER_AGENT, Venues

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
WHOLE_SECONDS: Final = 15.0
"""Bound of one request from start to last byte; the venue's own hold is 150 ms (reference G.4)."""
KEEPALIVE_SECONDS: Final = 60.0
"""An order must not pay for a TLS handshake; reads every 30 s keep the connection open."""
CONNECTIONS_MAXIMUM: Final = 16
BODY_BYTES_MAXIMUM: Final = 8 << 20
PAGES_MAXIMUM: Final = 40
"""Of one list: 20,000 rows of 500."""
LIMIT_WAIT_SECONDS_MAXIMUM: Final = 5.0
"""Longest wait of a cancellation for our own rate limit."""
ORDER_PATH: Final = "/order"
NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""There was no connection to send anything over: the order cannot have left."""


class Authenticator(Protocol):
    """Who writes the L2 headers (``helpers.clob.auth.RequestAuth``)."""

    def headers(
        self, timestamp_seconds: int, method: str, path: str, body: bytes = b""
    ) -> dict[str, str]:
        """Return the headers of one request."""
        ...


class ClobRest:
    """Requests of one account to the CLOB and to what belongs to it."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        venues: Venues,
        auth: Authenticator,
        signature_type: int,
        clock: Clock,
        limits: RequestLimits | None = None,
    ) -> None:
        self._client = client
        self._venues = venues
        self._auth = auth
        self._type = str(signature_type)
        self._clock = clock
        self._limits = limits or RequestLimits()
        self._parser = PolymarketUserParser()

    # --- Orders ---------------------------------------------------------------------------------

    async def post_order(self, signed: SignedOrder) -> PostReply:
        """Send an order once (reference B.3); every outcome is a value."""
        orders, now_ns = self._limits.orders, self._clock.now_ns()
        wait = orders.wait_seconds(1, now_ns)
        if wait > 0:
            reason = f"our rate limit: never sent, {wait:.1f} s to wait"
            return PostReply(PostRejected(reason), Condition.RATE_LIMITED, wait)
        orders.take(1, now_ns)
        try:
            answer = await self._ask("POST", ORDER_PATH, body=signed.body)
        except NEVER_SENT as failed:
            return PostReply(PostRejected(f"never sent: {_words(failed)}"))
        except (httpx.HTTPError, OSError, RequestFailedError) as failed:
            return PostReply(PostUnknown(_words(failed)))
        self._limits.hear(orders, answer.headers, self._clock.now_ns())
        reply = post_reply(answer, signed.order_id, self._seconds())
        if reply.condition is Condition.RATE_LIMITED:
            orders.close(max(1.0, reply.retry_after_seconds), self._clock.now_ns())
        return reply

    async def cancel(self, order_ids: Sequence[str]) -> CancelReply:
        """Cancel some orders of ours."""
        body = msgspec.json.encode(list(order_ids))
        return await self._cancel("/orders", body, len(order_ids))

    async def cancel_all(self) -> CancelReply:
        """Cancel every order of this API key."""
        reply = await self._cancel("/cancel-all", b"", 1)
        self._limits.cancels.take(len(reply.canceled), self._clock.now_ns())
        return reply

    async def heartbeat(self, heartbeat_id: str) -> HeartbeatReply:
        """Put the venue's dead-man deadline off (reference I)."""
        body = msgspec.json.encode({"heartbeat_id": heartbeat_id})
        answer = await self._request("POST", "/v1/heartbeats", body=body)
        if answer.status == HTTPStatus.BAD_REQUEST and decoding.REFUSED_HEARTBEAT.encode() in (
            answer.body
        ):
            return decoding.read_heartbeat(answer.body, accepted=False)
        return decoding.read_heartbeat(self._good(answer).body, accepted=True)

    async def credentials(self, signer: OrderSigner) -> ApiCredentials:
        """Create the signer's API credentials, or derive those it has (reference A.5)."""
        for method, path in (("POST", "/auth/api-key"), ("GET", "/auth/derive-api-key")):
            headers = l1_headers(signer, self._seconds())
            try:
                answer = await self._exchange(
                    method, self._venues.clob_rest + path, query=None, body=b"", headers=headers
                )
            except (httpx.HTTPError, OSError) as failed:
                raise RequestFailedError(f"{method} {path}: {_words(failed)}") from failed
            if method == "POST" and answer.status == HTTPStatus.BAD_REQUEST:
                continue  # there are some already
            return decoding.read_credentials(self._good(answer).body)
        raise AssertionError("the second request is always answered or raises")

    # --- Reads ----------------------------------------------------------------------------------

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return every open order of ours."""
        return tuple(
            [decoding.read_open_order(row) async for row in self._rows("/data/orders", {})]
        )

    async def order(self, order_id: str) -> OpenOrder | None:
        """Return an order while it is active, ``None`` after (reference B.2)."""
        answer = await self._request("GET", f"/data/order/{order_id}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        body = self._good(answer).body
        return None if body.strip() in (b"", b"null", b"{}") else decoding.read_open_order(body)

    async def trades(
        self, *, after_seconds: int = 0, condition_id: str = "", trade_id: str = ""
    ) -> tuple[UserTrade, ...]:
        """Return our trades, matched from ``after_seconds`` on, oldest or newest first."""
        wanted = {"after": str(after_seconds or ""), "market": condition_id, "id": trade_id}
        query = {name: value for name, value in wanted.items() if value}
        received_ns = self._clock.now_ns()
        return tuple(
            [
                decoding.read_trade(row, self._parser, received_ns)
                async for row in self._rows("/data/trades", query)
            ]
        )

    async def balance(self, token: str = "") -> Balance:
        """Return what the wallet has of a token, of the collateral without one (reference H.3)."""
        answer = await self._request("GET", "/balance-allowance", query=self._asset(token))
        return decoding.read_balance(self._good(answer).body)

    async def refresh_balance(self, token: str = "") -> None:
        """Let the venue look at the chain again (reference H.3, I2)."""
        path = "/balance-allowance/update"
        self._good(await self._request("GET", path, query=self._asset(token)))

    async def market(self, condition_id: str) -> ClobMarket:
        """Return a market's trading facts."""
        return decoding.read_market(
            self._good(await self._request("GET", f"/clob-markets/{condition_id}")).body
        )

    async def version(self) -> int:
        """Return the version of orders the venue takes."""
        body = self._good(await self._request("GET", "/version")).body
        return decoding.read_version(body)

    async def server_seconds(self) -> int:
        """Return the venue's clock."""
        return decoding.decode(self._good(await self._request("GET", "/time")).body, int, "time")

    async def closed_only(self) -> bool:
        """Return whether the account may only close positions (reference H.7)."""
        body = self._good(await self._request("GET", "/auth/ban-status/closed-only")).body
        return decoding.read_closed_only(body)

    async def api_keys(self) -> tuple[str, ...]:
        """Return the ids of the signer's API keys: proof that ours is good."""
        body = self._good(await self._request("GET", "/auth/api-keys")).body
        return decoding.read_api_keys(body)

    async def geoblock(self) -> Geoblock:
        """Return what the website says of this address (reference H.7)."""
        url = f"{self._venues.polymarket_website}/api/geoblock"
        return decoding.read_geoblock(self._good(await self._get(url, {})).body)

    async def positions(self, wallet: str) -> tuple[VenuePosition, ...]:
        """Return every position of a wallet, as the Data API has it: late by minutes."""
        url = f"{self._venues.data_api_rest}/v2/positions"
        found: list[VenuePosition] = []
        cursor = ""
        for _ in range(PAGES_MAXIMUM):
            query = {"user": wallet, **({"cursor": cursor} if cursor else {})}
            rows, cursor = decoding.read_positions(self._good(await self._get(url, query)).body)
            found.extend(rows)
            if not cursor:
                return tuple(found)
        raise RequestFailedError(f"positions had over {PAGES_MAXIMUM} pages")

    # --- Transport ------------------------------------------------------------------------------

    async def _rows(self, path: str, query: Mapping[str, str]) -> AsyncIterator[msgspec.Raw]:
        cursor = decoding.FIRST_CURSOR
        for _ in range(PAGES_MAXIMUM):
            answer = await self._request("GET", path, query={**query, "next_cursor": cursor})
            page = decoding.read_page(self._good(answer).body, path)
            for row in page.rows:
                yield row
            cursor = page.cursor
            if not cursor:
                return
        raise RequestFailedError(f"{path} had over {PAGES_MAXIMUM} pages")

    async def _cancel(self, path: str, body: bytes, cost: int) -> CancelReply:
        cancels = self._limits.cancels
        wait = cancels.wait_seconds(cost, self._clock.now_ns())
        if wait > LIMIT_WAIT_SECONDS_MAXIMUM:
            reason = f"our rate limit: {wait:.1f} s to wait"
            raise RequestFailedError(reason, 0, Condition.RATE_LIMITED, wait)
        if wait:
            await asyncio.sleep(wait)
        cancels.take(cost, self._clock.now_ns())
        answer = await self._request("DELETE", path, body=body)
        self._limits.hear(cancels, answer.headers, self._clock.now_ns())
        return decoding.read_cancel(self._good(answer).body)

    async def _request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        try:
            return await self._ask(method, path, query=query, body=body)
        except (httpx.HTTPError, OSError) as failed:
            raise RequestFailedError(f"{method} {path}: {_words(failed)}") from failed

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        headers = self._auth.headers(self._seconds(), method, path, body)
        if body:
            headers["Content-Type"] = "application/json"
        url = self._venues.clob_rest + path
        return await self._exchange(method, url, query=query, body=body, headers=headers)

    async def _get(self, url: str, query: Mapping[str, str]) -> Answer:
        try:
            return await self._exchange("GET", url, query=query, body=b"", headers={})
        except (httpx.HTTPError, OSError) as failed:
            raise RequestFailedError(f"GET {url}: {_words(failed)}") from failed

    async def _exchange(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None,
        body: bytes,
        headers: dict[str, str],
    ) -> Answer:
        async with asyncio.timeout(WHOLE_SECONDS):
            async with self._client.stream(
                method, url, params=query or None, content=body or None, headers=headers
            ) as response:
                received = bytearray()
                async for chunk in response.aiter_bytes():
                    received += chunk
                    if len(received) > BODY_BYTES_MAXIMUM:
                        raise RequestFailedError(f"body was over {BODY_BYTES_MAXIMUM} bytes")
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, bytes(received))

    def _good(self, answer: Answer) -> Answer:
        if answer.status == HTTPStatus.OK:
            return answer
        text = error_text(answer)
        raise RequestFailedError(
            f"HTTP {answer.status}: {text}",
            answer.status,
            condition_of(answer, text),
            retry_after_seconds(answer, self._seconds()),
        )

    def _asset(self, token: str) -> dict[str, str]:
        kind = {"asset_type": "CONDITIONAL", "token_id": token}
        found = kind if token else {"asset_type": "COLLATERAL"}
        return {**found, "signature_type": self._type}

    def _seconds(self) -> int:
        return self._clock.now_ns() // NS_PER_SECOND


def new_order_client() -> httpx.AsyncClient:
    """Return the client for ``ClobRest``; the caller closes it. No environment is read."""
    return httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT},
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAXIMUM, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        follow_redirects=False,
        trust_env=False,
    )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
