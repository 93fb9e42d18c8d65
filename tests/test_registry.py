"""Model files are verified on load and replaced without loss."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from strategies import registry
from strategies.model_files import MAXIMUM_FILE_BYTES, MAXIMUM_MANIFEST_BYTES
from strategies.networks import FloatArray, network_parameters
from strategies.registry import (
    FILES,
    MANIFEST_FILE,
    STATISTICS_FILE,
    WEIGHTS_FILE,
    Model,
    ModelError,
    import_weights,
    initial_model,
    list_models,
    load,
    load_optimizer,
    promote,
    roll_back,
    save,
)
from tests.shared import shared_file

SHIPPED = Path(__file__).resolve().parents[1] / "models"
DAY = "2026-01-01"
AT = 1_795_602_600 * 10**9
"""2026-11-25 10:30:00 UTC."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with one saved model."""
    save(initial_model(1, DAY), tmp_path / "models", tmp_path / "backups", AT)
    return tmp_path / "models"


def _same_weights(one: Model, other: Model) -> bool:
    first, second = network_parameters(one.networks), network_parameters(other.networks)
    return all((first[name] == second[name]).all() for name in first)


def _edit_manifest(directory: Path, **changes: object) -> None:
    path = directory / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_weights(directory: Path, edit: Callable[[dict[str, FloatArray]], None]) -> None:
    """Change the weights and make the manifest vouch for them, so that only the edit is wrong."""
    path = directory / WEIGHTS_FILE
    parameters = safetensors.numpy.load(path.read_bytes())
    edit(parameters)
    raw = safetensors.numpy.save(parameters)
    path.write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    _edit_manifest(directory, weights_sha256=digest, model_id=digest[:12])


def test_saved_model_loads_as_it_was(home: Path) -> None:
    """Weights, statistics and manifest survive the disk, bit for bit."""
    model = initial_model(1, DAY)
    loaded = load(home)
    assert _same_weights(loaded, model)
    assert loaded.manifest == model.manifest
    assert loaded.statistics == model.statistics
    assert loaded.manifest.parameter_count == 38_756
    assert sorted(path.name for path in home.iterdir()) == sorted(FILES)


def test_an_untrained_model_can_be_made_again(tmp_path: Path) -> None:
    """`init` gives the same files, byte for byte."""
    for home in ("a", "b"):
        arguments = ["init", str(tmp_path / home), "--backups", str(tmp_path / "kept")]
        assert registry._main(arguments) == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    manifest = load(tmp_path / "a").manifest
    assert manifest.trained_steps == 0
    assert manifest.note.startswith("untrained")


def test_the_shipped_model_is_the_one_of_its_card() -> None:
    """It verifies, can be gone on with, and models/README.md tells of this one."""
    manifest = load(SHIPPED).manifest
    card = (SHIPPED / "README.md").read_text()
    assert f"`{manifest.model_id}`" in card
    assert f"`{manifest.feature_version}`" in card
    assert f"--seed {manifest.seed} --features {manifest.feature_version}`" in card
    assert manifest.trained_steps >= 300_000
    assert manifest.data in card
    assert load_optimizer(SHIPPED) is not None


def test_truncated_weights_are_refused(home: Path) -> None:
    """A half-written file is not loaded (I8)."""
    path = home / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="weights had sha256"):
        load(home)
    _edit_manifest(home, weights_sha256=(digest := hashlib.sha256(path.read_bytes()).hexdigest()))
    _edit_manifest(home, model_id=digest[:12])
    with pytest.raises(ModelError, match="no safetensors file"):
        load(home)


def test_wrong_digest_is_refused(home: Path) -> None:
    """Weights that the manifest does not vouch for are refused, likewise statistics and id (I8)."""
    manifest = json.loads((home / MANIFEST_FILE).read_text())
    for field in ("weights_sha256", "statistics_sha256", "model_id"):
        _edit_manifest(home, **{field: "0" * 12})
        with pytest.raises(ModelError, match="expected"):
            load(home)
        _edit_manifest(home, **{field: manifest[field]})
    load(home)


def test_wrong_shape_is_refused(home: Path) -> None:
    """A layer of another width is named with both shapes (I8)."""

    def narrow(parameters: dict[str, FloatArray]) -> None:
        parameters["actor.fc2.weight"] = np.zeros((32, 64), dtype=np.float32)

    _edit_weights(home, narrow)
    with pytest.raises(ModelError, match=r"actor.fc2.weight was float32 \(32, 64\), expected"):
        load(home)


