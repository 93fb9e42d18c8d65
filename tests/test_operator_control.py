"""The worker's side of the control log: what it restores, hears once and keeps, or cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db.control import ControlLog
from db.control_state import (
    CauseHeld,
    CauseReleased,
    ControlAnswer,
    ControlEntry,
    ControlRequest,
    ModelNoted,
    decode_line,
)
from db.journal_folder import lock
from db.journal_format import JournalError
from helpers.account import AccountStanding
from helpers.board import Board
from helpers.commands.composition import paper_settings
from helpers.commands.operator_control import (
    LATE_FLATTEN,
    LOCKED_POLLS_MAXIMUM,
    UNSAVED_MAXIMUM,
    OperatorControl,
)
from helpers.domain import (
    Body,
    Equity,
    HaltChanged,
    HoldCause,
    Mode,
    ModelChanged,
    OperatorAnswered,
    OperatorRequest,
    OperatorVerb,
    TradingState,
)
from helpers.halt_control import HaltControl
from helpers.halts import Halts
from helpers.ledger import Ledger
from helpers.paper_executor import PaperExecutor
from helpers.settings import load_settings

HALT = ControlRequest("halt-1", 1, OperatorVerb.HALT, "lunch")
RESUME = ControlRequest("resume-2", 2, OperatorVerb.RESUME, "")
FLATTEN = ControlRequest("flatten-4", 4, OperatorVerb.FLATTEN, "flatten")
LOSS = CauseHeld(HoldCause.LOSS_LIMIT, "lost $100", 3)


class Run:
    """A run's halts with its operator, without its feeds."""

    def __init__(self, folder: Path, name: str = "000001_run") -> None:
        self.log = ControlLog(folder, Mode.PAPER)
        self.operator = OperatorControl(self.log, name)
        self.rows: list[Body] = []
        self.heard: list[OperatorRequest] = []
        board = Board()
        ledger = Ledger(Mode.PAPER, 0)
        executor = PaperExecutor(board, paper_settings(load_settings(_env_file=None)))
        halts = Halts()
        standing = AccountStanding(ledger, executor, board, halts)
        self.halts = HaltControl(halts, standing, self)
        self.operator.begin(self.halts, self.deliver, 10)

    def deliver(self, request: OperatorRequest) -> None:
        self.heard.append(request)
        self.halts.on_operator(request)

    def write(self, at_ns: int, market: str, body: Body) -> None:
        self.operator.write(at_ns, market, body)
        self.rows.append(body)

    def commit(self) -> None:
        self.operator.commit()

    def entries(self) -> list[ControlEntry]:
        found = [decode_line(line) for line in self.log.path.read_bytes().splitlines()]
        assert all(isinstance(entry, ControlEntry) for entry in found), found
        return [entry for entry in found if isinstance(entry, ControlEntry)]


def written(folder: Path, *entries: ControlEntry) -> None:
    for entry in entries:
        ControlLog(folder, Mode.PAPER).append(entry)


def test_a_request_is_obeyed_answered_and_durable_by_the_next_look(tmp_path: Path) -> None:
    """I30: the halt is in the log before the answer, the answer carries the request's id."""
    run = Run(tmp_path)
    run.operator.poll(20)
    assert run.heard == []
    written(tmp_path, HALT)
    run.operator.poll(30)
    assert run.halts.state is TradingState.HALTED
    assert run.entries()[1:] == [
        CauseHeld(HoldCause.OPERATOR, "operator: lunch", 30),
        ControlAnswer(
            "halt-1", 30, OperatorVerb.HALT, TradingState.HALTED, "operator: lunch", "000001_run"
        ),
    ]
    written(tmp_path, RESUME)
    run.operator.poll(40)
    assert run.halts.state is TradingState.ACTIVE
    assert run.log.read().standing == run.log.read().waiting == ()


def test_each_request_is_obeyed_once(tmp_path: Path) -> None:
    """The same line twice, before or after its answer, in this run or the next."""
    run = Run(tmp_path)
    written(tmp_path, HALT, HALT)
    run.operator.poll(20)
    written(tmp_path, RESUME, HALT)
    run.operator.poll(30)
    run.operator.poll(40)
    assert [request.request_id for request in run.heard] == ["halt-1", "resume-2"]
    written(tmp_path, HALT)
    again = Run(tmp_path, "000002_run")
    again.operator.poll(50)
    assert again.heard == []
    assert again.halts.state is TradingState.ACTIVE


