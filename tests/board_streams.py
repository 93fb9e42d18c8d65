"""Events for tests of the board: one market, its books and its fast market."""

from __future__ import annotations

import random
from collections.abc import Iterator

from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    BookChange,
    BookSnapshot,
    FeedEvent,
    FeeSchedule,
    Level,
    LevelChange,
    Market,
    MarketOpened,
    Quote,
    Side,
    Source,
    Trade,
)

START_NS = 1_790_000_100 * NS_PER_SECOND
LATENCY_NS = 70_000_000
UP, DOWN = "11", "22"
FEE_RATE = 0.07


def market(
    slug: str = "btc-updown-15m",
    opens_ns: int = START_NS,
    seconds: int = 900,
    up: str = UP,
    down: str = DOWN,
    asset: Asset = Asset.BTC,
) -> Market:
    """Return a market's facts."""
    return Market(
        slug=slug,
        condition_id="0x" + slug,
        asset=asset,
        opens_ns=opens_ns,
        closes_ns=opens_ns + seconds * NS_PER_SECOND,
        up_token=up,
        down_token=down,
        tick_micros=10_000,
        minimum_shares_micros=5_000_000,
        fees=FeeSchedule(rate_ppm=70_000, exponent=1, taker_only=True),
    )


def opened(listed: Market) -> MarketOpened:
    """Return the event that lists a market."""
    return MarketOpened(listed, listed.opens_ns)


def quote(
    venue_ns: int, mid: float, update_id: int, half: float = 0.05, asset: Asset = Asset.BTC
) -> Quote:
    """Return a quote that takes the usual time to arrive."""
    return Quote(
        Source.BINANCE_PUBLIC,
        asset,
        mid - half,
        2.0,
        mid + half,
        3.0,
        update_id,
        venue_ns,
        venue_ns + LATENCY_NS,
    )


def trade(
    venue_ns: int,
    price: float,
    quantity: float,
    buys: bool,
    trade_id: int,
    source: Source = Source.BINANCE_PUBLIC,
) -> Trade:
    """Return a trade that takes the usual time to arrive."""
    return Trade(
        source, Asset.BTC, trade_id, price, quantity, buys, venue_ns, venue_ns + LATENCY_NS
    )


def book(
    venue_ns: int,
    token: str,
    bids: tuple[tuple[float, float], ...],
    asks: tuple[tuple[float, float], ...],
    tick_micros: int = 0,
) -> BookSnapshot:
    """Return a whole book."""
    return BookSnapshot(
        "0xbtc-updown-15m",
        token,
        tuple(Level(price, size) for price, size in bids),
        tuple(Level(price, size) for price, size in asks),
        tick_micros,
        venue_ns,
        venue_ns + LATENCY_NS,
    )


def change(venue_ns: int, *changes: LevelChange) -> BookChange:
    """Return changed levels."""
    return BookChange("0xbtc-updown-15m", changes, venue_ns, venue_ns + LATENCY_NS)


def level(
    token: str, side: Side, price: float, size: float, best_bid: float = 0.0, best_ask: float = 0.0
) -> LevelChange:
    """Return one changed level."""
    return LevelChange(token, price, size, side, best_bid, best_ask)


class MarketStream:
    """A seeded market: books, quotes and trades, with duplicates and late frames among them."""

    def __init__(self, seed: int, start_ns: int = START_NS, mean_gap_seconds: float = 0.4) -> None:
        self._random = random.Random(seed)
        self._at_ns = start_ns
        self._gap = mean_gap_seconds
        self._mid = 60_000.0
        self._ids = 1_000
        self._books: dict[str, tuple[dict[int, float], dict[int, float]]] = {}
        self._last: FeedEvent | None = None

    def __iter__(self) -> Iterator[FeedEvent]:
        for token, centre in ((UP, 52), (DOWN, 46)):
            bids = {centre - 1 - step: float(20 + step) for step in range(8)}
            asks = {centre + 1 + step: float(30 + step) for step in range(8)}
            self._books[token] = (bids, asks)
            yield book(
                self._at_ns,
                token,
                tuple((cents / 100, size) for cents, size in bids.items()),
                tuple((cents / 100, size) for cents, size in asks.items()),
            )
        while True:
            draw = self._random.random()
            # Rarely a silence, now and then two frames in one millisecond.
            gap = self._random.expovariate(1 / self._gap) if draw < 0.8 else 0.0
            self._at_ns += int(gap * NS_PER_SECOND)
            if draw > 0.9997:
                self._at_ns += 20 * NS_PER_SECOND
            yield self._event()

    def _event(self) -> FeedEvent:
        kind = self._random.random()
        if self._last is not None and kind < 0.04:
            return self._last
        if kind < 0.5:
            self._ids += 1
            self._mid *= 1 + self._random.gauss(0.0, 2e-4)
            self._last = quote(self._at_ns, self._mid, self._ids)
            return self._last
        if kind < 0.75:
            self._ids += 1
            size = self._random.lognormvariate(-3.0, 1.5)
            self._last = trade(self._at_ns, self._mid, size, self._random.random() < 0.5, self._ids)
            return self._last
        return self._book_change()

    def _book_change(self) -> BookChange:
        token = self._random.choice((UP, DOWN))
        bids, asks = self._books[token]
        buys = self._random.random() < 0.5
        side = bids if buys else asks
        low, high = (max(1, min(asks) - 8), min(asks) - 1) if buys else (max(bids) + 1, 99)
        cents = self._random.randint(low, min(high, low + 8))
        size = round(self._random.uniform(1.0, 300.0), 2)
        if cents in side and len(side) > 6 and self._random.random() < 0.6:
            del side[cents]
            size = 0.0
        else:
            side[cents] = size
        return change(
            self._at_ns,
            level(
                token,
                Side.BUY if buys else Side.SELL,
                cents / 100,
                size,
                max(bids) / 100,
                min(asks) / 100,
            ),
        )
