"""Frame to book and windows updated, against a typed decode of the same frames.

Run ``uv run python -m benchmarks.ingest``: one row a budget (DESIGN section 7), exit code 1 when
any is over. A ratio is of medians of interleaved repeats, so a busy machine slows both sides.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Final

import msgspec

from benchmarks.frames import START_MS, FastFrames, polymarket_frames
from helpers.board import Board
from helpers.domain import NS_PER_MS, Market, MarketOpened, Source
from helpers.feeds.binance_wire import Frame
from helpers.feeds.ingest import Ingest
from helpers.feeds.polymarket_market import _Element

SEED: Final = 20_261_125
FRAMES: Final = 8_000
REPEATS: Final = 15
LATENCY_NS: Final = 20 * NS_PER_MS
POLYMARKET_BUDGET: Final = 3.0
BINANCE_BUDGET: Final = 4.0
FLAT_BUDGET: Final = 1.5
"""Flat: 64 times the books cost a frame a few cache misses, 1,000 times the trades nothing; a cost
that grew with either would be over by far. Best of the repeats, since a neighbour on the machine
takes the cache from the many books and not from the few."""

Run = Callable[[], float]


def main() -> int:
    """Print every row; return 1 when one is over its budget."""
    rows = (polymarket_row(4), binance_row(), trade_rate_row(), market_count_row())
    over = False
    for name, ratio, budget, note in rows:
        verdict = "ok" if ratio <= budget else "over"
        over = over or ratio > budget
        print(f"{verdict:4}  {name:44} {ratio:5.2f}  (budget {budget:.2f})  {note}")
    return 1 if over else 0


Row = tuple[str, float, float, str]


def polymarket_row(markets: int) -> Row:
    """Measure the market channel in the real mix."""
    facts, opening, frames = polymarket_frames(markets, FRAMES, SEED)
    path = _path(Source.POLYMARKET_MARKET, frames, facts, opening)
    floor = _floor(msgspec.json.Decoder(_Element | tuple[_Element, ...], strict=False), frames)
    path_us, floor_us = _interleaved(path, floor)
    note = f"{path_us:.2f} us a frame, floor {floor_us:.2f} us"
    return "Polymarket frame to book and windows", path_us / floor_us, POLYMARKET_BUDGET, note


def binance_row() -> Row:
    """Measure the fast market in the real mix."""
    frames = list(FastFrames(SEED).mixed(FRAMES))
    path = _path(Source.BINANCE_PUBLIC, frames, (), ())
    floor = _floor(msgspec.json.Decoder(Frame, strict=False), frames)
    path_us, floor_us = _interleaved(path, floor)
    note = f"{path_us:.2f} us a frame, floor {floor_us:.2f} us"
    return "Binance frame to windows", path_us / floor_us, BINANCE_BUDGET, note


def trade_rate_row() -> Row:
    """Compare the cost of a trade at 1,000 a second with that at one a second."""
    runs: list[Run] = []
    for per_second in (1_000, 1):
        generator = FastFrames(SEED)
        opening = list(generator.quotes_first())
        frames = list(generator.trades(FRAMES, per_second))
        runs.append(_path(Source.BINANCE_PUBLIC, frames, (), opening))
    busy_us, quiet_us = _interleaved(*runs, of=min)
    note = f"{busy_us:.2f} us a trade against {quiet_us:.2f} us"
    return "1,000 trades/s against 1", busy_us / quiet_us, FLAT_BUDGET, note


def market_count_row() -> Row:
    """Compare the cost of a market frame among 256 markets with that among four."""
    runs: list[Run] = []
    for markets in (256, 4):
        facts, opening, frames = polymarket_frames(markets, FRAMES, SEED)
        changes = [frame for frame in frames if b"price_changes" in frame]
        runs.append(_path(Source.POLYMARKET_MARKET, changes, facts, opening))
    many_us, few_us = _interleaved(*runs, of=min)
    note = f"{many_us:.2f} us a price change against {few_us:.2f} us"
    return "256 markets against 4", many_us / few_us, FLAT_BUDGET, note


def _path(
    source: Source, frames: Sequence[bytes], facts: Sequence[Market], opening: Sequence[bytes]
) -> Run:
    def run() -> float:
        board = Board()
        apply = board.apply
        parse = Ingest().parse
        now_ns = START_MS * NS_PER_MS + LATENCY_NS
        for market in facts:
            apply(MarketOpened(market, now_ns))
        for raw in opening:
            for event in parse(source, raw, now_ns):
                apply(event)
        gc.collect()
        start = time.perf_counter()
        for raw in frames:
            now_ns += NS_PER_MS
            for event in parse(source, raw, now_ns):
                apply(event)
        elapsed = time.perf_counter() - start
        # What is refused is not measured, so nothing may be.
        assert not board.anomalies(), board.anomalies()
        return elapsed / len(frames) * 1e6

    return run


def _floor(decoder: msgspec.json.Decoder[object], frames: Sequence[bytes]) -> Run:
    decode = decoder.decode

    def run() -> float:
        gc.collect()
        start = time.perf_counter()
        for raw in frames:
            decode(raw)
        return (time.perf_counter() - start) / len(frames) * 1e6

    return run


def _interleaved(
    first: Run, second: Run, of: Callable[[Iterable[float]], float] = median
) -> tuple[float, float]:
    pairs = [(first(), second()) for _ in range(REPEATS)]
    return of(pair[0] for pair in pairs), of(pair[1] for pair in pairs)


if __name__ == "__main__":
    sys.exit(main())
