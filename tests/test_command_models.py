"""`worker.py models`: what is shown, what is changed, and whose word is waited for."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import worker
from db.control import ControlLog
from db.control_state import CauseHeld, ModelNoted
from db.file_lease import FileLease
from db.journal import Journal
from db.journal_reading import list_runs, read_journal
from helpers.clock import SimulatedClock
from helpers.commands import demo, model_change
from helpers.commands.trading_worker import Worker
from helpers.domain import HoldCause, Mode, ModelChanged
from helpers.lease import LeaseHolder
from helpers.settings import Settings, load_settings
from helpers.venues import Venues
from strategies.model_files import MANIFEST_FILE, STATISTICS_FILE, WEIGHTS_FILE
from strategies.registry import initial_model, load, save
from tests.test_smoke import biased

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("backups/journal")
MODELS, BACKUPS = Path("models"), Path("backups/models")
AT = 1_795_602_600 * 10**9


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    FOLDER.mkdir(parents=True)


@pytest.fixture
def ids() -> tuple[str, str]:
    """Two models: the one that is kept, and the one in use."""
    first = save(initial_model(1, "2026-01-01"), MODELS, BACKUPS, AT).model_id
    second = save(initial_model(2, "2026-01-02"), MODELS, BACKUPS, AT).model_id
    return first, second


@contextmanager
def a_lease() -> Generator[None]:
    lease = FileLease(FOLDER, Mode.PAPER)
    lease.acquire(LeaseHolder(os.getpid(), "here", "2026-01-01T00:00:00Z"))
    try:
        yield
    finally:
        lease.release()


@contextmanager
def a_running_worker(strategy: str = "rl") -> Generator[None]:
    """Run a paper worker without feeds beside the test: only its watch turns."""
    settings, clock = load_settings(strategy=strategy), SimulatedClock(10**18)
    ended = threading.Event()
    with a_lease(), Journal.open_run(FOLDER, Mode.PAPER, 10**18, background=True) as journal:
        running = Worker(settings, clock, journal, Venues(), random.Random(1))
        running.begin()
        journal.commit()

        async def watch() -> None:
            async with asyncio.timeout(60):
                watching = asyncio.ensure_future(running.models.watch())
                while not ended.is_set():
                    await asyncio.sleep(0.01)
                watching.cancel()

        thread = threading.Thread(target=asyncio.run, args=(watch(),))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            running.close("stopped")


def changes() -> list[ModelChanged]:
    (run,) = list_runs(FOLDER)
    return [r.body for r in read_journal(run.path) if isinstance(r.body, ModelChanged)]


# --- list and show --------------------------------------------------------------------------------


def test_the_list_shows_what_is_used_and_what_was_kept(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Newest first, with where it lies."""
    first, second = ids
    assert worker.main(["models", "list"]) == 0
    head, used, kept = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "created", "steps", "what", "where"]
    assert used.split()[:3] == [second, "2026-01-02", "0"]
    assert used.endswith("in use")
    assert kept.split()[:3] == [first, "2026-01-01", "0"]
    assert kept.endswith("kept 20261125T103000.000000Z")


