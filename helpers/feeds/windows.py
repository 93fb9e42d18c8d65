"""Which windows run now and come next, by name; must not ask anybody.

Five- and fifteen-minute windows lie on the UTC grid; hourly ones are named by the hour in US
Eastern time; four-hourly ones follow US Eastern time in a way only Gamma knows (reference F.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from helpers.domain import NS_PER_SECOND, Asset, Message
from helpers.feeds.slugs import window_slug

FIVE_MINUTES_SECONDS: Final = 300
QUARTER_HOUR_SECONDS: Final = 900
HOUR_SECONDS: Final = 3_600
FOUR_HOURS_SECONDS: Final = 14_400
WINDOWS_AHEAD: Final = 2
"""The next window, and the one after it."""

_LONG_NAMES: Final[Mapping[Asset, str]] = {
    Asset.BTC: "bitcoin",
    Asset.ETH: "ethereum",
    Asset.SOL: "solana",
    Asset.XRP: "xrp",
    Asset.DOGE: "dogecoin",
    Asset.BNB: "bnb",
    Asset.HYPE: "hype",
}
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_SUNDAY: Final = 6
_NOON_HOUR: Final = 12


class Series(Message, frozen=True):
    """Windows of one asset and length."""

    asset: Asset
    window_seconds: int


class ExpectedWindow(Message, frozen=True):
    """A window that should exist, by its name."""

    slug: str
    closes_ns: int


def expected_windows(series: Series, now_ns: int) -> tuple[ExpectedWindow, ...]:
    """Return the running window and the next ones; none for four hours: those are listed.

    Raise ``ValueError`` for a length the venue does not have and an asset without hourly windows.
    """
    seconds = series.window_seconds
    if seconds == FOUR_HOURS_SECONDS:
        return ()
    running = now_ns // NS_PER_SECOND // seconds * seconds
    starts = (running + index * seconds for index in range(1 + WINDOWS_AHEAD))
    return tuple(
        ExpectedWindow(_slug(series, start), (start + seconds) * NS_PER_SECOND) for start in starts
    )


def hourly_slug(asset: Asset, opens_seconds: int) -> str:
    """Return the slug of the hourly window that opens then, named in US Eastern time.

    Raise ``ValueError`` for an asset without hourly windows. In the hour that autumn repeats, two
    windows have one name: which of them it means, Gamma's object says.
    """
    if asset not in _LONG_NAMES:
        raise ValueError(f"asset was {asset}, expected one with hourly windows")
    moment = datetime.fromtimestamp(opens_seconds, UTC)
    eastern = moment + timedelta(hours=-4 if _is_eastern_summer(moment) else -5)
    half = "am" if eastern.hour < _NOON_HOUR else "pm"
    hour = eastern.hour % _NOON_HOUR or _NOON_HOUR
    month = _MONTHS[eastern.month - 1]
    return f"{_LONG_NAMES[asset]}-up-or-down-{month}-{eastern.day}-{eastern.year}-{hour}{half}-et"


def _slug(series: Series, opens_seconds: int) -> str:
    if series.window_seconds == HOUR_SECONDS:
        return hourly_slug(series.asset, opens_seconds)
    return window_slug(series.asset, series.window_seconds, opens_seconds)


def _is_eastern_summer(moment: datetime) -> bool:
    # By the rule of 2007 and not from the system's time zone files, which slim images lack:
    # second Sunday of March to first Sunday of November, at 2 o'clock local time.
    starts = _sunday(moment.year, 3, 2) + timedelta(hours=2 + 5)
    ends = _sunday(moment.year, 11, 1) + timedelta(hours=2 + 4)
    return starts <= moment < ends


def _sunday(year: int, month: int, which: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(_SUNDAY - first.weekday()) % 7 + 7 * (which - 1))
