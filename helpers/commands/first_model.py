"""Gives a worker on an empty disk the model of its build: the first start on a new volume, a demo.

Only then: a folder that is missing beside earlier runs is a typo or a loss, and is refused like any
other model that cannot be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from db.journal_reading import list_runs
from helpers.commands.composition import ROOT
from helpers.logs import Tag, logger
from helpers.settings import Settings
from strategies.base import ModelError
from strategies.model_backups import install
from strategies.model_files import verified_files

SHIPPED: Final = ROOT / "models"


def provide_first_model(settings: Settings, at_ns: int, shipped: Path = SHIPPED) -> str:
    """Return the id of the model that was provided, empty where there was nothing to do.

    Raises ``ModelError`` when the build's own model does not verify or the disk refuses.
    """
    directory = settings.model_directory
    if directory.exists() or list_runs(settings.journal_directory):
        return ""
    try:
        manifest = install(
            verified_files(shipped), directory, settings.model_backup_directory, at_ns
        )
    except OSError as error:
        raise ModelError(f"{directory} could not be given its first model: {error}") from error
    logger(Tag.HEALTH).info("first_model", model=manifest.model_id, directory=str(directory))
    return manifest.model_id