def test_the_list_as_a_document(ids: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every claim of every manifest, for programs."""
    first, second = ids
    assert worker.main(["models", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["in_use"]["model_id"] == second
    assert document["in_use"]["replaces"] == first
    assert document["problem"] == ""
    (kept,) = document["kept"]
    assert kept["manifest"]["model_id"] == first
    assert Path(kept["directory"]).parent == BACKUPS


def test_a_model_in_use_that_is_broken_is_told(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest of the list is shown all the same, the way back is named, the exit code says so."""
    (MODELS / WEIGHTS_FILE).write_bytes(b"damaged")
    assert worker.main(["models", "list"]) == 66
    captured = capsys.readouterr()
    assert ids[0] in captured.out
    assert "cannot be used" in captured.err
    assert "worker.py models rollback" in captured.err
    assert worker.main(["models", "list", "--json"]) == 66
    document = json.loads(capsys.readouterr().out)
    assert document["in_use"] is None
    assert "sha256" in document["problem"]


def test_no_model_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder."""
    assert worker.main(["models", "list"]) == 66
    assert capsys.readouterr().out == "no model\n"


def test_a_model_is_shown_by_id_by_path_or_because_it_is_used(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """All that its manifest says, for people and for programs."""
    first, second = ids
    for words, model_id in (([], second), ([first], first), ([str(MODELS)], second)):
        assert worker.main(["models", "show", *words]) == 0
        assert f"id            {model_id}\n" in capsys.readouterr().out
    assert worker.main(["models", "show", first, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameter_count"] == 38_756
    assert worker.main(["models", "show", "nobody"]) == 66
    assert f"expected one of ['{first}']" in capsys.readouterr().err


def test_listing_does_not_wait_for_mlx(ids: tuple[str, str]) -> None:
    """What only looks at files is there at once."""
    code = "import sys, worker; worker.main(['models', 'list']); print('mlx' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "False"


# --- promote and rollback without a worker --------------------------------------------------------


def test_a_kept_model_is_promoted_and_brought_back(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id; the next start decides by it."""
    first, second = ids
    assert worker.main(["models", "promote", first]) == 0
    out = capsys.readouterr().out
    assert f"promoted: {first}, replaces {second}\n" in out
    assert "no worker runs" in out
    assert load(MODELS).manifest.model_id == first
    assert worker.main(["models", "rollback"]) == 0
    assert f"rolled back: {second}, replaces {first}\n" in capsys.readouterr().out
    assert load(MODELS).manifest.model_id == second


def test_a_bare_pair_is_promoted_by_its_path(
    ids: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Phase 5 left its weights: a file, and statistics beside it."""
    other = initial_model(3, "2026-01-03")
    save(other, tmp_path / "other", BACKUPS, AT)
    (tmp_path / "other" / WEIGHTS_FILE).rename(tmp_path / "theirs.safetensors")
    (tmp_path / "other" / STATISTICS_FILE).rename(tmp_path / "theirs_stats.npz")
    assert worker.main(["models", "promote", str(tmp_path / "theirs.safetensors")]) == 0
    assert load(MODELS).manifest.model_id == other.manifest.model_id
    assert worker.main(["models", "rollback", ids[0]]) == 0
    assert load(MODELS).manifest.model_id == ids[0]


def test_what_cannot_be_used_changes_nothing(
    ids: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage, a collapsed policy, an unknown id, nothing to go back to."""
    before = (MODELS / MANIFEST_FILE).read_bytes()
    save(biased(9.0), tmp_path / "collapsed", BACKUPS, AT)
    save(initial_model(4, ""), tmp_path / "damaged", BACKUPS, AT)
    (tmp_path / "damaged" / WEIGHTS_FILE).write_bytes(b"")
    for words, said in (
        (["promote", str(tmp_path / "collapsed")], "mean entropy was"),
        (["promote", str(tmp_path / "damaged")], "sha256"),
        (["promote", "nobody"], "expected one of"),
        (["rollback", "nobody"], "in use before"),
    ):
        assert worker.main(["models", *words]) == 66
        assert said in capsys.readouterr().err
    assert (MODELS / MANIFEST_FILE).read_bytes() == before
    assert worker.main(["models", "promote", str(MODELS)]) == 0
    assert "in use already" in capsys.readouterr().out
    assert worker.main(["models", "rollback"]) == 0
    assert worker.main(["models", "rollback"]) == 66


def test_a_disk_that_refuses_is_told(
    ids: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 70, and the model in use is whole."""

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    assert worker.main(["models", "promote", ids[0]]) == 70
    assert "No space left" in capsys.readouterr().err
    assert load(MODELS).manifest.model_id == ids[1]


@pytest.mark.parametrize("words", [[], ["fly"], ["promote"], ["list", "--yaml"]])
def test_usage(words: list[str]) -> None:
    """Exit code 2."""
    with pytest.raises(SystemExit) as left:
        worker.main(["models", *words])
    assert left.value.code == 2


def test_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the models are is a setting."""
    monkeypatch.setenv("TRADE_SIZE", "a lot")
    assert worker.main(["models", "list"]) == 78


# --- With a worker --------------------------------------------------------------------------------


def test_a_running_worker_acknowledges_by_its_run(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """I30: what is printed is the worker's own word, and stands in its journal."""
    first, second = ids
    with a_running_worker():
        assert worker.main(["models", "rollback"]) == 0
        out = capsys.readouterr().out
        assert worker.main(["models", "promote", second]) == 0
    assert f"paper worker on {FOLDER}: run 000001_20010909T014640Z_paper decides by {first}" in out
    back, again = changes()
    assert (back.change, back.model_id, back.replaces) == ("rolled_back", first, second)
    assert (again.change, again.model_id, again.replaces) == ("promoted", second, first)


def test_a_worker_that_keeps_its_model_says_why(
    ids: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are changed and the running model stays: exit code 1 and the worker's reason."""
    first, second = ids
    log = ControlLog(FOLDER, Mode.PAPER)
    noted = ModelNoted(5, "refused", second, first, "feature version", "000001_run")
    with a_lease():
        late = threading.Timer(0.2, lambda: log.append(noted))
        late.start()
        assert worker.main(["models", "rollback"]) == 1
        late.join()
    assert f"run 000001_run keeps {second}: feature version" in capsys.readouterr().err


def test_a_worker_that_does_not_answer_is_told_as_such(
    ids: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words about another model, or of before, are no answer."""
    log = ControlLog(FOLDER, Mode.PAPER)
    log.append(CauseHeld(HoldCause.OPERATOR, "", 1))
    log.append(ModelNoted(5, "promoted", ids[0], ids[0], "", "000001_run"))
    monkeypatch.setattr(model_change, "ANSWER_SECONDS", 0.05)
    with a_lease():
        assert worker.main(["models", "rollback"]) == 1
    assert "did not answer within" in capsys.readouterr().err


def test_a_worker_without_a_model_is_not_waited_for(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A baseline goes on; the files are changed for the next start by rl."""
    with a_running_worker("momentum"):
        assert worker.main(["models", "rollback"]) == 0
    assert "decides by momentum, which needs no model" in capsys.readouterr().out
    assert changes() == []


def test_a_control_log_that_cannot_be_read_is_told(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is changed: nobody could be asked."""
    ControlLog(FOLDER, Mode.PAPER).path.mkdir()
    with a_lease():
        assert worker.main(["models", "rollback"]) == 70
    assert load(MODELS).manifest.model_id == ids[1]


def test_a_start_by_a_broken_model_names_the_way_back(
    ids: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 66 as ever, and the command that mends it; so for one that cannot be a policy."""
    for break_it in (
        lambda: (MODELS / WEIGHTS_FILE).write_bytes(b"damaged"),
        lambda: save(biased(9.0), MODELS, BACKUPS, AT),
    ):
        break_it()
        assert demo.main(["--minutes", "0.1", "--speed", "max", "--strategy", "rl"]) == 66
        assert "worker.py models rollback" in capsys.readouterr().err
        assert worker.main(["models", "rollback"]) == 0
