"""The worker's real flow against the simulated world on simulated time; no sockets, no waiting.

Every frame goes as wire text through the worker's own parsers to its engine, exactly as live; what
differs is who carries it. Two runs of one seed write the same journal.

    python -m simulator.in_process --minutes 60 --seed 7 --strategy momentum [--profile]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from db.journal import Journal
from helpers import logs
from helpers.clock import SimulatedClock, monotonic_seconds
from helpers.commands.closing_table import closing_table
from helpers.commands.composition import Flow, build_flow, finish, run_started
from helpers.commands.config import report_settings_error
from helpers.domain import (
    NS_PER_SECOND,
    Connected,
    FastSourceChosen,
    Mode,
    Source,
)
from helpers.feeds.ingest import Ingest, WorkerEvent, encode_worker_event
from helpers.settings import Settings, SettingsError, load_settings
from simulator.delivery import Delivery
from simulator.windows import WINDOW_SECONDS
from simulator.wire_transport import WireTransport
from simulator.world import World
from simulator.world_settings import Latencies, WorldSettings
from strategies.base import ModelError
from strategies.catalogue import STRATEGY_NAMES

STEP_NS: Final = NS_PER_SECOND // 4
"""The world is this far ahead of the worker at most. In paper only requests for doubtful books go
back to it, and the worker sends those every quarter of a second."""
EXIT_USAGE: Final = 2
EXIT_NO_MODEL: Final = 66
"""sysexits' EX_NOINPUT, as for a replay without its tape."""
WARM_UP_MINUTES: Final = 65
"""An hour of minute returns and some to spare; a day of volume (feature 11) stays cold."""
CONNECTED: Final = (
    Source.WORKER,
    Source.BINANCE_PUBLIC,
    Source.BINANCE_MARKET,
    Source.POLYMARKET_MARKET,
    Source.POLYMARKET_REFERENCE,
)
_Item = TypeVar("_Item")


class InProcessReport(NamedTuple):
    """What a run came to."""

    flow: Flow
    world: World
    run: Path
    """Folder of the run's journal."""
    frames: int
    market_minutes: float
    """Minutes of every series that is traded: four assets of one length make four a minute."""
    wall_seconds: float
    """Without the build and the history before the start."""
    stages: tuple[tuple[str, float], ...]
    """Where the time went, in seconds; empty unless it was asked for."""
    skipped: tuple[tuple[str, int], ...]
    """What the parsers could not use, by source and reason."""

    @property
    def market_minutes_per_second(self) -> float:
        """Return how fast the run was."""
        return self.market_minutes / max(self.wall_seconds, 1e-9)


