"""``worker.py why``: says what was traded and refused, and why.

From the database, of the latest run of a book, like ``status``; from the journal files themselves
with ``--journal``, where no database can be used (told in one line), and for a replay, which is in
no database: without ``--mode`` and ``--demo`` that is explained when nothing on this disk was begun
after it. Must not: trade, or write to a journal. Works while a worker runs, and on what a dead one
left.

Exit codes: 0 answered; 2 usage, nothing has run, or a market that is not there; 70 the journal is
damaged (what lies before the damage is still told); 78 settings.

``--json`` prints one document; its keys are the fields of ``db.explain_report.Report``:
``since_ns``, ``rows``, ``runs``, ``markets`` (each with ``actions``, ``reasons``, ``invalid``,
``entries``, ``refusals``, ...), ``moments``, ``warnings``. Keys are stable: some may be added, none
goes.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import sys
from pathlib import Path
from typing import Final

import msgspec

from db.explain import LAST_DEFAULT
from db.explain_report import Report
from db.explain_text import clean, report_lines
from db.journal_format import JournalError
from helpers.commands.config import report_settings_error
from helpers.commands.database_reading import (
    NoDatabaseError,
    add_book_options,
    chosen_books,
    nothing_has_run,
)
from helpers.commands.spans import EXPECTED
from helpers.commands.terminal import write_out
from helpers.commands.verbs import verb_parser
from helpers.commands.why_database import explain_latest
from helpers.commands.why_journal import (
    Answer,
    Asked,
    NoAnswerError,
    explain_journal,
    explain_run,
    newest_run,
)
from helpers.domain import Mode
from helpers.settings import SettingsError, load_settings

LAST_LIMIT: Final = 1000
"""Entries and refusals that one answer can hold."""
EXIT_ANSWERED: Final = 0
EXIT_USAGE: Final = 2
EXIT_DAMAGED: Final = 70


def main(arguments: list[str]) -> int:
    """Answer; return 0, 2, 70, or 78 for wrong settings (they say where everything is)."""
    parser = verb_parser("why")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``why``."""
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help=f"{EXPECTED}, counted back from the last row, UTC unless it says otherwise. Earlier "
        "runs of the same book are read as far as needed",
    )
    parser.add_argument("--market", metavar="SLUG", default="", help="one market only, in detail")
    add_book_options(parser)
    parser.add_argument(
        "--journal",
        metavar="PATH",
        type=Path,
        help="read these files instead: a journal folder, one run in it, or one segment",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document, stable keys")
    parser.add_argument(
        "--last",
        metavar="N",
        type=_last,
        default=LAST_DEFAULT,
        help=f"entries and refusals to show, 1 to {LAST_LIMIT} (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Answer on standard output and return the exit code."""
    asked = Asked(arguments.since, arguments.market, arguments.last)
    journal: Path | None = arguments.journal
    try:
        if journal is None:
            answer = _of_the_latest(arguments.mode, asked, demo=arguments.demo)
        elif arguments.mode or arguments.demo:
            return _refuse("--journal names the run already: leave --mode and --demo out")
        else:
            answer = explain_journal(journal, asked)
    except SettingsError as error:
        return report_settings_error(error)
    except NoAnswerError as error:
        return _refuse(str(error))
    except (JournalError, OSError) as error:
        sys.stderr.write(f"why: {clean(str(error))}\n")
        return EXIT_DAMAGED
    report, damaged = answer
    if asked.market and not report.markets and not damaged:
        return _refuse(_not_in_journal(asked.market, report))
    if arguments.json:
        text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    else:
        text = "\n".join(report_lines(report, asked.last, one_market=bool(asked.market)))
    write_out(text + "\n")
    return EXIT_DAMAGED if damaged else EXIT_ANSWERED


def _of_the_latest(mode: str, asked: Asked, *, demo: bool) -> Answer:
    settings = load_settings()
    books = chosen_books(mode, demo=demo)
    newest = newest_run(settings.journal_directory, books, replays=not (mode or demo))
    if newest is not None and newest.mode is Mode.REPLAY:
        return explain_run(newest, asked)
    own_server = settings.database_url is None
    if newest is None and own_server and not settings.embedded_postgres_directory.exists():
        # A server would be made for nothing but to be empty.
        raise NoAnswerError(nothing_has_run(settings, books))
    try:
        return asyncio.run(explain_latest(settings, books, asked))
    except NoDatabaseError as error:
        sys.stderr.write(f"why: {clean(str(error))}; the journals are read instead\n")
    if newest is None:
        raise NoAnswerError(nothing_has_run(settings, books))
    return explain_run(newest, asked)


def _not_in_journal(market: str, report: Report) -> str:
    known = report.markets_left_out
    close = difflib.get_close_matches(market, known, n=3) or list(known[-3:])
    hint = f"; it has {', '.join(close)}" if close else "; it has no market at all"
    return f"market {market!r} is not in this run{hint}"


def _refuse(message: str) -> int:
    sys.stderr.write(f"why: {clean(message)}\n")
    return EXIT_USAGE


def _last(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LAST_LIMIT:
        raise argparse.ArgumentTypeError(f"was {text!r}, expected 1 to {LAST_LIMIT}")
    return int(text)
