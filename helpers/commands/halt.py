"""`worker.py halt "reason"`: no entry from now on; exits go on. Stands until `worker.py resume`.

The request is on the disk before anything else; a running worker obeys within a second and answers
itself, one that starts later obeys before its first decision. Must not: close a position; that is
`worker.py flatten`.
"""

from __future__ import annotations

import random

from db.control import ControlLog
from helpers.clock import RealClock
from helpers.commands.operator_verbs import ask, find_target, parser_of, tell
from helpers.domain import OperatorVerb


def main(arguments: list[str]) -> int:
    """Halt; see ``helpers.commands.operator_verbs`` for the exit codes."""
    parser = parser_of(OperatorVerb.HALT)
    parser.add_argument("reason", help="why, for the journal and for whoever resumes")
    options = parser.parse_args(arguments)
    if not options.reason.strip():
        parser.error("the reason was empty")
    target = find_target(OperatorVerb.HALT, options)
    if isinstance(target, int):
        return target
    logs = [ControlLog(target.folder, mode) for mode in target.modes]
    asked = ask(logs, OperatorVerb.HALT, options.reason, RealClock(), random.Random())
    return max(tell(one) for one in asked)
