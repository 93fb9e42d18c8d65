"""Fetches the history a fast market's windows start from; must not stop the start when it fails.

What cannot be had leaves features cold, and the gate's warm-up rule decides (DESIGN section 5).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from helpers.clock import Clock
from helpers.domain import NS_PER_MS, NS_PER_SECOND, Asset, Message, Source
from helpers.feeds.binance_rest import parse_klines
from helpers.feeds.http import VenueHttp, ns_until_next_minute
from helpers.feeds.ingest import encode_rest
from helpers.feeds.retry import Backoff, FeedError, RateLimited, Unreachable, VenueRefused
from helpers.feeds.subscription import Frames
from helpers.venues import Venues

MINUTE_MS: Final = 60_000
BARS_WANTED: Final = 1500
"""One-minute bars: 24 h of volume (feature 11) and an hour to spare, the most futures give."""
ATTEMPTS_MAXIMUM: Final = 4
"""Of one request; binance 4.1 asks for three to five."""
WEIGHT_LIMITS: Final = {Source.BINANCE_PUBLIC: 2400, Source.BINANCE_SPOT: 6000}
"""Weight per minute and address (binance 4.1, 4.2)."""
WEIGHT_SHARE: Final = 0.8
"""Above this share of the limit we wait for the next minute: others may use this address."""
PAGE_BARS: Final = {Source.BINANCE_PUBLIC: 1500, Source.BINANCE_SPOT: 1000}
"""Bars of one answer at most."""
KLINE_PATHS: Final = {
    Source.BINANCE_PUBLIC: "/fapi/v1/klines",
    Source.BINANCE_SPOT: "/api/v3/klines",
}


class WarmUpRow(Message, frozen=True):
    """What came of one asset's history, in words for the log."""

    asset: Asset
    bars: int
    outcome: str


class _Halted(Exception):  # noqa: N818
    """The venue wants no more requests from us, so the other assets stay cold as well."""


class WarmUp:
    """Fetches one-minute bars from the REST of the chosen fast market."""

    def __init__(
        self,
        http: VenueHttp,
        venues: Venues,
        *,
        clock: Clock,
        frames: Frames,
        rng: random.Random,
        backoff_base_seconds: float = 0.2,
    ) -> None:
        self._http = http
        self._bases = {
            Source.BINANCE_PUBLIC: venues.binance_futures_rest,
            Source.BINANCE_SPOT: venues.binance_spot_rest,
        }
        self._clock = clock
        self._frames = frames
        self._rng = rng
        self._backoff_base_seconds = backoff_base_seconds

    async def fetch(self, source: Source, assets: Sequence[Asset]) -> tuple[WarmUpRow, ...]:
        """Send every asset's bars to the sink, oldest page first; return one row an asset.

        Send ``FastSourceChosen`` to the board before: it keeps one early page only. Coinbase and
        OKX have no warm-up: their candles come 300 at a time, and their rows say so.
        """
        if source not in KLINE_PATHS:
            said = f"{source} has no warm-up, features stay cold until their windows fill"
            return tuple(WarmUpRow(asset, 0, said) for asset in assets)
        rows: list[WarmUpRow] = []
        halted = ""
        for asset in assets:
            if halted:
                rows.append(WarmUpRow(asset, 0, f"not asked for: {halted}"))
                continue
            try:
                rows.append(await self._fetch_asset(source, asset))
            except _Halted as stop:
                halted = str(stop)
                rows.append(WarmUpRow(asset, 0, halted))
        return tuple(rows)

    async def _fetch_asset(self, source: Source, asset: Asset) -> WarmUpRow:
        path, symbol = KLINE_PATHS[source], f"{asset}USDT"
        start_ms = self._clock.now_ns() // NS_PER_MS // MINUTE_MS * MINUTE_MS
        start_ms -= (BARS_WANTED - 1) * MINUTE_MS
        page, bars, wanted = PAGE_BARS[source], 0, BARS_WANTED
        while wanted > 0:
            query = (
                ("symbol", symbol),
                ("interval", "1m"),
                ("startTime", start_ms),
                ("limit", min(page, wanted)),
            )
            try:
                body, received_ns = await self._get(source, path, query)
            except Unreachable as failed:
                return WarmUpRow(asset, bars, str(failed))
            candles = parse_klines(body, asset, source, received_ns)
            if candles is None:
                return WarmUpRow(asset, bars, f"{path} answered something that was no klines")
            self._frames(Source.BINANCE_REST, encode_rest(path, symbol, body), received_ns)
            bars += len(candles.candles)
            start_ms += page * MINUTE_MS
            wanted -= page
        return WarmUpRow(asset, bars, "warmed")

    async def _get(
        self, source: Source, path: str, query: tuple[tuple[str, str | int], ...]
    ) -> tuple[str, int]:
        backoff = Backoff(self._rng, self._backoff_base_seconds)
        url = self._bases[source] + path
        failure: FeedError = Unreachable(url, "was not asked")
        for _ in range(ATTEMPTS_MAXIMUM):
            try:
                reply = await self._http.get(url, query)
            except (VenueRefused, RateLimited) as refused:
                raise _Halted(str(refused)) from refused
            except Unreachable as failed:
                failure = failed
                await asyncio.sleep(backoff.next_seconds())
                continue
            if not reply.found:
                raise Unreachable(url, f"HTTP {reply.status} for {query[0][1]}")
            await self._spare_weight(source, reply.used_weight)
            return reply.body.decode(errors="replace"), reply.received_ns
        raise failure

    async def _spare_weight(self, source: Source, used_weight: int) -> None:
        if used_weight > WEIGHT_SHARE * WEIGHT_LIMITS[source]:
            await asyncio.sleep(ns_until_next_minute(self._clock.now_ns()) / NS_PER_SECOND)
