"""Up/Down windows: which one when, and its facts as Gamma would serve them; trades nothing.

Ids are digests of slug and seed: made up, but stable, so a market can be described before it opens
and after it closed. Hourly slugs use UTC-4 (US Eastern daylight time) all year.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import Final

from helpers.domain import MICROS, NS_PER_SECOND, Asset, FeeSchedule, Market
from simulator.assets import ASSET_PROFILES

WINDOW_SECONDS: Final = (300, 900, 3_600)
"""Lengths the model knows: 5 m and 15 m settle by the 60 s average, 1 h by the fast market."""
HOUR_SECONDS: Final = 3_600
COARSE_TICK_MICROS: Final = 10_000

_FEES: Final = FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True)
_MINIMUM_SHARES_MICROS: Final = 5 * MICROS
_EASTERN: Final = timezone(timedelta(hours=-4))
_TOKEN_BITS: Final = 250


def window_start_ns(at_ns: int, window_seconds: int) -> int:
    """Return when the window that contains a moment began (UTC grid, reference F.1)."""
    length = window_seconds * NS_PER_SECOND
    return at_ns // length * length


def market_slug(asset: Asset, window_seconds: int, opens_ns: int) -> str:
    """Return a window's slug (reference F.1); raise ``ValueError`` for an unknown length."""
    if window_seconds not in WINDOW_SECONDS:
        raise ValueError(f"window was {window_seconds} s, expected one of {WINDOW_SECONDS}")
    opens = opens_ns // NS_PER_SECOND
    if window_seconds == HOUR_SECONDS:
        moment = datetime.fromtimestamp(opens, tz=_EASTERN)
        hour = moment.strftime("%I").lstrip("0") + moment.strftime("%p").lower()
        name = ASSET_PROFILES[asset].slug_name
        day = f"{moment.strftime('%B').lower()}-{moment.day}-{moment.year}"
        return f"{name}-up-or-down-{day}-{hour}-et"
    return f"{asset.lower()}-updown-{window_seconds // 60}m-{opens}"


def market_facts(seed: int, asset: Asset, window_seconds: int, opens_ns: int) -> Market:
    """Return a window's market, the same for the same arguments."""
    slug = market_slug(asset, window_seconds, opens_ns)
    up, down = (
        str(int.from_bytes(_digest(seed, slug, name)) >> (256 - _TOKEN_BITS))
        for name in ("up", "down")
    )
    return Market(
        slug=slug,
        condition_id="0x" + _digest(seed, slug, "condition").hex(),
        asset=asset,
        opens_ns=opens_ns,
        closes_ns=opens_ns + window_seconds * NS_PER_SECOND,
        up_token=up,
        down_token=down,
        tick_micros=COARSE_TICK_MICROS,
        minimum_shares_micros=_MINIMUM_SHARES_MICROS,
        fees=_FEES,
    )


def _digest(seed: int, slug: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{slug}:{name}".encode()).digest()
