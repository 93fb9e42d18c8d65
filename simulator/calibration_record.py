"""Runs the market model on the exchange core's books and records them; judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from helpers.domain import MICROS, NS_PER_MS, NS_PER_SECOND, Asset, Outcome, Side
from simulator.actions import Action, Cancel, FastQuote, Place, Take, WindowCloses, WindowOpens
from simulator.calibration_book import BackgroundBooks
from simulator.market_model import MarketModel, ModelSettings

GRID_NS: Final = 100 * NS_PER_MS
"""Books are sampled ten times a second."""
DEPTH_NS: Final = NS_PER_SECOND
DEPTH_LEVELS: Final = 10
_CENT_MICROS: Final = 10_000
START_NS: Final = 1_790_000_100 * NS_PER_SECOND // (900 * NS_PER_SECOND) * (900 * NS_PER_SECOND)
"""A fixed quarter of an hour in September 2026."""


@dataclass(slots=True)
class WindowRecord:
    """One whole window as sampled; prices in cents."""

    slug: str
    bids: list[float] = field(default_factory=list)
    asks: list[float] = field(default_factory=list)
    """On the 100 ms grid; 0 where that side is empty."""
    fast: list[float] = field(default_factory=list)
    depth: list[tuple[float, list[float]]] = field(default_factory=list)
    """(seconds into the window, shares on the best levels), both sides in turn."""
    update_ns: list[int] = field(default_factory=list)
    take_shares: list[float] = field(default_factory=list)
    take_buys: int = 0
    cancels: int = 0
    placements: int = 0
    up_won: bool = False


class _Recorder:
    def __init__(self) -> None:
        self.books = BackgroundBooks()
        self.done: list[WindowRecord] = []
        self._open: dict[str, tuple[WindowRecord, int]] = {}
        self._fast: dict[Asset, float] = {}
        self._asset: dict[str, Asset] = {}

    def sample(self, at_ns: int) -> None:
        """Record every open book as it is just before ``at_ns``'s actions."""
        for slug, (record, opens_ns) in self._open.items():
            record.bids.append(self.books.best_bid_micros(slug) / _CENT_MICROS)
            record.asks.append(self.books.best_ask_micros(slug) / _CENT_MICROS)
            record.fast.append(self._fast.get(self._asset[slug], 0.0))
            if at_ns % DEPTH_NS == 0:
                elapsed = (at_ns - opens_ns) / NS_PER_SECOND
                for side in Side:
                    record.depth.append((elapsed, self.books.depth(slug, side, DEPTH_LEVELS)))

    def apply(self, at_ns: int, action: Action) -> None:
        """Apply one action to the level map and note it."""
        match action:
            case FastQuote():
                self._fast[action.asset] = (action.bid + action.ask) / 2
            case Place():
                self.books.place(action)
                record = self._open[action.market][0]
                record.update_ns.append(at_ns)
                record.placements += 1
            case Cancel():
                if self.books.cancel(action):
                    record = self._open[action.market][0]
                    record.update_ns.append(at_ns)
                    record.cancels += 1
            case Take():
                if self.books.take(action):
                    record = self._open[action.market][0]
                    record.update_ns.append(at_ns)
                    record.take_shares.append(action.shares_micros / MICROS)
                    record.take_buys += action.side is Side.BUY
            case WindowOpens():
                market = action.market
                self.books.open(market)
                self._open[market.slug] = (WindowRecord(market.slug), market.opens_ns)
                self._asset[market.slug] = market.asset
            case WindowCloses():
                record, _ = self._open.pop(action.market)
                record.up_won = action.winner is Outcome.UP
                self.done.append(record)
                self.books.close(action.market)
                del self._asset[action.market]
            case _:
                pass


def record_windows(
    seed: int, assets: tuple[Asset, ...], window_seconds: int, windows: int
) -> list[WindowRecord]:
    """Return ``windows`` whole windows of each asset, in order of their close."""
    recorder = _Recorder()
    settings = ModelSettings(assets=assets, window_seconds=(window_seconds,), warm_up_minutes=0)
    model = MarketModel(seed, START_NS, recorder.books, settings)
    next_sample_ns = START_NS + GRID_NS
    for at_ns, action in model.advance(START_NS + windows * window_seconds * NS_PER_SECOND):
        while next_sample_ns <= at_ns:
            recorder.sample(next_sample_ns)
            next_sample_ns += GRID_NS
        recorder.apply(at_ns, action)
    return recorder.done
