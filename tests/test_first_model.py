"""A new volume begins with the build's model, and nothing else ever does."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.journal import Journal
from helpers.commands.first_model import SHIPPED, provide_first_model
from helpers.domain import Mode
from helpers.settings import Settings, load_settings
from strategies.base import ModelError
from strategies.model_files import verified_files


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a worker on an empty volume."""
    return load_settings(
        _env_file=None,
        model_directory=tmp_path / "volume" / "model_in_use",
        model_backup_directory=tmp_path / "volume" / "models",
        journal_directory=tmp_path / "volume" / "journal",
    )


def test_an_empty_volume_gets_the_model_of_the_build(settings: Settings) -> None:
    """Once: what is promoted afterwards stays."""
    shipped = verified_files(SHIPPED).manifest.model_id
    assert provide_first_model(settings, 1) == shipped
    assert verified_files(settings.model_directory).manifest.model_id == shipped
    assert provide_first_model(settings, 2) == ""


def test_a_folder_missing_beside_earlier_runs_is_a_typo(settings: Settings) -> None:
    """It must not be traded by another model than the one before, unseen (I8)."""
    Journal.open_run(settings.journal_directory, Mode.PAPER, 1).close()
    assert provide_first_model(settings, 2) == ""
    assert not settings.model_directory.exists()


def test_a_damaged_folder_is_left_alone(settings: Settings) -> None:
    """It is for the loader to refuse."""
    settings.model_directory.mkdir(parents=True)
    assert provide_first_model(settings, 1) == ""
    assert not any(settings.model_directory.iterdir())


def test_a_disk_that_refuses_is_a_model_error(settings: Settings) -> None:
    """The start ends with a line, not a traceback."""
    volume = settings.model_directory.parent
    volume.write_text("no folder")
    with pytest.raises(ModelError, match="first model"):
        provide_first_model(settings, 1)
