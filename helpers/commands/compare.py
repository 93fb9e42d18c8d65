"""`worker.py compare A B`: what A earns more than B per window, paired, with its 95 % interval.

On tapes or simulated windows, as `backtest`; or with `--sql` from what a run and its shadows did,
where a name is a shadow's or `champion`, the strategy that traded. With `--margin D` the exit code
says whether A beats B: 0 when the whole interval of the difference lies above D dollars a window.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

import msgspec

from db.queries import Connection, find_shadow_windows, scope_of
from db.query_results import SessionSeen
from helpers.commands.backtest import (
    EXIT_FAILED,
    EXIT_UNREADABLE,
    EXIT_USAGE,
    evaluated,
    parse,
    parser,
    settings_of,
)
from helpers.commands.config import report_settings_error
from helpers.commands.contenders import Contender, ContenderError, Style, parse_strategies
from helpers.commands.database_reading import EXIT_ANSWERED, add_book_options, answer
from helpers.commands.evaluation_tasks import EvaluationLostError
from helpers.commands.shadow_reading import shadow_results
from helpers.commands.spans import EXPECTED, parse_moment_ns
from helpers.commands.terminal import write_out
from helpers.commands.verbs import verb_parser
from helpers.evaluation.bootstrap import LEVEL
from helpers.evaluation.comparison import Duel, duel
from helpers.evaluation.text import difference_text, interval_text, signed
from helpers.evaluation.windows import WindowResult
from helpers.settings import SettingsError
from helpers.tape import TapeError
from strategies.base import ModelError

EXIT_NOT_BETTER: Final = 1


def main(arguments: list[str]) -> int:
    """Compare; return 0, 1 when ``--margin`` is not met, else as ``backtest`` and ``report``."""
    return _compare_sql(arguments) if "--sql" in arguments else _compare_played(arguments)


def _compare_played(arguments: list[str]) -> int:
    made = parser("compare", ("ours", "theirs"))
    made.add_argument("--sql", action="store_true",
                      help="ask the database instead; options: compare A B --sql -h")  # fmt: skip
    _add_margin(made)
    options = parse(made, arguments)
    if options.style and len(options.style) > 1:
        made.error("one --style at a time: it is the same for both")
    try:
        settings = settings_of(options)
        names = parse_strategies(
            f"{options.ours},{options.theirs}", simulated=options.simulated is not None
        )
        if len(names) == 1:
            made.error(f"{names[0]} was named twice, expected two strategies")
        style: Style = options.style[0] if options.style else settings.execution_style
        _, outcome = evaluated(settings, options, tuple(Contender(one, style) for one in names))
    except SettingsError as error:
        return report_settings_error(error)
    except ContenderError as error:
        sys.stderr.write(f"worker.py compare: {error}\n")
        return EXIT_USAGE
    except (TapeError, ModelError, ValueError) as error:
        sys.stderr.write(f"worker.py compare: {error}\n")
        return EXIT_UNREADABLE
    except EvaluationLostError as error:
        sys.stderr.write(f"worker.py compare: {error}\n")
        return EXIT_FAILED
    return _answer(options, outcome.results, names[0], names[1])


def _compare_sql(arguments: list[str]) -> int:
    made = verb_parser("compare", prog="worker.py compare A B --sql")
    made.add_argument("ours", metavar="A", help="a shadow's name, or champion")
    made.add_argument("theirs", metavar="B", help="a shadow's name, or champion")
    made.add_argument("--sql", action="store_true", required=True)
    add_book_options(made)
    made.add_argument("--since", metavar="WHEN", help=f"{EXPECTED}; counted back from the last row")
    made.add_argument("--json", action="store_true", help="one JSON document")
    _add_margin(made)
    options = made.parse_args(arguments)

    async def question(connection: Connection, latest: SessionSeen) -> int:
        since_ns = 0
        if options.since is not None:
            parsed = parse_moment_ns(options.since, latest.heartbeat_ns)
            if parsed is None:
                sys.stderr.write(f"worker.py compare: --since was no {EXPECTED}\n")
                return EXIT_USAGE
            since_ns = parsed
        rows = await find_shadow_windows(connection, scope_of(latest, since_ns))
        return _answer(options, shadow_results(rows), options.ours, options.theirs)

    return answer("compare", options, question)


def _add_margin(made: argparse.ArgumentParser) -> None:
    made.add_argument("--margin", type=float, metavar="D",
                      help="dollars a window A must be better by, else exit code 1")  # fmt: skip


def _answer(
    options: argparse.Namespace, results: tuple[WindowResult, ...], ours: str, theirs: str
) -> int:
    found = duel(
        [row for row in results if row.contender == ours],
        [row for row in results if row.contender == theirs],
    )
    if found is None:
        known = ", ".join(dict.fromkeys(row.contender for row in results)) or "nobody"
        sys.stderr.write(
            f"worker.py compare: {ours} and {theirs} have no whole window in common; "
            f"there are windows of {known}\n"
        )
        return EXIT_UNREADABLE
    if options.json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    else:
        text = duel_text(found, theirs)
    write_out(text)
    if options.margin is None or found.difference.above(options.margin):
        return EXIT_ANSWERED
    sys.stderr.write(f"worker.py compare: {ours} is not better by {options.margin:g} a window\n")
    return EXIT_NOT_BETTER


def duel_text(found: Duel, champion: str) -> str:
    """Return two strategies and their difference for people."""
    pnl, other = found.challenger_pnl, found.champion_pnl
    width = max(len(found.challenger), len(champion), len("difference"))
    lines = (
        f"{found.windows:,} windows in {pnl.clusters:,} independent stretches of time, "
        f"net dollars a window, {LEVEL:.0%} intervals",
        f"{found.challenger:<{width}}  {signed(pnl.mean)}  ({interval_text(pnl)})  "
        f"{found.challenger_trips:,} trades",
        f"{champion:<{width}}  {signed(other.mean)}  ({interval_text(other)})  "
        f"{found.champion_trips:,} trades",
        f"{'difference':<{width}}  {difference_text(found.difference)}  paired, window by window",
    )
    return "\n".join(lines) + "\n"
