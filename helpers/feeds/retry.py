"""When to try again and when not to; must not wait or send anything itself.

Errors of the venues' side, sorted by what the caller must do:

    FeedError
    ├── VenueRefused  HTTP 403 or 451: obeyed and said, never routed around (I11)
    ├── RateLimited   HTTP 418 or 429: not one request to that host for ``seconds``
    └── Unreachable   all that may pass (no route, time-out, 5xx, nonsense): back off, try again

Their names say what happened, like ``ConnectionClosed`` of the socket library, hence N818.
"""

from __future__ import annotations

import random
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from helpers.domain import NS_PER_SECOND

IP_BANNED: Final = 418
"""Binance's status for an address that went on after 429 (binance 4.3)."""
REFUSALS: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})
RATE_LIMITS: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, IP_BANNED})
RETRY_AFTER_DEFAULT_SECONDS: Final = 120.0
"""The shortest ban Binance gives, for a limit that does not say how long (binance 4.3)."""
RETRY_AFTER_MAXIMUM_SECONDS: Final = 3 * 86_400.0
"""The longest ban Binance gives; more is a garbled header."""
RETRY_AFTER_DIGITS_MAXIMUM: Final = 15
"""Digits of a number of seconds that is worth reading."""
BACKOFF_BASE_SECONDS: Final = 0.5
BACKOFF_CAP_SECONDS: Final = 30.0
BACKOFF_DOUBLINGS_MAXIMUM: Final = 30
"""Keeps the power finite; the cap is reached long before."""


class FeedError(Exception):
    """Base of what can go wrong on the venues' side."""


class VenueRefused(FeedError):  # noqa: N818
    """The venue does not serve us: from here (451) or in this manner (403)."""

    def __init__(self, status: int, url: str) -> None:
        super().__init__(f"{url} refused us with HTTP {status}; this is obeyed, not routed around")
        self.status = status
        self.url = url


class RateLimited(FeedError):  # noqa: N818
    """The venue wants silence for ``seconds``."""

    def __init__(self, status: int, url: str, seconds: float) -> None:
        super().__init__(f"{url} answered HTTP {status}; silent for {seconds:.0f} s")
        self.status = status
        self.url = url
        self.seconds = seconds


class Unreachable(FeedError):  # noqa: N818
    """An attempt failed in a way that may pass."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url}: {why}")
        self.url = url
        self.why = why


def refusal_error(status: int, url: str, retry_after: str | None, now_ns: int) -> FeedError | None:
    """Return the error a refusing HTTP status calls for, ``None`` for any other status."""
    if status in REFUSALS:
        return VenueRefused(status, url)
    if status in RATE_LIMITS:
        return RateLimited(status, url, retry_after_seconds(retry_after, now_ns))
    return None


def retry_after_seconds(header: str | None, now_ns: int) -> float:
    """Return the seconds a ``Retry-After`` header asks for, bounded; both its forms are read.

    A missing or unreadable header counts as ``RETRY_AFTER_DEFAULT_SECONDS``: unknown is long.
    """
    if header is None:
        return RETRY_AFTER_DEFAULT_SECONDS
    text = header.strip()
    if text.isascii() and text.isdigit():
        # A long run of digits is a garbled header; the length test keeps ``float`` finite.
        readable = len(text) <= RETRY_AFTER_DIGITS_MAXIMUM
        asked = float(text) if readable else RETRY_AFTER_MAXIMUM_SECONDS
    else:
        try:
            asked = parsedate_to_datetime(text).timestamp() - now_ns / NS_PER_SECOND
        except (ValueError, OverflowError):
            return RETRY_AFTER_DEFAULT_SECONDS
    return min(max(asked, 0.0), RETRY_AFTER_MAXIMUM_SECONDS)


class Backoff:
    """Capped exponential back-off with full jitter; the randomness is passed in."""

    def __init__(
        self,
        rng: random.Random,
        base_seconds: float = BACKOFF_BASE_SECONDS,
        cap_seconds: float = BACKOFF_CAP_SECONDS,
    ) -> None:
        self._rng = rng
        self._base_seconds = base_seconds
        self._cap_seconds = cap_seconds
        self._failures = 0

    def next_seconds(self) -> float:
        """Return how long to wait after one more failure: uniform in [0, min(cap, base 2^n)]."""
        ceiling = min(self._cap_seconds, self._base_seconds * 2.0**self._failures)
        self._failures = min(self._failures + 1, BACKOFF_DOUBLINGS_MAXIMUM)
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """Forget the failures, after a named time of good service."""
        self._failures = 0
