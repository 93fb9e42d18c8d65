"""Which sockets a fast market needs and how their silence is judged; must not open one.

A frame names its streams by a few bytes, found without parsing: the reader asks only while a
stream is awaited and once per look of its watch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from helpers.domain import Asset, Message, Source
from helpers.feeds import binance_urls, coinbase, okx
from helpers.feeds.subscription import Endpoint, FixedSubscription
from helpers.feeds.symbols import OKX_INSTRUMENTS
from helpers.venues import Venues

FAST_SILENCE_SECONDS: Final = 10.0
"""BTC and ETH quotes come many times a second; 10 s of nothing is a dead socket (binance 6)."""
THIN_SILENCE_SECONDS: Final = 30.0
"""The same for venues with less traffic."""
FIRST_DATA_SECONDS: Final = 30.0
"""An acknowledged stream that is silent so long was asked for on the wrong path (binance 0)."""
STREAM_SILENCE_SECONDS: Final = 120.0
"""Partial silence: the quietest stream, trades of a small asset at night, speaks more often."""
ROTATE_SECONDS: Final = 23 * 3600.0
"""Binance cuts every socket after 24 h (binance 1.5)."""
ROTATE_JITTER_SECONDS: Final = 1800.0
OKX_PING_SECONDS: Final = 20.0
"""OKX drops a socket on which nothing was sent for 30 s (binance 5.1)."""

BINANCE_FAREWELL: Final = (b'{"stream":"!serverShutdown"', b'{"e":"serverShutdown"')
OKX_FAREWELL: Final = (b'{"event":"notice"',)
_BINANCE_NAME: Final = re.compile(rb'"stream":\s*"([^"]+)"')
_COINBASE_PRODUCT: Final = re.compile(rb'"product_id":\s*"([^"]+)"')
_COINBASE_KIND: Final = re.compile(rb'"type":\s*"(?:last_)?(ticker|match)"')
_OKX_CHANNEL: Final = re.compile(rb'"channel":\s*"([^"]+)"')
_OKX_INSTRUMENT: Final = re.compile(rb'"instId":\s*"([^"]+)"')


class Feed(Message, frozen=True):
    """One socket of the fast market: where, and what to ask for there."""

    endpoint: Endpoint
    subscription: FixedSubscription


def binance_streams_in(raw: bytes) -> Sequence[str]:
    """Name the stream of a combined frame (binance 1.3); an acknowledgement names none."""
    found = _BINANCE_NAME.search(raw)
    return () if found is None else (found[1].decode(errors="replace"),)


def coinbase_streams_in(raw: bytes) -> Sequence[str]:
    """Name kind and product of a frame (binance 5.3).

    ``subscriptions`` and errors name none, nor do the venue's heartbeats: they go on without data.
    """
    kind, product = _COINBASE_KIND.search(raw), _COINBASE_PRODUCT.search(raw)
    if kind is None or product is None:
        return ()
    return (f"{kind[1].decode()}:{product[1].decode(errors='replace')}",)


def okx_streams_in(raw: bytes) -> Sequence[str]:
    """Name channel and instrument of a push (binance 5.1); answers and notices name none."""
    channel, instrument = _OKX_CHANNEL.search(raw), _OKX_INSTRUMENT.search(raw)
    if channel is None or instrument is None or b'"event":' in raw:
        return ()
    return (f"{channel[1].decode(errors='replace')}:{instrument[1].decode(errors='replace')}",)


def binance_futures_feeds(assets: Sequence[Asset], venues: Venues) -> tuple[Feed, Feed]:
    """Return quotes, trades and depth on ``/public`` and mark prices on ``/market``.

    Two sockets, because a stream asked for on the other path is acknowledged and silent (1.2).
    """
    base = venues.binance_futures_socket
    public = binance_urls.public_stream_url(assets, base)
    market = binance_urls.market_stream_url(assets, base)
    return (
        _binance_feed(Source.BINANCE_PUBLIC, public, FAST_SILENCE_SECONDS),
        _binance_feed(Source.BINANCE_MARKET, market, FAST_SILENCE_SECONDS),
    )


def binance_spot_feed(assets: Sequence[Asset], venues: Venues) -> Feed:
    """Return quotes and trades of spot on the market-data-only host (binance 4.4)."""
    url = binance_urls.spot_stream_url(assets, venues.binance_spot_socket)
    return _binance_feed(Source.BINANCE_SPOT, url, THIN_SILENCE_SECONDS)


def coinbase_feed(assets: Sequence[Asset], venues: Venues) -> Feed:
    """Return matches and tickers of Coinbase Exchange, which needs no credentials."""
    endpoint = Endpoint(
        source=Source.COINBASE,
        url=venues.coinbase_socket,
        streams_in=coinbase_streams_in,
        silence_seconds=THIN_SILENCE_SECONDS,
        first_data_seconds=FIRST_DATA_SECONDS,
        stream_silence_seconds=STREAM_SILENCE_SECONDS,
    )
    names = frozenset(f"{kind}:{asset}-USD" for kind in ("ticker", "match") for asset in assets)
    return Feed(endpoint, FixedSubscription(names, (coinbase.subscribe_frame(assets),)))


def okx_feed(assets: Sequence[Asset], venues: Venues) -> Feed:
    """Return trades and top of book of OKX, kept alive by its text ping."""
    endpoint = Endpoint(
        source=Source.OKX,
        url=f"{venues.okx_socket}/ws/v5/public",
        streams_in=okx_streams_in,
        silence_seconds=THIN_SILENCE_SECONDS,
        first_data_seconds=FIRST_DATA_SECONDS,
        stream_silence_seconds=STREAM_SILENCE_SECONDS,
        farewell_prefixes=OKX_FAREWELL,
        keepalive="ping",
        keepalive_answer=b"pong",
        keepalive_seconds=OKX_PING_SECONDS,
    )
    names = frozenset(
        f"{channel}:{instrument}"
        for instrument, (asset, _) in OKX_INSTRUMENTS.items()
        if asset in assets
        for channel in ("trades", "bbo-tbt")
    )
    return Feed(endpoint, FixedSubscription(names, (okx.subscribe_frame(assets),)))


def fast_feeds(source: Source, assets: Sequence[Asset], venues: Venues) -> tuple[Feed, ...]:
    """Return the sockets of a fast market; the first one carries its quotes.

    Raise ``ValueError`` for a source that cannot be the fast market.
    """
    if source is Source.BINANCE_PUBLIC:
        return binance_futures_feeds(assets, venues)
    if source is Source.BINANCE_SPOT:
        return (binance_spot_feed(assets, venues),)
    if source is Source.COINBASE:
        return (coinbase_feed(assets, venues),)
    if source is Source.OKX:
        return (okx_feed(assets, venues),)
    raise ValueError(f"fast market was {source}, expected one of FAST_SOURCES")


def _binance_feed(source: Source, url: str, silence_seconds: float) -> Feed:
    endpoint = Endpoint(
        source=source,
        url=url,
        streams_in=binance_streams_in,
        silence_seconds=silence_seconds,
        first_data_seconds=FIRST_DATA_SECONDS,
        stream_silence_seconds=STREAM_SILENCE_SECONDS,
        farewell_prefixes=BINANCE_FAREWELL,
        rotate_seconds=ROTATE_SECONDS,
        rotate_jitter_seconds=ROTATE_JITTER_SECONDS,
    )
    names = url.partition("streams=")[2].split("/")
    return Feed(endpoint, FixedSubscription(frozenset(names)))
