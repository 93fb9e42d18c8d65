"""The control log: what it comes to, what a crash or a broken disk may leave, and many writers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from db.control import READ_BYTES_MAXIMUM, ControlLog, ControlReader
from db.control_state import (
    ANSWERS_REMEMBERED_MAXIMUM,
    LINE_BYTES_MAXIMUM,
    CauseHeld,
    CauseReleased,
    ControlAnswer,
    ControlEntry,
    ControlRequest,
    ControlState,
    Damage,
    decode_line,
    encode_line,
    fitting,
    new_request_id,
)
from db.journal_folder import lock
from db.journal_format import JournalError, JournalLockedError, seal
from helpers.domain import HoldCause, Mode, OperatorVerb, TradingState

ROOT = Path(__file__).resolve().parents[1]
HELD = CauseHeld(HoldCause.LOSS_LIMIT, "lost $100", 5)


def request(number: int, verb: OperatorVerb = OperatorVerb.HALT) -> ControlRequest:
    return ControlRequest(f"{verb}-{number}", number, verb, f"reason {number}")


def answer(to: ControlRequest) -> ControlAnswer:
    return ControlAnswer(to.request_id, 9, to.verb, TradingState.HALTED, "operator", "000001_run")


def fold(*entries: ControlEntry | Damage) -> ControlState:
    state = ControlState()
    for entry in entries:
        state.apply(entry)
    return state


def written(folder: Path, *entries: ControlEntry) -> ControlLog:
    log = ControlLog(folder, Mode.PAPER)
    for entry in entries:
        log.append(entry)
    return log


# --- What a log comes to --------------------------------------------------------------------------


def test_a_cause_stands_from_its_first_row_until_it_is_released() -> None:
    """The moment and the words of its beginning are kept; the end of another changes nothing."""
    later = CauseHeld(HoldCause.LOSS_LIMIT, "lost $110", 6)
    assert fold(HELD, later).standing == (HELD,)
    assert fold(HELD, CauseReleased(HoldCause.OPERATOR, 7, "")).standing == (HELD,)
    assert fold(HELD, CauseReleased(HoldCause.LOSS_LIMIT, 7, "resume-1")).standing == ()


def test_a_request_waits_until_it_is_answered_and_never_again() -> None:
    """I30: a line that is seen twice, also after its answer, asks once."""
    first, second = request(1), request(2)
    assert fold(first, second, first).waiting == (first, second)
    state = fold(first, second, answer(first), first)
    assert state.waiting == (second,)
    assert state.answer(first.request_id) == answer(first)
    assert state.answer(second.request_id) is None


def test_what_a_start_will_hold_follows_the_requests_that_wait() -> None:
    """A halt while nobody ran stands at the next start; a later resume ends everything."""
    halt, resume = request(1), request(2, OperatorVerb.RESUME)
    assert [held.cause for held in fold(HELD, halt).at_a_start] == [
        HoldCause.LOSS_LIMIT,
        HoldCause.OPERATOR,
    ]
    assert fold(HELD, halt, resume).at_a_start == ()
    assert [h.detail for h in fold(HELD, resume, halt).at_a_start] == ["operator: reason 1"]


def test_damage_is_a_halt_and_a_resume_asked_for_before_it_ends_nothing() -> None:
    """Could not read is never "none stands"; who resumed did not know of it."""
    halt, resume = request(1), request(2, OperatorVerb.RESUME)
    state = fold(halt, resume, Damage("line 3: gone"))
    assert state.waiting == (halt,)
    assert state.standing == (CauseHeld(HoldCause.CONTROL, "line 3: gone", 2),)
    state.apply(CauseReleased(HoldCause.CONTROL, 8, "resume-3"))
    assert state.standing == ()


FLATTEN = request(4, OperatorVerb.FLATTEN)
BEGUN = replace(answer(FLATTEN), done=False)


@pytest.mark.parametrize(
    ("later", "open_"),
    [
        ((), FLATTEN),
        ((BEGUN, request(5), answer(request(5))), FLATTEN),
        ((answer(FLATTEN),), None),
        ((request(5, OperatorVerb.RESUME),), None),
        ((request(5, OperatorVerb.RESUME), answer(request(5, OperatorVerb.RESUME))), None),
        ((Damage("line 3: gone"),), None),
    ],
)
def test_a_flatten_is_open_until_all_is_flat_or_somebody_resumes(
    later: tuple[ControlEntry | Damage, ...], open_: ControlRequest | None
) -> None:
    """A halt ends none; after damage nothing is sold for a word that a lost one may have ended."""
    assert fold(FLATTEN).flattening is None, "nobody began it"
    assert fold(FLATTEN, BEGUN, *later).flattening == open_


def test_the_answers_that_are_remembered_are_bounded() -> None:
    """A log of years costs no more memory than one of a day."""
    state = ControlState()
    for number in range(ANSWERS_REMEMBERED_MAXIMUM + 1):
        state.apply(answer(request(number)))
    assert state.answer("halt-0") is None
    assert state.answer("halt-1") is not None


def test_an_id_says_what_and_when() -> None:
    """Short, readable, and unique by the caller's random bits."""
    at_ns = 1_795_602_600 * 10**9
    assert new_request_id(OperatorVerb.HALT, at_ns, 0x13F9A) == "halt-20261125T103000-3f9a"


