"""What carrying the journal into Postgres costs the decision path, measured in one run.

    uv run python -m benchmarks.projector_latency

One flow ticks as in ``tick_to_order``: a frame of the fast market in, four markets decided on, rows
in the journal, a commit. Stretches with the projector and its embedded server beside it take turns
with stretches without, so that a busy machine slows both alike. Exits 1 when the p99 with a
database is more than 1.1 times the one without.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from benchmarks.tick_to_order import book, quote
from db.journal import Journal
from helpers import logs
from helpers.clock import RealClock, pause_seconds, system_seconds
from helpers.commands.composition import Flow, build_flow
from helpers.commands.projecting import Projecting
from helpers.domain import (
    NS_PER_SECOND,
    Asset,
    FastSourceChosen,
    Market,
    MarketOpened,
    Mode,
    Source,
)
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, load_settings
from tests.builders import a_market

STRETCHES: Final = 12
TICKS: Final = 500
PAUSE_SECONDS: Final = 0.01
SETTLE_SECONDS: Final = 3.0
"""For a projector to start, or to end, before the next stretch."""
BUDGET_RATIO: Final = 1.1
MARKETS: Final = 4


class Bench:
    """The paper flow of one run."""

    def __init__(self, settings: Settings) -> None:
        clock = RealClock()
        now_ns = clock.now_ns()
        self.journal = Journal.open_run(
            settings.journal_directory, Mode.PAPER, now_ns, background=True
        )
        self.flow: Flow = build_flow(settings, Mode.PAPER, self.journal, allow_cold=True)
        self._ingest = Ingest()
        self._at_ns = now_ns
        self._mid = 60_000.0
        self._number = 0
        engine = self.flow.engine
        engine.on_event(FastSourceChosen(Asset.BTC, Source.BINANCE_PUBLIC, now_ns))
        self._markets = [_market(number, now_ns) for number in range(MARKETS)]
        for market in self._markets:
            engine.on_event(MarketOpened(market, now_ns))

    def _frame(self, source: Source, raw: str) -> None:
        for event in self._ingest.parse(source, raw, self._at_ns):
            self.flow.engine.on_event(event)

    def tick(self) -> float:
        """Move the fast market; return the milliseconds until every row is with the system."""
        self._at_ns += NS_PER_SECOND // 5
        for market in self._markets:
            for token, bid in ((market.up_token, 52), (market.down_token, 47)):
                self._frame(Source.POLYMARKET_MARKET, book(market, token, bid, self._at_ns))
        self._mid *= 1.0002 if self._number % 2 else 1 / 1.0002
        self._number += 1
        self._at_ns += 1_000_000
        frame = quote(self._mid, self._number, self._at_ns)
        began = system_seconds()
        self._frame(Source.BINANCE_PUBLIC, frame)
        self.flow.outlets.commit()
        return (system_seconds() - began) * 1000


def _market(number: int, now_ns: int) -> Market:
    market = a_market(
        opens_ns=now_ns - 10 * NS_PER_SECOND, closes_ns=now_ns + 7_200 * NS_PER_SECOND
    )
    return replace(
        market,
        slug=f"{market.slug}-{number}",
        condition_id=f"0x{number}",
        up_token=f"{number}11",
        down_token=f"{number}22",
    )


def stretch(bench: Bench) -> list[float]:
    """Return the milliseconds of some ticks."""
    found: list[float] = []
    for _ in range(TICKS):
        found.append(bench.tick())
        pause_seconds(PAUSE_SECONDS)
    return found


def p99(milliseconds: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(milliseconds, n=100)[98]


def measure(folder: Path, say: Callable[[str], object]) -> float:
    """Return the p99 with a database over the one without."""
    settings = load_settings(
        _env_file=None,
        strategy="momentum",
        database="auto",
        journal_directory=folder / "journal",
        embedded_postgres_directory=folder / "postgres",
        log_directory=folder / "logs",
    )
    bench = Bench(settings)
    stretch(bench)
    without: list[float] = []
    beside: list[float] = []
    for number in range(STRETCHES):
        if number % 2:
            with Projecting(settings) as projecting:
                projecting.start()
                pause_seconds(SETTLE_SECONDS)
                beside += stretch(bench)
        else:
            pause_seconds(SETTLE_SECONDS)
            without += stretch(bench)
    bench.journal.close()
    for name, found in (("without", without), ("beside a database", beside)):
        say(
            f"{name:<18} p50 {statistics.median(found):.3f} ms   p99 {p99(found):.3f} ms   "
            f"({len(found)} ticks)"
        )
    return p99(beside) / p99(without)


def main() -> int:
    """Measure and say; 1 above the budget."""
    with tempfile.TemporaryDirectory(prefix="worker-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        lines = logs.configure(
            clock=RealClock(), json_lines=True, directory=folder / "logs", quiet=True
        )
        ratio = measure(folder, print)
        lines.close()
    print(f"p99 ratio {ratio:.2f} (budget {BUDGET_RATIO})")
    return 0 if ratio <= BUDGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
