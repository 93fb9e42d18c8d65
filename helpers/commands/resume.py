"""`worker.py resume`: end what halts the worker, once you have looked at why.

Shows what stands, asks the worker, and shows what ended. What still lasts (books that differ, a
venue that takes no orders) goes on holding entries until it is over, whatever is typed here.
"""

from __future__ import annotations

import random
import sys

from db.control import ControlLog
from db.control_state import CauseHeld
from db.journal_format import JournalError
from helpers.clock import RealClock
from helpers.commands.operator_control import resume_command
from helpers.commands.operator_verbs import (
    EXIT_UNWRITTEN,
    MODES,
    Asked,
    ask,
    find_target,
    is_running,
    parser_of,
    standing_lines,
    tell,
)
from helpers.domain import OperatorVerb, TradingState


def main(arguments: list[str]) -> int:
    """Resume; see ``helpers.commands.operator_verbs`` for the exit codes."""
    target = find_target(OperatorVerb.RESUME, parser_of(OperatorVerb.RESUME).parse_args(arguments))
    if isinstance(target, int):
        return target
    (mode,) = target.modes
    log = ControlLog(target.folder, mode)
    try:
        code = _resume(log)
        for other in MODES:
            if other is not mode and ControlLog(target.folder, other).read().at_a_start:
                command = resume_command(ControlLog(target.folder, other))
                sys.stdout.write(f"{other}: still halted; {command} ends it\n")
    except JournalError as error:
        sys.stderr.write(f"worker.py resume: {error}\n")
        return EXIT_UNWRITTEN
    return code


def _resume(log: ControlLog) -> int:
    before = log.read().at_a_start
    for line in standing_lines(before):
        sys.stdout.write(f"{log.mode}: halted by {line}\n")
    if not before and not is_running(log):
        sys.stdout.write(f"{log.mode}: nothing is halted on {log.folder}, and no worker runs\n")
        return 0
    (asked,) = ask([log], OperatorVerb.RESUME, "", RealClock(), random.Random())
    code = tell(asked)
    if asked.answer is not None:
        _tell_ended(log, before, asked)
    return code


def _tell_ended(log: ControlLog, before: tuple[CauseHeld, ...], asked: Asked) -> None:
    standing = {held.cause for held in log.read().standing}
    ended = ", ".join(held.cause for held in before if held.cause not in standing)
    if ended:
        sys.stdout.write(f"{log.mode}: ended: {ended}\n")
    if asked.answer is not None and asked.answer.trading is not TradingState.ACTIVE:
        sys.stdout.write(f"{log.mode}: entries stay held until that is over\n")
    else:
        sys.stdout.write(f"{log.mode}: entries are allowed again\n")
