"""Names of the Up/Down windows (reference F.1): read them and make the next ones; asks nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from helpers.domain import NS_PER_SECOND, Asset, Message

_LENGTH_SECONDS: Final[Mapping[str, int]] = {"5m": 300, "15m": 900, "4h": 14_400}
_HOUR_SECONDS: Final = 3_600
_GRID_NAMES: Final[Mapping[int, str]] = {300: "5m", 900: "15m"}
"""Lengths whose windows start on multiples of themselves; 4h ones follow US Eastern time."""
_LONG_NAMES: Final[Mapping[str, Asset]] = {
    "bitcoin": Asset.BTC,
    "ethereum": Asset.ETH,
    "solana": Asset.SOL,
    "xrp": Asset.XRP,
    "dogecoin": Asset.DOGE,
    "bnb": Asset.BNB,
    "hype": Asset.HYPE,
}
_SHORT_NAMES: Final[Mapping[str, Asset]] = {asset.lower(): asset for asset in Asset}
_SHORT_FORM: Final = re.compile(r"([a-z]+)-updown-(5m|15m|4h)-([0-9]{1,12})")
_HOURLY_FORM: Final = re.compile(
    r"([a-z]+)-up-or-down-[a-z]+-[0-9]{1,2}-[0-9]{4}-[0-9]{1,2}(?:am|pm)-et"
)


class WindowSlug(Message, frozen=True):
    """What the name of a window says."""

    asset: Asset
    window_seconds: int
    opens_seconds: int | None
    """Start in seconds since the epoch; ``None`` for the hourly form, which names an ET hour."""


def parse_slug(slug: str) -> WindowSlug | None:
    """Return what a slug says, or ``None`` when it is no 5m, 15m, 1h or 4h window of our assets."""
    short = _SHORT_FORM.fullmatch(slug)
    if short is not None:
        asset = _SHORT_NAMES.get(short[1])
        seconds = _LENGTH_SECONDS[short[2]]
        opens = int(short[3])
        if asset is None or (seconds in _GRID_NAMES and opens % seconds):
            return None
        return WindowSlug(asset, seconds, opens)
    hourly = _HOURLY_FORM.fullmatch(slug)
    if hourly is None:
        return None
    asset = _LONG_NAMES.get(hourly[1])
    return None if asset is None else WindowSlug(asset, _HOUR_SECONDS, None)


def window_slug(asset: Asset, window_seconds: int, opens_seconds: int) -> str:
    """Return the slug of a 5m or 15m window.

    Raise ``ValueError`` for another length (their starts are on no UTC grid: ask Gamma) and for a
    start off the grid.
    """
    name = _GRID_NAMES.get(window_seconds)
    if name is None:
        raise ValueError(f"window was {window_seconds} s, expected one of {list(_GRID_NAMES)}")
    if opens_seconds % window_seconds:
        raise ValueError(f"start was {opens_seconds}, expected a multiple of {window_seconds}")
    return f"{asset.lower()}-updown-{name}-{opens_seconds}"


def next_window_slugs(
    asset: Asset, window_seconds: int, now_ns: int, count: int
) -> tuple[str, ...]:
    """Return the slugs of the running window and those after it, ``count`` in all (5m or 15m)."""
    running = now_ns // NS_PER_SECOND // window_seconds * window_seconds
    return tuple(
        window_slug(asset, window_seconds, running + index * window_seconds)
        for index in range(count)
    )
