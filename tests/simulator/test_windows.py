"""Windows and their facts."""

from __future__ import annotations

import pytest

from helpers.domain import NS_PER_SECOND, Asset
from simulator.windows import market_facts, market_slug, window_start_ns

OPENS_NS = 1_790_000_100 * NS_PER_SECOND


def test_slugs_follow_the_venue() -> None:
    """Short windows carry the unix start, hours a date in Eastern time (reference F.1)."""
    assert market_slug(Asset.BTC, 300, OPENS_NS) == "btc-updown-5m-1790000100"
    assert market_slug(Asset.XRP, 900, OPENS_NS) == "xrp-updown-15m-1790000100"
    hour_ns = 1_789_999_200 * NS_PER_SECOND
    assert market_slug(Asset.SOL, 3_600, hour_ns) == "solana-up-or-down-september-21-2026-10am-et"
    with pytest.raises(ValueError, match="window was 60"):
        market_slug(Asset.BTC, 60, OPENS_NS)


def test_facts_are_stable_and_distinct() -> None:
    """The same window has the same ids every time, another window other ones."""
    market = market_facts(7, Asset.BTC, 300, OPENS_NS)
    assert market == market_facts(7, Asset.BTC, 300, OPENS_NS)
    other = market_facts(7, Asset.BTC, 300, market.closes_ns)
    assert len({market.up_token, market.down_token, other.up_token, other.down_token}) == 4
    assert market.condition_id != other.condition_id
    assert len(market.condition_id) == 66
    assert market.closes_ns - market.opens_ns == 300 * NS_PER_SECOND
    assert market.fees.rate_ppm == 70_000


def test_windows_start_on_the_grid() -> None:
    """A moment belongs to the window that began at the last multiple of its length."""
    assert window_start_ns(OPENS_NS + 299 * NS_PER_SECOND, 300) == OPENS_NS
    assert window_start_ns(OPENS_NS + 300 * NS_PER_SECOND, 300) == OPENS_NS + 300 * NS_PER_SECOND
