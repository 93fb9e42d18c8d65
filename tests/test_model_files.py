"""Models on the disk: kept by time, brought back whole, one change at a time, whatever crashed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from strategies import model_files
from strategies.model_backups import find_kept, install, kept_models, replaced_before, roll_back
from strategies.model_files import (
    FILES,
    MANIFEST_FILE,
    OPTIMIZER_FILE,
    STATISTICS_FILE,
    WEIGHTS_FILE,
    is_changing,
    read_files,
    verified_files,
    verified_manifest,
)
from strategies.registry import (
    Model,
    ModelError,
    ModelManifest,
    import_weights,
    initial_model,
    load,
    load_optimizer,
    save,
)
from tests.shared import shared_file

DAY = "2026-01-01"
AT = 1_795_602_600 * 10**9
SECOND = 10**9
NEW_KEYS = ("architecture_name", "parent", "data", "seed", "metrics", "optimizer_sha256")


def fill(home: Path, *seeds: int) -> list[str]:
    """Save models one after the other, a second apart; return their ids."""
    backups = home.parent / "backups"
    found: list[str] = []
    for number, seed in enumerate(seeds):
        found.append(save(initial_model(seed, DAY), home, backups, AT + number * SECOND).model_id)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# --- What a manifest says -------------------------------------------------------------------------


def test_a_manifest_says_where_a_model_came_from(home: Path, backups: Path) -> None:
    """Data, seed, metrics and parent survive the disk."""
    fresh = initial_model(1, DAY)
    model = fresh._replace(manifest=_trained(fresh))
    save(model, home, backups, AT)
    found = load(home).manifest
    assert (found.data, found.seed, found.parent) == ("simulator", 3, "e64a0275cf4c")
    assert found.metrics == {"pnl_mean_usd": 0.25, "windows": 500.0}
    assert found.architecture_name == "phase5"


def _trained(model: Model) -> ModelManifest:
    metrics = {"pnl_mean_usd": 0.25, "windows": 500.0}
    return replace(model.manifest, data="simulator", seed=3, parent="e64a0275cf4c", metrics=metrics)


def test_a_manifest_of_an_earlier_build_loads(home: Path) -> None:
    """What it does not say is not known; nothing else changes."""
    fill(home, 1)
    path = home / MANIFEST_FILE
    said = json.loads(path.read_text())
    path.write_text(json.dumps({key: said[key] for key in said if key not in NEW_KEYS}))
    manifest = load(home).manifest
    assert (manifest.parent, manifest.data, manifest.seed, manifest.metrics) == ("", "", None, {})
    assert manifest.model_id == initial_model(1, DAY).manifest.model_id


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("architecture_name", "phase6", "architecture was 'phase6', expected 'phase5'"),
        ("metrics", {"pnl": None}, "was no manifest"),
        ("metrics", [1], "was no manifest"),
        ("seed", "three", "was no manifest"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    home: Path, key: str, value: object, said: str
) -> None:
    """Another network, and figures that are none."""
    fill(home, 1)
    path = home / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=said):
        load(home)


# --- Phase 5 --------------------------------------------------------------------------------------


def test_a_pair_without_a_manifest_is_a_phase5_model(home: Path, tmp_path: Path) -> None:
    """Architecture and feature version phase5, found by directory or by its weights file."""
    fill(home, 1)
    (home / MANIFEST_FILE).unlink()
    shutil.copy(home / WEIGHTS_FILE, tmp_path / "mine.safetensors")
    shutil.copy(home / STATISTICS_FILE, tmp_path / "mine_stats.npz")
    for place in (home, tmp_path / "mine.safetensors"):
        manifest = load(place).manifest
        assert (manifest.architecture_name, manifest.feature_version) == ("phase5", "phase5")
        assert manifest.model_id == initial_model(1, DAY).manifest.model_id
    (home / STATISTICS_FILE).unlink()
    with pytest.raises(ModelError, match="No such file"):
        load(home)


def test_the_phase5_pair_is_promoted_and_brought_back(home: Path, backups: Path) -> None:
    """The predecessor's files as they are: weights, statistics, and what they decide."""
    fill(home, 1)
    before = contents(home)
    path = shared_file("weights/phase5.safetensors")
    manifest = install(verified_files(path), home, backups, AT)
    assert (home / WEIGHTS_FILE).read_bytes() == path.read_bytes()
    assert load(home).statistics.reward_count == manifest.trained_steps > 0
    bare = import_weights(path, None, "", DAY)
    assert bare.manifest.parameter_count == manifest.parameter_count
    roll_back(home, backups, AT + SECOND)
    assert contents(home) == before


