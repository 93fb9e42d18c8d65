"""Token buckets under the venue's own, fed by its headers (reference B.6); time is an argument.

Must not: sleep; it says how long to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpers.clob.outcome import REMAINING_HEADER, header_number
from helpers.domain import NS_PER_SECOND, Message

SHARE_OF_TIER: Final = 0.8
"""Of the tier's rate and burst that we use: the website and other keys share the signer's."""
TIER_HEADER: Final = "poly-ratelimit-tier"


class Tier(Message, frozen=True):
    """Requests a second and in a burst that a tier allows."""

    orders_per_second: float
    orders_burst: float
    cancels_per_second: float
    cancels_burst: float


STANDARD: Final = "standard"
TIERS: Final[Mapping[str, Tier]] = {
    STANDARD: Tier(40, 60, 80, 120),
    "copper": Tier(60, 90, 120, 180),
    "bronze": Tier(80, 120, 160, 240),
    "silver": Tier(200, 300, 400, 600),
    "gold": Tier(400, 600, 800, 1_200),
    "platinum": Tier(450, 675, 900, 1_350),
    "diamond": Tier(525, 787, 1_050, 1_575),
    "elite": Tier(600, 900, 1_200, 1_800),
}
"""By 30-day maker volume (reference B.6); an unknown tier is taken for the lowest."""


class TokenBucket:
    """A bucket that fills with time; empty means wait."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._filled_ns = 0
        self._closed_until_ns = 0

    def wait_seconds(self, cost: float, now_ns: int) -> float:
        """Return how long until ``cost`` can be taken; 0 for now."""
        self._fill(now_ns)
        closed = self.closed_seconds(now_ns)
        return max(closed, (cost - self._tokens) / self._per_second, 0.0)

    def closed_seconds(self, now_ns: int) -> float:
        """Return how long the silence that the venue asked for still lasts."""
        return max(0, self._closed_until_ns - now_ns) / NS_PER_SECOND

    def take(self, cost: float, now_ns: int) -> None:
        """Take tokens; the bucket may go below zero for a cost known only afterwards."""
        self._fill(now_ns)
        self._tokens -= cost

    def close(self, seconds: float, now_ns: int) -> None:
        """Let nothing be taken for so long: the venue asked for silence."""
        until_ns = now_ns + round(seconds * NS_PER_SECOND)
        self._closed_until_ns = max(self._closed_until_ns, until_ns)

    def correct(self, remaining: float, now_ns: int) -> None:
        """Believe the venue where it sees fewer tokens than we do."""
        self._fill(now_ns)
        self._tokens = min(self._tokens, remaining)

    def resize(self, per_second: float, burst: float) -> None:
        """Follow the account into another tier."""
        self._per_second, self._burst = per_second, burst
        self._tokens = min(self._tokens, burst)

    def _fill(self, now_ns: int) -> None:
        passed = max(0, now_ns - self._filled_ns) / NS_PER_SECOND if self._filled_ns else 0.0
        self._tokens = min(self._burst, self._tokens + passed * self._per_second)
        self._filled_ns = max(self._filled_ns, now_ns)


READS_PER_SECOND: Final = 15.0
READS_BURST: Final = 50.0
"""Of the CLOB: at most 200 in any 10 s, the front's limit for balances (reference B.6)."""
ELSEWHERE_PER_SECOND: Final = 10.0
ELSEWHERE_BURST: Final = 50.0
"""Of other hosts: at most 150 in any 10 s, the front's limit for positions (reference B.6)."""


class RequestLimits:
    """The signer's two buckets, and one for reads of the CLOB and one for those elsewhere.

    They are apart so that a read that is refused never holds back a cancellation.
    """

    def __init__(self, tier: str = STANDARD) -> None:
        self._tier = tier
        size = _used(tier)
        self.orders = TokenBucket(size.orders_per_second, size.orders_burst)
        self.cancels = TokenBucket(size.cancels_per_second, size.cancels_burst)
        self.reads = TokenBucket(READS_PER_SECOND, READS_BURST)
        self.elsewhere = TokenBucket(ELSEWHERE_PER_SECOND, ELSEWHERE_BURST)

    def hear(self, bucket: TokenBucket, headers: Mapping[str, str], now_ns: int) -> None:
        """Take in what an answer's headers say of a bucket and of the tier."""
        remaining = header_number(headers.get(REMAINING_HEADER, ""))
        if remaining is not None:
            bucket.correct(remaining, now_ns)
        tier = headers.get(TIER_HEADER, "").lower()
        if tier in TIERS and tier != self._tier:
            self._tier = tier
            size = _used(tier)
            self.orders.resize(size.orders_per_second, size.orders_burst)
            self.cancels.resize(size.cancels_per_second, size.cancels_burst)


def _used(tier: str) -> Tier:
    whole = TIERS.get(tier, TIERS[STANDARD])
    return Tier(
        whole.orders_per_second * SHARE_OF_TIER,
        whole.orders_burst * SHARE_OF_TIER,
        whole.cancels_per_second * SHARE_OF_TIER,
        whole.cancels_burst * SHARE_OF_TIER,
    )
