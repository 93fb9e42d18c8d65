"""``worker.py why``: says from the journal what was traded and refused, and why.

Must not: trade, or write anything. Works while a worker runs, and on the journal of a dead one.

Exit codes: 0 answered; 2 usage, no journal found, or a market that is not in it; 70 the journal is
damaged (what lies before the damage is still told); 78 settings.

``--json`` prints one document; its keys are the fields of ``db.explain_report.Report``:
``since_ns``, ``rows``, ``runs``, ``markets`` (each with ``actions``, ``reasons``, ``invalid``,
``entries``, ``refusals``, ...), ``moments``, ``warnings``. Keys are stable: some may be added, none
goes.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import Final

import msgspec

from db.explain import LAST_DEFAULT, Explainer
from db.explain_report import Report
from db.explain_text import clean, report_lines
from db.journal import (
    JournalDamagedError,
    JournalError,
    JournalFaults,
    latest_run,
    list_runs,
    read_journal,
)
from db.journal_reading import last_moment_ns, list_segments
from helpers.commands.config import report_settings_error
from helpers.commands.spans import EXPECTED, parse_moment_ns
from helpers.commands.terminal import write_out
from helpers.domain import Mode
from helpers.settings import SettingsError, load_settings

JOURNAL_FOLDER: Final = Path("backups/journal")
"""Where the worker keeps its journal, from the folder it is started in."""
LAST_LIMIT: Final = 1000
"""Entries and refusals that one answer can hold."""
EXIT_ANSWERED: Final = 0
EXIT_USAGE: Final = 2
EXIT_DAMAGED: Final = 70


def main(arguments: list[str]) -> int:
    """Answer; return 0, 2, 70, or 78 for wrong settings (they say where the journal is)."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    parser = argparse.ArgumentParser(
        prog="worker.py why", description="Say what was traded and refused, and why."
    )
    add_arguments(parser, settings.journal_directory)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser, journal: Path = JOURNAL_FOLDER) -> None:
    """Declare the options of ``why``; ``journal`` is where to look unless told."""
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="1h, 30m, 90 (seconds), counted back from the last row; or an ISO time, UTC unless it "
        "says otherwise. Earlier runs of the same mode are read as far as needed",
    )
    parser.add_argument("--market", metavar="SLUG", default="", help="one market only, in detail")
    parser.add_argument(
        "--journal",
        metavar="PATH",
        type=Path,
        default=journal,
        help="a journal folder, one run in it, or one segment (default: %(default)s)",
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
    journal: Path = arguments.journal
    market: str = arguments.market
    last: int = arguments.last
    try:
        paths = _choose_runs(journal)
        if not paths:
            return _refuse(
                f"no journal was found in {journal.resolve()}: nothing has run yet{_demos(journal)}"
            )
        since_ns: int | None = 0
        if arguments.since is not None:
            since_ns = parse_moment_ns(arguments.since, last_moment_ns(paths[-1]) or 0)
        if since_ns is None:
            return _refuse(f"--since was {arguments.since!r}, expected {EXPECTED}")
        paths = _reaching_back(paths, since_ns)
        report, damaged = _explain(paths, since_ns, market, last)
    except JournalError as error:
        sys.stderr.write(f"why: {clean(str(error))}\n")
        return EXIT_DAMAGED
    if market and not report.markets and not damaged:
        return _refuse(_not_in_journal(market, report))
    if arguments.json:
        text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    else:
        text = "\n".join(report_lines(report, last, one_market=bool(market)))
    write_out(text + "\n")
    return EXIT_DAMAGED if damaged else EXIT_ANSWERED


def _choose_runs(journal: Path) -> list[Path]:
    # Candidates, oldest first; the last one is what is explained by default.
    if journal.is_file():
        return [journal]
    runs = list_runs(journal)
    if not runs:
        return [journal] if journal.is_dir() and list_segments(journal) else []
    newest = latest_run(journal)
    mode = next((run.mode for run in runs if run.path == newest), None)
    return [run.path for run in runs if run.mode is mode and newest and run.path <= newest]


def _demos(journal: Path) -> str:
    # A demo keeps its journal apart from a real worker's.
    found = [str(path) for path in sorted(journal.glob("demo-*")) if list_runs(path)]
    return f"; a demo's journal is read with --journal {' or '.join(found)}" if found else ""


def _reaching_back(paths: list[Path], since_ns: int) -> list[Path]:
    chosen = paths[-1:]
    # Replays of one tape would only repeat each other.
    if not since_ns or chosen[0].name.endswith(Mode.REPLAY.value):
        return chosen
    for path in reversed(paths[:-1]):
        last_ns = last_moment_ns(path)
        if last_ns is not None and last_ns < since_ns:
            break
        chosen.insert(0, path)
    return chosen


def _explain(paths: list[Path], since_ns: int, market: str, last: int) -> tuple[Report, bool]:
    explainer = Explainer(since_ns, market, last)
    faults = JournalFaults()
    warnings: list[str] = []
    for path in paths:
        try:
            for record in read_journal(path, faults):
                explainer.add(record)
        except JournalDamagedError as error:
            warnings.append(f"{error}; rows after it are not told")
    torn = [] if faults.torn_tail is None else [f"{faults.torn_tail}; a crash leaves that"]
    report = explainer.report(faults.unknown_kinds.items(), torn + warnings)
    return report, bool(warnings)


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
