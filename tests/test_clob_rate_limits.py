"""Token buckets: what may be sent when, by time, by the venue's headers, by the account's tier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.clob.rate_limits import SHARE_OF_TIER, TIERS, RequestLimits, TokenBucket
from helpers.domain import NS_PER_SECOND

T0 = 1_795_000_000 * NS_PER_SECOND


def test_a_full_bucket_gives_its_burst_and_refills_with_time() -> None:
    """Ten go at once, the eleventh waits for its token; time brings no more than the burst."""
    bucket = TokenBucket(5, 10)
    for _ in range(10):
        assert bucket.wait_seconds(1, T0) == 0
        bucket.take(1, T0)
    assert bucket.wait_seconds(1, T0) == pytest.approx(0.2)
    assert bucket.wait_seconds(1, T0 + NS_PER_SECOND // 5) == pytest.approx(0)
    assert bucket.wait_seconds(11, T0 + 3_600 * NS_PER_SECOND) == pytest.approx(0.2)


def test_a_debt_is_paid_back_first() -> None:
    """A cost known only afterwards may overdraw; the next one waits for that too."""
    bucket = TokenBucket(5, 10)
    bucket.take(30, T0)
    assert bucket.wait_seconds(1, T0) == pytest.approx(21 / 5)


def test_silence_asked_for_is_kept_and_never_shortened() -> None:
    """Nothing goes before the moment the venue named, whatever the bucket holds."""
    bucket = TokenBucket(5, 10)
    bucket.close(3, T0)
    bucket.close(1, T0)
    assert bucket.wait_seconds(1, T0 + NS_PER_SECOND) == pytest.approx(2)
    assert bucket.wait_seconds(1, T0 + 3 * NS_PER_SECOND) == 0


def test_the_lower_count_is_believed() -> None:
    """The venue may see fewer tokens than we do (other clients of the key), never more."""
    bucket = TokenBucket(5, 10)
    bucket.correct(1_000, T0)
    bucket.take(10, T0)
    assert bucket.wait_seconds(1, T0) > 0
    fuller = TokenBucket(5, 10)
    fuller.correct(-4, T0)
    assert fuller.wait_seconds(1, T0) == pytest.approx(1)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 5), st.integers(0, 2 * NS_PER_SECOND)),
        max_size=60,
    )
)
def test_never_more_than_burst_and_rate(steps: list[tuple[int, float, int]]) -> None:
    """Whoever waits as told never sends more than burst + rate x time, in any order of events."""
    rate, burst = 4.0, 6.0
    bucket = TokenBucket(rate, burst)
    now_ns, sent = T0, 0.0
    for kind, cost, passed_ns in steps:
        now_ns += passed_ns
        if kind == 3:
            bucket.correct(cost, now_ns)
        elif bucket.wait_seconds(cost, now_ns) <= 0:
            bucket.take(cost, now_ns)
            sent += cost
        assert sent <= burst + rate * (now_ns - T0) / NS_PER_SECOND + 1e-6


@pytest.mark.parametrize(
    ("tier", "orders_burst"),
    [("Standard", 60), ("Gold", 600), ("elite", 900), ("unheard of", 60), ("", 60)],
)
def test_the_tier_sets_the_size(tier: str, orders_burst: int) -> None:
    """We use our share of the tier that the headers name; an unknown one changes nothing (B.6)."""
    limits = RequestLimits()
    assert limits.orders.wait_seconds(1, T0) == 0
    limits.hear(limits.orders, {"poly-ratelimit-tier": tier}, T0)
    later_ns = T0 + 3_600 * NS_PER_SECOND
    allowed = orders_burst * SHARE_OF_TIER
    assert limits.orders.wait_seconds(allowed, later_ns) == pytest.approx(0, abs=1e-9)
    assert limits.orders.wait_seconds(allowed + 1, later_ns) > 0


def test_a_demotion_takes_the_tokens_along() -> None:
    """Back in the lowest tier, the higher tier's burst is gone at once."""
    limits = RequestLimits("elite")
    limits.hear(limits.orders, {"poly-ratelimit-tier": "Standard"}, T0)
    assert limits.orders.wait_seconds(60, T0) > 0


@pytest.mark.parametrize(
    ("remaining", "waits"),
    [("0", True), ("-7", True), ("0.4", True), ("-0.5", True), ("40", False)],
)
def test_remaining_is_heard(remaining: str, waits: bool) -> None:
    """Whole, fractional and negative balances are read: the venue sends all three (B.6)."""
    limits = RequestLimits()
    limits.hear(limits.cancels, {"poly-ratelimit-remaining": remaining}, T0)
    assert (limits.cancels.wait_seconds(1, T0) > 0) is waits
    assert limits.orders.wait_seconds(1, T0) == 0


@given(st.text(st.characters(max_codepoint=255), max_size=8) | st.sampled_from(["9" * 400, "nan"]))
def test_any_header_is_survived(text: str) -> None:
    """What is no number changes nothing and never raises: the order behind it was sent."""
    limits = RequestLimits()
    headers = {"poly-ratelimit-remaining": text, "poly-ratelimit-tier": text}
    limits.hear(limits.orders, headers, T0)
    assert limits.orders.wait_seconds(1, T0 + 3_600 * NS_PER_SECOND) == 0


def test_tiers_are_the_references() -> None:
    """The table grows with volume and cancels have twice the rate of orders (B.6)."""
    assert next(iter(TIERS)) == "standard"
    sizes = [tier.orders_per_second for tier in TIERS.values()]
    assert sizes == [40, 60, 80, 200, 400, 450, 525, 600]
    for tier in TIERS.values():
        assert tier.cancels_per_second == 2 * tier.orders_per_second
