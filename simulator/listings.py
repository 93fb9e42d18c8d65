"""What the venue says of a window when it lists it, and when windows come; trades nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helpers.domain import NS_PER_SECOND, Market
from simulator.exchange_messages import MarketListing

_LISTED_BEFORE_NS: Final = 86_400 * NS_PER_SECOND
"""Markets exist about 24 h before they open (reference F.2): the time Gamma states."""
_DURATIONS: Final[Mapping[int, str]] = {300: "5m", 900: "15m", 3_600: "1h"}
_SERIES: Final[Mapping[int, str]] = {300: "5m", 900: "15m", 3_600: "hourly"}
_ID_DIGITS: Final = 8
"""Hexadecimal digits of a condition id that make the numeric ids: unlike enough for a run."""


def listing_of(market: Market) -> MarketListing:
    """Return a window's listing; raise ``KeyError`` for a length the model does not know."""
    length = int(market.window_seconds)
    asset = market.asset.lower()
    number = int(market.condition_id[2 : 2 + _ID_DIGITS], 16)
    return MarketListing(
        market_id=str(number),
        event_id=str(number + 1),
        slug=market.slug,
        question=f"{market.asset} Up or Down - {_DURATIONS[length]}",
        condition_id=market.condition_id,
        up_token=market.up_token,
        down_token=market.down_token,
        asset=asset,
        duration=_DURATIONS[length],
        series_slug=f"{asset}-up-or-down-{_SERIES[length]}",
        created_ns=market.opens_ns - _LISTED_BEFORE_NS,
        opens_ns=market.opens_ns,
        closes_ns=market.closes_ns,
        tick_micros=market.tick_micros,
        minimum_shares_micros=market.minimum_shares_micros,
        fee_rate_ppm=market.fees.rate_ppm,
        fee_exponent=market.fees.exponent,
        fee_taker_only=market.fees.taker_only,
        resolution_source=f"https://data.chain.link/streams/{asset}-usd",
    )
