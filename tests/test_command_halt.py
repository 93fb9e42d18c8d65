"""`halt`, `resume` and `flatten`: what they write, whom they wait for, and what they say."""

from __future__ import annotations

import asyncio
import io
import os
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import worker
from db.control import ControlLog
from db.control_state import CauseHeld, ControlRequest
from db.file_lease import FileLease, is_held
from db.journal import Journal
from helpers.clock import SimulatedClock
from helpers.commands import doctor, flatten
from helpers.commands.operator_verbs import EXIT_UNANSWERED, ask, tell
from helpers.commands.trading_worker import Worker
from helpers.domain import HoldCause, Mode, OperatorVerb
from helpers.lease import LeaseHolder, LeaseTakenError
from helpers.settings import Settings, load_settings
from helpers.venues import Venues

FOLDER = Path("backups/journal")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    FOLDER.mkdir(parents=True)


def log_of(mode: Mode, folder: Path = FOLDER) -> ControlLog:
    return ControlLog(folder, mode)


def taken() -> FileLease:
    """Return the lease that a paper worker holds."""
    lease = FileLease(FOLDER, Mode.PAPER)
    lease.acquire(LeaseHolder(os.getpid(), "here", "2026-01-01T00:00:00Z"))
    return lease


@contextmanager
def a_running_worker(*, moves: bool = True) -> Generator[Worker]:
    """Run a paper worker without feeds beside the test: its operator's watch is its own.

    One that does not move hears, and does nothing more: its time stands still.
    """
    settings, ended, lease = load_settings(strategy="momentum"), threading.Event(), taken()
    clock = SimulatedClock(10**18)
    with Journal.open_run(FOLDER, Mode.PAPER, 10**18, background=True) as journal:
        running = Worker(settings, clock, journal, Venues(), random.Random(1))
        running.begin()
        clock.advance_to(10**18 + 10**9)
        running.move_time(clock.now_ns())  # the position supervisor ticks: entries are allowed (I1)

        async def hear() -> None:
            async with asyncio.timeout(60):
                while not ended.is_set():
                    running.hear_operator()
                    if moves:
                        clock.advance_to(clock.now_ns() + 10**7)
                        running.move_time(clock.now_ns())
                    await asyncio.sleep(0.01)

        hearing = threading.Thread(target=asyncio.run, args=(hear(),))
        hearing.start()
        try:
            yield running
        finally:
            ended.set()
            hearing.join()
            running.close("stopped")
            lease.release()


# --- halt -----------------------------------------------------------------------------------------


def test_a_running_worker_acknowledges_with_its_run_and_the_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """I30: what is printed is the worker's own answer, by its own name, of this request."""
    with a_running_worker() as running:
        assert worker.main(["halt", "odd fills", "--mode", "paper"]) == 0
        assert running.entries_stopped == "operator: odd fills"
    out = capsys.readouterr().out
    assert "paper: acknowledged by run 000001_" in out
    assert "id halt-" in out
    assert "paper: the worker is halted: operator: odd fills" in out


def test_without_a_mode_both_are_halted(capsys: pytest.CaptureFixture[str]) -> None:
    """It is for emergencies: nobody has to remember which worker runs."""
    with a_running_worker():
        assert worker.main(["halt", "everything"]) == 0
    out = capsys.readouterr().out
    assert "paper: acknowledged" in out
    assert "live: no worker runs" in out
    (waiting,) = log_of(Mode.LIVE).read().waiting
    assert (waiting.verb, waiting.reason) == (OperatorVerb.HALT, "everything")


def test_a_worker_that_does_not_answer_is_told_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """I30: never "ok" on nobody's word; the request stays for the next start."""
    held = taken()
    log = log_of(Mode.PAPER)
    clock, rng = SimulatedClock(10**18), random.Random(1)
    (asked,) = ask([log], OperatorVerb.HALT, "stuck", clock, rng, answer_seconds=0.03)
    assert tell(asked) == EXIT_UNANSWERED == 1
    error = capsys.readouterr().err
    assert "did not answer within" in error
    assert "trader_paper.lock" in error
    held.release()
    assert log.read().waiting == (asked.request,)


def test_a_worker_that_ends_while_it_is_asked_is_waited_for_no_longer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The request then is for the next start, and that is what is said."""
    held = taken()
    ending = threading.Timer(0.05, held.release)
    ending.start()
    assert worker.main(["halt", "why", "--mode", "paper"]) == 0
    ending.join()
    assert "no worker runs" in capsys.readouterr().out


def test_broken_settings_do_not_keep_anybody_from_halting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what the options leave open is looked up."""
    with Journal.open_run(FOLDER, Mode.PAPER, 10**18):
        pass  # A worker was here.
    monkeypatch.setenv("TRADE_SIZE", "a lot")
    monkeypatch.setenv("LIVE_ENABLED", "true")
    assert worker.main(["halt", "why"]) == 78
    assert "--journal DIR" in capsys.readouterr().err
    assert worker.main(["halt", "why", "--journal", str(FOLDER)]) == 0
    assert worker.main(["resume", "--journal", str(FOLDER), "--mode", "live"]) == 0
    assert worker.main(["resume", "--journal", str(FOLDER)]) == 78


def test_a_folder_no_worker_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """I30: a request nobody will ever read must not look like one."""
    assert worker.main(["halt", "why", "--journal", "elsewhere"]) == 2
    assert "no worker has ever run on" in capsys.readouterr().err
    assert not Path("elsewhere").exists()
    Path("docs").mkdir()
    assert worker.main(["halt", "why", "--journal", "docs"]) == 2
    assert not list(Path("docs").iterdir()), "it took the request of a folder beside the journal"