def test_wrong_type_is_refused(home: Path) -> None:
    """Weights in another precision are refused."""

    def widen(parameters: dict[str, FloatArray]) -> None:
        parameters["actor.fc2.bias"] = parameters["actor.fc2.bias"].astype(np.float64)  # pyright: ignore[reportArgumentType]

    _edit_weights(home, widen)
    with pytest.raises(ModelError, match=r"actor\.fc2\.bias was float64"):
        load(home)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(home: Path, bad: float) -> None:
    """One NaN is enough (I28)."""

    def poison(parameters: dict[str, FloatArray]) -> None:
        parameters["critic.ln1.weight"] = np.full(96, bad, dtype=np.float32)

    _edit_weights(home, poison)
    with pytest.raises(ModelError, match=r"critic\.ln1\.weight was not finite"):
        load(home)


def test_missing_and_extra_parameters_are_refused(home: Path) -> None:
    """Names must be exactly the network's; the error lists what is off (I8)."""

    def rename(parameters: dict[str, FloatArray]) -> None:
        parameters["actor.fc9.bias"] = parameters.pop("actor.fc3.bias")

    _edit_weights(home, rename)
    with pytest.raises(ModelError, match=r"\['actor.fc3.bias'\].*\['actor.fc9.bias'\]"):
        load(home)


def test_other_features_are_refused(home: Path) -> None:
    """A model of another feature version, or of reordered features, is refused (I8)."""
    manifest = load(home).manifest
    _edit_manifest(home, feature_version="fusion")
    with pytest.raises(ModelError, match="feature version was 'fusion'"):
        load(home)
    reordered = list(reversed(manifest.feature_names))
    _edit_manifest(home, feature_version="phase5", feature_names=reordered)
    with pytest.raises(ModelError, match="in order"):
        load(home)


def test_other_architecture_is_refused(home: Path) -> None:
    """Numbers that the worker cannot serve, or could not hold, are refused before allocation."""
    architecture = msgspec.to_builtins(load(home).manifest.architecture)
    for change in ({"features": 20}, {"critic_hidden": 10**9}, {"actor_hidden": 0}):
        _edit_manifest(home, architecture={**architecture, **change})
        with pytest.raises(ModelError, match="layer widths"):
            load(home)
    _edit_manifest(home, architecture={**architecture, "critic_hidden": 128})
    with pytest.raises(ModelError, match=r"critic\.fc1"):
        load(home)


def test_parameter_count_must_agree(home: Path) -> None:
    """The count is a claim like the others."""
    _edit_manifest(home, parameter_count=1)
    with pytest.raises(ModelError, match="parameter count was 38756, expected 1"):
        load(home)


def test_unreadable_manifest_is_refused(home: Path) -> None:
    """Damaged JSON and missing files raise ModelError with what to do; unknown keys do not."""
    _edit_manifest(home, written_by="a later version")
    load(home)
    (home / MANIFEST_FILE).write_text('{"model_id": 3}')
    with pytest.raises(ModelError, match="was no manifest"):
        load(home)
    (home / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelError, match="No such file"):
        load(home)


def test_pickled_statistics_are_refused(home: Path) -> None:
    """Statistics are never unpickled."""
    path = home / STATISTICS_FILE
    np.savez(path, reward_mean=np.array([{}], dtype=object))
    _edit_manifest(home, statistics_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match="allow_pickle=False"):
        load(home)


@pytest.mark.parametrize(("mean", "std"), [(float("nan"), 1.0), (0.0, 0.0)])
def test_impossible_statistics_are_refused(home: Path, mean: float, std: float) -> None:
    """A scale that cannot divide is refused."""
    path = home / STATISTICS_FILE
    np.savez(path, reward_mean=mean, reward_std=std, reward_count=3)
    _edit_manifest(home, statistics_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match="mean and standard deviation"):
        load(home)


def test_oversized_file_is_not_read(home: Path) -> None:
    """A file far larger than a model is refused by its size."""
    _edit_manifest(home, note="x" * MAXIMUM_MANIFEST_BYTES)
    with pytest.raises(ModelError, match="over 64000 bytes"):
        load(home)
    with (home / WEIGHTS_FILE).open("r+b") as file:
        file.truncate(MAXIMUM_FILE_BYTES + 1)
    with pytest.raises(ModelError, match="over 16000000 bytes"):
        load(home)


