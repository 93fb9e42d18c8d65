"""`worker.py models list | show | promote | rollback`: which model decides, and which did.

    uv run worker.py models list
    uv run worker.py models show e64a0275cf4c --json
    uv run worker.py models promote backups/trained/rl_model.safetensors
    uv run worker.py models rollback

What is replaced is kept in MODEL_BACKUP_DIRECTORY/<time>/ first. A running worker exchanges the
weights between two decisions, or says why it does not, and the verb waits for its word.

Exit codes: 0 done; 1 a worker runs and did not answer, or keeps its model; 2 usage; 66 there is no
such model, or it cannot be used: nothing was changed; 70 files cannot be written, or the control
log cannot be read; 78 settings. `--json` prints one document: its keys are the fields of
`ModelsDocument` or of a `ModelManifest`; some may be added, none goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from db.explain_text import clean
from helpers.commands.config import report_settings_error
from helpers.commands.terminal import aligned, write_out
from helpers.commands.verbs import verb_parser
from helpers.domain import Message
from helpers.settings import Settings, SettingsError, load_settings
from strategies.base import ModelError
from strategies.model_backups import KeptModel, find_kept, kept_models
from strategies.model_files import verified_files
from strategies.models import ModelManifest

EXIT_NO_MODEL: Final = 66
"""sysexits' EX_NOINPUT: as of a worker that starts with such a model."""
NOTE_CHARACTERS: Final = 60
METRICS_SHOWN: Final = 3


class KeptShown(Message, frozen=True):
    """A model of the backups, in ``--json``."""

    directory: str
    manifest: ModelManifest


class ModelsDocument(Message, frozen=True):
    """What ``models list --json`` prints."""

    directory: str
    in_use: ModelManifest | None
    problem: str
    """Why the model in use cannot be used; empty when it can."""
    kept: tuple[KeptShown, ...]
    """Those that were replaced last first."""


