"""`worker.py report`: one HTML file of what a book did, which needs nothing else to be read.

Without ``--mode`` or ``--demo`` the book of the latest run; without a span all of it. Exit codes:
see ``database_reading``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from db.queries import ALL_TIME_NS, Connection, scope_of
from db.queries_report import read_report
from db.query_results import Scope, SessionSeen
from helpers.clock import RealClock
from helpers.commands.database_reading import (
    EXIT_ANSWERED,
    EXIT_UNREADABLE,
    EXIT_USAGE,
    add_book_options,
    answer,
)
from helpers.commands.spans import EXPECTED, parse_moment_ns
from helpers.commands.terminal import write_out
from helpers.commands.verbs import verb_parser
from helpers.web.figures import dollars, percent, win_part
from helpers.web.page import render_report

OUT_DEFAULT: Final = Path("backups/report.html")


def main(arguments: list[str]) -> int:
    """Write the report; return the exit code."""
    options = _parse(arguments)
    made: list[tuple[str, str]] = []

    async def question(connection: Connection, latest: SessionSeen) -> int:
        scope = _scope(options, latest)
        if scope is None:
            return EXIT_USAGE
        read = await read_report(connection, latest, scope)
        totals, unexplained = read.totals, len(read.unexplained)
        summary = (
            f"{latest.book.label}: {totals.trips:,} trades, {percent(win_part(totals))} won, "
            f"{dollars(totals.pnl_micros)} after {dollars(totals.fees_micros, sign=False)} of "
            f"fees; {unexplained:,} unexplained orders\n"
        )
        made.append((render_report(read, RealClock().now_ns()), summary))
        return EXIT_ANSWERED

    code = answer("report", options, question)
    return _write(options.out, *made[0]) if made else code


def _write(out: Path, page: str, summary: str) -> int:
    # After the transaction: a full disk is no database that went away.
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"worker.py report: {error}; name another file with --out\n")
        return EXIT_UNREADABLE
    write_out(f"{summary}{out.resolve()}\n")
    return EXIT_ANSWERED


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = verb_parser("report")
    add_book_options(parser)
    parser.add_argument("--since", metavar="WHEN",
                        help=f"{EXPECTED}; counted back from the last row")  # fmt: skip
    parser.add_argument("--from", dest="begin", metavar="WHEN",
                        help="as --since")  # fmt: skip
    parser.add_argument("--to", dest="end", metavar="WHEN",
                        help="the first moment that is not shown any more")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=Path, default=OUT_DEFAULT,
                        help="where to write it (default: %(default)s)")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.since is not None and (options.begin, options.end) != (None, None):
        parser.error("--since says it all: leave out --from and --to")
    return options


def _scope(options: argparse.Namespace, latest: SessionSeen) -> Scope | None:
    ends = [0, ALL_TIME_NS]
    given = (("--since", options.since, 0), ("--from", options.begin, 0), ("--to", options.end, 1))
    for name, text, place in given:
        if text is None:
            continue
        parsed = parse_moment_ns(text, latest.heartbeat_ns)
        if parsed is None:
            sys.stderr.write(f"worker.py report: {name} was {text!r}, expected {EXPECTED}\n")
            return None
        ends[place] = parsed
    if ends[0] >= ends[1]:
        sys.stderr.write("worker.py report: the span ends before it begins\n")
        return None
    return scope_of(latest, *ends)
