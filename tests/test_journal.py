"""The journal keeps what it was given, finds every damage, and survives kills and full disks."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.journal import (
    RETAIN_BYTES,
    SEGMENT_BYTES,
    Journal,
    JournalDamagedError,
    JournalError,
    JournalFaults,
    JournalLockedError,
    latest_run,
    list_runs,
    read_journal,
)
from db.journal_format import seal
from db.journal_reading import last_moment_ns
from db.records import Record
from helpers.domain import Approved, Mode
from tests.journal_samples import EVERY_BODY, OPENS_NS, SLUG, approved, at, decision

REPOSITORY = Path(__file__).resolve().parents[1]
READ_ONLY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)


def write_run(
    folder: Path,
    rows: int = 40,
    segment_bytes: int = SEGMENT_BYTES,
    retain_bytes: int = RETAIN_BYTES,
) -> Path:
    """Write a closed replay run of that many rows and return its folder."""
    with Journal.open_run(
        folder, Mode.REPLAY, OPENS_NS, segment_bytes=segment_bytes, retain_bytes=retain_bytes
    ) as journal:
        for index in range(rows):
            journal.append(at(index), SLUG, EVERY_BODY[index % len(EVERY_BODY)])
        return journal.run


def only_segment(run: Path) -> Path:
    """Return the one segment of a small run."""
    (segment,) = sorted(run.glob("*.jsonl"))
    return segment


def start_writer(script: str, folder: Path) -> subprocess.Popen[str]:
    """Start a writer in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_kind_reads_back_in_order(tmp_path: Path) -> None:
    """What was appended is what is read, numbered from 1."""
    records = list(read_journal(write_run(tmp_path, len(EVERY_BODY))))
    assert [record.body for record in records] == list(EVERY_BODY)
    assert [record.seq for record in records] == list(range(1, len(EVERY_BODY) + 1))
    assert {(record.mode, record.market) for record in records} == {(Mode.REPLAY, SLUG)}
    assert [record.at_ns for record in records] == [at(n) for n in range(len(EVERY_BODY))]


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """Neither wall time, nor path, nor process is in the file; rotation included."""
    first = write_run(tmp_path / "a", segment_bytes=4_000)
    second = write_run(tmp_path / "b" / "deeper", segment_bytes=4_000)
    names = [path.name for path in sorted(first.glob("*.jsonl"))]
    assert len(names) > 1
    assert names == [path.name for path in sorted(second.glob("*.jsonl"))]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_every_line_is_json_with_its_checksum(tmp_path: Path) -> None:
    """Common tools can read the file."""
    for line in only_segment(write_run(tmp_path)).read_text("utf-8").split("\n")[:-1]:
        assert re.fullmatch(r'\{.*,"crc":"[0-9a-f]{8}"\}', line)


