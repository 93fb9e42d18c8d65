"""Models on the disk: read whole and verified, replaced atomically, what they replace kept.

A model is three files in one directory, and a fourth where its training can go on. The manifest
names the digests of the others and is replaced last: what a crash leaves is complete or does not
verify, and then names the model before, which ``roll_back`` restores. Who writes holds a lock on
the directory, so that no reader of ours sees half of a change. Must not: import MLX, or decide
which model is better.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from helpers.clock import pause_seconds
from helpers.domain import FEATURE_NAMES, FEATURE_VERSION, NS_PER_SECOND
from strategies.architecture import Architecture
from strategies.base import ModelError
from strategies.models import (
    MEND,
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
MAXIMUM_BACKUPS_LISTED: Final = 1_000
"""The newest; older ones stay on the disk and are promoted by their path."""
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


class KeptModel(NamedTuple):
    """A model in the backups that verifies."""

    directory: Path
    """Named by the moment it was replaced."""
    manifest: ModelManifest


# --- Reading ------------------------------------------------------------------------------------


def read_files(place: Path, *, locked: bool = True) -> ModelFiles:
    """Return the files of a model, unverified but for a manifest that can be read.

    ``place`` is a directory with a model, or a weights file with its statistics beside it. A pair
    without a manifest, as Phase 5 left them, gets the one it deserves. Raises ``ModelError``.
    """
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


def kept_models(backups: Path) -> Sequence[KeptModel]:
    """Return the kept models that verify, those that were replaced last first."""
    return tuple(_kept(backups))


def find_kept(model_id: str, backups: Path) -> KeptModel:
    """Return the kept model of an id, of several the one that was replaced last.

    Raises ``ModelError`` that lists the ids there are.
    """
    known: dict[str, None] = {}
    for kept in _kept(backups):
        if kept.manifest.model_id == model_id:
            return kept
        known[kept.manifest.model_id] = None
    raise ModelError(f"model id was {model_id!r}, expected one of {list(known)} in {backups}")


def replaced_before(manifest: ModelManifest, backups: Path) -> Sequence[str]:
    """Return the ids of the models in use before one, the latest first, as far as they are kept."""
    by_id: dict[str, ModelManifest] = {}
    for kept in _kept(backups):
        by_id.setdefault(kept.manifest.model_id, kept.manifest)
    chain: list[str] = []
    replaces = manifest.replaces
    while replaces in by_id and replaces not in chain:
        chain.append(replaces)
        replaces = by_id[replaces].replaces
    return chain


def _kept(backups: Path) -> Iterator[KeptModel]:
    names = sorted(backups.iterdir(), reverse=True) if backups.is_dir() else []
    for directory in names[:MAXIMUM_BACKUPS_LISTED]:
        if directory.name.startswith("."):
            continue  # a copy that a crash cut short
        manifest = verified_manifest(directory)
        if manifest is not None:
            yield KeptModel(directory, manifest)


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
            f"{path}: was unreadable ({error.strerror}), expected a model file; {MEND}, or begin "
            "with `python -m strategies.registry init`"
        ) from error
    if len(raw) > limit_bytes:
        raise ModelError(f"{path}: was over {limit_bytes} bytes, expected a model file; remove it")
    return raw


# --- Changing -----------------------------------------------------------------------------------


def install(files: ModelFiles, directory: Path, backups: Path, at_ns: int) -> ModelManifest:
    """Make verified files the model in use and return its manifest; the former model is kept.

    What is replaced goes to ``backups/<time>/`` first, ``at_ns`` being the time. Raises
    ``ModelError`` when another one is changing the directory, and ``OSError`` when the disk
    refuses: then the model in use is the former one, or one that does not verify and is mended by
    ``roll_back``.
    """
    with _writing(directory):
        before, replaces = _back_up(directory, backups, at_ns), ""
        if before is not None:
            same = before.model_id == files.manifest.model_id
            replaces = before.replaces if same else before.model_id
        manifest = msgspec.structs.replace(files.manifest, replaces=replaces)
        _write_set(directory, files._replace(raw_manifest=encode_manifest(manifest)))
    return manifest


def roll_back(directory: Path, backups: Path, at_ns: int, model_id: str = "") -> ModelManifest:
    """Bring back the model that was in use before, or an earlier one by its id.

    Weights, statistics and manifest are those that were kept, byte for byte. Where the files in use
    do not verify (a crash between two renames), the model before the change is restored. Raises
    ``ModelError`` when there is none, and ``OSError`` when the disk refuses.
    """
    with _writing(directory):
        former = verified_files(find_former(directory, backups, model_id).directory)
        _back_up(directory, backups, at_ns)
        _write_set(directory, former)
    return former.manifest


def find_former(directory: Path, backups: Path, model_id: str = "") -> KeptModel:
    """Return the kept model that ``roll_back`` would bring back; raises ``ModelError``."""
    chain = _former_ids(directory, backups)
    if model_id and model_id not in chain:
        raise ModelError(
            f"model id was {model_id!r}, expected one that was in use before: {list(chain)}; "
            "promote any other"
        )
    if not chain:
        raise ModelError(
            f"{directory}: no former model was kept in {backups}, expected the one that its "
            "manifest says it replaces"
        )
    return find_kept(model_id or chain[0], backups)


def _former_ids(directory: Path, backups: Path) -> Sequence[str]:
    """Return what was in use before, the latest first."""
    verified = verified_manifest(directory)
    if verified is not None:
        return replaced_before(verified, backups)
    path, kept = directory / MANIFEST_FILE, [kept.manifest.model_id for kept in _kept(backups)]
    try:
        claimed = decode_manifest(read_bytes(path, MAXIMUM_MANIFEST_BYTES), str(path))
    except ModelError:
        # Nobody knows what was here: whatever was replaced last comes first.
        return list(dict.fromkeys(kept))
    # A change that a crash cut short, or files that were damaged since: the model itself may be
    # kept, too.
    own = [claimed.model_id] if claimed.model_id in kept else []
    return [*own, *replaced_before(claimed, backups)]


def _back_up(directory: Path, backups: Path, at_ns: int) -> ModelManifest | None:
    """Keep the files in use, verified or not; return the manifest of a model that verifies."""
    present = [name for name in (*FILES, OPTIMIZER_FILE) if (directory / name).is_file()]
    if not present:
        return None
    contents = {name: read_bytes(directory / name) for name in present}
    manifest = verified_manifest(directory)
    if manifest is None:
        # Somebody's own file may lie here: it is kept as it is, and taken for no model.
        _keep(backups, at_ns, contents, "-unverified")
        return None
    raw_manifest = contents.setdefault(MANIFEST_FILE, encode_manifest(manifest))
    if MANIFEST_FILE not in present:
        _write_atomically(directory / MANIFEST_FILE, raw_manifest)
    if not _is_kept(raw_manifest, backups):
        _keep(backups, at_ns, contents)
    return manifest


def _is_kept(raw_manifest: bytes, backups: Path) -> bool:
    paths = sorted(backups.glob(f"*/{MANIFEST_FILE}"), reverse=True)[:MAXIMUM_BACKUPS_LISTED]
    same = (path.parent for path in paths if read_bytes(path) == raw_manifest)
    return any(verified_manifest(directory) is not None for directory in same)


def _keep(backups: Path, at_ns: int, contents: dict[str, bytes], suffix: str = "") -> None:
    kept = backups / f"{_moment(at_ns)}{suffix}"
    while kept.exists():  # two in one microsecond
        at_ns += 1_000
        kept = backups / f"{_moment(at_ns)}{suffix}"
    # Written whole under another name: a directory of the backups is complete, or is none.
    part = kept.with_name(f".{kept.name}.new")
    for name, raw in contents.items():
        _write_atomically(part / name, raw)
    part.replace(kept)
    _sync_directory(backups)


def _moment(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y%m%dT%H%M%S}.{rest // 1_000:06d}Z"


def _write_set(directory: Path, files: ModelFiles) -> None:
    if not (directory / MANIFEST_FILE).exists():
        # Without one, the first files of a crashed change would pass for a Phase-5 pair.
        _write_atomically(directory / MANIFEST_FILE, files.raw_manifest)
    _write_atomically(directory / STATISTICS_FILE, files.statistics)
    if files.optimizer:
        _write_atomically(directory / OPTIMIZER_FILE, files.optimizer)
    _write_atomically(directory / WEIGHTS_FILE, files.weights)
    _write_atomically(directory / MANIFEST_FILE, files.raw_manifest)
    if not files.optimizer:
        (directory / OPTIMIZER_FILE).unlink(missing_ok=True)


def _write_atomically(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_directory(path.parent)  # the rename itself is durable only once its directory is


def _sync_directory(directory: Path) -> None:
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
def _writing(directory: Path) -> Generator[None]:
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
