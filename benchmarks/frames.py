"""Seeded synthetic frames, shaped, sized and mixed like the venues'; reads no recording."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import msgspec

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Asset, FeeSchedule, Market

START_MS: Final = 1_790_000_100_000
ASSETS: Final = (Asset.BTC, Asset.ETH, Asset.SOL, Asset.XRP)
TICK_CENTS: Final = 1
BOOK_LEVELS: Final = 30
"""Levels a side of a snapshot: the real ones have 20 to 50."""
WINDOW_SECONDS: Final = 900

BOOK_SHARE: Final = 0.04
TRADE_SHARE: Final = 0.03
BEST_SHARE: Final = 0.03
"""The rest, 90 %, are price changes (recordings)."""
QUOTE_SHARE: Final = 0.70
FAST_TRADE_SHARE: Final = 0.23
"""The rest, 7 %, are partial depths (binance reference 2.9)."""


class OutcomeMarket:
    """One market's two mirrored books, and the frames that tell of them."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self._rng = rng
        self.asset = ASSETS[number % len(ASSETS)]
        self.condition_id = f"0x{rng.getrandbits(256):064x}"
        self.tokens = tuple(str(rng.randrange(10**76, 10**77)) for _ in range(2))
        self.slug = f"{self.asset.lower()}-updown-15m-{number}"
        centre = rng.randrange(35, 65)
        self._bids = {centre - step: self._size() for step in range(BOOK_LEVELS)}
        self._asks = {centre + 1 + step: self._size() for step in range(BOOK_LEVELS)}

    def market(self) -> Market:
        """Return the facts under which the board keeps its books."""
        opens_ns = START_MS * NS_PER_MS
        return Market(
            self.slug,
            self.condition_id,
            self.asset,
            opens_ns,
            opens_ns + WINDOW_SECONDS * NS_PER_SECOND,
            self.tokens[0],
            self.tokens[1],
            10_000,
            5_000_000,
            FeeSchedule(70_000, 1, True),
        )

    def _size(self) -> float:
        return round(self._rng.lognormvariate(4.5, 1.2) + 1.0, 2)

    def _hash(self) -> str:
        return f"{self._rng.getrandbits(160):040x}"

    def book(self, outcome: int, at_ms: int) -> dict[str, object]:
        """Return a snapshot of one token's book."""
        bids, asks = self._mirrored(outcome)
        return {
            "market": self.condition_id,
            "asset_id": self.tokens[outcome],
            "timestamp": str(at_ms),
            "hash": self._hash(),
            "bids": [_level(cents, bids[cents]) for cents in sorted(bids)],
            "asks": [_level(cents, asks[cents]) for cents in sorted(asks, reverse=True)],
            "event_type": "book",
        }

    def _mirrored(self, outcome: int) -> tuple[dict[int, float], dict[int, float]]:
        if outcome == 0:
            return self._bids, self._asks
        return (
            {100 - cents: size for cents, size in self._asks.items()},
            {100 - cents: size for cents, size in self._bids.items()},
        )

    def price_change(self, at_ms: int) -> dict[str, object]:
        """Return one level's change, told of both tokens; most happen near the touch."""
        cents, buys, size = self._move()
        bid, ask = max(self._bids), min(self._asks)
        mirrored = ((cents, buys, bid, ask), (100 - cents, not buys, 100 - ask, 100 - bid))
        return {
            "market": self.condition_id,
            "price_changes": [
                {
                    "asset_id": token,
                    "price": _price(price),
                    "size": _number(size),
                    "side": "BUY" if buying else "SELL",
                    "hash": self._hash(),
                    "best_bid": _price(best_bid),
                    "best_ask": _price(best_ask),
                }
                for token, (price, buying, best_bid, best_ask) in zip(
                    self.tokens, mirrored, strict=True
                )
            ],
            "timestamp": str(at_ms),
            "event_type": "price_change",
        }

    def _move(self) -> tuple[int, bool, float]:
        rng = self._rng
        buys = rng.random() < 0.5
        side, other = (self._bids, self._asks) if buys else (self._asks, self._bids)
        touch = max(side) if buys else min(side)
        away = min(int(rng.expovariate(0.5)), BOOK_LEVELS) - 1
        cents = touch - away if buys else touch + away
        limit = min(other) - TICK_CENTS if buys else max(other) + TICK_CENTS
        cents = max(1, min(cents, limit) if buys else min(99, max(cents, limit)))
        if cents in side and len(side) > BOOK_LEVELS // 2 and rng.random() < 0.4:
            del side[cents]
            return cents, buys, 0.0
        side[cents] = size = self._size()
        return cents, buys, size

    def last_trade(self, at_ms: int) -> dict[str, object]:
        """Return a trade at the Up token's ask."""
        return {
            "market": self.condition_id,
            "asset_id": self.tokens[0],
            "price": _price(min(self._asks)),
            "size": _number(self._size()),
            "fee_rate_bps": "0",
            "side": "BUY",
            "timestamp": str(at_ms),
            "event_type": "last_trade_price",
            "transaction_hash": f"0x{self._rng.getrandbits(256):064x}",
        }

    def best_bid_ask(self, at_ms: int) -> dict[str, object]:
        """Return the Up token's best prices."""
        bid, ask = max(self._bids), min(self._asks)
        return {
            "market": self.condition_id,
            "asset_id": self.tokens[0],
            "best_bid": _price(bid),
            "best_ask": _price(ask),
            "spread": _price(ask - bid),
            "timestamp": str(at_ms),
            "event_type": "best_bid_ask",
        }