@pytest.fixture(scope="module")
def sample_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a small sound segment."""
    return only_segment(write_run(tmp_path_factory.mktemp("sound"))).read_bytes()


@READ_ONLY
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_changed_byte_is_found(
    tmp_path: Path, sample_bytes: bytes, where: float, mask: int
) -> None:
    """One flipped byte anywhere is an error that names its line, or a torn tail at the very end."""
    offset = int(where * len(sample_bytes))
    changed = bytearray(sample_bytes)
    changed[offset] ^= mask
    segment = tmp_path / "000001.jsonl"
    segment.write_bytes(changed)
    faults = JournalFaults()
    if offset == len(sample_bytes) - 1:
        assert len(list(read_journal(segment, faults))) == 39
        assert faults.torn_tail is not None
        return
    with pytest.raises(JournalDamagedError) as error:
        list(read_journal(segment, faults))
    line = sample_bytes.count(b"\n", 0, offset) + 1
    assert error.value.fault.line == line
    assert str(line) in str(error.value)


@READ_ONLY
@given(st.floats(0, 1))
def test_any_truncation_gives_a_prefix(tmp_path: Path, sample_bytes: bytes, where: float) -> None:
    """However short the file was cut, the whole lines read, and a torn one is told."""
    cut = sample_bytes[: int(where * len(sample_bytes))]
    segment = tmp_path / "000001.jsonl"
    segment.write_bytes(cut)
    faults = JournalFaults()
    records = list(read_journal(segment, faults))
    assert [record.seq for record in records] == list(range(1, max(0, cut.count(b"\n") - 1) + 1))
    assert (faults.torn_tail is None) == (cut.endswith(b"\n") or not cut)


@READ_ONLY
@given(st.integers(1, 38))
def test_lost_doubled_and_swapped_lines_are_found(
    tmp_path: Path, sample_bytes: bytes, row: int
) -> None:
    """The chain breaks at the first line that is not where it was."""
    lines = sample_bytes.splitlines(keepends=True)
    lost = lines[:row] + lines[row + 1 :]
    doubled = lines[: row + 1] + lines[row:]
    swapped = [*lines[:row], lines[row + 1], lines[row], *lines[row + 2 :]]
    segment = tmp_path / "000001.jsonl"
    for lines_now, line in ((lost, row + 1), (doubled, row + 2), (swapped, row + 1)):
        segment.write_bytes(b"".join(lines_now))
        with pytest.raises(JournalDamagedError) as error:
            list(read_journal(segment))
        assert error.value.fault.line == line


def test_a_lost_segment_is_found(tmp_path: Path) -> None:
    """A run whose middle is gone does not read as if it were whole."""
    run = write_run(tmp_path, segment_bytes=4_000)
    (run / "000002.jsonl").unlink()
    with pytest.raises(JournalDamagedError, match="segment missing"):
        list(read_journal(run))


def test_a_segment_cut_before_the_last_is_damage(tmp_path: Path) -> None:
    """Only the end of a run can be torn."""
    run = write_run(tmp_path, segment_bytes=4_000)
    first = run / "000001.jsonl"
    first.write_bytes(first.read_bytes()[:-5])
    with pytest.raises(JournalDamagedError, match="cut short"):
        list(read_journal(run))


def test_unknown_kinds_are_counted_and_survived(tmp_path: Path) -> None:
    """A newer worker's rows do not stop an older reader."""
    segment = only_segment(write_run(tmp_path, 1))
    chain = int(segment.read_bytes()[-11:-3], 16)
    payload = b'{"seq":2,"at":5,"mode":"replay","market":"","kind":"telepathy","body":{}'
    segment.write_bytes(segment.read_bytes() + payload + seal(payload, chain)[0])
    faults = JournalFaults()
    assert len(list(read_journal(segment, faults))) == 1
    assert faults.unknown_kinds == {"telepathy": 1}


def test_reopening_cuts_the_torn_tail_and_goes_on(tmp_path: Path) -> None:
    """The chain and the numbers continue as if the torn row had never been begun."""
    run = write_run(tmp_path, 5)
    segment = only_segment(run)
    segment.write_bytes(segment.read_bytes()[:-7])
    with Journal.reopen(run, Mode.REPLAY) as journal:
        assert journal.append(at(9), SLUG, decision()) == 5
    faults = JournalFaults()
    assert [record.seq for record in read_journal(run, faults)] == [1, 2, 3, 4, 5]
    assert faults.torn_tail is None


def test_reopening_after_a_crash_in_a_rotation_goes_on(tmp_path: Path) -> None:
    """A segment whose header is torn, or missing, is begun again with the right chain."""
    run = write_run(tmp_path, 30, segment_bytes=4_000)
    count = len(list(read_journal(run)))
    last = sorted(run.glob("*.jsonl"))[-1]
    torn = run / f"{int(last.stem) + 1:06d}.jsonl"
    for start in (b"", b'{"journal":1,"seg'):
        torn.write_bytes(start)
        with Journal.reopen(run, Mode.REPLAY) as journal:
            assert journal.append(at(99), SLUG, decision()) == count + 1
        assert len(list(read_journal(run))) == count + 1


def test_a_run_has_one_writer_and_other_runs_are_written_beside_it(tmp_path: Path) -> None:
    """Two writers never share a run; that one worker trades is the lease's business (I31)."""
    with Journal.open_run(tmp_path, Mode.PAPER, OPENS_NS) as journal:
        with pytest.raises(JournalLockedError, match="another writer"):
            Journal.reopen(journal.run, Mode.PAPER)
        with Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS) as other:
            assert other.run != journal.run
    Journal.reopen(journal.run, Mode.PAPER).close()


