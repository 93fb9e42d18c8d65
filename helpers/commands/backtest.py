"""`worker.py backtest`: what strategies would have earned per window, with 95 % intervals.

On tapes, or on windows of the calibrated simulator (`--simulated N`), through the flow that
trades: the same features, gate, sizing, latency, taker hold and fees. Profit is net: fills at
executable prices, fees paid, settlements at 0 or 1. Limits of the account (daily loss, losing
streak, rejections) do not stop a strategy here unless you say `--keep-halts`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from helpers.clock import RealClock
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.contenders import (
    EXPECTED,
    STYLES,
    Contender,
    ContenderError,
    Style,
    contenders_of,
    label,
    parse_strategies,
)
from helpers.commands.evaluating import EvaluationSettings
from helpers.commands.evaluation_tasks import (
    PROCESSES_MAXIMUM,
    EvaluationLostError,
    Outcome,
    Task,
    default_processes,
    run_tasks,
)
from helpers.commands.terminal import aligned, write_out
from helpers.commands.verbs import verb_parser
from helpers.evaluation.comparison import FOLDS_MAXIMUM, Comparison, compare
from helpers.evaluation.text import (
    HEADS,
    NUMBERS,
    fold_heads,
    fold_rows,
    standing_cells,
    verdicts,
)
from helpers.settings import Settings, SettingsError, load_settings
from helpers.tape import TapeError
from helpers.web.evaluation_page import render_evaluation
from strategies.base import ModelError

EXIT_USAGE: Final = 2
EXIT_FAILED: Final = 70
EXIT_UNREADABLE: Final = 66
"""sysexits' EX_NOINPUT: a tape or a model cannot be read, or no tape holds a whole window."""
FOLDS_DEFAULT: Final = 3
ROUNDS_A_RUN: Final = 2
"""Windows in a row of one simulated world: building its hour of history costs as much as one."""
SIMULATED_MAXIMUM: Final = 10_000
"""Simulated windows of one call: hours of work."""


def main(arguments: list[str]) -> int:
    """Evaluate; return 0, 2 usage, 66 what cannot be read, 70 a process lost, 78 settings."""
    options = parse(parser("backtest"), arguments)
    strategies = options.strategy or ""
    try:
        settings = settings_of(options)
        names = parse_strategies(
            strategies or settings.strategy, simulated=options.simulated is not None
        )
        styles: tuple[Style, ...] = tuple(options.style or [settings.execution_style])
        comparison, outcome = evaluated(settings, options, contenders_of(names, styles))
    except SettingsError as error:
        return report_settings_error(error)
    except ContenderError as error:
        sys.stderr.write(f"worker.py backtest: {error}\n")
        return EXIT_USAGE
    except (TapeError, ModelError, ValueError) as error:
        sys.stderr.write(f"worker.py backtest: {error}\n")
        return EXIT_UNREADABLE
    except EvaluationLostError as error:
        sys.stderr.write(f"worker.py backtest: {error}\n")
        return EXIT_FAILED
    tell(options, comparison, outcome)
    return 0


