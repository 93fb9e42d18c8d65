"""One polite GET for every venue's REST; must not read a body's meaning or retry by itself.

Each host has a named minimum interval between requests, is left alone for as long as it asked
(429, 418), and is never asked again in this process after it refused (451). A 403 is a firewall's
or a region's no: the host is left alone for a long time (binance 4.3, reference A.4).
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from http import HTTPStatus
from typing import Final

import httpx

from helpers.clock import Clock, monotonic_seconds
from helpers.domain import NS_PER_SECOND, Message
from helpers.feeds.retry import RateLimited, Unreachable, VenueRefused, refusal_error
from helpers.venues import USER_AGENT

HOST_INTERVAL_SECONDS: Final = 0.1
"""Ten requests a second and host: a thirtieth of Gamma's 300 /markets in 10 s (B.6)."""
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
WHOLE_SECONDS: Final = 20.0
"""Bound of one request from start to last byte, whatever trickles in."""
BODY_BYTES_MAXIMUM: Final = 8 << 20
"""1,500 klines are 0.3 MB, a listing page of 100 events is 2 MB."""
FORBIDDEN_SECONDS: Final = 900.0
"""After a 403: firewalls count by minutes, and a region's no does not change soon."""
WEIGHT_HEADER: Final = "X-MBX-USED-WEIGHT-1M"
CONNECTIONS_MAXIMUM: Final = 16
KEEPALIVE_SECONDS: Final = 60.0
"""How long an idle connection is kept. It is longer than the pauses between our polls, so that
they need no new TLS handshake; httpx's 5 s of real time would also decide, in simulated time,
how many connections a run opens."""


class HttpTimings(Message, frozen=True):
    """Durations of the client, in seconds."""

    host_interval_seconds: float = HOST_INTERVAL_SECONDS
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    whole_seconds: float = WHOLE_SECONDS


class HttpReply(Message, frozen=True):
    """An answer with status 200 or 404; everything else is raised."""

    status: int
    body: bytes
    used_weight: int
    """Binance's weight used in this minute, 0 where no such header came."""
    sent_ns: int
    received_ns: int

    @property
    def found(self) -> bool:
        """Return whether there is such an object (404 says not yet, or not any more)."""
        return self.status == HTTPStatus.OK


class _Host:
    """When a host may be asked next, and why not before."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.next_seconds = 0.0
        self.silent_until_seconds = 0.0
        self.refusal: VenueRefused | None = None
        self.limit_status = 0


class VenueHttp:
    """GET requests to the venues, within their limits."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        clock: Clock,
        timings: HttpTimings | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._timings = timings or HttpTimings()
        self._hosts: dict[str, _Host] = {}

    async def get(self, url: str, query: tuple[tuple[str, str | int], ...] = ()) -> HttpReply:
        """Return a 200 or a 404; raises ``VenueRefused``, ``RateLimited`` or ``Unreachable``.

        Waits for the host's turn. A host that asked for silence is not asked: ``RateLimited`` is
        raised at once with the rest of that time.
        """
        host = self._hosts.setdefault(httpx.URL(url).netloc.decode(), _Host())
        async with host.turn:
            self._raise_if_closed(host, url)
            await asyncio.sleep(host.next_seconds - monotonic_seconds())
            host.next_seconds = monotonic_seconds() + self._timings.host_interval_seconds
        try:
            reply, retry_after = await self._exchange(url, query)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failed:
            raise Unreachable(url, f"{type(failed).__name__}: {failed}") from failed
        self._raise_for_status(host, url, reply, retry_after)
        return reply

    async def _exchange(
        self, url: str, query: tuple[tuple[str, str | int], ...]
    ) -> tuple[HttpReply, str | None]:
        sent_ns = self._clock.now_ns()
        async with asyncio.timeout(self._timings.whole_seconds):
            async with self._client.stream("GET", url, params=query or None) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > BODY_BYTES_MAXIMUM:
                        raise Unreachable(url, f"body was over {BODY_BYTES_MAXIMUM} bytes")
        weight = response.headers.get(WEIGHT_HEADER, "")
        reply = HttpReply(
            response.status_code,
            bytes(body),
            int(weight) if weight.isascii() and weight.isdigit() else 0,
            sent_ns,
            self._clock.now_ns(),
        )
        return reply, response.headers.get("Retry-After")

    def _raise_if_closed(self, host: _Host, url: str) -> None:
        if host.refusal is not None:
            raise VenueRefused(host.refusal.status, url)
        left_seconds = host.silent_until_seconds - monotonic_seconds()
        if left_seconds > 0:
            raise RateLimited(host.limit_status, url, left_seconds)

    def _raise_for_status(
        self, host: _Host, url: str, reply: HttpReply, retry_after: str | None
    ) -> None:
        status = reply.status
        if status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            return
        now_ns = reply.sent_ns
        error = refusal_error(status, url, retry_after, now_ns)
        if isinstance(error, VenueRefused) and status == HTTPStatus.FORBIDDEN:
            host.limit_status = status
            host.silent_until_seconds = monotonic_seconds() + FORBIDDEN_SECONDS
        elif isinstance(error, VenueRefused):
            host.refusal = error
        elif isinstance(error, RateLimited):
            host.limit_status = status
            host.silent_until_seconds = monotonic_seconds() + error.seconds
        # A 202 with an empty body is the firewall's challenge, not an answer (binance 4.3).
        raise error or Unreachable(url, f"HTTP {status}, expected 200 or 404")


@functools.lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings of every client: reading the certificates costs 25 ms a time."""
    return httpx.create_ssl_context(trust_env=False)


def new_client(timings: HttpTimings | None = None) -> httpx.AsyncClient:
    """Return the client for ``VenueHttp``; the caller closes it. No environment is read."""
    used = timings or HttpTimings()
    return httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT},
        timeout=httpx.Timeout(used.read_seconds, connect=used.connect_seconds),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAXIMUM, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        follow_redirects=False,
        trust_env=False,
        verify=tls_context(),
    )


def ns_until_next_minute(now_ns: int) -> int:
    """Return the nanoseconds to the next UTC minute, when Binance's weight starts anew."""
    minute_ns = 60 * NS_PER_SECOND
    return minute_ns - now_ns % minute_ns