@given(st.text(max_size=600), st.sampled_from(OperatorVerb))
def test_every_text_has_a_line_that_reads_back(text: str, verb: OperatorVerb) -> None:
    """Quotes, newlines and control characters stay in one line of bounded length."""
    entry = ControlRequest("halt-1", 1, verb, fitting(text))
    line = encode_line(entry)
    assert line.count(b"\n") == 1
    assert len(line) <= LINE_BYTES_MAXIMUM
    assert decode_line(line[:-1]) == entry


def test_text_from_a_broken_terminal_can_be_written() -> None:
    """Half a surrogate pair in an argument must not cost the halt."""
    assert encode_line(ControlRequest("halt-1", 1, OperatorVerb.HALT, fitting("\udcff odd")))


# --- On disk --------------------------------------------------------------------------------------


def test_modes_share_nothing(tmp_path: Path) -> None:
    """Invariant 5."""
    written(tmp_path, HELD)
    assert ControlLog(tmp_path, Mode.LIVE).read().standing == ()
    assert ControlLog(tmp_path, Mode.PAPER).read().standing == (HELD,)
    assert (tmp_path / "control_paper.jsonl").read_bytes() == encode_line(HELD)


def test_a_torn_last_line_is_passed_over_and_cut_off_by_the_next(tmp_path: Path) -> None:
    """A crash at any byte of an append loses that entry and nothing else."""
    log = written(tmp_path, HELD, request(1))
    content = log.path.read_bytes()
    whole = len(encode_line(HELD))
    for length in range(whole, len(content)):
        log.path.write_bytes(content[:length])
        state = log.read()
        assert (state.standing, state.waiting) == ((HELD,), ())
        log.append(request(2))
        assert log.path.read_bytes() == content[:whole] + encode_line(request(2))


@pytest.mark.parametrize(
    "line",
    [
        b'{"entry":"released","cause":"loss_limit","at_ns":6,"request_id":""}',
        encode_line(HELD)[:-1].replace(b"$100", b"$900"),
        b"\0" * 40,
        b"#" * LINE_BYTES_MAXIMUM,
    ],
)
def test_a_line_that_is_not_what_was_written_is_a_halt(tmp_path: Path, line: bytes) -> None:
    """An edited, overwritten or foreign line is named; what stands beside it still counts."""
    log = written(tmp_path, HELD)
    log.path.write_bytes(encode_line(HELD) + line + b"\n" + encode_line(request(1)))
    state = log.read()
    assert [held.cause for held in state.standing] == [HoldCause.LOSS_LIMIT, HoldCause.CONTROL]
    assert state.standing[1].detail.startswith("control_paper.jsonl line 2: ")
    assert state.waiting == (request(1),)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"entry":"held","cause":"a_new_cause","detail":"","at_ns":1',
        b'{"entry":"paused","at_ns":1',
        b'{"entry":"request","request_id":"%b","at_ns":1,"verb":"halt","reason":""' % (b"x" * 99),
    ],
)
def test_an_entry_of_another_version_is_a_halt(payload: bytes) -> None:
    """Invariant 12: what a newer version held is not known here, so it fails closed."""
    line = payload + seal(payload, 0)[0]
    assert isinstance(decode_line(line[:-1]), Damage)


