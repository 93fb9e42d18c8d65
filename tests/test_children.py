"""Ctrl-C belongs to the owner: its processes say nothing, and none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from helpers.clock import monotonic_seconds, pause_seconds
from helpers.commands.children import deaf_to_interrupts, ended_with_the_owner
from strategies.registry import load

ROOT = Path(__file__).resolve().parents[1]
SPAWN = multiprocessing.get_context("spawn")
PATIENCE_SECONDS = 180.0
"""How long a loaded machine may take; a quiet one needs a tenth."""


@pytest.fixture(autouse=True)
def _interruptible() -> Generator[None]:
    """A shell starts what runs in its background with interrupts ignored, children and all."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_child_is_deaf_from_its_first_instruction() -> None:
    """The owner hears again, and hears what it was told meanwhile."""
    asked = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    told: list[str] = []

    def start_and_interrupt() -> None:
        with deaf_to_interrupts():
            told.append(subprocess.check_output([sys.executable, "-c", asked], text=True))
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        start_and_interrupt()
    assert told == ["True\n"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_children_end_with_an_owner_that_fails_and_with_no_other() -> None:
    """Only those that were started meanwhile; and none where all went well."""
    others = SPAWN.Process(target=pause_seconds, args=(600.0,), daemon=True)
    mine = SPAWN.Process(target=pause_seconds, args=(600.0,), daemon=True)

    def start_and_fail() -> None:
        with ended_with_the_owner():
            mine.start()
            raise ValueError("it went wrong")

    others.start()
    with pytest.raises(ValueError, match="went wrong"):
        start_and_fail()
    mine.join(PATIENCE_SECONDS)
    assert mine.exitcode == -signal.SIGKILL
    with ended_with_the_owner():
        pass
    assert others.is_alive()
    others.kill()
    others.join(PATIENCE_SECONDS)


def started(words: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start a verb, in a group of its own."""
    environment = {**os.environ, "ASSETS": "BTC", "LEARN_INTERVAL_SECONDS": "0.5"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "worker.py"), *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_children(verb: subprocess.Popen[str], ready: Path | None) -> None:
    """Wait until a verb has written to a file, or else has processes that work."""
    until = monotonic_seconds() + PATIENCE_SECONDS
    while monotonic_seconds() < until and verb.poll() is None:
        pause_seconds(0.05)
        if ready is not None and ready.exists() and ready.stat().st_size:
            break
        if ready is None and children_of(verb.pid):
            break


def interrupted(words: Sequence[str], ready: Path | None, folder: Path) -> tuple[int, str]:
    """Run a verb, press ctrl-C once there is a file (or it works), return its code and words."""
    verb = started(words, folder)
    wait_for_children(verb, ready)
    os.killpg(verb.pid, signal.SIGINT)
    said, _ = verb.communicate(timeout=PATIENCE_SECONDS)
    wait_until_gone(verb.pid)
    return verb.returncode, said


def wait_until_gone(group: int) -> None:
    """Wait until there is no process of a group; whoever counts its resources ends last."""
    until = monotonic_seconds() + PATIENCE_SECONDS
    while alive(group):
        assert monotonic_seconds() < until, "a process of its group is left"
        pause_seconds(0.05)


def alive(group: int) -> bool:
    """Return whether there is a process of a group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def children_of(process_id: int) -> bool:
    """Return whether a process has started others that work (the first only counts resources)."""
    path = Path(f"/proc/{process_id}/task/{process_id}/children")
    return len(path.read_text().split()) > 1


def test_an_interrupted_training_keeps_what_it_learned(tmp_path: Path) -> None:
    """A model that loads, one sentence, no stack of any process."""
    output = tmp_path / "trained"
    words = ("train", "--steps", "1000000", "--output", str(output))
    code, said = interrupted(words, output / "curve.jsonl", tmp_path)
    assert code == 0
    assert "stopped; go on with --resume" in said
    assert "Traceback" not in said
    updates = len((output / "curve.jsonl").read_bytes().splitlines())
    assert load(output).manifest.metrics["training_updates"] == updates > 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_interrupted_backtest_ends_at_once(tmp_path: Path) -> None:
    """Its processes are not waited for, and leave no stack behind."""
    words = ("backtest", "--simulated", "400", "--strategy", "hold", "--processes", "2")
    code, said = interrupted(words, None, tmp_path)
    assert code == 130
    assert said.strip() == "worker.py: interrupted"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_left_of_a_backtest_that_is_killed(tmp_path: Path) -> None:
    """A ``timeout`` or the system's own killer asks nobody: its processes see it for themselves."""
    words = ("backtest", "--simulated", "400", "--strategy", "hold", "--processes", "2")
    verb = started(words, tmp_path)
    wait_for_children(verb, None)
    os.kill(verb.pid, signal.SIGKILL)
    verb.communicate(timeout=PATIENCE_SECONDS)
    wait_until_gone(verb.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_backtest_says_that_it_lost_a_process(tmp_path: Path) -> None:
    """A process that the system killed is one sentence, and the others are not left behind."""
    words = ("backtest", "--simulated", "400", "--strategy", "hold", "--processes", "2")
    verb = started(words, tmp_path)
    wait_for_children(verb, None)
    children = Path(f"/proc/{verb.pid}/task/{verb.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said, _ = verb.communicate(timeout=PATIENCE_SECONDS)
    assert verb.returncode == 70
    assert "a process ended before it answered" in said
    assert "Traceback" not in said