class Stopwatch:
    """Coarse seconds by stage; it costs a run about a third of its speed, so it is optional."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Add to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def iterate(self, stage: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """Count the time it takes to draw each item."""
        source = iter(items)
        while True:
            began = monotonic_seconds()
            item = next(source, None)
            self.add(stage, monotonic_seconds() - began)
            if item is None:
                return
            yield item


class InProcessRun:
    """One worker and one world, and the frames on their way between them."""

    def __init__(
        self,
        seed: int,
        settings: Settings,
        journal: Journal,
        world_settings: WorldSettings,
        latencies: Latencies,
        clock: SimulatedClock,
        watch: Stopwatch | None = None,
    ) -> None:
        """Build both sides; the worker's assets and windows are the world's."""
        model = msgspec.structs.replace(
            world_settings.model, assets=settings.assets, window_seconds=settings.window_seconds()
        )
        self.world = World(seed, msgspec.structs.replace(world_settings, model=model))
        self.flow = build_flow(settings, Mode.PAPER, journal, allow_cold=False)
        self.frames = 0
        self.ingest = Ingest()
        self._parse = self.ingest.parse
        self._clock = clock
        self._settings = settings
        self._journal = journal
        self._watch = watch
        self._delivery = Delivery(
            latencies, self._deliver if watch is None else self._deliver_timed
        )
        self.transport = WireTransport(self.world, self._delivery.send)

    def begin(self) -> None:
        """Write the first row, connect, choose the fast market and send its history."""
        now_ns = self.world.now_ns
        outlets = self.flow.outlets
        started = run_started(self._settings, self.flow.strategy, f"simulated-{now_ns}", "")
        outlets.write(now_ns, "", started)
        outlets.commit()
        for source in CONNECTED:
            self._tell(Connected(source, now_ns))
        for asset in self._settings.assets:
            self._tell(FastSourceChosen(asset, Source.BINANCE_PUBLIC, now_ns))
        for frame in self.transport.history():
            self._deliver(frame.source, frame.text, now_ns)
        if self._watch is not None:
            self._watch_world(self._watch)

    def advance(self, to_ns: int) -> None:
        """Let the world and then the worker come to a moment."""
        while (now_ns := self.world.now_ns) < to_ns:
            step_ns = min(now_ns + STEP_NS, to_ns)
            began = monotonic_seconds()
            self.world.advance(step_ns)
            if self._watch is not None:
                self._watch.add("world", monotonic_seconds() - began)
            self._delivery.deliver_until(step_ns)
            self._clock.advance_to(step_ns)
            began = monotonic_seconds()
            self.flow.engine.advance(step_ns)
            if self._watch is not None:
                self._watch.add("decide", monotonic_seconds() - began)
            for token in self.flow.board.drain_suspects():
                self.transport.refetch(token, step_ns)

    def finish(self) -> None:
        """Let orders in flight settle and write the last row."""
        finish(self.flow, self._settings, "end of the simulation", self.world.now_ns)

    def _tell(self, event: WorkerEvent) -> None:
        self._deliver(Source.WORKER, encode_worker_event(event), event.received_ns)

    def _deliver(self, source: Source, text: str, received_ns: int) -> None:
        self.frames += 1
        self._clock.advance_to(received_ns)
        on_event = self.flow.engine.on_event
        for event in self._parse(source, text, received_ns):
            on_event(event)

    def _deliver_timed(self, source: Source, text: str, received_ns: int) -> None:
        """Deliver, and count an event that made the worker write as deciding, others as board."""
        assert self._watch is not None, "only a watched run is timed"
        self.frames += 1
        self._clock.advance_to(received_ns)
        began = monotonic_seconds()
        events = self.ingest.parse(source, text, received_ns)
        ended = monotonic_seconds()
        self._watch.add("parse", ended - began)
        for event in events:
            began, written = ended, self._journal.seq
            self.flow.engine.on_event(event)
            ended = monotonic_seconds()
            stage = "board" if self._journal.seq == written else "decide"
            self._watch.add(stage, ended - began)

    def _watch_world(self, watch: Stopwatch) -> None:
        world, transport = self.world, self.transport
        world.model_timer = lambda actions: watch.iterate("model", actions)
        world.on_fast = _timed2(watch, transport.fast)
        world.on_exchange_events = _timed1(watch, transport.exchange)


_First = TypeVar("_First")
_Second = TypeVar("_Second")


def _timed1(watch: Stopwatch, call: Callable[[_First], None]) -> Callable[[_First], None]:
    def timed(first: _First) -> None:
        began = monotonic_seconds()
        call(first)
        watch.add("frames", monotonic_seconds() - began)

    return timed


def _timed2(
    watch: Stopwatch, call: Callable[[_First, _Second], None]
) -> Callable[[_First, _Second], None]:
    def timed(first: _First, second: _Second) -> None:
        began = monotonic_seconds()
        call(first, second)
        watch.add("frames", monotonic_seconds() - began)

    return timed


def run_in_process(
    seed: int,
    minutes: float,
    settings: Settings,
    *,
    world_settings: WorldSettings | None = None,
    latencies: Latencies | None = None,
    profile: bool = False,
) -> InProcessReport:
    """Run the worker for some minutes of simulated time; its journal goes where settings say.

    Log lines are written from ``error`` upward only. Raises ``ValueError`` for a window length the
    model does not know, and what a strategy's model raises when it cannot be loaded.
    """
    base = world_settings or _default_world()
    watch = Stopwatch() if profile else None
    clock = SimulatedClock(base.start_ns)
    lines = logs.configure(clock=clock, level="error", json_lines=False, directory=None)
    try:
        with Journal.open_run(settings.journal_directory, Mode.PAPER, base.start_ns) as journal:
            run = InProcessRun(
                seed, settings, journal, base, latencies or Latencies(), clock, watch
            )
            run.begin()
            began = monotonic_seconds()
            run.advance(base.start_ns + round(minutes * 60 * NS_PER_SECOND))
            run.finish()
            seconds = monotonic_seconds() - began
            folder = Path(journal.run)
    finally:
        lines.close()
    return InProcessReport(
        flow=run.flow,
        world=run.world,
        run=folder,
        frames=run.frames,
        market_minutes=minutes * len(settings.assets) * len(settings.windows),
        wall_seconds=seconds,
        stages=_stages(watch, seconds),
        skipped=run.ingest.skipped_rows(),
    )


def _default_world() -> WorldSettings:
    plain = WorldSettings()
    model = msgspec.structs.replace(plain.model, warm_up_minutes=WARM_UP_MINUTES)
    return msgspec.structs.replace(plain, model=model)


def _stages(watch: Stopwatch | None, wall_seconds: float) -> tuple[tuple[str, float], ...]:
    if watch is None:
        return ()
    spent = dict(watch.seconds)
    world = spent.pop("world", 0.0)
    spent["exchange"] = world - spent.get("model", 0.0) - spent.get("frames", 0.0)
    spent["the rest"] = wall_seconds - sum(spent.values())
    return tuple(sorted(spent.items(), key=lambda row: -row[1]))


def main(arguments: list[str]) -> int:
    """Run and print the closing table, the speed and where the time went.

    Return 0, 2 for a window that is not simulated, 66 for a model that cannot be loaded, 78 for
    wrong settings.
    """
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        journal = options.journal or Path(folder)
        try:
            settings = load_settings(strategy=options.strategy, journal_directory=journal)
            if not set(settings.window_seconds()) <= set(WINDOW_SECONDS):
                sys.stderr.write(
                    f"simulator.in_process: WINDOWS were {settings.windows}; 4h is not simulated\n"
                )
                return EXIT_USAGE
            report = run_in_process(
                options.seed, options.minutes, settings, profile=options.profile
            )
        except SettingsError as error:
            return report_settings_error(error)
        except ModelError as error:
            sys.stderr.write(f"simulator.in_process: {error}\n")
            return EXIT_NO_MODEL
        sys.stdout.write(report_text(report, f"SIMULATION, seed {options.seed}"))
    return 0


def report_text(report: InProcessReport, title: str) -> str:
    """Return the closing table of a run and how fast it was, as text."""
    flow = report.flow
    head = f"\n{title}, with {flow.strategy.name} ({flow.strategy.model_id})"
    text = closing_table(head, flow.ledger.report(), flow.ledger.positions(), flow.scorecard)
    text += (
        f"{'speed':<22}{report.market_minutes:,.0f} market-minutes in "
        f"{report.wall_seconds:.2f} s: {report.market_minutes_per_second:.1f} a second; "
        f"{report.frames:,} frames ({report.frames / max(report.wall_seconds, 1e-9):,.0f}/s)\n"
    )
    for stage, seconds in report.stages:
        share = seconds / max(report.wall_seconds, 1e-9)
        text += f"{'time in ' + stage:<22}{seconds:8.2f} s {share:6.1%}\n"
    oddities = (
        *report.skipped,
        *((f"board {name}", count) for name, count in flow.board.anomalies()),
        *((f"refused: {name}", count) for name, count in report.world.books.refused.items()),
    )
    for name, count in oddities:
        if count:
            text += f"{'survived':<22}{name}: {count}\n"
    return text


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator.in_process", description=__doc__)
    parser.add_argument("--minutes", type=_minutes, default=20.0, help="of simulated time")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--strategy", choices=STRATEGY_NAMES, default="momentum")
    parser.add_argument("--profile", action="store_true", help="say where the time went; slower")
    parser.add_argument("--journal", type=Path, help="folder to keep; default: a temporary one")
    return parser.parse_args(arguments)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0.0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"was {text}, expected a number above 0")
    return minutes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