def test_an_end_that_no_append_leaves_is_damage_and_stays_in_the_file(tmp_path: Path) -> None:
    """A power loss can leave zeros; they may have been a halt."""
    log = written(tmp_path, HELD)
    with log.path.open("ab") as file:
        file.write(b"\0" * 64)
    assert HoldCause.CONTROL in [held.cause for held in log.read().standing]
    log.append(request(1))
    state = log.read()
    assert HoldCause.CONTROL in [held.cause for held in state.standing]
    assert state.waiting == (request(1),)


def test_a_log_that_cannot_be_read_or_written_says_so(tmp_path: Path) -> None:
    """Invariant 3: could not read is its own outcome."""
    log = ControlLog(tmp_path, Mode.PAPER)
    log.path.mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        log.read()
    with pytest.raises(JournalError, match="cannot be written"):
        log.append(HELD)
    with pytest.raises(JournalError, match="cannot be used"):
        ControlLog(tmp_path / "nowhere", Mode.PAPER).append(HELD)


@contextmanager
def a_full_disk(size: int) -> Generator[None]:
    """Let no file of this process grow beyond so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """Part of an entry is none; the caller is told, and may try again."""
    log = written(tmp_path, HELD)
    size = log.path.stat().st_size
    for room in (0, 20):
        with a_full_disk(size + room), pytest.raises(JournalError, match="cannot be written"):
            log.append(request(1))
        assert log.path.stat().st_size == size
    log.append(request(1))
    assert log.read().waiting == (request(1),)


def test_an_append_waits_for_another_writer_only_as_long_as_it_is_told(tmp_path: Path) -> None:
    """A loop must not wait; a verb may."""
    log = written(tmp_path, HELD)
    held = lock(tmp_path / "control_paper.lock", "")
    with pytest.raises(JournalLockedError):
        log.append(request(1))
    with pytest.raises(JournalLockedError):
        log.append(request(1), wait_seconds=0.02)
    waiting = threading.Thread(target=log.append, args=(request(1),), kwargs={"wait_seconds": 9.0})
    waiting.start()
    os.close(held)
    waiting.join()
    assert log.read().waiting == (request(1),)


WRITER = """
import sys
from pathlib import Path
from db.control import ControlLog
from db.control_state import ControlRequest
from helpers.domain import Mode, OperatorVerb
log = ControlLog(Path(sys.argv[1]), Mode.PAPER)
for number in range(40):
    text = "x" * (number * 7)
    log.append(
        ControlRequest(f"{sys.argv[2]}-{number}", 1, OperatorVerb.HALT, text), wait_seconds=20.0
    )
