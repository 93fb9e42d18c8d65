"""What `halt`, `resume` and `flatten` share: where to write, who runs, waiting for the answer.

Nothing a halt needs can refuse it: no key, no armed wallet, no complete settings. Must not: say
that something was done before the worker itself said so (I30).

Exit codes of the three: 0 done; 1 a worker runs and did not answer, or is not flat yet; 2 usage, or
not confirmed; 69 `flatten` while no worker runs; 70 the control log cannot be read or written; 78
settings.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from db.control import ControlLog
from db.control_state import (
    CauseHeld,
    ControlAnswer,
    ControlRequest,
    fitting,
    new_request_id,
)
from db.explain_text import clean
from db.file_lease import is_held, lease_path
from db.journal_format import JournalError
from helpers.clock import Clock, pause_seconds, system_seconds
from helpers.commands.config import report_settings_error
from helpers.commands.verbs import verb_parser
from helpers.domain import NS_PER_SECOND, Message, Mode, OperatorVerb
from helpers.settings import SettingsError, load_settings

EXIT_UNANSWERED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NO_WORKER: Final = 69
EXIT_UNWRITTEN: Final = 70
MODES: Final = (Mode.PAPER, Mode.LIVE)
"""Modes that have a worker; a replay is over before anybody could stop it."""
JOURNAL_TRACES: Final = ("numbering.lock", "trader_*.lock", "control_*.jsonl")
"""Whichever of them is in a folder, it is a journal's."""
ANSWER_SECONDS: Final = 5.0
"""Five times what a running worker needs at most."""
ANSWER_LOOK_SECONDS: Final = 0.01
LOCK_WAIT_SECONDS: Final = 3.0
"""For another one that writes the log: milliseconds, unless it or its disk is stuck."""


class Target(Message, frozen=True):
    """Whom a verb speaks to."""

    folder: Path
    modes: tuple[Mode, ...]


class Asked(Message, frozen=True):
    """A request, and what came of it so far."""

    log: ControlLog
    request: ControlRequest
    written_seconds: float
    """When it was on the disk."""
    waited_seconds: float = 0.0
    answer: ControlAnswer | None = None
    runs: bool = True
    """Whether a worker of the mode runs."""
    failure: str = ""
    """Why it could not be written, or its answer not be read."""


def parser_of(verb: OperatorVerb) -> argparse.ArgumentParser:
    """Return a parser with the options all three have."""
    parser = verb_parser(verb)
    every = "both" if verb is OperatorVerb.HALT else "the mode LIVE_ENABLED arms"
    parser.add_argument("--mode", choices=[mode.value for mode in MODES], default="",
                        help=f"whose worker (default: {every})")  # fmt: skip
    parser.add_argument("--journal", type=Path, default=None, metavar="DIR",
                        help="the worker's journals (default: JOURNAL_DIRECTORY)")  # fmt: skip
    return parser


def find_target(verb: OperatorVerb, options: argparse.Namespace) -> Target | int:
    """Return whom to speak to, or the exit code after saying why that is not known.

    Settings are looked at only for what the options leave open.
    """
    modes = (Mode(options.mode),) if options.mode else ()
    if verb is OperatorVerb.HALT:
        modes = modes or MODES
    folder: Path | None = options.journal
    if folder is None or not modes:
        try:
            settings = load_settings()
        except SettingsError as error:
            code = report_settings_error(error)
            sys.stderr.write(
                f"Without settings: worker.py {verb} --journal DIR --mode paper|live\n"
            )
            return code
        folder = folder or settings.journal_directory
        modes = modes or ((Mode.LIVE,) if settings.live_enabled else (Mode.PAPER,))
    folder = folder.absolute()
    if not (folder.is_dir() if options.journal is None else _is_a_journals(folder)):
        # Any other folder would take the request, and no worker would ever read it (I30).
        sys.stderr.write(
            f"worker.py {verb}: no worker has ever run on {folder}: start this where the worker "
            "was started, or name its journal folder with --journal\n"
        )
        return EXIT_USAGE
    return Target(folder, modes)


