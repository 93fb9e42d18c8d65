"""The demo: the ordinary worker against simulated venues over real sockets on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from db.journal_reading import list_runs, read_journal
from db.records import Record
from helpers.commands import demo, replay
from helpers.domain import Approved, Decision, Fill, Mode, Refused, RunStarted, RunStopped
from helpers.settings import Settings
from simulator.simulated_loop import SimulatedLoop
from strategies.registry import load

ROOT = Path(__file__).resolve().parents[2]
JOURNAL = Path("backups/journal/demo-paper")
START_SECONDS_MAXIMUM = 60
"""How long a loaded machine may take to the first decision; a quiet one needs under three."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def run(*options: str) -> list[Record]:
    """Run a demo as fast as it goes and return its journal."""
    assert demo.main(["--speed", "max", "--quiet", *options]) == 0
    runs = [found for found in list_runs(JOURNAL) if found.mode is Mode.PAPER]
    return list(read_journal(runs[-1].path))


def told(records: list[Record]) -> list[object]:
    return [record.body for record in records if not isinstance(record.body, RunStarted)]


def test_the_same_seed_gives_the_same_run() -> None:
    """Every row but the run's own name is equal, over real sockets."""
    first = run("--minutes", "1.5", "--strategy", "momentum")
    second = run("--minutes", "1.5", "--strategy", "momentum")
    assert told(first) == told(second)
    kinds = {type(record.body) for record in first}
    assert {Decision, Approved, Refused, Fill, RunStopped} <= kinds


def test_another_seed_gives_another_run() -> None:
    """The seed is what decides."""
    assert told(run("--minutes", "0.3")) != told(run("--minutes", "0.3", "--seed", "8"))


def test_a_learned_policy_can_be_tried_in_an_empty_folder() -> None:
    """It begins with the model of the build, as a worker on an empty disk does."""
    started = run("--minutes", "0.1", "--strategy", "rl")[0].body
    assert isinstance(started, RunStarted)
    assert started.model_id == load(Path("models")).manifest.model_id


def test_the_worker_gets_through_a_rough_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cuts, gaps and refusals are met by reconnects; the run ends in order and says so."""
    monkeypatch.setenv("LOG_FORMAT", "json")
    schedule = tmp_path / "faults.toml"
    schedule.write_text(
        '[[fault]]\nkind = "cut"\nwhere = "binance_socket:*"\nfrom_seconds = 5\n'
        'for_seconds = 1\n[[fault]]\nkind = "gap"\nwhere = "market_socket:price_change"\n'
        "from_seconds = 8\nfor_seconds = 10\nprobability = 0.2\n"
        '[[fault]]\nkind = "refuse"\nwhere = "gamma:*"\nstatus = 503\nfrom_seconds = 10\n'
    )
    records = run("--minutes", "0.6", "--faults", str(schedule))
    out = capsys.readouterr().out
    assert "cut: " in out
    assert "gap: " in out
    decided = [r.at_ns for r in records if isinstance(r.body, Decision)]
    assert max(decided) - min(decided) > 30 * 10**9
    assert isinstance(records[-1].body, RunStopped)
    lines = [json.loads(line) for line in Path("logs/worker.log").read_text().splitlines()]
    beats = [line["build"] for line in lines if line["event"] == "heartbeat"]
    assert isinstance(records[0].body, RunStarted)
    assert beats == [records[0].body.build_id]  # I1: every heartbeat says what runs


def test_a_recorded_demo_replays_to_the_same_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """U20: the tape of a run over sockets gives its decisions, refusals and fills again."""
    monkeypatch.setenv("RECORD", "true")
    live = run("--minutes", "1", "--strategy", "momentum")
    (tape,) = Path("backups/tapes").glob("*.jsonl.gz")
    assert replay.main([str(tape), "--quiet", "--strategy", "momentum"]) == 0
    (found,) = [r for r in list_runs(Path("backups/journal")) if r.mode is Mode.REPLAY]
    wanted = (Decision, Refused, Fill)
    mine = [r.body for r in live if isinstance(r.body, wanted)]
    again = [r.body for r in read_journal(found.path) if isinstance(r.body, wanted)]
    assert len(mine) > 200
    assert again[: len(mine)] == mine[: len(again)]
    assert len(mine) - len(again) <= 12  # the last grid step lies after the last frame


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """U10: exit 0, the last row written, whatever was going on."""
    command = [sys.executable, str(ROOT / "worker.py"), "demo", "--seed", "3"]
    environment = {**os.environ, "MODEL_DIRECTORY": str(ROOT / "models"), "LOG_FORMAT": "json"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        assert started.stderr is not None
        began = time.monotonic()
        for line in started.stderr:
            assert time.monotonic() - began < START_SECONDS_MAXIMUM
            if b'"event":"decision"' in line:
                break
        started.send_signal(number)
        out, _ = started.communicate(timeout=START_SECONDS_MAXIMUM)
    assert started.returncode == 0
    assert b"DEMO of" in out
    (found,) = list_runs(tmp_path / JOURNAL)
    last = list(read_journal(found.path))[-1].body
    assert isinstance(last, RunStopped)
    assert last.reason == "stopped"


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--faults", "nowhere.toml"], 2), (["--strategy", "rl"], 66)],
)
def test_what_cannot_start_says_why(
    options: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing schedule and a folder without a model end the start with their exit codes."""
    Path("no-model").mkdir()
    monkeypatch.setenv("MODEL_DIRECTORY", "no-model")
    assert demo.main(["--minutes", "0.1", "--speed", "max", *options]) == code
    assert capsys.readouterr().err


def test_windows_that_are_not_simulated_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """4 h windows have no model."""
    monkeypatch.setenv("WINDOWS", "4h")
    assert demo.main(["--minutes", "0.1"]) == 2
    assert "4h is not simulated" in capsys.readouterr().err


@pytest.mark.parametrize(("speed", "still_seconds"), [(0.0, 20), (20.0, 20), (0.02, 1_000)])
def test_a_demo_slower_than_real_time_may_stand_still_for_longer(
    speed: float, still_seconds: float
) -> None:
    """Half a simulated second between two decisions must not look stuck to the watchdog."""
    loop = SimulatedLoop(speed)
    limits = demo.watch_limits(loop, speed)
    loop.close()
    assert limits.still_seconds == pytest.approx(still_seconds)
    assert limits.stop_seconds > limits.still_seconds
    assert limits.held_up() == 0