def test_what_stands_holds_entries_before_anything_else(tmp_path: Path) -> None:
    """Invariant 7: a halt survives a restart, and is not written again at each."""
    first = Run(tmp_path)
    first.halts.hold_entries(HoldCause.LOSS_LIMIT, "lost $100", 11)
    first.halts.hold_entries(HoldCause.VENUE, "restarts", 12)
    entries = first.entries()
    second = Run(tmp_path, "000002_run")
    assert second.halts.standing() == ((HoldCause.LOSS_LIMIT, "lost $100"),)
    assert second.rows == [
        HaltChanged("held", "loss_limit", "lost $100", TradingState.HALTED),
    ]
    assert second.entries() == entries
    written(tmp_path, RESUME)
    second.operator.poll(20)
    assert Run(tmp_path, "000003_run").rows == []


def test_requests_of_a_time_without_a_worker_are_obeyed_in_order(tmp_path: Path) -> None:
    """A halt stands for the next start, a resume ends what stood; both are answered."""
    written(tmp_path, LOSS, RESUME, HALT)
    run = Run(tmp_path)
    assert run.halts.state is TradingState.HALTED
    run.operator.poll(10)
    assert run.halts.standing() == ((HoldCause.OPERATOR, "operator: lunch"),)
    assert run.log.read().waiting == ()


def test_a_late_flatten_only_halts(tmp_path: Path) -> None:
    """Closing hours later what was meant for another market would surprise."""
    written(tmp_path, ControlRequest("flatten-1", 1, OperatorVerb.FLATTEN, "flatten"))
    run = Run(tmp_path)
    run.operator.poll(10)
    assert [(r.verb, r.reason) for r in run.heard] == [(OperatorVerb.HALT, LATE_FLATTEN)]
    written(tmp_path, ControlRequest("flatten-2", 1, OperatorVerb.FLATTEN, "flatten"))
    run.operator.poll(20)
    assert run.heard[1].verb is OperatorVerb.FLATTEN


def test_a_flatten_that_was_cut_is_gone_on_with_until_it_is_answered(tmp_path: Path) -> None:
    """A process that dies while it closes positions leaves the rest of them to the next one."""
    first = Run(tmp_path)
    written(tmp_path, FLATTEN)
    first.operator.poll(20)
    assert first.log.read().flattening == FLATTEN, "its answer says that more follows"
    second = Run(tmp_path, "000002_run")
    second.operator.poll(30)
    second.operator.poll(31)
    assert [(r.request_id, r.verb, r.received_ns) for r in second.heard] == [
        (FLATTEN.request_id, OperatorVerb.FLATTEN, 30)
    ]
    assert second.halts.state is TradingState.HALTED
    flat = OperatorAnswered(
        FLATTEN.request_id, OperatorVerb.FLATTEN, TradingState.HALTED, "flat", done=True
    )
    second.write(40, "", flat)
    third = Run(tmp_path, "000003_run")
    third.operator.poll(50)
    assert third.heard == []
    assert third.halts.state is TradingState.HALTED


def test_a_resume_between_two_runs_ends_a_flatten(tmp_path: Path) -> None:
    """Whoever resumed wants to trade: nothing is sold for the word before."""
    first = Run(tmp_path)
    written(tmp_path, FLATTEN)
    first.operator.poll(20)
    written(tmp_path, RESUME)
    second = Run(tmp_path, "000002_run")
    second.operator.poll(30)
    assert [request.verb for request in second.heard] == [OperatorVerb.RESUME]
    assert second.halts.state is TradingState.ACTIVE


def test_a_damaged_log_is_a_halt_until_an_operator_resumes(tmp_path: Path) -> None:
    """At a start and while it runs; the next start after the resume trades."""
    written(tmp_path, HALT)
    path = ControlLog(tmp_path, Mode.PAPER).path
    path.write_bytes(b"?" + path.read_bytes())
    run = Run(tmp_path)
    assert [cause for cause, _ in run.halts.standing()] == [HoldCause.CONTROL]
    written(tmp_path, RESUME)
    run.operator.poll(20)
    assert run.halts.state is TradingState.ACTIVE
    with path.open("ab") as file:
        file.write(b"?\n")
    run.operator.poll(30)
    assert [cause for cause, _ in run.halts.standing()] == [HoldCause.CONTROL]
    written(tmp_path, ControlRequest("resume-3", 2, OperatorVerb.RESUME, ""))
    run.operator.poll(40)
    assert Run(tmp_path, "000002_run").halts.state is TradingState.ACTIVE


def test_a_log_that_cannot_be_read_is_a_halt_and_what_it_held_is_found_later(
    tmp_path: Path,
) -> None:
    """Could not read is never "no halt"; once it can be read, a person still has to look."""
    written(tmp_path, LOSS)
    path = ControlLog(tmp_path, Mode.PAPER).path
    aside = path.rename(tmp_path / "aside")
    path.mkdir()
    run = Run(tmp_path)
    assert [cause for cause, _ in run.halts.standing()] == [HoldCause.CONTROL]
    run.operator.poll(20)
    path.rmdir()
    aside.rename(path)
    run.operator.poll(30)
    assert [cause for cause, _ in run.halts.standing()] == [
        HoldCause.CONTROL,
        HoldCause.LOSS_LIMIT,
    ]
    assert run.halts.state is TradingState.HALTED
    written(tmp_path, RESUME)
    run.operator.poll(40)
    assert run.halts.state is TradingState.ACTIVE
    assert run.log.read().standing == ()


