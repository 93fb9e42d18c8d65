"""`worker.py replay TAPE`: the same flow on recorded frames and a simulated clock.

Two replays of one tape write byte-identical journals: nothing of this machine or moment is in them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from db.journal import Journal, JournalError
from helpers.clock import Pace, SimulatedClock, monotonic_seconds
from helpers.commands.closing_table import closing_table, shadows_table
from helpers.commands.composition import Flow, build_flow, finish, run_started
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.evaluating import paper_trading
from helpers.commands.log_start import open_log
from helpers.commands.progress_bar import ProgressBar
from helpers.commands.shadows import Shadows
from helpers.commands.verbs import typed_number, verb_parser
from helpers.domain import NS_PER_SECOND, Mode, ShadowWindow, Source
from helpers.feeds.ingest import Ingest
from helpers.settings import Settings, SettingsError, load_settings
from helpers.tape import TapeError, TapeFaults, TapeFrame, read_tape, tape_files
from strategies.base import ModelError
from strategies.catalogue import STRATEGY_NAMES

EXIT_USAGE: Final = 2
EXIT_UNREADABLE: Final = 66
"""sysexits' EX_NOINPUT: the tape cannot be read."""


def main(arguments: list[str]) -> int:
    """Replay a tape; return 0, 66 for an unreadable tape, 78 for wrong settings."""
    options = _parse(arguments)
    overrides = {"strategy": options.strategy} if options.strategy else {}
    try:
        settings = load_settings(**overrides)
    except SettingsError as error:
        return report_settings_error(error)
    warn_unknown_names()
    try:
        return _replay(settings, options)
    except SettingsError as error:
        return report_settings_error(error)
    except (TapeError, JournalError, ModelError) as error:
        sys.stderr.write(f"worker.py replay: {error}\n")
        return EXIT_UNREADABLE


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser("replay")
    parser.add_argument("tape", type=Path, help="a .jsonl.gz tape, or a folder of its parts")
    parser.add_argument("--strategy", choices=STRATEGY_NAMES, help="default: STRATEGY")
    parser.add_argument("--speed", default="max", type=_speed, metavar="N|max",
                        help="times real time; max (the default) does not wait")  # fmt: skip
    warm = parser.add_mutually_exclusive_group()
    warm.add_argument("--cold", action="store_true",
                      help="allow entries although a window is not filled")  # fmt: skip
    warm.add_argument("--warm", action="store_true",
                      help="demand filled windows, as paper and live do; the default for tapes "
                      "this worker recorded, other tapes allow cold ones")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="log lines to the file only")
    return parser.parse_args(arguments)


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    speed = typed_number(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"was {text}, expected a number above 0 or max")
    return speed


def _replay(settings: Settings, options: argparse.Namespace) -> int:
    faults = TapeFaults()
    size = sum(path.stat().st_size for path in tape_files(options.tape))
    bar = ProgressBar(size, "bytes of the tape", shown=options.quiet)
    frames = _shown(read_tape(options.tape, faults, bar.advance), bar)
    first = next(frames, None)
    if first is None:
        raise TapeError(f"{options.tape} holds no frame")
    clock = SimulatedClock(first.received_ns)
    lines = open_log(settings, clock, quiet=options.quiet)
    try:
        return _play_all(settings, options, clock, first, frames, faults)
    finally:
        lines.close()


def _shown(frames: Iterator[TapeFrame], bar: ProgressBar) -> Iterator[TapeFrame]:
    with bar:
        yield from frames


def _play_all(
    settings: Settings,
    options: argparse.Namespace,
    clock: SimulatedClock,
    first: TapeFrame,
    rest: Iterator[TapeFrame],
    faults: TapeFaults,
) -> int:
    allow_cold = options.cold or (not options.warm and first.source_text != Source.WORKER.value)
    with Journal.open_run(settings.journal_directory, Mode.REPLAY, first.received_ns) as journal:

        def write_shadow(market: str, window: ShadowWindow) -> None:
            flow.outlets.write(clock.now_ns(), market, window)

        shadows = Shadows(settings, write_shadow, allow_cold=allow_cold)
        trading = paper_trading(settings, Mode.REPLAY, shadows.listeners)
        flow = build_flow(settings, Mode.REPLAY, journal, allow_cold=allow_cold, trading=trading)
        name = options.tape.name
        started = run_started(settings, flow.strategy, f"replay-{name}", name)
        flow.outlets.write(first.received_ns, "", started)
        began = monotonic_seconds()
        player = Player(flow, clock, Pace(options.speed) if options.speed else None, shadows)
        player.play(first)
        for frame in rest:
            player.play(frame)
        finish(flow, settings, "end of tape", player.last_ns)
        seconds = monotonic_seconds() - began
        run = journal.run
    _print_closing(flow, player, faults, options.tape, seconds, run, allow_cold=allow_cold)
    sys.stdout.write(shadows_table(shadows.duels(), shadows.endings()))
    return 0


class Player:
    """Feeds frames to the engine, at a pace or as fast as it goes."""

    def __init__(
        self, flow: Flow, clock: SimulatedClock, pace: Pace | None, shadows: Shadows
    ) -> None:
        self._engine = flow.engine
        self._shadows = shadows
        self._clock = clock
        self._pace = pace
        self.ingest = Ingest()
        self.frames = 0
        self.unknown_sources = 0
        self.first_ns = self.last_ns = 0

    def play(self, frame: TapeFrame) -> None:
        """Play one frame at its time."""
        now_ns = frame.received_ns
        if self._pace is not None:
            self._pace.wait_for(now_ns)
        self.frames += 1
        self.first_ns = self.first_ns or now_ns
        self.last_ns = now_ns
        self._clock.advance_to(now_ns)
        source = Ingest.source_of(frame.source_text)
        if source is None:
            self.unknown_sources += 1
            return
        on_event, hear = self._engine.on_event, self._shadows.hear
        for event in self.ingest.parse(source, frame.raw, now_ns):
            on_event(event)
            hear(event)
        self._shadows.catch_up()


def _print_closing(
    flow: Flow,
    player: Player,
    faults: TapeFaults,
    tape: Path,
    seconds: float,
    run: Path,
    *,
    allow_cold: bool,
) -> None:
    span = (player.last_ns - player.first_ns) / NS_PER_SECOND
    title = f"\nREPLAY of {tape.name} with {flow.strategy.name} ({flow.strategy.model_id})"
    write = sys.stdout.write
    write(closing_table(title, flow.ledger.report(), flow.ledger.positions(), flow.scorecard))
    write(
        f"{'frames':<22}{player.frames:,} over {span:,.0f} s in {seconds:.2f} s "
        f"({player.frames / max(seconds, 1e-9):,.0f} frames/s)\n"
    )
    write(f"{'warm-up':<22}{'cold windows allowed' if allow_cold else 'as live'}\n")
    for name, count in _oddities(player, flow, faults):
        write(f"{'survived':<22}{name}: {count}\n")
    write(f"{'journal':<22}{run}\n")
    write(f"{'explain it':<22}uv run worker.py why --journal {run}\n")


def _oddities(player: Player, flow: Flow, faults: TapeFaults) -> list[tuple[str, int]]:
    rows = [
        ("frames of unknown sources", player.unknown_sources),
        ("truncated tape files", faults.truncated),
        ("corrupt tape files", faults.corrupt),
        ("malformed tape lines", faults.malformed_lines),
        ("frames out of order", faults.out_of_order),
        *player.ingest.skipped_rows(),
        *((f"board {name}", count) for name, count in flow.board.anomalies()),
    ]
    return [row for row in rows if row[1]]