def parser(verb: str, leading: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the options that every verb that evaluates has; ``leading`` come before the tapes."""
    made = verb_parser(verb)
    for name in leading:
        made.add_argument(name, help=f"one of: {EXPECTED}")
    made.add_argument("tapes", nargs="*", type=Path, help="tapes, or folders of their parts")
    made.add_argument("--simulated", type=int, metavar="N",
                      help="instead of tapes: about N simulated windows")  # fmt: skip
    made.add_argument("--seed", type=int, default=1, metavar="S",
                      help="the first simulated world's seed; the next ones follow "
                      "(default: %(default)s)")  # fmt: skip
    made.add_argument("--style", action="append", choices=STYLES,
                      help="how entries meet the book; may be given several times "
                      "(default: EXECUTION_STYLE)")  # fmt: skip
    made.add_argument("--latency-ms", type=int, metavar="MS", help="instead of PAPER_LATENCY_MS")
    made.add_argument("--taker-hold-ms", type=int, metavar="MS",
                      help="instead of PAPER_TAKER_HOLD_MS")  # fmt: skip
    made.add_argument("--folds", type=int, default=FOLDS_DEFAULT, metavar="K",
                      help="consecutive stretches of time (default: %(default)s)")  # fmt: skip
    made.add_argument("--keep-halts", action="store_true",
                      help="let the account's limits stop a strategy, as they would")  # fmt: skip
    made.add_argument("--partial", action="store_true",
                      help="count windows that were not seen from their opening, too")  # fmt: skip
    warm = made.add_mutually_exclusive_group()
    warm.add_argument("--cold", action="store_true", help="allow entries on unfilled windows")
    warm.add_argument("--warm", action="store_true", help="demand filled windows, as live does")
    made.add_argument("--processes", type=int, default=default_processes(), metavar="P",
                      help="tapes or worlds at once (default: %(default)s)")  # fmt: skip
    made.add_argument("--bootstrap-seed", type=int, default=0, help=argparse.SUPPRESS)
    made.add_argument("--html", type=Path, metavar="FILE", help="write a page, too")
    made.add_argument("--json", action="store_true", help="write everything as JSON instead")
    if not leading:
        made.add_argument("--strategy", metavar="A,B,...", help=f"any of: {EXPECTED}")
    return made


def parse(made: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Return the options; exits with 2 when they contradict each other."""
    options = made.parse_args(arguments)
    if bool(options.tapes) == (options.simulated is not None):
        made.error("name tapes, or --simulated N: one of the two")
    if options.simulated is not None and not 1 <= options.simulated <= SIMULATED_MAXIMUM:
        made.error(f"--simulated was {options.simulated}, expected 1 to {SIMULATED_MAXIMUM}")
    if not 1 <= options.folds <= FOLDS_MAXIMUM:
        made.error(f"--folds was {options.folds}, expected 1 to {FOLDS_MAXIMUM}")
    if not 1 <= options.processes <= PROCESSES_MAXIMUM:
        made.error(f"--processes was {options.processes}, expected 1 to {PROCESSES_MAXIMUM}")
    if options.seed < 0:
        made.error(f"--seed was {options.seed}, expected 0 or more")
    if options.style:
        options.style = list(dict.fromkeys(options.style))
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings with what the options say; raises ``SettingsError``."""
    given: dict[str, Any] = {
        "paper_latency_ms": options.latency_ms,
        "paper_taker_hold_ms": options.taker_hold_ms,
    }
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    warn_unknown_names()
    return settings


def evaluated(
    settings: Settings, options: argparse.Namespace, contenders: tuple[Contender, ...]
) -> tuple[Comparison, Outcome]:
    """Run everything and compare.

    Raises ``ContenderError`` for what cannot be evaluated so, ``TapeError``, ``ModelError``, and
    ``ValueError`` when there is no window to compare on.
    """
    if options.simulated is not None and "4h" in settings.windows:
        raise ContenderError(f"WINDOWS were {','.join(settings.windows)}; 4h is not simulated")
    several = len({contender.style for contender in contenders}) > 1
    named = tuple((label(one, several_styles=several), one) for one in contenders)
    cold = True if options.cold else False if options.warm else None
    how = EvaluationSettings(options.keep_halts, options.partial, cold)
    for contender in contenders:
        if not contender.is_oracle:
            contender.build(settings)  # a model that cannot be used is told before hours of work
    outcome = run_tasks(_tasks(settings, options, named, how), options.processes)
    title = (
        f"Backtest on {len(options.tapes)} tape(s)"
        if options.tapes
        else f"Backtest on simulated windows, seeds from {options.seed}"
    )
    comparison = compare(
        title,
        outcome.results,
        folds=options.folds,
        seed=options.bootstrap_seed,
        notes=_notes(settings, options, outcome, contenders),
        ceilings=[name for name, contender in named if contender.is_oracle],
    )
    return comparison, outcome


def tell(options: argparse.Namespace, comparison: Comparison, outcome: Outcome) -> None:
    """Print the comparison, and write its page where one is wanted."""
    if options.html is not None:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        page = render_evaluation(comparison, RealClock().now_ns())
        options.html.write_text(page, encoding="utf-8")
    if options.json:
        found = {"comparison": comparison, "windows": outcome.results}
        write_out(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    write_out(comparison_text(comparison))
    if options.html is not None:
        write_out(f"{options.html.resolve()}\n")


def comparison_text(comparison: Comparison) -> str:
    """Return the comparison as tables."""
    rows = [standing_cells(standing) for standing in comparison.standings]
    heads, folds = fold_heads(comparison), fold_rows(comparison)
    parts = [
        f"{comparison.title}: {comparison.windows:,} windows in {comparison.clusters:,} "
        "independent stretches of time\n",
        aligned(HEADS, rows, NUMBERS),
        "".join(f"{line}\n" for line in verdicts(comparison)),
    ]
    if len(heads) > 2:  # noqa: PLR2004  # a single fold is the whole
        parts.append(aligned(heads, folds, frozenset(range(1, len(heads)))))
    parts.append("".join(f"{note}\n" for note in comparison.notes))
    return "\n".join(parts)


def _tasks(
    settings: Settings,
    options: argparse.Namespace,
    named: tuple[tuple[str, Contender], ...],
    how: EvaluationSettings,
) -> tuple[Task, ...]:
    if options.tapes:
        return tuple(Task(tape, 0, 0, named, settings, how) for tape in options.tapes)
    longest = max(settings.window_seconds())
    a_round = len(settings.assets) * sum(longest // each for each in settings.window_seconds())
    rounds = -(-options.simulated // a_round)
    runs = -(-rounds // ROUNDS_A_RUN)
    return tuple(
        Task(
            None,
            options.seed + run,
            min(ROUNDS_A_RUN, rounds - run * ROUNDS_A_RUN),
            named,
            settings,
            how,
        )
        for run in range(runs)
    )


def _notes(
    settings: Settings,
    options: argparse.Namespace,
    outcome: Outcome,
    contenders: tuple[Contender, ...],
) -> tuple[str, ...]:
    notes = [
        f"Orders take {settings.paper_latency_ms} ms to the venue, takers are held "
        f"{settings.paper_taker_hold_ms} ms; {settings.trade_size:g} dollars at full confidence; "
        f"entries: {', '.join(dict.fromkeys(one.style for one in contenders))}.",
        "Account limits stop a strategy, as they would."
        if options.keep_halts
        else "Account limits (daily loss, losing streak, rejections) stop nobody here.",
    ]
    if options.simulated is not None:
        notes.append("The windows are simulated: this says nothing of what the venue would pay.")
    if outcome.late:
        counted = "counted all the same" if options.partial else "left out (--partial counts them)"
        notes.append(f"{outcome.late:,} windows were not seen from their opening: {counted}.")
    if outcome.unresolved:
        notes.append(f"{outcome.unresolved:,} windows were not resolved on the tape: left out.")
    return tuple(notes)