def test_a_halt_that_cannot_be_written_holds_as_unknown_until_it_can(tmp_path: Path) -> None:
    """A full disk is told once; entries stay held, and the log catches up by itself."""
    run = Run(tmp_path)
    run.log.path.mkdir()
    run.halts.hold_entries(HoldCause.LOSING_STREAK, "5 losses", 20, lasting=False)
    assert [cause for cause, _ in run.halts.standing()] == [
        HoldCause.LOSING_STREAK,
        HoldCause.CONTROL,
    ]
    run.operator.poll(30)
    run.log.path.rmdir()
    run.operator.poll(40)
    assert [held.cause for held in run.log.read().standing] == [
        HoldCause.LOSING_STREAK,
        HoldCause.CONTROL,
    ]
    written(tmp_path, RESUME)
    run.operator.poll(50)
    assert run.halts.state is TradingState.ACTIVE
    assert len([row for row in run.rows if isinstance(row, HaltChanged)]) == 4


def test_another_writer_delays_an_answer_and_is_no_failure_at_once(tmp_path: Path) -> None:
    """A verb writes for milliseconds; one that never ends is a disk nobody can write."""
    run = Run(tmp_path)
    written(tmp_path, HALT)
    held = lock(tmp_path / "control_paper.lock", "")
    run.operator.poll(20)
    assert [cause for cause, _ in run.halts.standing()] == [HoldCause.OPERATOR]
    assert run.log.read().answer("halt-1") is None
    for number in range(LOCKED_POLLS_MAXIMUM):
        run.operator.poll(30 + number)
    assert [cause for cause, _ in run.halts.standing()][1:] == [HoldCause.CONTROL]
    os.close(held)
    run.operator.poll(90)
    assert run.log.read().answer("halt-1") is not None


def test_what_waits_to_be_written_is_bounded(tmp_path: Path) -> None:
    """Invariant 9: rather no run than one whose halts are nowhere."""
    run = Run(tmp_path)
    run.log.path.mkdir()
    answered = OperatorAnswered("halt-1", OperatorVerb.HALT, TradingState.HALTED, "")
    for number in range(UNSAVED_MAXIMUM - 1):  # the halt as ``control`` is the first of them
        run.operator.write(number, "", answered)
    with pytest.raises(JournalError, match="could not be written"):
        run.operator.write(999, "", answered)


def test_rows_about_anything_else_are_not_kept(tmp_path: Path) -> None:
    """Passing causes are over with the run, and the journal has the rest."""
    run = Run(tmp_path)
    run.halts.hold_entries(HoldCause.STOPPING, "shutting down", 20)
    run.write(20, "", Equity(0, 0, 0, 0))
    assert not run.log.path.exists()


def test_a_resume_that_meets_a_lasting_condition_is_remembered_when_it_ends(
    tmp_path: Path,
) -> None:
    """The books still differ: entries stay held, and the end of it is written without a verb."""
    run = Run(tmp_path)
    run.halts.hold_entries(HoldCause.MISMATCH, "cash differs", 20)
    written(tmp_path, RESUME)
    run.operator.poll(30)
    assert run.halts.state is TradingState.REDUCING
    assert [held.cause for held in run.log.read().standing] == [HoldCause.MISMATCH]
    run.halts.release_entries(HoldCause.MISMATCH, 40)
    assert run.entries()[-1] == CauseReleased(HoldCause.MISMATCH, 40, "")


def test_what_became_of_a_model_is_answered(tmp_path: Path) -> None:
    """Whoever wrote the files hears it from the run; it halts nothing and asks nothing."""
    run = Run(tmp_path)
    run.write(20, "", ModelChanged("refused", "a" * 12, "a" * 12, "b" * 12, "why " * 200))
    (noted,) = run.entries()
    assert isinstance(noted, ModelNoted)
    assert (noted.at_ns, noted.change, noted.model_id, noted.offered, noted.run) == (
        20, "refused", "a" * 12, "b" * 12, "000001_run",
    )  # fmt: skip
    assert len(noted.detail) == 300
    state = run.log.read()
    assert (state.standing, state.waiting, state.at_a_start) == ((), (), ())
    again = Run(tmp_path, "000002_run")
    assert again.halts.state is TradingState.ACTIVE
