"""The price to beat of each window, by the ladder of its sources; the best rung is kept.

Must not: replace a rung by a worse one.
"""

from __future__ import annotations

from typing import Final

from helpers.board.fast_market import MAXIMUM_PRICE, FastMarket
from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    Market,
    MarketResolved,
    ReferencePrice,
    Strike,
    StrikeKnown,
    StrikeRung,
    keep_latest,
)

RANK: Final = {rung: rank for rank, rung in enumerate(StrikeRung)}
OPENING_GRID_NS: Final = 300 * NS_PER_SECOND
"""Every window opens on a multiple of five minutes (reference F.1): only those prints are kept."""
MAXIMUM_REMEMBERED: Final = 512
"""Prices kept for windows not listed yet; the oldest fall out."""
PROXY_SECONDS: Final = 60
"""The settlement price is a 60 s average, so is its proxy (reference E.4)."""
HOUR_SECONDS: Final = 3_600


class Strikes:
    """Strikes by slug, and the prices that may become one."""

    __slots__ = ("_by_slug", "_finals", "_twaps", "_waiting")

    def __init__(self) -> None:
        self._by_slug: dict[str, Strike] = {}
        self._twaps: dict[tuple[Asset, int], float] = {}
        self._finals: dict[tuple[Asset, bool, int], float] = {}
        self._waiting: dict[str, Strike] = {}
        """Strikes told of windows that are not listed yet."""

    def strike(self, slug: str) -> Strike | None:
        """Return the best strike known."""
        return self._by_slug.get(slug)

    def forget(self, slug: str) -> None:
        """Drop a window's strike."""
        self._by_slug.pop(slug, None)

    def open(self, market: Market) -> None:
        """Look up what was told before the window was listed."""
        opens_ns = market.opens_ns
        twap = self._twaps.get((market.asset, opens_ns))
        if twap is not None and not _hourly(market):
            self._offer(market.slug, twap, StrikeRung.VENUE_TWAP)
        final = self._finals.get((market.asset, _hourly(market), opens_ns))
        if final is not None:
            self._offer(market.slug, final, StrikeRung.PREVIOUS_FINAL)
        waiting = self._waiting.pop(market.slug, None)
        if waiting is not None:
            self._offer(market.slug, waiting.price, waiting.rung)

    def known(self, event: StrikeKnown, listed: bool) -> None:
        """Take a strike that somebody looked up."""
        if listed:
            self._offer(event.slug, event.price, event.rung)
        elif 0.0 < event.price < MAXIMUM_PRICE:
            keep_latest(
                self._waiting, event.slug, Strike(event.price, event.rung), MAXIMUM_REMEMBERED
            )

    def reference(self, event: ReferencePrice, markets: tuple[Market, ...]) -> None:
        """Take the settlement source's TWAP stamped exactly at an opening (reference E.5)."""
        stamp_ns = event.venue_ns
        if event.kind != "twap60" or stamp_ns % OPENING_GRID_NS:
            return
        keep_latest(self._twaps, (event.asset, stamp_ns), event.price, MAXIMUM_REMEMBERED)
        for market in markets:
            if market.opens_ns == stamp_ns and market.asset is event.asset and not _hourly(market):
                self._offer(market.slug, event.price, StrikeRung.VENUE_TWAP)

    def resolved(self, event: MarketResolved, closed: Market, markets: tuple[Market, ...]) -> None:
        """Take a window's final price as the strike of the one that opened at its close.

        Hourly windows settle on another source (reference E.4): a price passes between like only.
        """
        if not event.final_price > 0.0:
            return
        hourly = _hourly(closed)
        keep_latest(
            self._finals,
            (closed.asset, hourly, closed.closes_ns),
            event.final_price,
            MAXIMUM_REMEMBERED,
        )
        for market in markets:
            if (
                market.opens_ns == closed.closes_ns
                and market.asset is closed.asset
                and _hourly(market) is hourly
            ):
                self._offer(market.slug, event.final_price, StrikeRung.PREVIOUS_FINAL)

    def proxy(self, market: Market, fast: FastMarket) -> None:
        """Average the fast market's 60 whole seconds before the opening, all seen live."""
        opens = market.opens_ns // NS_PER_SECOND
        total = 0.0
        for second in range(opens - PROXY_SECONDS, opens):
            mid = fast.mid_at(second, live_only=True)
            if mid is None:
                return
            total += mid
        self._offer(market.slug, total / PROXY_SECONDS, StrikeRung.FAST_PROXY)

    def _offer(self, slug: str, price: float, rung: StrikeRung) -> None:
        held = self._by_slug.get(slug)
        if 0.0 < price < MAXIMUM_PRICE and (held is None or RANK[rung] < RANK[held.rung]):
            self._by_slug[slug] = Strike(price, rung)


def _hourly(market: Market) -> bool:
    return market.closes_ns - market.opens_ns == HOUR_SECONDS * NS_PER_SECOND
