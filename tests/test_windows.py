"""Names of the running and coming windows."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.domain import NS_PER_SECOND, Asset
from helpers.feeds.slugs import parse_slug
from helpers.feeds.windows import (
    FOUR_HOURS_SECONDS,
    HOUR_SECONDS,
    Series,
    expected_windows,
    hourly_slug,
)


def test_the_running_window_comes_first_then_two_more() -> None:
    """A quarter hour lies on the UTC grid; its close is the next one's start."""
    now_ns = 1_790_000_450 * NS_PER_SECOND
    windows = expected_windows(Series(Asset.ETH, 900), now_ns)
    assert [window.slug for window in windows] == [
        "eth-updown-15m-1790000100",
        "eth-updown-15m-1790001000",
        "eth-updown-15m-1790001900",
    ]
    assert windows[0].closes_ns == 1_790_001_000 * NS_PER_SECOND


def test_four_hourly_windows_cannot_be_named_ahead() -> None:
    """Gamma lists them."""
    assert expected_windows(Series(Asset.BTC, FOUR_HOURS_SECONDS), 0) == ()


@pytest.mark.parametrize(
    ("moment", "slug"),
    [
        ("2026-09-21T14:00", "bitcoin-up-or-down-september-21-2026-10am-et"),
        ("2026-12-01T05:00", "bitcoin-up-or-down-december-1-2026-12am-et"),
        ("2026-12-01T17:00", "bitcoin-up-or-down-december-1-2026-12pm-et"),
        ("2027-01-01T04:00", "bitcoin-up-or-down-december-31-2026-11pm-et"),
        ("2026-03-08T06:00", "bitcoin-up-or-down-march-8-2026-1am-et"),
        ("2026-03-08T07:00", "bitcoin-up-or-down-march-8-2026-3am-et"),
        ("2026-11-01T05:00", "bitcoin-up-or-down-november-1-2026-1am-et"),
        ("2026-11-01T06:00", "bitcoin-up-or-down-november-1-2026-1am-et"),
        ("2026-11-01T07:00", "bitcoin-up-or-down-november-1-2026-2am-et"),
    ],
)
def test_hourly_windows_are_named_in_eastern_time(moment: str, slug: str) -> None:
    """Midnight, noon, the year's end and both changes of the clock."""
    opens = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    assert hourly_slug(Asset.BTC, opens) == slug
    assert parse_slug(slug) is not None


@given(st.integers(1_600_000_000 // 3600, 2_000_000_000 // 3600))
def test_the_hour_agrees_with_the_time_zone_database(hour: int) -> None:
    """The rule of 2007 in our own words equals the database's, where there is one."""
    try:
        eastern = datetime.fromtimestamp(hour * 3600, zoneinfo.ZoneInfo("America/New_York"))
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zone database")
    wanted = eastern.strftime("%B-%-d-%Y-%-I%p-et").lower()
    assert hourly_slug(Asset.XRP, hour * 3600) == f"xrp-up-or-down-{wanted}"


def test_an_asset_without_hourly_windows_is_refused() -> None:
    """Gamma has none for it (F.1)."""
    with pytest.raises(ValueError, match="expected one with hourly windows"):
        expected_windows(Series(Asset.ZEC, HOUR_SECONDS), 0)