def test_a_replaced_pair_gets_its_manifest_first(home: Path, backups: Path) -> None:
    """Bare files that are replaced are kept with the manifest they deserve."""
    (first,) = fill(home, 1)
    (home / MANIFEST_FILE).unlink()
    save(initial_model(2, DAY), home, backups, AT + SECOND)
    assert load(find_kept(first, backups).directory).manifest.note.startswith("a Phase-5 pair")
    assert roll_back(home, backups, AT + 2 * SECOND).model_id == first


# --- The optimizer's state ------------------------------------------------------------------------


def test_the_optimizers_state_goes_with_its_model(home: Path, backups: Path) -> None:
    """Saved, kept, brought back; a model without one has none lying about."""
    state = {"step": np.array([7]), "actor.m": np.ones((2, 3), dtype=np.float32)}
    save(initial_model(1, DAY), home, backups, AT, state)
    before = contents(home)
    found = load_optimizer(home)
    assert found is not None
    assert {name: value.tolist() for name, value in found.items()} == {
        "step": [7],
        "actor.m": [[1.0] * 3] * 2,
    }
    save(initial_model(2, DAY), home, backups, AT)
    assert sorted(contents(home)) == sorted(FILES)
    assert load_optimizer(home) is None
    roll_back(home, backups, AT)
    assert contents(home) == before


def test_a_damaged_optimizer_state_keeps_nobody_from_deciding(home: Path, backups: Path) -> None:
    """It is needed to train only; a promotion would carry the damage on and is refused."""
    save(initial_model(1, DAY), home, backups, AT, {"step": np.array([7])})
    (home / OPTIMIZER_FILE).write_bytes(b"damaged")
    load(home)
    with pytest.raises(ModelError, match="optimizer state had sha256"):
        load_optimizer(home)
    with pytest.raises(ModelError, match="optimizer state had sha256"):
        verified_files(home)


# --- What is kept, and what comes back ------------------------------------------------------------


def test_a_rollback_restores_every_byte(home: Path, backups: Path) -> None:
    """Weights, statistics and manifest; the one that went can be promoted again."""
    (first,) = fill(home, 1)
    before = contents(home)
    (second,) = fill(home, 2)
    roll_back(home, backups, AT + SECOND)
    assert contents(home) == before
    assert (
        install(verified_files(find_kept(second, backups).directory), home, backups, AT).replaces
        == first
    )


def test_an_earlier_model_is_brought_back_by_its_id(home: Path, backups: Path) -> None:
    """Of those that were in use before; any other has to be promoted."""
    first, second, third = fill(home, 1, 2, 3)
    assert list(replaced_before(load(home).manifest, backups)) == [second, first]
    with pytest.raises(ModelError, match=r"expected one that was in use before: .*promote"):
        roll_back(home, backups, AT, third)
    assert roll_back(home, backups, AT + 9 * SECOND, first).model_id == first
    with pytest.raises(ModelError, match="no former model"):
        roll_back(home, backups, AT)
    assert third in [kept.manifest.model_id for kept in kept_models(backups)]


def test_two_changes_in_one_moment_are_both_kept(home: Path, backups: Path) -> None:
    """A directory of the backups is never written into again."""
    save(initial_model(1, DAY), home, backups, AT)
    save(initial_model(2, DAY), home, backups, AT)
    save(initial_model(3, DAY), home, backups, AT)
    names = sorted(path.name for path in backups.iterdir())
    assert names == ["20261125T103000.000000Z", "20261125T103000.000001Z"]


def test_the_same_model_is_kept_once(home: Path, backups: Path) -> None:
    """To and fro does not fill the disk."""
    first, second = fill(home, 1, 2)
    for number in range(3):
        roll_back(home, backups, AT + number)
        install(verified_files(find_kept(second, backups).directory), home, backups, AT + number)
    assert sorted(kept.manifest.model_id for kept in kept_models(backups)) == sorted(
        [first, second]
    )


def test_weights_saved_again_keep_what_they_replaced(home: Path, backups: Path) -> None:
    """A better note does not cut the way back."""
    first, second = fill(home, 1, 2)
    again = initial_model(2, "2026-02-02")
    assert save(again, home, backups, AT).model_id == second
    assert load(home).manifest.created == "2026-02-02"
    assert roll_back(home, backups, AT).model_id == first


