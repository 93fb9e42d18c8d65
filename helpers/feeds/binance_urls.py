"""URLs of the Binance streams of a set of assets (reference 1.2); opens none of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from helpers.domain import Asset

FUTURES_STREAM_URL: Final = "wss://fstream.binance.com"
SPOT_STREAM_URL: Final = "wss://data-stream.binance.vision:443"
"""The market-data-only host: the same frames, reachable from more places (reference 4.4)."""

_PUBLIC_STREAMS: Final = ("bookTicker", "trade", "depth20@100ms")
_MARKET_STREAMS: Final = ("markPrice@1s", "aggTrade")
_SPOT_STREAMS: Final = ("bookTicker", "trade")


def public_stream_url(assets: Iterable[Asset], base: str = FUTURES_STREAM_URL) -> str:
    """Return the URL of quotes, trades and top levels of USD-M futures.

    A stream asked for on the other path is acknowledged and silent (reference 0, fact 1).
    """
    return f"{base}/public/stream?streams={_names(assets, _PUBLIC_STREAMS)}"


def market_stream_url(assets: Iterable[Asset], base: str = FUTURES_STREAM_URL) -> str:
    """Return the URL of mark prices and aggregate trades of USD-M futures."""
    return f"{base}/market/stream?streams={_names(assets, _MARKET_STREAMS)}"


def spot_stream_url(assets: Iterable[Asset], base: str = SPOT_STREAM_URL) -> str:
    """Return the URL of quotes and trades of spot, which has no path split."""
    return f"{base}/stream?streams={_names(assets, _SPOT_STREAMS)}"


def _names(assets: Iterable[Asset], streams: tuple[str, ...]) -> str:
    # Upper-case names are acknowledged and silent (reference 0, fact 4).
    return "/".join(f"{asset.lower()}usdt@{stream}" for asset in assets for stream in streams)
