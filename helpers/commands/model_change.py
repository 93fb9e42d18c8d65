"""Changes the model in use, and waits for what the workers that run make of it.

The files are the request: a worker follows them (``model_watch``) and answers in its control log.
Must not: say that a worker decides by a model before it said so itself (I30).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from db.control import ControlLog, ControlReader
from db.control_state import ModelNoted
from db.explain_text import clean
from db.journal_folder import DEMO_FOLDERS
from db.journal_format import JournalError
from db.journal_reading import list_runs, read_journal
from helpers.clock import RealClock, pause_seconds, system_seconds
from helpers.commands.operator_verbs import (
    ANSWER_LOOK_SECONDS,
    ANSWER_SECONDS,
    EXIT_UNANSWERED,
    EXIT_UNWRITTEN,
    MODES,
    is_running,
)
from helpers.domain import RunStarted
from helpers.settings import Settings
from strategies.model_backups import find_former, install, roll_back
from strategies.model_files import ModelFiles, verified_files, verified_manifest
from strategies.models import ModelManifest, verify_model
from strategies.smoke import try_model

LEARNED: Final = "rl"


class RunningWorker:
    """A worker that runs, and what it has written of models since it was found."""

    def __init__(self, log: ControlLog) -> None:
        self.log = log
        self.name = f"{log.mode} worker on {log.folder}"
        self._reader = ControlReader(log.path)
        self._reader.read()  # what was before is no answer

    @property
    def strategy(self) -> str:
        """Return what decides there; empty when its first row is not in its journal any more."""
        runs = [run.path for run in list_runs(self.log.folder) if run.mode is self.log.mode]
        first = next(iter(read_journal(runs[-1])), None) if runs else None
        if first is None or not isinstance(first.body, RunStarted):
            return ""
        return first.body.strategy

    def answer(self, model_id: str) -> ModelNoted | None:
        """Return what it made of the files of a model; raises ``OSError``."""
        found = [entry for entry in self._reader.read() if isinstance(entry, ModelNoted)]
        return next((entry for entry in reversed(found) if entry.offered == model_id), None)


def promote_and_tell(settings: Settings, place: Path, journal: Path | None) -> int:
    """Make the model of a place the one in use, say what came of it, return the exit code.

    Raises ``ModelError`` for a model that does not verify or fails its smoke decision: then nothing
    was changed.
    """
    files = verified_files(place)
    _try(files)
    directory, backups = settings.model_directory, settings.model_backup_directory
    in_use = verified_manifest(directory)
    if in_use is not None and in_use.model_id == files.manifest.model_id:
        sys.stdout.write(f"{in_use.model_id} is in use already; nothing was changed\n")
        return 0

    def change(at_ns: int) -> ModelManifest:
        return install(files, directory, backups, at_ns)

    return _change(settings, journal, change, "promoted")


def roll_back_and_tell(settings: Settings, model_id: str, journal: Path | None) -> int:
    """Bring back a former model, say what came of it, return the exit code; raises as above."""
    directory, backups = settings.model_directory, settings.model_backup_directory
    former = find_former(directory, backups, model_id)
    _try(verified_files(former.directory))

    def change(at_ns: int) -> ModelManifest:
        return roll_back(directory, backups, at_ns, former.manifest.model_id)

    return _change(settings, journal, change, "rolled back")


def _try(files: ModelFiles) -> None:
    name = str(files.place)
    model = verify_model(files.weights, files.statistics, files.manifest, name)
    try_model(model, name)


def _change(
    settings: Settings, journal: Path | None, change: Callable[[int], ModelManifest], done: str
) -> int:
    try:
        workers = running_workers(journal or settings.journal_directory)
        manifest = change(RealClock().now_ns())
    except (JournalError, OSError) as error:
        sys.stderr.write(f"nothing is {done} for certain: {error}; look with models list\n")
        return EXIT_UNWRITTEN
    replaces = f", replaces {manifest.replaces}" if manifest.replaces else ""
    sys.stdout.write(f"{done}: {manifest.model_id}{replaces}\n")
    sys.stdout.flush()
    if not workers:
        sys.stdout.write("no worker runs; the next one to start decides by it\n")
    return max((_tell(one, manifest.model_id) for one in workers), default=0)


def running_workers(folder: Path) -> Sequence[RunningWorker]:
    """Return the workers that run on a journal folder, or on a demo's under it.

    Raises ``JournalError`` or ``OSError`` where that cannot be seen.
    """
    folders = (folder, *(folder / name for name in DEMO_FOLDERS))
    logs = [ControlLog(one, mode) for one in folders if one.is_dir() for mode in MODES]
    return [RunningWorker(log) for log in logs if is_running(log)]


def _tell(worker: RunningWorker, model_id: str) -> int:
    """Wait for a worker's own word and say it; return the exit code."""
    try:
        strategy = worker.strategy
        if strategy not in ("", LEARNED):
            sys.stdout.write(f"{worker.name}: decides by {strategy}, which needs no model\n")
            return 0
        began_seconds = system_seconds()
        while (answer := worker.answer(model_id)) is None:
            waited_seconds = system_seconds() - began_seconds
            if waited_seconds > ANSWER_SECONDS:
                return _unanswered(worker, waited_seconds)
            pause_seconds(ANSWER_LOOK_SECONDS)
    except (JournalError, OSError) as error:
        sys.stderr.write(f"{worker.name}: {error}; whether it changed is not known\n")
        return EXIT_UNWRITTEN
    waited_ms = (system_seconds() - began_seconds) * 1000
    if answer.change == "refused":
        sys.stderr.write(
            f"{worker.name}: run {answer.run} keeps {clean(answer.model_id)}: "
            f"{clean(answer.detail)}\n"
        )
        return EXIT_UNANSWERED
    sys.stdout.write(
        f"{worker.name}: run {answer.run} decides by {clean(answer.model_id)}, acknowledged in "
        f"{waited_ms:.0f} ms\n"
    )
    return 0


def _unanswered(worker: RunningWorker, waited_seconds: float) -> int:
    sys.stderr.write(
        f"{worker.name}: it runs and did not answer within {waited_seconds:.0f} s. It starts, it "
        "is stuck, or its MODEL_DIRECTORY is another; worker.py status names its model\n"
    )
    return EXIT_UNANSWERED