def main(arguments: list[str]) -> int:
    """Run one of the four; return the exit code."""
    options = _parse(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    try:
        match options.verb:
            case "list":
                return _list(settings, as_json=options.json)
            case "show":
                return _show(settings, options.model, as_json=options.json)
            case _:
                return _change(settings, options)
    except ModelError as error:
        sys.stderr.write(f"worker.py models {options.verb}: {clean(str(error))}\n")
        return EXIT_NO_MODEL


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = verb_parser("models")
    verbs = parser.add_subparsers(dest="verb", required=True)
    document = argparse.ArgumentParser(add_help=False)
    document.add_argument("--json", action="store_true", help="one JSON document, stable keys")
    listing = "show the model in use and those that were kept"
    verbs.add_parser("list", parents=[document], help=listing, description=listing,
                     epilog="example: worker.py models list")  # fmt: skip
    showing = "show what a model's manifest says, once all of it was verified"
    show = verbs.add_parser("show", parents=[document], help=showing, description=showing,
                            epilog="example: worker.py models show backups/trained")  # fmt: skip
    show.add_argument("model", nargs="?", default="", metavar="ID|PATH",
                      help="default: the one in use")  # fmt: skip
    target = argparse.ArgumentParser(add_help=False)
    target.add_argument("--journal", type=Path, default=None, metavar="DIR",
                        help="journals of the worker to wait for (default: JOURNAL_DIRECTORY "
                        "and the demos' under it)")  # fmt: skip
    promoting = "make a model the one in use; what it replaces is kept"
    promote = verbs.add_parser("promote", parents=[target], help=promoting, description=promoting,
                               epilog="example: worker.py models promote 1ba9164caa5a")  # fmt: skip
    promote.add_argument("model", metavar="ID|PATH",
                         help="of a kept model; or a directory, or a weights file, with "
                         "its statistics beside it")  # fmt: skip
    back = "bring back the model that was in use before: weights, statistics and manifest"
    rollback = verbs.add_parser("rollback", parents=[target], help=back, description=back,
                                epilog="example: worker.py models rollback")  # fmt: skip
    rollback.add_argument("model", nargs="?", default="", metavar="ID",
                          help="an earlier one (default: the latest)")  # fmt: skip
    return parser.parse_args(arguments)


def place_of(model: str, backups: Path) -> Path:
    """Return where a model lies: at a path if there is one, else in the backups by its id.

    Raises ``ModelError`` when it is neither.
    """
    path = Path(model)
    return path if path.exists() else find_kept(model, backups).directory


def _list(settings: Settings, *, as_json: bool) -> int:
    directory, problem, in_use = settings.model_directory, "", None
    try:
        in_use = verified_files(directory).manifest
    except ModelError as error:
        problem = clean(str(error))
    kept = kept_models(settings.model_backup_directory)
    if as_json:
        shown = tuple(KeptShown(str(one.directory), one.manifest) for one in kept)
        write_out(_json(ModelsDocument(str(directory), in_use, problem, shown)))
    else:
        write_out(models_text(in_use, kept))
    if problem:
        sys.stderr.write(f"the model in use cannot be used: {problem}\n")
    return EXIT_NO_MODEL if problem else 0


def models_text(in_use: ModelManifest | None, kept: Sequence[KeptModel]) -> str:
    """Return the models for people."""
    rows = [_row(in_use, "in use")] if in_use is not None else []
    rows += [_row(one.manifest, f"kept {one.directory.name}") for one in kept]
    if not rows:
        return "no model\n"
    return aligned(("id", "created", "steps", "what", "where"), rows, numbers=frozenset({2}))


def _row(manifest: ModelManifest, where: str) -> tuple[str, ...]:
    metrics = sorted(manifest.metrics.items())[:METRICS_SHOWN]
    words = [manifest.note, *(f"{name} {value:g}" for name, value in metrics)]
    what = clean(", ".join(word for word in words if word))
    if len(what) > NOTE_CHARACTERS:
        what = f"{what[: NOTE_CHARACTERS - 3]}..."
    created = clean(manifest.created) or "unknown"
    return (manifest.model_id, created, f"{manifest.trained_steps:,}", what, clean(where))


def _show(settings: Settings, model: str, *, as_json: bool) -> int:
    backups = settings.model_backup_directory
    place = place_of(model, backups) if model else settings.model_directory
    manifest = verified_files(place).manifest
    write_out(_json(manifest) if as_json else f"{place}\n" + manifest_text(manifest))
    return 0


def manifest_text(manifest: ModelManifest) -> str:
    """Return what a manifest says, a line each."""
    shape, seed = manifest.architecture, manifest.seed
    layers = (shape.encoder_hidden, shape.temporal_width, shape.actor_hidden, shape.critic_hidden)
    facts = (
        ("id", manifest.model_id),
        ("architecture", f"{manifest.architecture_name}, layers of {layers}, "
         f"{manifest.parameter_count:,} parameters"),
        ("features", f"{manifest.feature_version}, {len(manifest.feature_names)} of them"),
        ("created", manifest.created or "unknown"),
        ("trained", f"{manifest.trained_steps:,} steps"),
        ("data", manifest.data or "unknown"),
        ("seed", "unknown" if seed is None else str(seed)),
        ("parent", manifest.parent or "none"),
        ("replaces", manifest.replaces or "none"),
        ("note", manifest.note),
        *((f"  {name}", f"{value:g}") for name, value in sorted(manifest.metrics.items())),
        ("weights", f"sha256 {manifest.weights_sha256}"),
        ("statistics", f"sha256 {manifest.statistics_sha256}"),
        ("optimizer", f"sha256 {manifest.optimizer_sha256}" if manifest.optimizer_sha256
         else "none: training would begin with a fresh one"),
    )  # fmt: skip
    width = max(len(name) for name, _ in facts)
    return "".join(f"{clean(name):<{width}}  {clean(text)}\n" for name, text in facts)


def _json(document: msgspec.Struct) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _change(settings: Settings, options: argparse.Namespace) -> int:
    # Only these two try a model, and wait for MLX.
    from helpers.commands.model_change import promote_and_tell, roll_back_and_tell

    if options.verb == "promote":
        place = place_of(options.model, settings.model_backup_directory)
        return promote_and_tell(settings, place, options.journal)
    return roll_back_and_tell(settings, options.model, options.journal)
