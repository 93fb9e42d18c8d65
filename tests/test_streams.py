"""What is asked of each fast market, and how its frames are told apart."""

from __future__ import annotations

import pytest

from helpers.domain import FAST_SOURCES, Asset, Source
from helpers.feeds.streams import (
    BINANCE_FAREWELL,
    ROTATE_JITTER_SECONDS,
    ROTATE_SECONDS,
    binance_streams_in,
    coinbase_streams_in,
    fast_feeds,
    okx_streams_in,
)
from helpers.venues import Venues

VENUES = Venues()


def test_binance_futures_needs_one_socket_a_path() -> None:
    """Quotes are asked for on /public, mark prices on /market (binance 1.2)."""
    public, market = fast_feeds(Source.BINANCE_PUBLIC, [Asset.BTC, Asset.ETH], VENUES)
    assert public.endpoint.url.startswith("wss://fstream.binance.com/public/stream?streams=")
    assert market.endpoint.url.startswith("wss://fstream.binance.com/market/stream?streams=")
    assert public.subscription.names() >= {"btcusdt@bookTicker", "ethusdt@trade"}
    assert market.subscription.names() >= {"btcusdt@markPrice@1s", "ethusdt@markPrice@1s"}
    assert public.subscription.opening_frames(public.subscription.names()) == ()
    assert market.endpoint.source is Source.BINANCE_MARKET


def test_rotation_comes_before_the_venues_24_hours() -> None:
    """Every Binance socket is replaced before it is cut, at different ages."""
    for feed in fast_feeds(Source.BINANCE_PUBLIC, [Asset.BTC], VENUES):
        assert feed.endpoint.rotate_seconds == ROTATE_SECONDS < 24 * 3600
        assert feed.endpoint.rotate_jitter_seconds == ROTATE_JITTER_SECONDS


@pytest.mark.parametrize("source", FAST_SOURCES)
def test_every_fast_source_has_judged_streams(source: Source) -> None:
    """No fast market is believed alive without data."""
    for feed in fast_feeds(source, [Asset.BTC, Asset.SOL], VENUES):
        assert feed.endpoint.silence_seconds > 0
        assert feed.endpoint.first_data_seconds > 0
        assert len(feed.subscription.judged(feed.subscription.names())) >= 4


def test_others_are_no_fast_market() -> None:
    """A source without quotes is refused."""
    with pytest.raises(ValueError, match="gamma"):
        fast_feeds(Source.GAMMA, [Asset.BTC], VENUES)


def test_binance_frames_name_their_stream() -> None:
    """Combined frames do, acknowledgements do not, and a farewell is known by its beginning."""
    assert list(binance_streams_in(b'{"stream":"btcusdt@trade","data":{}}')) == ["btcusdt@trade"]
    assert list(binance_streams_in(b'{"data":{}, "stream": "btcusdt@trade"}')) == ["btcusdt@trade"]
    assert list(binance_streams_in(b'{"result":null,"id":1}')) == []
    assert b'{"stream":"!serverShutdown","data":{}}'.startswith(BINANCE_FAREWELL)


def test_coinbase_frames_name_kind_and_product() -> None:
    """Tickers and matches do; heartbeats go on without data and do not count (I16)."""
    assert list(coinbase_streams_in(b'{"type":"last_match","product_id":"BTC-USD"}')) == [
        "match:BTC-USD"
    ]
    assert list(coinbase_streams_in(b'{"type":"ticker","product_id":"BTC-USD"}')) == [
        "ticker:BTC-USD"
    ]
    assert list(coinbase_streams_in(b'{"type":"heartbeat","product_id":"BTC-USD"}')) == []
    assert list(coinbase_streams_in(b'{"type":"subscriptions","channels":[]}')) == []


def test_okx_frames_name_channel_and_instrument() -> None:
    """Pushes do, the acknowledgement with the same argument does not."""
    push = b'{"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"data":[]}'
    assert list(okx_streams_in(push)) == ["trades:BTC-USDT-SWAP"]
    acknowledged = b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"}}'
    assert list(okx_streams_in(acknowledged)) == []
    (feed,) = fast_feeds(Source.OKX, [Asset.BTC], VENUES)
    assert feed.subscription.names() == {"trades:BTC-USDT-SWAP", "bbo-tbt:BTC-USDT-SWAP"}