def test_replaced_model_is_kept_and_comes_back(home: Path, tmp_path: Path) -> None:
    """Save, save, roll back: the first model is in use again and the second is kept."""
    backups = tmp_path / "backups"
    first = load(home).manifest
    second = save(initial_model(2, "2026-01-02"), home, backups, AT)
    assert second.replaces == first.model_id
    (kept,) = backups.iterdir()
    assert kept.name == "20261125T103000.000000Z"
    assert load(kept).manifest == first
    assert roll_back(home, backups, AT).model_id == first.model_id
    assert _same_weights(load(home), initial_model(1, DAY))
    assert [manifest.model_id for manifest in list_models(backups)] == [
        second.model_id,
        first.model_id,
    ]
    assert promote(second.model_id, home, backups, AT).replaces == first.model_id
    assert load(home).manifest.model_id == second.model_id


def test_first_model_has_nothing_to_roll_back_to(home: Path, tmp_path: Path) -> None:
    """Rolling back the first model is refused and changes nothing."""
    with pytest.raises(ModelError, match="no former model was kept"):
        roll_back(home, tmp_path / "backups", AT)
    load(home)


def test_unknown_model_is_not_promoted(home: Path, tmp_path: Path) -> None:
    """Only a kept model that verifies can be promoted; the error lists them."""
    backups = tmp_path / "backups"
    first = load(home).manifest.model_id
    save(initial_model(2, DAY), home, backups, AT)
    with pytest.raises(ModelError, match=first):
        promote("../models", home, backups, AT)
    (next(backups.iterdir()) / WEIGHTS_FILE).write_bytes(b"damaged")
    with pytest.raises(ModelError, match="expected one of"):
        promote(first, home, backups, AT)


def test_crash_between_renames_is_mended_by_rolling_back(home: Path, tmp_path: Path) -> None:
    """New weights under the old manifest are refused, and the old model is restored."""
    backups = tmp_path / "backups"
    former, raw = load(home).manifest, (home / MANIFEST_FILE).read_bytes()
    save(initial_model(2, DAY), home, backups, AT)
    (home / MANIFEST_FILE).write_bytes(raw)
    with pytest.raises(ModelError, match="do not belong together"):
        load(home)
    assert roll_back(home, backups, AT) == former
    assert load(home).manifest == former


def test_failed_write_leaves_the_model_in_use(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses the flush changes nothing of the model in use."""

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = load(home).manifest
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        save(initial_model(2, DAY), home, tmp_path / "backups", AT)
    assert load(home).manifest == before


def test_files_without_a_manifest_are_kept(tmp_path: Path) -> None:
    """Weights that somebody dropped into the directory are not lost when a model is saved."""
    home, backups = tmp_path / "models", tmp_path / "backups"
    home.mkdir()
    (home / WEIGHTS_FILE).write_bytes(b"somebody's own")
    assert save(initial_model(1, DAY), home, backups, AT).replaces == ""
    (kept,) = backups.iterdir()
    assert (kept / WEIGHTS_FILE).read_bytes() == b"somebody's own"
    assert list(list_models(backups)) == []


def test_model_that_is_not_its_manifest_is_not_saved(tmp_path: Path) -> None:
    """Weights that changed after their manifest was written need a new one."""
    model = initial_model(1, DAY)._replace(networks=initial_model(2, DAY).networks)
    with pytest.raises(ModelError, match="sha256"):
        save(model, tmp_path / "models", tmp_path / "backups", AT)
    assert not (tmp_path / "models").exists()


def test_weights_without_a_manifest_can_be_imported(home: Path, tmp_path: Path) -> None:
    """Bare weights become a model that can be saved; wrong ones are refused."""
    model = import_weights(home / WEIGHTS_FILE, home / STATISTICS_FILE, "mine", "2026-02-03")
    assert model.manifest.note == "mine"
    assert model.manifest.created == "2026-02-03"
    save(model, tmp_path / "imported", tmp_path / "backups", AT)
    assert _same_weights(load(tmp_path / "imported"), initial_model(1, DAY))
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelError, match="missing"):
        import_weights(tmp_path / "foreign.safetensors", None, "", DAY)


def test_phase5_files_can_be_imported(tmp_path: Path) -> None:
    """The predecessor's files, statistics included, become a model with a manifest."""
    model = import_weights(
        shared_file("weights/phase5.safetensors"),
        shared_file("weights/phase5_stats.npz"),
        "phase 5",
        "2026-01-20",
    )
    assert model.manifest.parameter_count == 38_756
    assert model.statistics.reward_std > 1
    assert model.manifest.trained_steps == model.statistics.reward_count > 0
    save(model, tmp_path / "models", tmp_path / "backups", AT)
    assert _same_weights(load(tmp_path / "models"), model)