def test_a_backup_that_a_crash_cut_short_is_none(home: Path, backups: Path) -> None:
    """Half a copy has another name, and is passed over."""
    fill(home, 1, 2)
    (kept,) = kept_models(backups)
    shutil.copytree(kept.directory, backups / f".{kept.directory.name}.new")
    (backups / "notes.txt").write_text("not a model")
    assert kept_models(backups) == (kept,)


# --- Crashes, damage ------------------------------------------------------------------------------


def crash_after(renames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine fail after so many renames."""
    rename, left = Path.replace, renames

    def crashing(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(5, "the power is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", crashing)


@pytest.mark.parametrize("writes", range(1, 9))
@pytest.mark.parametrize("change", ["install", "roll_back"])
def test_a_crash_at_any_file_is_mended_by_rolling_back(
    home: Path, backups: Path, monkeypatch: pytest.MonkeyPatch, writes: int, change: str
) -> None:
    """Whatever was written: what is there loads, or rolling back gives the model of before."""
    first, second = fill(home, 1, 2)
    crash_after(writes, monkeypatch)
    with contextlib.suppress(OSError):  # with enough renames there is no crash
        if change == "install":
            save(initial_model(3, DAY), home, backups, AT + 5 * SECOND)
        else:
            roll_back(home, backups, AT + 5 * SECOND)
    monkeypatch.undo()
    found = verified_manifest(home)
    if found is None:
        found = roll_back(home, backups, AT + 9 * SECOND)
        assert found.model_id == second, "the change that was cut short is undone"
    assert found.model_id in (first, second, initial_model(3, DAY).manifest.model_id)
    load(home)


@pytest.mark.parametrize("writes", range(4))
def test_a_first_model_that_a_crash_cut_short_is_no_phase5_pair(
    home: Path, backups: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Its first files are never without a manifest."""
    crash_after(writes, monkeypatch)
    with pytest.raises(OSError, match="power"):
        save(initial_model(1, DAY), home, backups, AT)
    monkeypatch.undo()
    if verified_manifest(home) is not None:
        assert "Phase-5" not in load(home).manifest.note


def test_a_damaged_manifest_is_no_dead_end(home: Path, backups: Path) -> None:
    """Nobody knows what was in use: what was replaced last comes back; damage is kept aside."""
    _, second, _ = fill(home, 1, 2, 3)
    (home / MANIFEST_FILE).write_bytes(b"\0" * 100)
    assert roll_back(home, backups, AT + 9 * SECOND).model_id == second
    (aside,) = backups.glob("*-unverified")
    assert (aside / MANIFEST_FILE).read_bytes() == b"\0" * 100


def test_damaged_weights_come_back_where_they_are_kept(home: Path, backups: Path) -> None:
    """The same model, whole, is nearer than the one before it."""
    first, second = fill(home, 1, 2)
    roll_back(home, backups, AT + SECOND)
    install(verified_files(find_kept(second, backups).directory), home, backups, AT + 2 * SECOND)
    (home / WEIGHTS_FILE).write_bytes(b"damaged")
    assert roll_back(home, backups, AT + 3 * SECOND).model_id == second
    assert roll_back(home, backups, AT + 4 * SECOND).model_id == first


# --- One at a time --------------------------------------------------------------------------------


@contextlib.contextmanager
def somebody_writes(directory: Path) -> Generator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def test_a_change_is_seen_and_waited_for(
    home: Path, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reader of ours sees half of one; who waits too long is told."""
    fill(home, 1)
    assert not is_changing(home)
    assert not is_changing(home / "nowhere")
    monkeypatch.setattr(model_files, "LOCK_TRIES", 3)
    with somebody_writes(home):
        assert is_changing(home)
        for touch in (lambda: load(home), lambda: save(initial_model(2, DAY), home, backups, AT)):
            with pytest.raises(ModelError, match="was being changed"):
                touch()
    load(home)


def test_readers_wait_until_a_change_is_done(home: Path) -> None:
    """A lock that is given back in time is no error."""
    fill(home, 1)
    with somebody_writes(home):
        found: list[Model] = []
        reader = threading.Thread(target=lambda: found.append(load(home)))
        reader.start()
        reader.join(0.05)
        assert not found
    reader.join()
    assert len(found) == 1


def test_a_place_that_is_no_directory_is_told(home: Path, tmp_path: Path) -> None:
    """Every way of not being there is a ModelError."""
    for place in (home, tmp_path / "nowhere.safetensors", tmp_path / "file" / "m"):
        with pytest.raises(ModelError, match=f"^{re.escape(str(place))}: was not there"):
            read_files(place)