def test_runs_are_numbered_and_the_latest_is_found_whatever_the_clock_says(tmp_path: Path) -> None:
    """A clock that was set back does not hide the newest run."""
    write_run(tmp_path, 1)
    with Journal.open_run(tmp_path, Mode.PAPER, OPENS_NS - 10**15) as journal:
        newest = journal.run
    assert latest_run(tmp_path) == newest
    assert [run.number for run in list_runs(tmp_path)] == [1, 2]
    assert newest.name == "000002_20260316T101320Z_paper"
    assert latest_run(tmp_path / "absent") is None


def test_retention_removes_the_oldest_of_its_mode_and_never_the_current(tmp_path: Path) -> None:
    """The total is bounded (I34), and a replay never costs a paper run its journal."""
    with Journal.open_run(tmp_path, Mode.PAPER, OPENS_NS) as journal:
        journal.append(at(0), SLUG, decision())
        paper = journal.run
    old = write_run(tmp_path, 40)
    run = write_run(tmp_path, 60, segment_bytes=4_000, retain_bytes=10_000)
    kept = sorted(run.glob("*.jsonl"))
    assert not old.exists()
    assert paper.exists()
    assert 1 <= len(kept) < 5
    assert sum(path.stat().st_size for path in kept) < 10_000 + 8_000
    records = list(read_journal(run))
    assert records[0].seq > 1
    assert records[-1].seq == 60


def test_a_run_that_is_being_written_is_not_retired(tmp_path: Path) -> None:
    """Another replay's retention leaves a running one alone."""
    with Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS) as running:
        running.append(at(0), SLUG, decision())
        write_run(tmp_path, 40, retain_bytes=10)
        assert running.run.exists()
    assert len(list(read_journal(running.run))) == 1


INTENT_WRITER = """
import signal, sys
from pathlib import Path
from db.journal import Journal
from helpers.domain import Mode
from tests.journal_samples import SLUG, OPENS_NS, approved, at, decision
journal = Journal.open_run(Path(sys.argv[1]), Mode.PAPER, OPENS_NS, background=True)
journal.append(at(1), SLUG, decision())
journal.append(at(1), SLUG, approved())
journal.commit()
journal.append(at(2), SLUG, decision())
print("order would be sent now", flush=True)
signal.pause()
"""


def test_kill_between_commit_and_submit_leaves_the_intent(tmp_path: Path) -> None:
    """After kill -9 the approved intent is readable, and what was only buffered is not."""
    writer = start_writer(INTENT_WRITER, tmp_path)
    assert writer.stdout is not None
    assert "sent now" in writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    run = latest_run(tmp_path)
    assert run is not None
    bodies = [record.body for record in read_journal(run)]
    assert bodies == [decision(), approved()]
    with Journal.reopen(run, Mode.PAPER) as journal:
        assert journal.append(at(3), SLUG, decision()) == 3


FULL_DISK_WRITER = """
import resource, sys
from pathlib import Path
from db.journal import Journal, JournalError
from helpers.domain import Mode
from tests.journal_samples import SLUG, OPENS_NS, at, decision
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
journal = Journal.open_run(Path(sys.argv[1]), Mode.PAPER, OPENS_NS, background=True)
durable = 0
try:
    while True:
        seq = journal.append(at(1), SLUG, decision())
        journal.sync_soon()
        durable = seq
except JournalError as error:
    print("commit:", error)
for attempt in (journal.append, journal.append):
    try:
        attempt(at(2), SLUG, decision())
        print("accepted")
    except JournalError as error:
        print("append:", error)
try:
    journal.close()
except JournalError as error:
    print("close:", error)
print(durable)
"""


def test_a_full_disk_is_an_error_now_and_ever_after(tmp_path: Path) -> None:
    """No row is accepted after one could not be written; what was committed reads back."""
    writer = start_writer(FULL_DISK_WRITER, tmp_path)
    out, err = writer.communicate()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].startswith("commit: journal 000001_")
    assert "File too large" in lines[0]
    assert [line.partition(":")[0] for line in lines[1:4]] == ["append", "append", "close"]
    run = latest_run(tmp_path)
    assert run is not None
    faults = JournalFaults()
    assert len(list(read_journal(run, faults))) == int(lines[4])
    assert faults.torn_tail is not None


