"""`worker.py doctor`: looks at everything a trade needs; each failure comes with its fix.

Sends no order and changes nothing; with ``--alert`` it sends a test message to Discord. Without a
key the account's lines are skipped: paper needs none.

    uv run worker.py doctor
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from typing import Final

from db.control import ControlLog
from db.journal_format import JournalError
from helpers import logs
from helpers.clock import Clock, RealClock
from helpers.commands.alert_check import alert_row
from helpers.commands.checks import CheckRow, Problem, look_at
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.database_row import database_row
from helpers.commands.operator_control import resume_command
from helpers.commands.operator_verbs import standing_lines
from helpers.commands.preflight import Preflight
from helpers.commands.terminal import wants_colour, write_out
from helpers.commands.verbs import verb_parser
from helpers.domain import Mode
from helpers.settings import Settings, SettingsError, load_settings
from helpers.venues import Venues

EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 69
MARKS: Final = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}
COLOURS: Final = {"ok": "\x1b[32m", "failed": "\x1b[31m", "skipped": "\x1b[2m"}


def main(arguments: list[str]) -> int:
    """Examine and print; return 0, 69 when a line failed, 78 for wrong settings."""
    parser = verb_parser("doctor")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.add_argument("--demo", action="store_true", help="look at simulated venues instead")
    parser.add_argument("--break", dest="broken", default="", metavar="LINE",
                        help="with --demo: make this line of the table fail")  # fmt: skip
    parser.add_argument("--alert", action="store_true",
                        help="send a test message to Discord, say what became of it")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    warn_unknown_names()
    if options.demo:
        return _demo(settings, options)
    clock = RealClock()
    lines = logs.configure(
        clock=clock, level="error", json_lines=False, directory=None, secrets=settings.secrets()
    )
    try:
        rows = asyncio.run(_examine(settings, clock, alert=options.alert))
    finally:
        lines.close()
    return _tell(rows, as_json=options.json)


async def _examine(settings: Settings, clock: Clock, *, alert: bool) -> tuple[CheckRow, ...]:
    rows = await Preflight(settings, clock, Venues(), random.Random()).examine(feeds=True)
    told = (await alert_row(settings, clock),) if alert else ()
    return (*rows, await halts_row(settings), await database_row(settings), *told)


async def halts_row(settings: Settings) -> CheckRow:
    """Return whether a halt of the armed mode stands; not asked by a worker, which obeys it."""
    mode = Mode.LIVE if settings.live_enabled else Mode.PAPER
    log = ControlLog(settings.journal_directory, mode)

    async def look() -> str:
        try:
            found = log.read().at_a_start
        except JournalError as error:
            raise Problem(f"{error}: a start is halted", f"make {log.path} readable") from error
        if found:
            raise Problem(f"{mode}: {'; '.join(standing_lines(found))}", resume_command(log))
        return f"none stands for {mode}"

    return await look_at("halts", look)


def _demo(settings: Settings, options: argparse.Namespace) -> int:
    from helpers.commands.doctor_demo import AILMENT_NAMES, examine_demo  # the simulator is big

    if options.broken and options.broken not in AILMENT_NAMES:
        known = ", ".join(AILMENT_NAMES)
        sys.stderr.write(f"worker.py doctor: cannot break '{options.broken}', only {known}\n")
        return EXIT_USAGE
    lines = logs.configure(clock=RealClock(), level="error", json_lines=False, directory=None)
    try:
        return _tell(
            examine_demo(settings, options.broken, alert=options.alert), as_json=options.json
        )
    finally:
        lines.close()


def _tell(rows: Sequence[CheckRow], *, as_json: bool) -> int:
    if as_json:
        fields = [{name: getattr(row, name) for name in row.__struct_fields__} for row in rows]
        write_out(json.dumps(fields, indent=2) + "\n")
    else:
        write_out(table(rows, colour=wants_colour(sys.stdout)))
    return EXIT_UNAVAILABLE if any(row.state == "failed" for row in rows) else 0


def table(rows: Sequence[CheckRow], *, colour: bool) -> str:
    """Return the rows for people; a failed one is followed by its fix."""
    width = max(len(row.name) for row in rows)
    text = ""
    for row in rows:
        mark = f"{MARKS[row.state]:<7}"
        if colour:
            mark = f"{COLOURS[row.state]}{mark}\x1b[0m"
        text += f"{mark}  {row.name:<{width}}  {row.found}\n"
        if row.fix:
            text += f"{'':<7}  {'':<{width}}  fix: {row.fix}\n"
    failed = sum(row.state == "failed" for row in rows)
    return text + (f"{failed} of {len(rows)} failed\n" if failed else "nothing failed\n")
