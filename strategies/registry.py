"""Models as the policy uses them: load, save, import, initialise; promote and roll back.

Files are ``strategies.model_files``' business, what they must hold ``strategies.models``'. Must
not: learn, decide which model is better, or unpickle anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import safetensors
import safetensors.numpy
from msgspec.structs import replace
from numpy.typing import NDArray

from helpers.clock import RealClock
from strategies.model_backups import find_kept, install, kept_models, roll_back
from strategies.model_files import (
    FILES,
    MANIFEST_FILE,
    OPTIMIZER_FILE,
    STATISTICS_FILE,
    WEIGHTS_FILE,
    ModelFiles,
    phase5_manifest,
    read_bytes,
    read_files,
    verified_files,
)
from strategies.models import (
    FRESH_STATISTICS,
    MEND,
    Model,
    ModelError,
    ModelManifest,
    ModelStatistics,
    build_model,
    encode_manifest,
    encode_statistics,
    encode_weights,
    sha256_of,
    verify_model,
    verify_parts,
)
from strategies.networks import Architecture, build_networks, orthogonal_parameters

__all__ = [
    "FILES",
    "FRESH_STATISTICS",
    "MANIFEST_FILE",
    "OPTIMIZER_FILE",
    "STATISTICS_FILE",
    "WEIGHTS_FILE",
    "Model",
    "ModelError",
    "ModelManifest",
    "ModelStatistics",
    "build_model",
    "import_weights",
    "initial_model",
    "list_models",
    "load",
    "load_optimizer",
    "promote",
    "roll_back",
    "save",
]

INITIAL_SEED: Final = 20_261_125
INITIAL_CREATED: Final = "2026-11-25"
UNTRAINED_NOTE: Final = "untrained: initialised weights; decisions are close to uniform"


def load(place: Path) -> Model:
    """Return the model of a directory, or of a weights file, with every claim verified.

    Raises ``ModelError`` when a file is missing, too large, damaged, of other shapes, names or
    feature version, or holds a weight that is not finite (I8).
    """
    files = read_files(place)
    return verify_model(files.weights, files.statistics, files.manifest, str(place))


def load_optimizer(place: Path) -> Mapping[str, NDArray[np.generic]] | None:
    """Return the optimizer's state that was saved with a model, ``None`` where there is none.

    Raises ``ModelError`` when it is not what the manifest vouches for.
    """
    raw = verified_files(place).optimizer
    if not raw:
        return None
    try:
        return safetensors.numpy.load(raw)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"{place}: optimizer state was unreadable ({error}), expected safetensors; {MEND}"
        ) from error


def save(
    model: Model,
    directory: Path,
    backups: Path,
    at_ns: int,
    optimizer: Mapping[str, NDArray[np.generic]] | None = None,
) -> ModelManifest:
    """Make a model the one in use and return its manifest; what it replaces is kept.

    The former files go to ``backups/<time>/`` first. ``optimizer`` is the state from which training
    can go on. Raises as ``model_files.install``, and ``ModelError`` when the networks' weights are
    not those of the manifest.
    """
    state = safetensors.numpy.save(dict(optimizer)) if optimizer else b""
    manifest = replace(model.manifest, optimizer_sha256=sha256_of(state) if state else "")
    weights, statistics = encode_weights(model.networks), encode_statistics(model.statistics)
    verify_parts(weights, statistics, manifest, "the model to save")
    files = ModelFiles(manifest, encode_manifest(manifest), weights, statistics, state, directory)
    return install(files, directory, backups, at_ns)


def import_weights(
    weights_path: Path, statistics_path: Path | None, note: str, created: str
) -> Model:
    """Return a model from bare weight files, as Phase 5 left them, with a manifest of our own.

    ``created`` is an ISO date. Trained steps are the statistics' reward count, 0 without them.
    Raises ``ModelError`` for weights that are not exactly this network's, finite float32.
    """
    name, weights = str(weights_path), read_bytes(weights_path)
    statistics = encode_statistics(FRESH_STATISTICS)
    if statistics_path is not None:
        statistics = read_bytes(statistics_path)
    manifest = phase5_manifest(weights, statistics, name, note=note, created=created)
    found = verify_model(weights, statistics, manifest, name)
    # Encoded anew: the same weights have the same id, whoever wrote the file.
    return build_model(
        found.networks,
        manifest.architecture,
        found.statistics,
        created=created,
        trained_steps=manifest.trained_steps,
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
        seed=seed,
    )


def list_models(backups: Path) -> Sequence[ModelManifest]:
    """Return the manifests of the kept models that verify, those replaced last first."""
    return [kept.manifest for kept in kept_models(backups)]


def promote(model_id: str, directory: Path, backups: Path, at_ns: int) -> ModelManifest:
    """Make a kept model the one in use and return its manifest; the former one is kept.

    Raises ``ModelError`` when there is no such model, and as ``model_files.install``.
    """
    kept = find_kept(model_id, backups)
    return install(verified_files(kept.directory), directory, backups, at_ns)


def _main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m strategies.registry")
    verbs = parser.add_subparsers(dest="verb", required=True)
    init = verbs.add_parser("init", help="write an untrained model")
    init.add_argument("directory", type=Path)
    init.add_argument("--backups", type=Path, default=Path("backups/models"))
    init.add_argument("--seed", type=int, default=INITIAL_SEED)
    init.add_argument("--created", default=INITIAL_CREATED, help="ISO date for the manifest")
    options = parser.parse_args(arguments)
    model = initial_model(options.seed, options.created)
    manifest = save(model, options.directory, options.backups, RealClock().now_ns())
    sys.stdout.write(f"{manifest.model_id} {options.directory / WEIGHTS_FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
