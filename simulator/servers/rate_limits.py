"""Per-signer token buckets of the CLOB and what they say in headers (protocol reference B.6).

Limits per address are the front's and reach a client through faults: a 429 without these headers.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from helpers.domain import NS_PER_SECOND, Message
from simulator.servers.answers import TOO_MANY_REQUESTS, Reply, error

SIGNERS_KEPT_MAX: Final = 1_024
TIER: Final = "Standard"


class BucketSize(Message, frozen=True):
    """Tokens a second and at most."""

    per_second: int
    burst: int


ORDERS: Final = BucketSize(40, 60)
CANCELS: Final = BucketSize(80, 120)
"""The Standard tier."""


class _Bucket(Struct):
    tokens: float
    filled_ns: int


class SignerLimits:
    """One action's buckets, one a signer; time is venue time."""

    def __init__(self, size: BucketSize, *, enforced: bool = True) -> None:
        self.size = size
        self.enforced = enforced
        self._refuse_next = 0
        self._buckets: dict[str, _Bucket] = {}

    def refuse_next(self, count: int) -> None:
        """Answer the coming requests with 429, however full the bucket is."""
        self._refuse_next = count

    def take(self, signer: str, cost: int, now_ns: int) -> Reply | None:
        """Take tokens; return the 429 when there are too few, which costs nothing."""
        bucket = self._fill(signer, now_ns)
        refused = self._refuse_next > 0 or (self.enforced and bucket.tokens < cost)
        if not refused:
            bucket.tokens -= cost
            return None
        self._refuse_next = max(0, self._refuse_next - 1)
        missing = max(0.0, cost - bucket.tokens)
        wait_seconds = max(1, -(-missing // self.size.per_second))
        headers = (*self.headers(signer, now_ns), ("Retry-After", f"{wait_seconds:.0f}"))
        return with_headers(error(TOO_MANY_REQUESTS, "Too Many Requests"), headers)

    def spend(self, signer: str, cost: int, now_ns: int) -> None:
        """Charge what is known only afterwards; the balance may go below zero."""
        self._fill(signer, now_ns).tokens -= cost

    def headers(self, signer: str, now_ns: int) -> tuple[tuple[str, str], ...]:
        """Return the state of a signer's bucket."""
        bucket = self._fill(signer, now_ns)
        missing_seconds = (self.size.burst - bucket.tokens) / self.size.per_second
        reset = now_ns // NS_PER_SECOND + int(-(-missing_seconds // 1))
        return (
            ("Poly-RateLimit-Tier", TIER),
            ("Poly-RateLimit-Remaining", f"{bucket.tokens:.0f}"),
            ("Poly-RateLimit-Reset", str(reset)),
        )

    def _fill(self, signer: str, now_ns: int) -> _Bucket:
        bucket = self._buckets.get(signer)
        if bucket is None:
            if len(self._buckets) >= SIGNERS_KEPT_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[signer] = _Bucket(float(self.size.burst), now_ns)
        passed = max(0, now_ns - bucket.filled_ns) / NS_PER_SECOND
        bucket.tokens = min(self.size.burst, bucket.tokens + passed * self.size.per_second)
        bucket.filled_ns = now_ns
        return bucket


def with_headers(reply: Reply, headers: tuple[tuple[str, str], ...]) -> Reply:
    """Return an answer with more headers."""
    return Reply(reply.status, reply.body, (*reply.headers, *headers))
