"""Model files: load, save, import, list, promote and roll back, each verified and atomic.

A model is three files in one directory; the manifest is written last and names the digests of the
other two, so a half-written set is refused and ``roll_back`` mends it.

Must not: learn, decide which model is better, or unpickle anything.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from strategies.models import (
    FRESH_STATISTICS,
    Model,
    ModelError,
    ModelManifest,
    ModelStatistics,
    build_model,
    decode_manifest,
    decode_statistics,
    decode_weights,
    encode_manifest,
    encode_statistics,
    encode_weights,
    verify_model,
)
from strategies.networks import Architecture, build_networks, orthogonal_parameters

__all__ = [
    "Model",
    "ModelError",
    "ModelManifest",
    "ModelStatistics",
    "build_model",
    "import_weights",
    "initial_model",
    "list_models",
    "load",
    "promote",
    "roll_back",
    "save",
]

WEIGHTS_FILE: Final = "rl_model.safetensors"
STATISTICS_FILE: Final = "rl_model_stats.npz"
MANIFEST_FILE: Final = "rl_model.json"
FILES: Final = (WEIGHTS_FILE, STATISTICS_FILE, MANIFEST_FILE)
"""In the order in which they are replaced: the manifest, which vouches for the others, last."""

MAXIMUM_FILE_BYTES: Final = 16_000_000
"""A hundred times the shipped weights; a larger file is not one of ours and is not read."""
MAXIMUM_BACKUPS_LISTED: Final = 1_000

SHIPPED_SEED: Final = 20_261_125
SHIPPED_CREATED: Final = "2026-11-25"
UNTRAINED_NOTE: Final = "untrained: initialised weights; decisions are close to uniform"


def load(directory: Path) -> Model:
    """Return the model of a directory with every claim of its manifest verified.

    Raises ``ModelError`` when a file is missing, too large, damaged, of other shapes, names or
    feature version, or holds a weight that is not finite (I8).
    """
    manifest = decode_manifest(_read(directory / MANIFEST_FILE), str(directory / MANIFEST_FILE))
    weights, statistics = _read(directory / WEIGHTS_FILE), _read(directory / STATISTICS_FILE)
    return verify_model(weights, statistics, manifest, str(directory))


def save(model: Model, directory: Path, backups: Path) -> ModelManifest:
    """Make a model the one in use and return its manifest; what it replaces is kept.

    The former files go to ``backups/<its id>/`` first. Files are replaced atomically, each by a
    flushed temporary and a rename. Raises ``ModelError`` when the networks' weights are not those
    of the manifest, and ``OSError`` when the disk refuses.
    """
    replaced = _back_up(directory, backups)
    manifest = model.manifest
    if replaced != manifest.model_id:
        manifest = msgspec.structs.replace(manifest, replaces=replaced)
    weights, statistics = encode_weights(model.networks), encode_statistics(model.statistics)
    verify_model(weights, statistics, manifest, "the model to save")
    _write_set(directory, (weights, statistics, encode_manifest(manifest)))
    return manifest


def import_weights(
    weights_path: Path, statistics_path: Path | None, note: str, created: str
) -> Model:
    """Return a model from bare weight files, as Phase 5 left them, with a manifest of our own.

    ``created`` is an ISO date. Trained steps are the statistics' reward count, 0 without them.
    Raises ``ModelError`` for weights that are not exactly this network's, finite float32.
    """
    architecture = Architecture()
    parameters = decode_weights(_read(weights_path), architecture, str(weights_path))
    statistics = FRESH_STATISTICS
    if statistics_path is not None:
        statistics = decode_statistics(_read(statistics_path), str(statistics_path))
    return build_model(
        build_networks(architecture, parameters),
        architecture,
        statistics,
        created=created,
        trained_steps=statistics.reward_count,
        note=note,
    )


def initial_model(seed: int, created: str) -> Model:
    """Return an untrained model: orthogonal weights, the same bits for the same seed."""
    architecture = Architecture()
    networks = build_networks(architecture, orthogonal_parameters(architecture, seed))
    return build_model(
        networks,
        architecture,
        FRESH_STATISTICS,
        created=created,
        trained_steps=0,
        note=UNTRAINED_NOTE,
    )


def list_models(backups: Path) -> Sequence[ModelManifest]:
    """Return the manifests of the kept models that verify, by date and id, newest first."""
    found: list[ModelManifest] = []
    directories = sorted(backups.iterdir()) if backups.is_dir() else []
    for directory in directories[:MAXIMUM_BACKUPS_LISTED]:
        manifest = _verified_manifest(directory)
        if manifest is not None:
            found.append(manifest)
    return sorted(found, key=lambda manifest: (manifest.created, manifest.model_id), reverse=True)


def promote(model_id: str, directory: Path, backups: Path) -> ModelManifest:
    """Make a kept model the one in use and return its manifest; the former one is kept.

    Raises ``ModelError`` when there is no such model or it does not verify.
    """
    known = [manifest.model_id for manifest in list_models(backups)]
    if model_id not in known:
        raise ModelError(f"model id was {model_id!r}, expected one of {known} in {backups}")
    return save(load(backups / model_id), directory, backups)


def roll_back(directory: Path, backups: Path) -> ModelManifest:
    """Bring back the model that was in use before and return its manifest.

    Where the files in use do not verify (a crash between two renames), the model that their
    manifest names is restored instead. Raises ``ModelError`` when there is nothing to go back to.
    """
    name = str(directory / MANIFEST_FILE)
    manifest = decode_manifest(_read(directory / MANIFEST_FILE), name)
    target = manifest.replaces
    if _verified_manifest(directory) is None and _verified_manifest(backups / manifest.model_id):
        target = manifest.model_id
    if not target:
        raise ModelError(f"{name}: replaces was empty, expected the id of a former model")
    former = load(backups / target)
    _back_up(directory, backups)
    _write_set(
        directory,
        (
            encode_weights(former.networks),
            encode_statistics(former.statistics),
            encode_manifest(former.manifest),
        ),
    )
    return former.manifest


def _verified_manifest(directory: Path) -> ModelManifest | None:
    try:
        return load(directory).manifest
    except ModelError:
        # Asked only whether it verifies; the caller decides what an unverified set means.
        return None


def _back_up(directory: Path, backups: Path) -> str:
    """Keep the files in use, verified or not, and return the id of a model that verifies."""
    present = [name for name in FILES if (directory / name).is_file()]
    if not present:
        return ""
    manifest = _verified_manifest(directory)
    if manifest is not None:
        model_id = manifest.model_id
        if _verified_manifest(backups / model_id) is None:
            _write_set(backups / model_id, [_read(directory / name) for name in FILES])
        return model_id
    # Somebody's own file may lie here without a manifest: it is kept under what it holds.
    contents = {name: _read(directory / name) for name in present}
    digest = hashlib.sha256(b"".join(contents.values())).hexdigest()
    kept = backups / f"unverified-{digest[:12]}"
    for name, raw in contents.items():
        _write_atomically(kept / name, raw)
    return ""


def _write_set(directory: Path, contents: Sequence[bytes]) -> None:
    for name, raw in zip(FILES, contents, strict=True):
        _write_atomically(directory / name, raw)


def _write_atomically(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    # The rename itself is durable only once its directory is.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAXIMUM_FILE_BYTES + 1)
    except OSError as error:
        raise ModelError(
            f"{path}: was unreadable ({error.strerror}), expected a model file; create one with "
            "`python -m strategies.registry init` or roll back"
        ) from error
    if len(raw) > MAXIMUM_FILE_BYTES:
        raise ModelError(
            f"{path}: was over {MAXIMUM_FILE_BYTES} bytes, expected a model file; remove it"
        )
    return raw


def _main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m strategies.registry")
    verbs = parser.add_subparsers(dest="verb", required=True)
    init = verbs.add_parser("init", help="write the untrained model that the worker ships with")
    init.add_argument("directory", type=Path)
    init.add_argument("--backups", type=Path, default=Path("backups/models"))
    init.add_argument("--seed", type=int, default=SHIPPED_SEED)
    init.add_argument("--created", default=SHIPPED_CREATED, help="ISO date for the manifest")
    options = parser.parse_args(arguments)
    model = initial_model(options.seed, options.created)
    manifest = save(model, options.directory, options.backups)
    sys.stdout.write(f"{manifest.model_id} {options.directory / WEIGHTS_FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
