"""A training on the disk: a model's folder whose manifest says how far the training is.

Must not: learn, or overwrite a training without keeping what it replaces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from helpers.domain import Message
from helpers.training.trainer import AnotherTrainingError, Progress, Trainer, TrainingError
from strategies.architecture import Architecture
from strategies.model_files import write_atomically
from strategies.models import FRESH_STATISTICS, Model, ModelManifest, build_model
from strategies.networks import build_networks, orthogonal_parameters
from strategies.ppo_settings import PpoSettings
from strategies.registry import load, load_optimizer, save

CHECKPOINTS: Final = "checkpoints"
"""Folder in a training's where the models before the latest are kept."""
NOTE: Final = "trained by worker.py train"
UPDATES: Final = "training_updates"
REWARD: Final = "training_reward"


class Origin(Message, frozen=True):
    """What a training began from; the same for all its checkpoints."""

    seed: int
    feature_version: str
    data: str
    """What it learns from, in words."""
    parent: str = ""
    """Id of the model it began from; empty for fresh weights."""


def fresh_model(seed: int, feature_version: str) -> Model:
    """Return orthogonal weights of a seed; raises ``KeyError`` for unknown features."""
    shape = Architecture()
    return build_model(
        build_networks(shape, orthogonal_parameters(shape, seed)),
        shape,
        FRESH_STATISTICS,
        created="",
        trained_steps=0,
        note="untrained",
        seed=seed,
        feature_version=feature_version,
    )


def write_checkpoint(trainer: Trainer, origin: Origin, folder: Path, at_ns: int, today: str) -> str:
    """Save the mean of a training's parameters, and where it stands; return the model's id.

    What was there is kept in ``checkpoints``. Raises ``OSError`` and ``ModelError``.
    """
    progress = trainer.progress
    model = build_model(
        trainer.average_networks(),
        trainer.shape,
        trainer.statistics(),
        created=today,
        trained_steps=progress.steps,
        note=NOTE,
        parent=origin.parent,
        data=origin.data,
        seed=origin.seed,
        metrics={UPDATES: progress.updates, REWARD: progress.reward},
        feature_version=origin.feature_version,
    )
    save(model, folder, folder / CHECKPOINTS, at_ns, trainer.state())
    return model.manifest.model_id


def read_checkpoint(folder: Path, origin: Origin, settings: PpoSettings) -> tuple[Trainer, Origin]:
    """Return the trainer of a folder, to go on with, and what its training began from.

    Raises ``ModelError`` when its files do not verify, and ``TrainingError`` when they are no
    checkpoint of a training, or of another one than was asked for.
    """
    model = load(folder)
    manifest = model.manifest
    found = _origin_of(manifest)
    if found != Origin(origin.seed, origin.feature_version, origin.data, found.parent):
        raise AnotherTrainingError(
            f"{folder}: was a training of seed {found.seed}, features {found.feature_version}, on "
            f"{found.data!r}; asked was seed {origin.seed}, features {origin.feature_version}, on "
            f"{origin.data!r}: use another --output"
        )
    progress = Progress(
        steps=manifest.trained_steps,
        updates=int(manifest.metrics[UPDATES]),
        reward=manifest.metrics[REWARD],
    )
    trainer = Trainer(model, settings, origin.seed, progress)
    state = load_optimizer(folder)
    if state is None:
        raise TrainingError(f"{folder}: has no optimizer state; begin anew with --from {folder}")
    trainer.restore(state)
    return trainer, found


def cut_curve(path: Path, updates: int) -> None:
    """Keep the first lines of a curve, one an update: a checkpoint may be older than its end.

    Raises ``OSError``.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if len(lines) > updates:
        write_atomically(path, b"".join(lines[:updates]))


def _origin_of(manifest: ModelManifest) -> Origin:
    if manifest.note != NOTE or manifest.seed is None or UPDATES not in manifest.metrics:
        raise AnotherTrainingError(
            f"model {manifest.model_id} is no checkpoint of a training ({manifest.note!r}); begin "
            "one with --from"
        )
    return Origin(manifest.seed, manifest.feature_version, manifest.data, manifest.parent)