async def test_the_thread_makes_rows_durable_and_tells_who_waits(tmp_path: Path) -> None:
    """Waiting for a row returns once the thread has synced it, over a rotation too."""
    with Journal.open_run(
        tmp_path, Mode.PAPER, OPENS_NS, background=True, segment_bytes=3_000
    ) as journal:
        for index in range(20):
            seq = journal.append(at(index), SLUG, decision())
            await asyncio.wait_for(journal.wait_synced(seq), 10)
            assert journal.synced_seq >= seq
        await journal.wait_synced(3)
    assert [record.seq for record in read_journal(journal.run)] == list(range(1, 21))


def test_a_blocking_sync_waits_for_the_thread_over_rotations(tmp_path: Path) -> None:
    """What ``sync`` promises holds for the segments before the current one too."""
    with Journal.open_run(
        tmp_path, Mode.PAPER, OPENS_NS, background=True, segment_bytes=3_000
    ) as journal:
        for index in range(20):
            journal.append(at(index), SLUG, decision())
        journal.sync()
        assert journal.synced_seq == 20


async def test_a_failing_sync_reaches_the_waiter_and_the_next_append(tmp_path: Path) -> None:
    """The thread's failure is never swallowed: a pipe cannot be synced."""
    journal = Journal.open_run(tmp_path, Mode.PAPER, OPENS_NS, background=True)
    reading, writing = os.pipe()
    os.dup2(writing, journal._descriptor)
    seq = journal.append(at(1), SLUG, decision())
    with pytest.raises(JournalError, match="not synced"):
        await asyncio.wait_for(journal.wait_synced(seq), 10)
    with pytest.raises(JournalError, match=r"cannot be written: \[Errno"):
        journal.append(at(2), SLUG, decision())
    with pytest.raises(JournalError, match=r"cannot be written: \[Errno"):
        journal.close()
    for descriptor in (reading, writing):
        os.close(descriptor)


async def test_closing_ends_every_wait(tmp_path: Path) -> None:
    """A row that is never appended is not waited for beyond the end of the journal."""
    journal = Journal.open_run(tmp_path, Mode.PAPER, OPENS_NS, background=True)
    waiting = asyncio.ensure_future(journal.wait_synced(99))
    await asyncio.sleep(0)
    journal.close()
    with pytest.raises(JournalError, match="row 99 was not synced"):
        await asyncio.wait_for(waiting, 10)


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    """Appending after the close is an error that says so, closing twice is not."""
    journal = Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append(at(1), SLUG, decision())


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    """The error says which folder and why."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="file"):
        Journal.open_run(tmp_path / "file", Mode.REPLAY, OPENS_NS)


def test_a_run_without_segments_is_not_reopened(tmp_path: Path) -> None:
    """There is nothing to continue, and the error says so."""
    run = write_run(tmp_path, 1)
    only_segment(run).unlink()
    with pytest.raises(JournalError, match="has no segment"):
        Journal.reopen(run, Mode.REPLAY)
    assert latest_run(tmp_path) is None


def test_a_replay_journal_says_when_syncing_needs_the_thread(tmp_path: Path) -> None:
    """Asking for what was not started is a programmer's error with the remedy."""
    with (
        Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS) as journal,
        pytest.raises(JournalError, match="background=True"),
    ):
        journal.sync_soon()


def test_buffered_rows_are_written_at_the_commit(tmp_path: Path) -> None:
    """Appending alone makes no system call; a commit hands everything over."""
    with Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS) as journal:
        journal.append(at(1), SLUG, decision())
        before: list[Record] = list(read_journal(journal.run))
        journal.append(at(1), SLUG, approved())
        journal.commit()
        after = list(read_journal(journal.run))
        assert journal.synced_seq == 0
        journal.sync()
        assert journal.synced_seq == journal.seq == 2
    assert before == []
    assert isinstance(after[-1].body, Approved)