def polymarket_frames(
    markets: int, count: int, seed: int
) -> tuple[tuple[Market, ...], list[bytes], list[bytes]]:
    """Return market facts, the opening snapshots, and ``count`` frames in the real mix."""
    rng = random.Random(seed)
    traded = [OutcomeMarket(number, rng) for number in range(markets)]
    opening = [
        msgspec.json.encode([market.book(outcome, START_MS) for outcome in (0, 1)])
        for market in traded
    ]
    frames: list[bytes] = []
    for index in range(count):
        market = rng.choice(traded)
        at_ms = START_MS + 1 + index
        draw = rng.random()
        if draw < BOOK_SHARE:
            frame = market.book(rng.randrange(2), at_ms)
        elif draw < BOOK_SHARE + TRADE_SHARE:
            frame = market.last_trade(at_ms)
        elif draw < BOOK_SHARE + TRADE_SHARE + BEST_SHARE:
            frame = market.best_bid_ask(at_ms)
        else:
            frame = market.price_change(at_ms)
        frames.append(msgspec.json.encode(frame))
    return tuple(market.market() for market in traded), opening, frames


class FastFrames:
    """USD-M public frames of four assets."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._mids = [83_000.0, 2_400.0, 150.0, 2.4]
        self._update_id = 11_757_092_630_476
        self._trade_id = 8_121_136_411

    def mixed(self, count: int) -> Iterator[bytes]:
        """Yield quotes, trades and partial depths in the real mix, 300 a second."""
        for index in range(count):
            at_ms = START_MS + index * 10 // 3
            draw = self._rng.random()
            which = self._rng.randrange(len(ASSETS))
            if draw < QUOTE_SHARE:
                yield self._quote(which, at_ms)
            elif draw < QUOTE_SHARE + FAST_TRADE_SHARE:
                yield self._trade(which, at_ms)
            else:
                yield self._depth(which, at_ms)

    def quotes_first(self) -> Iterator[bytes]:
        """Yield one quote of each asset."""
        for which in range(len(ASSETS)):
            yield self._quote(which, START_MS)

    def trades(self, count: int, per_second: int) -> Iterator[bytes]:
        """Yield trades of one asset at a rate."""
        for index in range(count):
            yield self._trade(0, START_MS + 1 + index * 1_000 // per_second)

    def _quote(self, which: int, at_ms: int) -> bytes:
        rng = self._rng
        mid = self._mids[which] = self._mids[which] * (1 + rng.gauss(0.0, 1e-5))
        self._update_id += rng.randrange(1, 2_000)
        symbol = ASSETS[which] + "USDT"
        return _combined(
            f"{symbol.lower()}@bookTicker",
            {
                "e": "bookTicker",
                "u": self._update_id,
                "s": symbol,
                "ps": symbol,
                "b": f"{mid:.4f}",
                "B": f"{rng.uniform(0, 9):.3f}",
                "a": f"{mid * 1.000002 + 0.0001:.4f}",
                "A": f"{rng.uniform(0, 9):.3f}",
                "T": at_ms,
                "E": at_ms + 1,
                "st": 1,
            },
        )

    def _trade(self, which: int, at_ms: int) -> bytes:
        rng = self._rng
        self._trade_id += 1
        symbol = ASSETS[which] + "USDT"
        return _combined(
            f"{symbol.lower()}@trade",
            {
                "e": "trade",
                "E": at_ms + 1,
                "T": at_ms,
                "s": symbol,
                "t": self._trade_id,
                "p": f"{self._mids[which]:.4f}",
                "q": f"{rng.lognormvariate(-3.0, 1.5) + 0.001:.3f}",
                "X": "MARKET",
                "m": rng.random() < 0.5,
                "st": 1,
            },
        )

    def _depth(self, which: int, at_ms: int) -> bytes:
        rng = self._rng
        previous = self._update_id
        self._update_id += rng.randrange(1_000, 9_000)
        symbol = ASSETS[which] + "USDT"
        mid = self._mids[which]
        return _combined(
            f"{symbol.lower()}@depth20@100ms",
            {
                "e": "depthUpdate",
                "E": at_ms + 1,
                "T": at_ms,
                "s": symbol,
                "ps": symbol,
                "U": previous + 1,
                "u": self._update_id,
                "pu": previous,
                "b": [[f"{mid - n / 10:.2f}", f"{rng.uniform(0, 9):.3f}"] for n in range(20)],
                "a": [[f"{mid + 1 + n / 10:.2f}", f"{rng.uniform(0, 9):.3f}"] for n in range(20)],
                "st": 1,
            },
        )


def _combined(stream: str, body: dict[str, object]) -> bytes:
    return msgspec.json.encode({"stream": stream, "data": body})


def _price(cents: int) -> str:
    return f"{cents / 100:g}"


def _number(size: float) -> str:
    return f"{size:g}"


def _level(cents: int, size: float) -> dict[str, str]:
    return {"price": _price(cents), "size": _number(size)}
