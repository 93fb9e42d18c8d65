"""Which refusals are final, how long a limit lasts, and how the back-off grows."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.domain import NS_PER_SECOND
from helpers.feeds.retry import (
    RETRY_AFTER_DEFAULT_SECONDS,
    RETRY_AFTER_MAXIMUM_SECONDS,
    Backoff,
    RateLimited,
    VenueRefused,
    refusal_error,
    retry_after_seconds,
)

NOW_NS = 1_790_000_000 * NS_PER_SECOND


def test_statuses_are_sorted_by_what_to_do() -> None:
    """I11: 403 and 451 are final, 418 and 429 ask for silence, others are neither."""
    for status in (403, 451):
        assert isinstance(refusal_error(status, "u", None, NOW_NS), VenueRefused)
    for status in (418, 429):
        limited = refusal_error(status, "u", "7", NOW_NS)
        assert isinstance(limited, RateLimited)
        assert limited.seconds == 7
    assert refusal_error(500, "u", "7", NOW_NS) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 5 ", 5.0),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
        ("Mon, 21 Sep 2026 14:00:00 GMT", 0.0),
        (None, RETRY_AFTER_DEFAULT_SECONDS),
        ("soon", RETRY_AFTER_DEFAULT_SECONDS),
        ("-1", RETRY_AFTER_DEFAULT_SECONDS),
        ("9" * 400, RETRY_AFTER_MAXIMUM_SECONDS),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(header: str | None, seconds: float) -> None:
    """Seconds and dates; what cannot be read counts as long, what is absurd as the longest ban."""
    assert retry_after_seconds(header, NOW_NS) == seconds


@given(st.text(string.printable, max_size=40))
def test_retry_after_never_raises_and_stays_in_bounds(header: str) -> None:
    """Whatever a peer sends gives a wait we can live with."""
    assert 0.0 <= retry_after_seconds(header, NOW_NS) <= RETRY_AFTER_MAXIMUM_SECONDS


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_backoff_is_capped_jittered_and_starts_afresh(seed: int, failures: int) -> None:
    """Each wait is within its doubling ceiling and the cap; a reset forgets."""
    backoff = Backoff(random.Random(seed), base_seconds=0.5, cap_seconds=30.0)
    for failure in range(failures):
        assert 0.0 <= backoff.next_seconds() <= min(30.0, 0.5 * 2.0 ** min(failure, 60))
    backoff.reset()
    assert backoff.next_seconds() <= 0.5
