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
from helpers.clob.rate_limits import RequestLimits, TokenBucket
from helpers.clock import Clock
from helpers.domain import NS_PER_SECOND
from helpers.feeds.http import tls_context
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
"""Longest wait of a cancellation or read for its turn."""
LIMIT_WAIT_SECONDS_MINIMUM: Final = 0.001
"""Least step of such a wait, so that it ends even where the clock stands still."""
SILENCE_SECONDS_MINIMUM: Final = 1.0
"""Kept after a 429 that names no wait."""
NOTHING: Final = (b"", b"null", b"{}", b'""')
"""Bodies of an order that is not active any more."""
ORDER_PATH: Final = "/order"
FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, OSError)
"""Everything by which a request ends without an answer; ``TimeoutError`` is an ``OSError``."""
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
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._client = client
        self._venues = venues
        self._auth = auth
        self._type = str(signature_type)
        self._clock = clock
        self._limits = limits or RequestLimits()
        self._whole_seconds = whole_seconds
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
        except (*FAILURES, RequestFailedError) as failed:
            return PostReply(PostUnknown(_words(failed)))
        self._hear(orders, answer)
        return post_reply(answer, signed.order_id, self._seconds())

    async def cancel(self, order_ids: Sequence[str]) -> CancelReply:
        """Cancel some orders of ours; raise ``RequestFailedError`` where nobody knows."""
        if not order_ids:
            return CancelReply((), ())
        body = msgspec.json.encode(list(order_ids))
        return await self._cancel("/orders", body, len(order_ids))

    async def cancel_all(self) -> CancelReply:
        """Cancel every order of this API key; it costs one, and one for each (reference B.6)."""
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
            except FAILURES as failed:
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
        try:
            body = await self._read(f"/data/order/{order_id}")
        except RequestFailedError as failed:
            if failed.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        if body.strip() in NOTHING:
            return None
        order = decoding.read_open_order(body)
        if order.order_id.lower() != order_id.lower():
            raise RequestFailedError(f"answer was order {order.order_id!r}, expected {order_id}")
        return order

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
        body = await self._read("/balance-allowance", self._asset(token))
        return decoding.read_balance(body)

    async def refresh_balance(self, token: str = "") -> None:
        """Let the venue look at the chain again (reference H.3, I2)."""
        await self._read("/balance-allowance/update", self._asset(token))

    async def market(self, condition_id: str) -> ClobMarket:
        """Return a market's trading facts."""
        return decoding.read_market(await self._read(f"/clob-markets/{condition_id}"))

    async def version(self) -> int:
        """Return the version of orders the venue takes."""
        return decoding.read_version(await self._read("/version"))

    async def server_seconds(self) -> int:
        """Return the venue's clock."""
        return decoding.decode(await self._read("/time"), int, "time")

    async def closed_only(self) -> bool:
        """Return whether the account may only close positions (reference H.7)."""
        return decoding.read_closed_only(await self._read("/auth/ban-status/closed-only"))

    async def api_keys(self) -> tuple[str, ...]:
        """Return the ids of the signer's API keys: proof that ours is good."""
        return decoding.read_api_keys(await self._read("/auth/api-keys"))

    async def geoblock(self) -> Geoblock:
        """Return what the website says of this address (reference H.7)."""
        url = f"{self._venues.polymarket_website}/api/geoblock"
        return decoding.read_geoblock(await self._read_elsewhere(url, {}))

    async def positions(self, wallet: str) -> tuple[VenuePosition, ...]:
        """Return every position of a wallet, as the Data API has it: late by minutes."""
        url = f"{self._venues.data_api_rest}/v2/positions"
        found: list[VenuePosition] = []
        cursor = ""
        for _ in range(PAGES_MAXIMUM):
            query = {"user": wallet, **({"cursor": cursor} if cursor else {})}
            rows, cursor = decoding.read_positions(await self._read_elsewhere(url, query))
            found.extend(rows)
            if not cursor:
                return tuple(found)
        raise RequestFailedError(f"positions had over {PAGES_MAXIMUM} pages")

    # --- Transport ------------------------------------------------------------------------------

    async def _rows(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        cursor = decoding.FIRST_CURSOR
        for _ in range(PAGES_MAXIMUM):
            page = decoding.read_page(
                await self._read(path, {**query, "next_cursor": cursor}), path
            )
            for row in page.rows:
                yield row
            cursor = page.cursor
            if not cursor:
                return
        raise RequestFailedError(f"{path} had over {PAGES_MAXIMUM} pages")

    async def _cancel(self, path: str, body: bytes, cost: int) -> CancelReply:
        await self._turn(self._limits.cancels, cost)
        answer = await self._request("DELETE", path, body=body)
        self._hear(self._limits.cancels, answer)
        return decoding.read_cancel(self._good(answer).body)

    async def _read(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        await self._turn(self._limits.reads, 1)
        answer = await self._request("GET", path, query=query)
        self._hear(self._limits.reads, answer)
        return self._good(answer).body

    async def _read_elsewhere(self, url: str, query: Mapping[str, str]) -> bytes:
        await self._turn(self._limits.elsewhere, 1)
        try:
            answer = await self._exchange("GET", url, query=query, body=b"", headers={})
        except FAILURES as failed:
            raise RequestFailedError(f"GET {url}: {_words(failed)}") from failed
        self._hear(self._limits.elsewhere, answer)
        return self._good(answer).body

    async def _turn(self, bucket: TokenBucket, cost: float) -> None:
        now_ns = self._clock.now_ns()
        waited = wait = bucket.wait_seconds(cost, now_ns)
        if wait <= LIMIT_WAIT_SECONDS_MAXIMUM:
            bucket.take(cost, now_ns)  # reserved: whoever asks next waits behind us
        while wait:
            if waited > LIMIT_WAIT_SECONDS_MAXIMUM:
                reason = f"our rate limit: never sent, {wait:.1f} s to wait"
                raise RequestFailedError(reason, 0, Condition.RATE_LIMITED, wait)
            await asyncio.sleep(max(wait, LIMIT_WAIT_SECONDS_MINIMUM))
            # Another answer may have asked for silence meanwhile.
            wait = bucket.closed_seconds(self._clock.now_ns())
            waited += max(wait, LIMIT_WAIT_SECONDS_MINIMUM)

    def _hear(self, bucket: TokenBucket, answer: Answer) -> None:
        now_ns = self._clock.now_ns()
        self._limits.hear(bucket, answer.headers, now_ns)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            asked = retry_after_seconds(answer, now_ns // NS_PER_SECOND)
            bucket.close(max(SILENCE_SECONDS_MINIMUM, asked), now_ns)

    async def _request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        try:
            return await self._ask(method, path, query=query, body=body)
        except FAILURES as failed:
            raise RequestFailedError(f"{method} {path}: {_words(failed)}") from failed

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        headers = self._auth.headers(self._seconds(), method, path, body)
        if body:
            headers["Content-Type"] = "application/json"
        url = self._venues.clob_rest + path
        return await self._exchange(method, url, query=query, body=body, headers=headers)

    async def _exchange(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None,
        body: bytes,
        headers: dict[str, str],
    ) -> Answer:
        async with asyncio.timeout(self._whole_seconds):
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
        verify=tls_context(),
    )


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