"""


def test_many_processes_and_a_compaction_lose_nothing(tmp_path: Path) -> None:
    """Three processes and a thread append while the log is written anew again and again."""
    log = ControlLog(tmp_path, Mode.PAPER)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], cwd=ROOT)
        for name in "abc"
    ]
    ours = threading.Thread(
        target=lambda: [log.append(request(n), wait_seconds=20.0) for n in range(40)]
    )
    ours.start()
    while any(writer.poll() is None for writer in writers):
        log.compact(0)
        time.sleep(0.01)
    ours.join()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    state = log.read()
    wanted = {f"{name}-{number}" for name in ("a", "b", "c", "halt") for number in range(40)}
    assert {waiting.request_id for waiting in state.waiting} == wanted
    assert state.standing == ()


# --- Written anew ---------------------------------------------------------------------------------


def test_a_long_log_is_written_anew_without_losing_what_stands(tmp_path: Path) -> None:
    """Answered requests and ended causes go; halts, open requests and a begun flatten stay."""
    ended = [CauseHeld(HoldCause.MISMATCH, "cash", 1), CauseReleased(HoldCause.MISMATCH, 2, "")]
    first, second = request(1), request(2, OperatorVerb.RESUME)
    begun = FLATTEN, BEGUN
    log = written(tmp_path, request(3), answer(request(3)), *ended, HELD, *begun, second, first)
    before = log.path.read_bytes()
    log.compact()
    assert log.path.read_bytes() == before, "a short log is left alone"
    log.compact(100)
    assert log.path.read_bytes() == b"".join(map(encode_line, (HELD, second, first, *begun)))


def test_damage_that_is_written_anew_still_stands(tmp_path: Path) -> None:
    """Compaction turns it into a halt that says what it was."""
    log = written(tmp_path, HELD)
    log.path.write_bytes(b"?" * 200 + b"\n" + encode_line(HELD))
    log.compact(100)
    control, loss = log.read().standing
    assert (control.cause, loss) == (HoldCause.CONTROL, HELD)
    assert "line 1" in control.detail


def test_compaction_gives_way_to_a_writer_and_tells_a_broken_disk(tmp_path: Path) -> None:
    """A verb that writes at this moment is not waited for; a later start compacts."""
    log = written(tmp_path, HELD, CauseReleased(HoldCause.LOSS_LIMIT, 6, ""))
    held = lock(tmp_path / "control_paper.lock", "")
    log.compact(0)
    assert log.path.read_bytes().count(b"\n") == 2
    os.close(held)
    (tmp_path / "control_paper.new").mkdir()
    with pytest.raises(JournalError, match="written anew"):
        log.compact(0)
    assert log.path.read_bytes().count(b"\n") == 2


# --- Following ------------------------------------------------------------------------------------


def test_a_reader_gives_each_entry_once_and_waits_for_whole_lines(tmp_path: Path) -> None:
    """Half a line is no entry yet, and no damage."""
    log = ControlLog(tmp_path, Mode.PAPER)
    reader = ControlReader(log.path)
    assert reader.read() == ()
    log.append(HELD)
    assert reader.read() == (HELD,)
    assert reader.read() == ()
    line = encode_line(request(1))
    with log.path.open("ab") as file:
        file.write(line[:30])
        file.flush()
        assert reader.read() == ()
        file.write(line[30:])
    assert reader.read() == (request(1),)


def test_a_log_that_vanishes_or_is_replaced_is_told_and_read_anew(tmp_path: Path) -> None:
    """Nobody may take an emptied log for an end of the halts."""
    log = written(tmp_path, HELD, request(1))
    reader = ControlReader(log.path)
    assert len(reader.read()) == 2
    log.path.unlink()
    assert reader.read() == (Damage("the control log is gone"),)
    assert reader.read() == ()
    log.append(request(2))
    assert reader.read() == (request(2),)
    log.path.write_bytes(b"")
    assert reader.read() == (Damage("the control log was replaced"),)
    assert reader.read() == ()


def test_an_end_of_garbage_is_told_once(tmp_path: Path) -> None:
    """A reader that looks ten times a second repeats nothing."""
    log = written(tmp_path, HELD)
    reader = ControlReader(log.path)
    reader.read()
    with log.path.open("ab") as file:
        file.write(b"oops")
    assert isinstance(reader.read()[0], Damage)
    log.path.touch()
    assert reader.read() == ()


def test_more_than_any_log_of_ours_is_damage_and_not_read(tmp_path: Path) -> None:
    """A file of gigabytes does not end up in memory."""
    log = ControlLog(tmp_path, Mode.PAPER)
    with log.path.open("wb") as file:
        file.truncate(READ_BYTES_MAXIMUM + 1)
    (damage,) = ControlReader(log.path).read()
    assert isinstance(damage, Damage)
    assert "expected at most" in damage.problem
