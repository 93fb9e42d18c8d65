"""Models on the disk: read whole and verified, replaced atomically, what they replace kept.

A model is three files in one directory, and a fourth where its training can go on. The manifest
names the digests of the others and is replaced last: what a crash leaves is complete or does not
verify, and then names the model before, which ``model_backups`` restores. Who writes holds a lock
on the directory, so that no reader of ours sees half of a change. Must not: import MLX, or keep
what is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path
from typing import Final, NamedTuple

from helpers.clock import pause_seconds
from helpers.domain import FEATURE_NAMES, FEATURE_VERSION
from strategies.architecture import Architecture
from strategies.base import ModelError
from strategies.models import (
    MEND_MISSING,
    MODEL_ID_DIGITS,
    ModelManifest,
    check_digest,
    decode_manifest,
    decode_statistics,
    encode_manifest,
    parameter_count,
    sha256_of,
    verify_parts,
)

STEM: Final = "rl_model"
WEIGHTS_FILE: Final = f"{STEM}.safetensors"
STATISTICS_FILE: Final = f"{STEM}_stats.npz"
MANIFEST_FILE: Final = f"{STEM}.json"
OPTIMIZER_FILE: Final = f"{STEM}_optimizer.safetensors"
FILES: Final = (WEIGHTS_FILE, STATISTICS_FILE, MANIFEST_FILE)
"""What every model has; the optimizer's state is there only while training may go on."""

MAXIMUM_FILE_BYTES: Final = 16_000_000
"""A hundred times the shipped weights; a larger file is not one of ours and is not read."""
MAXIMUM_MANIFEST_BYTES: Final = 64_000
"""Forty times the shipped one; its texts are quoted in errors and shown in lists."""
LOCK_TRIES: Final = 500
LOCK_PAUSE_SECONDS: Final = 0.01
"""Five seconds: a change takes some milliseconds, on a slow disk some hundred."""
PHASE5_NOTE: Final = "a Phase-5 pair without a manifest"


class ModelFiles(NamedTuple):
    """The bytes of one model and what its manifest claims."""

    manifest: ModelManifest
    raw_manifest: bytes
    weights: bytes
    statistics: bytes
    optimizer: bytes
    """Empty without one."""
    place: Path


# --- Reading ------------------------------------------------------------------------------------


def read_files(place: Path, *, locked: bool = True) -> ModelFiles:
    """Return the files of a model, unverified but for a manifest that can be read.

    ``place`` is a directory with a model, or a weights file with its statistics beside it. A pair
    without a manifest, as Phase 5 left them, gets the one it deserves. Raises ``ModelError``.
    """
    if not place.exists():
        raise ModelError(f"{place}: was not there, expected a model; {MEND_MISSING}")
    directory, stem = (place, STEM) if place.is_dir() else (place.parent, place.stem)
    with _reading(directory) if locked else contextlib.nullcontext():
        weights = read_bytes(directory / f"{stem}.safetensors")
        statistics = read_bytes(directory / f"{stem}_stats.npz")
        path, optimizer = directory / f"{stem}.json", b""
        if path.exists():
            raw_manifest = read_bytes(path, MAXIMUM_MANIFEST_BYTES)
            manifest = decode_manifest(raw_manifest, str(path))
            if manifest.optimizer_sha256:
                optimizer = read_bytes(directory / f"{stem}_optimizer.safetensors")
        else:
            manifest = phase5_manifest(weights, statistics, str(place))
            raw_manifest = encode_manifest(manifest)
    return ModelFiles(manifest, raw_manifest, weights, statistics, optimizer, place)


def verified_files(place: Path, *, locked: bool = True) -> ModelFiles:
    """Return the files of a model with every claim verified; raise ``ModelError`` otherwise."""
    files = read_files(place, locked=locked)
    verify_parts(files.weights, files.statistics, files.manifest, str(place))
    if files.manifest.optimizer_sha256:
        name = f"{place}: optimizer state"
        check_digest(name, files.optimizer, files.manifest.optimizer_sha256)
    return files


