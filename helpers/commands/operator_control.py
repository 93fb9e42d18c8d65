"""The running worker's side of the control log: hears operators, answers them, keeps halts.

Three duties. At the start: what stands in the log holds entries before any is possible, and a
flatten that the end of another run cut is gone on with. While it runs: a new request is handed to
the engine once, within ``POLL_SECONDS``. As a keeper of what happens: a latched halt and an answer
are in the log, durable, before the journal has their row.
Must not: decide what a request does, or stop an exit.

Blocks the loop for an fsync, on purpose: only a halt, its end and an answer are written, a handful
a day, and nothing may follow from them that a power loss could undo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from db.control import COMPACT_BYTES, ControlLog, ControlReader
from db.control_state import (
    CauseHeld,
    CauseReleased,
    ControlAnswer,
    ControlEntry,
    ControlRequest,
    ControlState,
    Damage,
    ModelNoted,
    fitting,
)
from db.journal_format import JournalError, JournalLockedError
from helpers.domain import (
    Body,
    HaltChanged,
    HoldCause,
    ModelChanged,
    OperatorAnswered,
    OperatorRequest,
    OperatorVerb,
)
from helpers.halt_control import HaltControl
from helpers.logs import Log, Tag, logger

POLL_SECONDS: Final = 0.1
"""Between two looks at the log; a look is a stat, and the contract is one second (I30)."""
LOCKED_POLLS_MAXIMUM: Final = 20
"""Looks during which another writer may hold the log before that is a failure."""
UNSAVED_MAXIMUM: Final = 256
"""Entries that wait for a disk that cannot be written; more ends the run."""
LATE_FLATTEN: Final = "flatten was asked for while no worker ran; no position was closed for it"

Deliver = Callable[[OperatorRequest], None]


class OperatorControl:
    """One run's operator: an ``Outlet`` that keeps, and a watch that hears."""

    def __init__(self, log: ControlLog, run: str) -> None:
        self._control = log
        self._run = run
        self._reader = ControlReader(log.path)
        self._state = ControlState()
        self._handed: set[str] = set()
        self._late: set[str] = set()
        self._cut: ControlRequest | None = None
        """A flatten that another run began and did not end."""
        self._unsaved: list[ControlEntry] = []
        self._locked_polls = 0
        self._trouble = ""
        self._begun = False
        self._restoring = False
        self._halts: HaltControl | None = None
        self._deliver: Deliver | None = None
        self._log: Log = logger(Tag.SAFETY)

    # --- The start --------------------------------------------------------------------------------

    def begin(self, halts: HaltControl, deliver: Deliver, now_ns: int) -> None:
        """Hold entries for what stands in the log; requests that wait are obeyed by ``poll``."""
        self._halts, self._deliver = halts, deliver
        try:
            self._control.compact(COMPACT_BYTES)
        except JournalError as error:
            self._fail(str(error), now_ns)
        self._look(now_ns)

    def _restore(self, now_ns: int) -> None:
        self._begun, self._restoring = True, True
        for held in self._state.standing:
            self._hold(held.cause, held.detail, now_ns)
        self._restoring = False
        self._late = {request.request_id for request in self._state.waiting}
        self._cut = self._state.flattening
        if found := self._state.at_a_start:
            self._log.warning(
                "halted_at_the_start",
                at_ns=now_ns,
                causes=",".join(held.cause for held in found),
                why="; ".join(held.detail for held in found),
                resume=resume_command(self._control),
            )

    # --- The watch --------------------------------------------------------------------------------

    def poll(self, now_ns: int) -> None:
        """Look once: write what waits to be written, hand over what was asked."""
        # Both, always: whoever cannot write may still hear.
        saved, looked = self._save(now_ns), self._look(now_ns)
        if saved and looked and self._trouble:
            self._trouble = ""
            assert self._halts is not None, "begin comes first"
            self._halts.release_entries(HoldCause.CONTROL, now_ns)
        if self._cut is not None:
            self._go_on_flattening(self._cut, now_ns)
        for request in self._state.waiting:
            if request.request_id not in self._handed:
                self._handed.add(request.request_id)
                self._hand_over(request, now_ns)

    def _look(self, now_ns: int) -> bool:
        try:
            entries = self._reader.read()
        except OSError as error:
            self._fail(f"the control log cannot be read: {error}", now_ns)
            return False
        for entry in entries:
            self._state.apply(entry)
            if isinstance(entry, ControlAnswer):
                self._handed.discard(entry.request_id)
            elif isinstance(entry, Damage) and self._begun:
                self._log.error("control_log_damaged", at_ns=now_ns, why=entry.problem)
                self._hold(HoldCause.CONTROL, entry.problem, now_ns)
        if not self._begun:
            self._restore(now_ns)
        return True

    def _go_on_flattening(self, request: ControlRequest, now_ns: int) -> None:
        # Entries were held from its first answer on: what is still open is what was meant then.
        self._cut = None
        self._log.warning("flatten_goes_on", at_ns=now_ns, request_id=request.request_id)
        self._hand_over(request, now_ns)

    def _hand_over(self, request: ControlRequest, now_ns: int) -> None:
        assert self._deliver is not None, "begin comes first"
        verb, reason = request.verb, request.reason
        if verb is OperatorVerb.FLATTEN and request.request_id in self._late:
            # Hours may have passed, and another market: whoever still wants it asks again.
            verb, reason = OperatorVerb.HALT, LATE_FLATTEN
        self._deliver(OperatorRequest(request.request_id, verb, reason, now_ns))

    # --- What is kept -----------------------------------------------------------------------------

    def write(self, at_ns: int, market: str, body: Body) -> None:  # noqa: ARG002
        """Append a latched halt, its end, an answer, or what became of a model's files.

        Durable when this returns, or told so.
        """
        if isinstance(body, OperatorAnswered):
            words = fitting(body.detail)
            entry = ControlAnswer(
                body.request_id, at_ns, body.verb, body.trading, words, self._run, body.done
            )
        elif isinstance(body, ModelChanged) and body.change != "learned":
            words = fitting(body.why)
            entry = ModelNoted(at_ns, body.change, body.model_id, body.offered, words, self._run)
        elif isinstance(body, HaltChanged) and HoldCause(body.cause).latched:
            if self._restoring:
                return  # it stands there already, with the moment it began
            cause = HoldCause(body.cause)
            if body.state == "held":
                entry = CauseHeld(cause, fitting(body.detail), at_ns)
            else:
                entry = CauseReleased(cause, at_ns, body.request_id)
        else:
            return
        if len(self._unsaved) >= UNSAVED_MAXIMUM:
            raise JournalError(f"{len(self._unsaved)} halts and answers could not be written")
        self._unsaved.append(entry)
        if not self._trouble:
            self._save(at_ns)

    def commit(self) -> None:
        """Do nothing: what is written is durable already."""

    def _save(self, now_ns: int) -> bool:
        while self._unsaved:
            try:
                self._control.append(self._unsaved[0])
            except JournalLockedError as error:
                # An operator's verb writes at this moment: the next look tries again.
                self._locked_polls += 1
                if self._locked_polls > LOCKED_POLLS_MAXIMUM:
                    self._fail(str(error), now_ns)
                return False
            except JournalError as error:
                self._fail(str(error), now_ns)
                return False
            del self._unsaved[0]
        self._locked_polls = 0
        return True

    def _fail(self, why: str, now_ns: int) -> None:
        if self._trouble:
            return
        self._trouble = why
        self._log.error("control_log_failed", at_ns=now_ns, why=why)
        assert self._halts is not None, "begin comes first"
        # While it lasts, and then until a person looked: what a restart would find is not known.
        self._halts.hold_entries(HoldCause.CONTROL, why, now_ns)

    def _hold(self, cause: HoldCause, detail: str, now_ns: int) -> None:
        assert self._halts is not None, "begin comes first"
        self._halts.hold_entries(cause, detail, now_ns, lasting=False)


def resume_command(log: ControlLog) -> str:
    """Return what an operator types to end the halts of a log."""
    return f"uv run worker.py resume --mode {log.mode} --journal {log.folder}"
