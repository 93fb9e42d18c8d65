"""Time stamps and JSON of unknown shape."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.feeds.wire import datetime_ns, iso_ns, read_json, stamp_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1725842520", 1_725_842_520_000_000_000),
        ("1725842520990", 1_725_842_520_990_000_000),
        ("2024-01-01T00:00:00Z", 1_704_067_200_000_000_000),
        ("2026-09-28 17:46:27+00", 1_790_617_587_000_000_000),
        ("2026-04-28T13:53:07.863886Z", 1_777_384_387_863_886_000),
    ],
)
def test_stamps_of_all_forms(text: str, expected: int) -> None:
    """Seconds, milliseconds and ISO give the same nanoseconds, exactly."""
    assert stamp_ns(text) == expected


@pytest.mark.parametrize("text", ["", "now", "-1", "1725842520990000000", "2026-03-28", "²"])
def test_other_stamps_are_refused(text: str) -> None:
    """A stamp in nanoseconds, a date without zone and words are no times."""
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the contract, the text the caller's.
        stamp_ns(text)


def test_time_without_zone_is_refused() -> None:
    """A time without a zone could be anybody's."""
    with pytest.raises(ValueError, match="without a zone"):
        datetime_ns(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="without a zone"):
        iso_ns("2026-01-01T00:00:00")


@given(st.binary() | st.text())
@settings(max_examples=100, deadline=None)
def test_reading_json_never_raises(raw: bytes | str) -> None:
    """Whatever comes is a value or nothing."""
    read_json(raw)


def test_deep_nesting_is_nothing() -> None:
    """A bomb of brackets is refused, not a crash."""
    assert read_json("[" * 100_000) is None
    assert read_json('"\ud800"') is None
