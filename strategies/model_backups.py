"""Models that were in use before: kept by the moment they were replaced, promoted, brought back.

Must not: import MLX, remove a kept model, or decide which model is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from helpers.domain import NS_PER_SECOND
from strategies.base import ModelError
from strategies.model_files import (
    FILES,
    MANIFEST_FILE,
    MAXIMUM_MANIFEST_BYTES,
    OPTIMIZER_FILE,
    ModelFiles,
    read_bytes,
    sync_directory,
    verified_files,
    verified_manifest,
    write_atomically,
    write_files,
    writing,
)
from strategies.models import ModelManifest, decode_manifest, encode_manifest

MAXIMUM_BACKUPS_LISTED: Final = 1_000
"""The newest; older ones stay on the disk and are promoted by their path."""


class KeptModel(NamedTuple):
    """A model in the backups that verifies."""

    directory: Path
    """Named by the moment it was replaced."""
    manifest: ModelManifest


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


def install(files: ModelFiles, directory: Path, backups: Path, at_ns: int) -> ModelManifest:
    """Make verified files the model in use and return its manifest; the former model is kept.

    What is replaced goes to ``backups/<time>/`` first, ``at_ns`` being the time. Raises
    ``ModelError`` when another one is changing the directory, and ``OSError`` when the disk
    refuses: then the model in use is the former one, or one that does not verify and is mended by
    ``roll_back``.
    """
    with writing(directory):
        before, replaces = _back_up(directory, backups, at_ns), ""
        if before is not None:
            same = before.model_id == files.manifest.model_id
            replaces = before.replaces if same else before.model_id
        manifest = msgspec.structs.replace(files.manifest, replaces=replaces)
        write_files(directory, files._replace(raw_manifest=encode_manifest(manifest)))
    return manifest


def roll_back(directory: Path, backups: Path, at_ns: int, model_id: str = "") -> ModelManifest:
    """Bring back the model that was in use before, or an earlier one by its id.

    Weights, statistics and manifest are those that were kept, byte for byte. Where the files in use
    do not verify (a crash between two renames), the model before the change is restored. Raises
    ``ModelError`` when there is none, and ``OSError`` when the disk refuses.
    """
    with writing(directory):
        former = verified_files(find_former(directory, backups, model_id).directory)
        _back_up(directory, backups, at_ns)
        write_files(directory, former)
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
        write_atomically(directory / MANIFEST_FILE, raw_manifest)
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
        write_atomically(part / name, raw)
    part.replace(kept)
    sync_directory(backups)


def _moment(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y%m%dT%H%M%S}.{rest // 1_000:06d}Z"
