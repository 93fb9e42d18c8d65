"""Token buckets of signers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helpers.domain import NS_PER_SECOND
from simulator.servers.rate_limits import SIGNERS_KEPT_MAX, BucketSize, SignerLimits

SIZE = BucketSize(40, 60)


@given(st.lists(st.tuples(st.integers(1, 15), st.integers(0, 2 * NS_PER_SECOND)), max_size=60))
def test_no_window_passes_more_than_burst_and_rate(steps: list[tuple[int, int]]) -> None:
    """What passes up to any moment is at most the burst and the rate times the time."""
    limits, now_ns, passed = SignerLimits(SIZE), 0, 0
    for cost, wait_ns in steps:
        now_ns += wait_ns
        if limits.take("a", cost, now_ns) is None:
            passed += cost
        assert passed <= SIZE.burst + SIZE.per_second * now_ns / NS_PER_SECOND + 1e-6


def test_signers_are_apart() -> None:
    """One signer's flood does not limit another."""
    limits = SignerLimits(SIZE)
    assert limits.take("a", 60, 0) is None
    assert limits.take("a", 1, 0) is not None
    assert limits.take("b", 60, 0) is None


def test_refusals_on_demand_and_without_enforcement() -> None:
    """The coming requests can be refused; an unenforced bucket may go below zero."""
    limits = SignerLimits(SIZE, enforced=False)
    limits.refuse_next(2)
    answers = [limits.take("a", 1, 0) for _ in range(3)]
    assert [answer.status if answer else 200 for answer in answers] == [429, 429, 200]
    assert limits.take("a", 100, 0) is None
    assert dict(limits.headers("a", 0))["Poly-RateLimit-Remaining"] == "-41"


def test_buckets_are_bounded() -> None:
    """The oldest signer's bucket is forgotten."""
    limits = SignerLimits(SIZE)
    for number in range(SIGNERS_KEPT_MAX + 1):
        limits.take(str(number), 60, 0)
    assert limits.take("0", 60, 0) is None
    assert limits.take(str(SIGNERS_KEPT_MAX), 1, 0) is not None
