"""Quotes and trades of the perpetuals around a given price path; decides no price.

Thinned on purpose: a real perpetual sends about 272 messages a second an asset (bookTicker, trade
and depth; 2,466 in the worst second). The default here is 12 (8 quotes, 4 trades) and no depth,
so that a minute of four assets costs milliseconds; the shape of bursts (worst second over mean) is
kept. Every move of the mid is quoted, whatever the rate. Raise the rates for load tests.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from helpers.domain import Asset
from simulator.actions import FastQuote, FastTrade, TimedAction
from simulator.assets import ASSET_PROFILES, AssetProfile
from simulator.fast_price import (
    BLOCK_STEPS,
    STEP_NS,
    STEPS_PER_SECOND,
    Array,
    PriceBlock,
)
from simulator.randomness import random_stream

DEFAULT_QUOTES_PER_SECOND: Final = 8.0
DEFAULT_TRADES_PER_SECOND: Final = 4.0
_QUIET_SHARE: Final = 0.5
"""Share of messages that come whatever the price does."""
_BURST_SECONDS: Final = 0.10
"""How long the market stays excited after a move."""
_BURST_MEAN: Final = 0.72e-6
"""Mean excitement of Bitcoin (|log return| a step, smoothed): makes the mean rate the asked one."""
_BURST_LIMIT: Final = 115.0
"""Excitement saturates: a large jump brings no more messages than the venue sends."""
_FOLLOW: Final = 0.3
"""How much likelier than half a taker trades with the last move."""
_SIZE_SD: Final = 1.3
"""Log-sd of displayed sizes and trade quantities."""


class FlowMinute(NamedTuple):
    """A minute's messages as columns [messages], in time order.

    Actions are made of a part at a time: a busy minute has 10,000, as objects some megabytes.
    """

    asset: Asset
    at_ns: np.typing.NDArray[np.int64]
    is_quote: np.typing.NDArray[np.bool_]
    bids: Array
    asks: Array
    quantities: Array
    """Of the trade; a quarter of a quote's bid size."""
    ask_sizes: Array
    taker_buys: np.typing.NDArray[np.bool_]

    def between(self, from_ns: int, until_ns: int) -> list[TimedAction]:
        """Return what happens from one moment until before another."""
        first, last = np.searchsorted(self.at_ns, (from_ns, until_ns)).tolist()
        asset = self.asset
        return [
            (moment, FastQuote(asset, bid, quantity * 4, ask, ask_size))
            if quoted
            else (moment, FastTrade(asset, ask if buys else bid, quantity, buys))
            for moment, quoted, bid, ask, quantity, ask_size, buys in zip(
                *(column[first:last].tolist() for column in self[1:]), strict=True
            )
        ]


class FastFlow:
    """Messages of one asset's perpetual; holds a stream and the excitement carried over."""

    def __init__(
        self, seed: int, asset: Asset, quotes_per_second: float, trades_per_second: float
    ) -> None:
        self._stream = random_stream(seed, 3, list(Asset).index(asset))
        self._asset = asset
        self._profile: AssetProfile = ASSET_PROFILES[asset]
        self._quotes_per_step = quotes_per_second / STEPS_PER_SECOND
        self._trades_per_step = trades_per_second / STEPS_PER_SECOND
        length = int(6 * _BURST_SECONDS * STEPS_PER_SECOND)
        kernel = np.exp(-np.arange(length) / (_BURST_SECONDS * STEPS_PER_SECOND))
        self._kernel: Array = kernel / kernel.sum()
        self._tail: Array = np.zeros(length - 1)
        self._last_log: float | None = None

    def minute(self, block: PriceBlock, row: int) -> FlowMinute:
        """Return a minute's quotes and trades."""
        path = block.log_mid[row]
        moves = np.diff(path, prepend=path[0] if self._last_log is None else self._last_log)
        self._last_log = float(path[-1])
        excitement = np.convolve(np.concatenate([self._tail, np.abs(moves)]), self._kernel, "valid")
        self._tail = np.abs(moves)[-self._tail.size :]
        usual = _BURST_MEAN * self._profile.relative_volatility
        excess = excitement / usual
        excess /= 1.0 + excess / _BURST_LIMIT
        intensity = _QUIET_SHARE + (1.0 - _QUIET_SHARE) * excess
        quotes = self._stream.poisson(self._quotes_per_step * intensity)
        quotes = np.maximum(quotes, moves != 0.0)
        trades = self._stream.poisson(self._trades_per_step * intensity)
        direction = np.sign(np.convolve(np.concatenate([np.zeros(4), moves]), np.ones(5), "valid"))
        return self._messages(block.start_ns, np.exp(path), quotes, trades, direction)

    def _messages(
        self,
        start_ns: int,
        mids: Array,
        quotes: np.typing.NDArray[np.int64],
        trades: np.typing.NDArray[np.int64],
        direction: Array,
    ) -> FlowMinute:
        counts = quotes + trades
        steps = np.repeat(np.arange(BLOCK_STEPS), counts)
        total = steps.size
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        at_ns = start_ns + steps * STEP_NS + within * STEP_NS // np.maximum(counts[steps], 1)
        is_quote = within < quotes[steps]
        tick = self._profile.fast_tick
        bid_ticks = np.floor(mids[steps] / tick)
        scale = self._profile.mean_trade_usd / mids[steps]
        sizes = np.exp(self._stream.normal(0.0, _SIZE_SD, (2, total)))
        return FlowMinute(
            self._asset,
            at_ns=at_ns,
            is_quote=is_quote,
            bids=np.round(bid_ticks * tick, 8),
            asks=np.round((bid_ticks + 1) * tick, 8),
            quantities=np.round(sizes[0] * scale + 10 * tick / mids[steps], 6),
            ask_sizes=np.round(sizes[1] * scale * 4 + 10 * tick / mids[steps], 6),
            taker_buys=self._stream.random(total) < 0.5 + _FOLLOW * direction[steps],
        )