@pytest.mark.parametrize("words", [[], [""], ["  "]])
def test_a_halt_needs_a_reason(words: list[str]) -> None:
    """Whoever resumes must know what to look at."""
    with pytest.raises(SystemExit) as left:
        worker.main(["halt", *words])
    assert left.value.code == 2


def test_a_log_that_cannot_be_written_is_no_halt(capsys: pytest.CaptureFixture[str]) -> None:
    """The other mode is halted all the same, and the exit code is the worse one."""
    log_of(Mode.PAPER).path.mkdir()
    assert worker.main(["halt", "why"]) == 70
    captured = capsys.readouterr()
    assert "cannot be written" in captured.err
    assert "nothing was asked" in captured.err
    assert "live: no worker runs" in captured.out
    assert worker.main(["resume"]) == 70


# --- resume ---------------------------------------------------------------------------------------


def test_a_resume_shows_what_stands_and_what_it_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody resumes blindly."""
    loss = CauseHeld(HoldCause.LOSS_LIMIT, "lost $100", 1_795_602_600 * 10**9)
    log_of(Mode.PAPER).append(loss)
    with a_running_worker() as running:
        assert running.entries_stopped == "lost $100"
        assert worker.main(["resume"]) == 0
        assert running.entries_stopped == ""
    out = capsys.readouterr().out
    assert "paper: halted by loss_limit since 2026-11-25 10:30:00 UTC: lost $100\n" in out
    assert "paper: ended: loss_limit\npaper: entries are allowed again\n" in out


def test_a_resume_says_what_still_holds_entries(capsys: pytest.CaptureFixture[str]) -> None:
    """A condition that lasts is not ended by a word."""
    with a_running_worker() as running:
        running.stop("the test asked for it")
        assert worker.main(["resume"]) == 0
    out = capsys.readouterr().out
    assert "paper: the worker is reducing: shutting down\n" in out
    assert "entries stay held" in out


def test_a_resume_without_a_worker_is_for_the_next_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ends the halt, the other mode's halt is pointed out, and a second one writes nothing."""
    assert worker.main(["halt", "lunch"]) == 0
    assert worker.main(["resume"]) == 0
    out = capsys.readouterr().out
    assert "paper: halted by operator since" in out
    command = f"uv run worker.py resume --mode live --journal {FOLDER.absolute()}"
    assert f"live: still halted; {command} ends it" in out
    size = log_of(Mode.PAPER).path.stat().st_size
    assert worker.main(["resume"]) == 0
    assert "nothing is halted" in capsys.readouterr().out
    assert log_of(Mode.PAPER).path.stat().st_size == size
    with a_running_worker() as running:
        assert running.entries_stopped == ""


# --- flatten --------------------------------------------------------------------------------------


def test_flatten_without_a_worker_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Positions closed hours later would surprise."""
    assert worker.main(["flatten", "--yes-I-mean", "paper"]) == 69
    assert "nobody is there to close a position" in capsys.readouterr().err
    assert not log_of(Mode.PAPER).path.exists()


def test_flatten_asks_for_the_mode(capsys: pytest.CaptureFixture[str]) -> None:
    """No terminal and no mode, or another mode: nothing is asked of the worker."""
    with a_running_worker() as running:
        assert worker.main(["flatten"]) == 2
        assert "--yes-I-mean paper" in capsys.readouterr().err
        assert worker.main(["flatten", "--yes-I-mean", "live"]) == 2
        assert running.entries_stopped == ""
        assert worker.main(["flatten", "--yes-I-mean", "paper"]) == 0
        assert running.entries_stopped == "operator: flatten"
    out = capsys.readouterr().out
    assert "paper: acknowledged by run" in out
    assert "paper: flat after" in out


def test_flatten_says_when_positions_are_still_being_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """I30: a first answer is not the end; whoever waits is told that it goes on, never "flat"."""
    monkeypatch.setattr(flatten, "FLAT_SECONDS", 0.1)
    with a_running_worker(moves=False):
        assert worker.main(["flatten", "--yes-I-mean", "paper"]) == EXIT_UNANSWERED
    assert "paper: not flat after 0 s. A running worker goes on" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "confirmed"), [("paper\n", True), ("yes\n", False), ("", False)])
def test_the_mode_is_typed_at_a_terminal(typed: str, confirmed: bool) -> None:
    """A plain yes, or the end of the input, is none."""
    out = io.StringIO()
    assert flatten.confirmed("", Mode.PAPER, Terminal(typed), out) is confirmed
    assert "type paper to go on" in out.getvalue()


# --- Who runs -------------------------------------------------------------------------------------


def test_looking_whether_a_worker_runs_keeps_none_from_starting() -> None:
    """The look holds the lock for an instant; a start tries again (I31: and a second one fails)."""
    assert not is_held(FOLDER, Mode.PAPER)
    first = taken()
    assert is_held(FOLDER, Mode.PAPER)
    with pytest.raises(LeaseTakenError, match="a paper worker trades here"):
        taken()
    looking = threading.Timer(0.005, first.release)
    looking.start()
    taken().release()
    looking.join()


@pytest.mark.parametrize("halted", [False, True])
def test_the_doctor_names_a_standing_halt_and_what_ends_it(halted: bool) -> None:
    """A worker that does nothing all night is explained by the first thing people try."""
    if halted:
        log_of(Mode.PAPER).append(ControlRequest("halt-1", 10**18, OperatorVerb.HALT, "lunch"))
    row = asyncio.run(doctor.halts_row(load_settings()))
    assert row.state == ("failed" if halted else "ok")
    assert (row.found.startswith("paper: operator since") and "lunch" in row.found) is halted
    assert row.fix == (f"uv run worker.py resume --mode paper --journal {FOLDER}" if halted else "")