def _is_a_journals(folder: Path) -> bool:
    """Return whether a worker has been here, or an operator before its first start."""
    return any(next(folder.glob(trace), None) is not None for trace in JOURNAL_TRACES)


def ask(
    logs: Sequence[ControlLog],
    verb: OperatorVerb,
    reason: str,
    clock: Clock,
    rng: random.Random,
    answer_seconds: float = ANSWER_SECONDS,
) -> tuple[Asked, ...]:
    """Put a request on the disk of each log, then wait for the answers of the workers that run.

    One log that cannot be written keeps no other from being asked.
    """
    asked = [_write(log, verb, fitting(reason), clock.now_ns(), rng) for log in logs]
    while any(_is_open(one, answer_seconds) for one in asked):
        asked = [_look(one) if _is_open(one, answer_seconds) else one for one in asked]
        pause_seconds(ANSWER_LOOK_SECONDS)
    return tuple(asked)


def _write(
    log: ControlLog, verb: OperatorVerb, reason: str, at_ns: int, rng: random.Random
) -> Asked:
    request_id = new_request_id(verb, at_ns, rng.getrandbits(16))
    request = ControlRequest(request_id, at_ns, verb, reason)
    try:
        log.append(request, wait_seconds=LOCK_WAIT_SECONDS)
    except JournalError as error:
        return Asked(log, request, system_seconds(), failure=f"{error}; nothing was asked")
    return Asked(log, request, system_seconds())


def _is_open(asked: Asked, answer_seconds: float) -> bool:
    waits = asked.runs and asked.answer is None and not asked.failure
    return waits and asked.waited_seconds < answer_seconds


def _look(asked: Asked) -> Asked:
    try:
        # Who runs is asked first: one that ends in between has answered by then, or never will.
        runs = is_running(asked.log)
        answer = asked.log.read().answer(asked.request.request_id)
    except JournalError as error:
        return replace(asked, failure=f"{error}; whether it was heard is not known")
    waited_seconds = system_seconds() - asked.written_seconds
    return replace(asked, runs=runs, answer=answer, waited_seconds=waited_seconds)


def is_running(log: ControlLog) -> bool:
    """Say whether a worker runs; raise ``JournalError``."""
    try:
        return is_held(log.folder, log.mode)
    except OSError as error:
        raise JournalError(f"{log.folder} cannot be looked at: {error}") from error


def tell(asked: Asked) -> int:
    """Say what came of a request, in a line or two; return its exit code."""
    folder, answer, request_id = asked.log.folder, asked.answer, asked.request.request_id
    mode, waited_seconds = asked.log.mode.value, asked.waited_seconds
    if asked.failure:
        sys.stderr.write(
            f"{mode}: {clean(asked.failure)}. SIGTERM stops a worker in order, id {request_id}\n"
        )
        return EXIT_UNWRITTEN
    if answer is not None:
        why = f": {clean(answer.detail)}" if answer.detail else ""
        sys.stdout.write(
            f"{mode}: acknowledged by run {answer.run} in {waited_seconds * 1000:.0f} ms, "
            f"id {request_id}\n{mode}: the worker is {answer.trading}{why}\n"
        )
        return 0
    if asked.runs:
        sys.stderr.write(
            f"{mode}: a worker runs on {folder} and did not answer within {waited_seconds:.0f} s, "
            f"id {request_id}.\n{mode}: it starts, or it is stuck: then its watchdog ends it. Look "
            f"again, or kill it ({lease_path(folder, asked.log.mode)} names its process). The next "
            "start obeys the request before anything else.\n"
        )
        return EXIT_UNANSWERED
    sys.stdout.write(
        f"{mode}: no worker runs on {folder}; the next one to start obeys this first, "
        f"id {request_id}\n"
    )
    return 0


def standing_lines(held: Iterable[CauseHeld]) -> tuple[str, ...]:
    """Return a line for each halt that stands: its cause, since when, and why."""
    return tuple(
        f"{one.cause} since {_moment(one.at_ns)}: "
        + clean(one.detail.removeprefix(f"{one.cause}: "))
        for one in held
    )


def _moment(at_ns: int) -> str:
    if not at_ns:
        return "an unknown time"
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
