"""The lease of the one trader: taken once, named for people, lost when its file is (I31)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.file_lease import FileLease
from helpers.domain import Mode
from helpers.lease import Lease, LeaseError, LeaseHolder, Leases, LeaseTakenError

ROOT = Path(__file__).resolve().parents[1]
ANN = LeaseHolder(4711, "ann", "2026-03-28T10:00:00.000Z", "000007_20260328T100000Z_paper")
BOB = LeaseHolder(4712, "bob", "2026-03-28T11:00:00.000Z")


def taken(folder: Path, mode: Mode = Mode.PAPER) -> FileLease:
    lease = FileLease(folder, mode)
    lease.acquire(ANN)
    return lease


def test_a_second_trader_is_told_who_trades_and_since_when(tmp_path: Path) -> None:
    """The refusal names process, host, time and run; other modes and folders are free."""
    first: Lease = taken(tmp_path)
    with pytest.raises(LeaseTakenError) as refused:
        FileLease(tmp_path, Mode.PAPER).acquire(BOB)
    assert str(ANN) in str(refused.value)
    assert str(ANN) == (
        "process 4711 on ann since 2026-03-28T10:00:00.000Z, run 000007_20260328T100000Z_paper"
    )
    assert "JOURNAL_DIRECTORY" in str(refused.value)
    taken(tmp_path, Mode.LIVE).release()
    taken(tmp_path / "elsewhere").release()
    assert first.loss() == ""


def test_it_can_be_taken_again_after_it_was_given_back(tmp_path: Path) -> None:
    """The file stays, empty: removing it would race with the next trader."""
    first = taken(tmp_path)
    first.release()
    first.release()
    assert first.loss() == "it was given back"
    assert (tmp_path / "trader_paper.lock").read_bytes() == b""
    second = taken(tmp_path)
    assert second.loss() == ""
    second.release()


def test_it_can_be_signed_anew(tmp_path: Path) -> None:
    """A shorter note leaves nothing of a longer one."""
    lease = taken(tmp_path)
    lease.sign(BOB)
    with pytest.raises(LeaseTakenError, match=r"process 4712 on bob since [0-9TZ:.-]+\. Stop it"):
        FileLease(tmp_path, Mode.PAPER).acquire(ANN)
    lease.release()


@pytest.mark.parametrize("note", [b"", b"{", b"\xff\xfe", b'{"pid":"x"}'])
def test_a_holder_without_a_readable_name_still_holds_it(tmp_path: Path, note: bytes) -> None:
    """The lock counts, the note is for people."""
    lease = taken(tmp_path)
    (tmp_path / "trader_paper.lock").write_bytes(note)
    with pytest.raises(LeaseTakenError, match="no readable name"):
        FileLease(tmp_path, Mode.PAPER).acquire(BOB)
    assert lease.loss() == ""
    lease.release()


def test_a_file_that_is_removed_is_a_lease_that_is_lost(tmp_path: Path) -> None:
    """Another worker can take it now, and does; the first has it again when that one is gone."""
    first = taken(tmp_path)
    path = tmp_path / "trader_paper.lock"
    path.unlink()
    assert "removed or replaced" in first.loss()
    second = taken(tmp_path)
    second.sign(BOB)
    assert second.loss() == ""
    first.release()
    assert b"4712" in path.read_bytes()
    assert "removed or replaced" in first.loss()
    with pytest.raises(LeaseTakenError, match="4712"):
        first.retake(ANN)
    second.release()
    first.retake(ANN)
    assert first.loss() == ""
    first.release()


def test_a_file_that_is_replaced_is_a_lease_that_is_lost(tmp_path: Path) -> None:
    """Same name, other file: the lock is on the old one."""
    lease = taken(tmp_path)
    path = tmp_path / "trader_paper.lock"
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert "removed or replaced" in lease.loss()
    lease.release()


def test_a_lease_that_cannot_be_looked_at_is_lost(tmp_path: Path) -> None:
    """Not to know is not to hold it (I18)."""
    folder = tmp_path / "journal"
    lease = taken(folder)
    folder.rename(tmp_path / "moved")
    folder.write_text("in its place")
    assert "cannot be looked at" in lease.loss()
    lease.release()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """No lease, no trading; the error names the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LeaseError, match=r"trader_live\.lock cannot be used"):
        FileLease(tmp_path / "file", Mode.LIVE).acquire(ANN)


def test_the_lease_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The system gives it back however its holder died; nobody has to clean up."""
    code = (
        "import os, sys, signal; from pathlib import Path; from db.file_lease import FileLease; "
        "from helpers.domain import Mode; from helpers.lease import LeaseHolder; "
        "FileLease(Path(sys.argv[1]), Mode.LIVE).acquire(LeaseHolder(os.getpid(), 'h', 's')); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert b'"host":"h"' in (tmp_path / "trader_live.lock").read_bytes()
    taken(tmp_path, Mode.LIVE).release()


def test_a_child_does_not_inherit_the_lease(tmp_path: Path) -> None:
    """An account operation that outlives a killed worker must not keep the next one out."""
    lease = taken(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        lease.release()
        taken(tmp_path).release()
        assert child.poll() is None
        child.communicate(b"\n")
    assert os.path.lexists(tmp_path / "trader_paper.lock")


def test_several_leases_are_held_together_or_not_at_all(tmp_path: Path) -> None:
    """The one that was had is given back when the next is refused; one lost is all lost."""
    here, there = tmp_path / "here", tmp_path / "there"
    other = taken(there)
    both: Lease = Leases((FileLease(here, Mode.PAPER), FileLease(there, Mode.PAPER)))
    with pytest.raises(LeaseTakenError):
        both.acquire(BOB)
    taken(here).release()
    other.release()
    both = Leases((FileLease(here, Mode.PAPER), FileLease(there, Mode.PAPER)))
    both.acquire(BOB)
    both.sign(ANN)
    assert all(b"4711" in (place / "trader_paper.lock").read_bytes() for place in (here, there))
    assert both.loss() == ""
    (there / "trader_paper.lock").unlink()
    assert str(there) in both.loss()
    both.release()
    taken(here).release()