def test_a_failing_sync_without_the_thread_stops_the_journal(tmp_path: Path) -> None:
    """A failed sync is never tried again: the pages may be gone."""
    journal = Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS)
    reading, writing = os.pipe()
    os.dup2(writing, journal._descriptor)
    journal.append(at(1), SLUG, decision())
    with pytest.raises(JournalError, match=r"cannot be written: \[Errno"):
        journal.sync()
    with pytest.raises(JournalError, match=r"cannot be written: \[Errno"):
        journal.append(at(2), SLUG, decision())
    journal.close()
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_a_blocking_sync_tells_the_threads_failure(tmp_path: Path) -> None:
    """Whoever blocks on the thread hears why it gave up."""
    journal = Journal.open_run(tmp_path, Mode.PAPER, OPENS_NS, background=True)
    reading, writing = os.pipe()
    os.dup2(writing, journal._descriptor)
    journal.append(at(1), SLUG, decision())
    with pytest.raises(JournalError, match=r"not synced to row 1: \[Errno"):
        journal.sync()
    with pytest.raises(JournalError, match=r"cannot be written: \[Errno"):
        journal.close()
    for descriptor in (reading, writing):
        os.close(descriptor)


async def test_waiting_is_for_the_journals_with_a_thread(tmp_path: Path) -> None:
    """A replay journal says what it lacks."""
    with (
        Journal.open_run(tmp_path, Mode.REPLAY, OPENS_NS) as journal,
        pytest.raises(JournalError, match="background=True"),
    ):
        await journal.wait_synced(1)


def sealed(payload: bytes, chain: int) -> bytes:
    """Return a line that is whole in itself."""
    return payload + seal(payload, chain)[0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"seq":1,"at":5}', "no checksum"),
        (b'{"seq":"x","at":5', "not a journal row"),
        (b'{"seq":9,"at":5,"mode":"replay","market":"","kind":"a","body":{}', "sequence broken"),
        (b'{"seq":1,"at":5,"mode":"replay","market":"","kind":"fill","body":{}', "body unreadable"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: bytes, problem: str) -> None:
    """A line that is sound but is not the next row is damage too."""
    segment = only_segment(write_run(tmp_path, 0))
    header = segment.read_bytes()
    row = line + b"\n" if problem == "no checksum" else sealed(line, int(header[-11:-3], 16))
    segment.write_bytes(header + row)
    with pytest.raises(JournalDamagedError, match=problem) as error:
        list(read_journal(segment))
    assert error.value.fault.line == 2


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b'{"journal":2,"segment":1,"first_seq":1,"chain":"00000000"', "unknown journal format"),
        (b'{"journal":1,"segment":1,"first_seq":1,"chain":"zzz"', "not a segment header"),
        (b'{"colour":"red"', "not a segment header"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, payload: bytes, problem: str) -> None:
    """A file that is no journal, or a newer one, is not read as one."""
    segment = tmp_path / "000001.jsonl"
    segment.write_bytes(sealed(payload, 0))
    with pytest.raises(JournalDamagedError, match=problem):
        list(read_journal(segment))


def test_segments_of_different_runs_do_not_chain(tmp_path: Path) -> None:
    """A segment that was copied from another run is found at its first line."""
    first = write_run(tmp_path / "a", segment_bytes=4_000)
    second = write_run(tmp_path / "b", 30)
    (second / "000002.jsonl").write_bytes((first / "000002.jsonl").read_bytes())
    with pytest.raises(JournalDamagedError, match=r"000002.jsonl line 1: chain broken"):
        list(read_journal(second))


def test_an_unreadable_segment_is_an_error(tmp_path: Path) -> None:
    """A segment that cannot be opened is not an empty one."""
    with pytest.raises(JournalError, match="cannot be read"):
        list(read_journal(tmp_path / "absent.jsonl"))


def test_the_last_moment_is_found_whatever_the_end_looks_like(tmp_path: Path) -> None:
    """An empty last segment, or a damaged one, still has a time before it."""
    run = write_run(tmp_path, 30, segment_bytes=4_000)
    whole = at(29)
    assert last_moment_ns(run) == whole
    newest = sorted(run.glob("*.jsonl"))[-1]
    (run / f"{int(newest.stem) + 1:06d}.jsonl").touch()
    assert last_moment_ns(run) == whole
    first = run / "000001.jsonl"
    first.write_bytes(first.read_bytes()[:-4] + b"x" * 3 + b"\n")
    damaged = last_moment_ns(first)
    assert damaged is not None
    assert damaged < whole
    first.write_bytes(b"")
    assert last_moment_ns(first) is None
