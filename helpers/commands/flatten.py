"""`worker.py flatten`: close every position now; entries are halted first, until a resume.

Asks to type the mode: the positions are sold at what the book gives. Only a running worker is
asked: closing at a later start what was meant now would surprise. Must not: sell anything itself.
"""

from __future__ import annotations

import random
import sys
from typing import TextIO

from db.control import ControlLog
from db.journal_format import JournalError
from helpers.clock import RealClock
from helpers.commands.operator_verbs import (
    EXIT_NO_WORKER,
    EXIT_UNWRITTEN,
    EXIT_USAGE,
    ask,
    find_target,
    is_running,
    parser_of,
    tell,
)
from helpers.domain import Mode, OperatorVerb

REASON = "flatten"


def main(arguments: list[str]) -> int:
    """Flatten; see ``helpers.commands.operator_verbs`` for the exit codes."""
    parser = parser_of(OperatorVerb.FLATTEN, __doc__)
    parser.add_argument("--yes-I-mean", dest="meant", default="", metavar="MODE",
                        help="the mode, instead of being asked for it")  # fmt: skip
    options = parser.parse_args(arguments)
    target = find_target(OperatorVerb.FLATTEN, options)
    if isinstance(target, int):
        return target
    (mode,) = target.modes
    log = ControlLog(target.folder, mode)
    try:
        if not is_running(log):
            sys.stderr.write(
                f"{mode}: no worker runs on {log.folder}: nobody is there to close a position. "
                "Nothing was written; start the worker and flatten then.\n"
            )
            return EXIT_NO_WORKER
    except JournalError as error:
        sys.stderr.write(f"worker.py flatten: {error}\n")
        return EXIT_UNWRITTEN
    if not confirmed(options.meant, mode, sys.stdin, sys.stdout):
        return EXIT_USAGE
    (asked,) = ask([log], OperatorVerb.FLATTEN, REASON, RealClock(), random.Random())
    code = tell(asked)
    if asked.answer is not None:
        sys.stdout.write(
            f"{mode}: the SAFETY lines exit_attempted, exit_flat and awaiting_resolution tell how "
            "each position ends\n"
        )
    return code


def confirmed(meant: str, mode: Mode, answers: TextIO, out: TextIO) -> bool:
    """Say whether somebody named the mode: ``meant`` on the command line, else at a terminal."""
    if meant:
        given = meant
    elif answers.isatty():
        out.write(
            f"Every {mode} position is sold now at what its book gives, and entries are halted.\n"
            f"type {mode} to go on: "
        )
        out.flush()
        given = answers.readline().strip()
    else:
        sys.stderr.write(
            f"worker.py flatten: nobody to ask here (no terminal): add --yes-I-mean {mode}\n"
        )
        return False
    if given != mode.value:
        sys.stderr.write(f"worker.py flatten: was {given!r}, expected {mode}. Nothing was asked.\n")
        return False
    return True
