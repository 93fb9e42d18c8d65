"""A listing says what the window's facts say, through Gamma's body and the worker's parser."""

from __future__ import annotations

import pytest

from helpers.domain import NS_PER_SECOND, Asset, MarketOpened
from helpers.feeds.gamma import GammaParser
from simulator.gamma_bodies import event_body
from simulator.listings import listing_of
from simulator.market_state import MarketState
from simulator.windows import market_facts, window_start_ns
from simulator.world_settings import DEFAULT_START_NS


@pytest.mark.parametrize("length", [300, 900, 3_600])
@pytest.mark.parametrize("asset", [Asset.BTC, Asset.XRP])
def test_the_worker_reads_back_the_facts_of_a_window(asset: Asset, length: int) -> None:
    """Facts, listing, Gamma's text, parser: the same market comes out, without a problem."""
    market = market_facts(7, asset, length, window_start_ns(DEFAULT_START_NS, length))
    body = event_body(MarketState(listing_of(market)), DEFAULT_START_NS)
    assert list(GammaParser().parse(body, 5)) == [MarketOpened(market, 5)]


def test_a_window_is_listed_a_day_ahead() -> None:
    """Gamma says that markets were created about 24 h before they open (reference F.2)."""
    market = market_facts(7, Asset.BTC, 300, window_start_ns(DEFAULT_START_NS, 300))
    listing = listing_of(market)
    assert market.opens_ns - listing.created_ns == 86_400 * NS_PER_SECOND
    assert listing.series_slug == "btc-up-or-down-5m"