def phase5_manifest(
    weights: bytes, statistics: bytes, name: str, *, note: str = PHASE5_NOTE, created: str = ""
) -> ModelManifest:
    """Return the manifest of a bare pair: architecture and feature version ``phase5``.

    Trained steps are the statistics' reward count. Raises ``ModelError`` for statistics that cannot
    be read.
    """
    digest = sha256_of(weights)
    shape = Architecture()
    return ModelManifest(
        model_id=digest[:MODEL_ID_DIGITS],
        architecture=shape,
        feature_version=FEATURE_VERSION,
        feature_names=FEATURE_NAMES,
        created=created,
        trained_steps=decode_statistics(statistics, name).reward_count,
        note=note,
        weights_sha256=digest,
        statistics_sha256=sha256_of(statistics),
        parameter_count=parameter_count(shape),
    )


def verified_manifest(directory: Path) -> ModelManifest | None:
    """Return the manifest of a model that verifies, else ``None``."""
    try:
        return verified_files(directory, locked=False).manifest
    except ModelError:
        # Asked only whether it verifies; the caller decides what an unverified set means.
        return None


def read_bytes(path: Path, limit_bytes: int = MAXIMUM_FILE_BYTES) -> bytes:
    """Return a model file's bytes; raise ``ModelError`` when it is unreadable or too large."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit_bytes + 1)
    except OSError as error:
        raise ModelError(
            f"{path}: was unreadable ({error.strerror}), expected a model file; {MEND_MISSING}"
        ) from error
    if len(raw) > limit_bytes:
        raise ModelError(f"{path}: was over {limit_bytes} bytes, expected a model file; remove it")
    return raw


# --- Writing -----------------------------------------------------------------------------------


def write_files(directory: Path, files: ModelFiles) -> None:
    """Replace a directory's model, for who is ``writing``; raises ``OSError``."""
    if not (directory / MANIFEST_FILE).exists():
        # Without one, the first files of a crashed change would pass for a Phase-5 pair.
        write_atomically(directory / MANIFEST_FILE, files.raw_manifest)
    write_atomically(directory / STATISTICS_FILE, files.statistics)
    if files.optimizer:
        write_atomically(directory / OPTIMIZER_FILE, files.optimizer)
    write_atomically(directory / WEIGHTS_FILE, files.weights)
    write_atomically(directory / MANIFEST_FILE, files.raw_manifest)
    if not files.optimizer:
        (directory / OPTIMIZER_FILE).unlink(missing_ok=True)


def write_atomically(path: Path, raw: bytes) -> None:
    """Replace a file by a flushed temporary and a rename; raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)  # the rename itself is durable only once its directory is


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- One at a time ------------------------------------------------------------------------------


def is_changing(directory: Path) -> bool:
    """Say whether somebody is changing the model of a directory at this moment."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing(directory: Path) -> Generator[None]:
    """Hold a directory against every other writer and reader of ours.

    Raises ``ModelError`` when another one holds it for five seconds.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _reading(directory: Path) -> Generator[None]:
    if not directory.is_dir():
        yield  # nothing to lock: reading says what is missing
        return
    with _locked(directory, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def _locked(directory: Path, kind: int) -> Generator[None]:
    # On the directory itself: a lock file would lie among the models. A process that dies gives it
    # back.
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ModelError(
            f"{directory}: was unusable ({error.strerror}), expected a directory of ours"
        ) from error
    try:
        for _ in range(LOCK_TRIES):
            if _try_lock(descriptor, kind):
                break
            pause_seconds(LOCK_PAUSE_SECONDS)
        else:
            raise ModelError(
                f"{directory}: was being changed for {LOCK_TRIES * LOCK_PAUSE_SECONDS:g} s, "
                "expected one change at a time; try again"
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
