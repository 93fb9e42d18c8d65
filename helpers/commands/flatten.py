"""`worker.py flatten`: close every position now; entries are halted first, until a resume.

Asks to type the mode: the positions are sold at what the book gives. Only a running worker is
asked: closing at a later start what was meant now would surprise. Waits until it says that nothing
is left to sell. Must not: sell anything itself.
"""

from __future__ import annotations

import random
import sys
from typing import Final, TextIO

from db.control import ControlLog
from db.control_state import ControlAnswer
from db.explain_text import clean
from db.journal_format import JournalError
from helpers.clock import RealClock, pause_seconds, system_seconds
from helpers.commands.operator_verbs import (
    EXIT_NO_WORKER,
    EXIT_UNANSWERED,
    EXIT_UNWRITTEN,
    EXIT_USAGE,
    Asked,
    ask,
    find_target,
    is_running,
    parser_of,
    tell,
)
from helpers.domain import Mode, OperatorVerb

REASON: Final = "flatten"
FLAT_SECONDS: Final = 60.0
"""How long the end is waited for; the worker's exits go on without anybody waiting."""
FLAT_LOOK_SECONDS: Final = 0.05


def main(arguments: list[str]) -> int:
    """Flatten; see ``helpers.commands.operator_verbs`` for the exit codes."""
    parser = parser_of(OperatorVerb.FLATTEN)
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
    if asked.answer is None:
        return code
    try:
        return _follow(asked, asked.answer)
    except JournalError as error:
        sys.stderr.write(f"worker.py flatten: {error}; the worker goes on closing\n")
        return EXIT_UNWRITTEN


def _follow(asked: Asked, answer: ControlAnswer) -> int:
    """Wait until nothing is left that could be sold; giving up here stops nothing."""
    log, mode, began_seconds = asked.log, asked.log.mode, system_seconds()
    while not answer.done:
        if system_seconds() - began_seconds > FLAT_SECONDS or not is_running(log):
            sys.stderr.write(
                f"{mode}: not flat after {system_seconds() - began_seconds:.0f} s"
                + ("" if is_running(log) else ", and the worker has ended")
                + ". A running worker goes on until flat: the SAFETY lines exit_attempted, "
                "exit_flat and awaiting_resolution tell how each position ends\n"
            )
            return EXIT_UNANSWERED
        pause_seconds(FLAT_LOOK_SECONDS)
        answer = log.read().answer(asked.request.request_id) or answer
    sys.stdout.write(
        f"{mode}: {clean(answer.detail)} after {system_seconds() - began_seconds:.1f} s\n"
    )
    return 0


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
