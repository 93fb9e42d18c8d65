"""Begins the log of a verb that trades or records, as the settings say."""

from __future__ import annotations

from helpers import logs
from helpers.clock import Clock
from helpers.settings import Settings, SettingsError


def open_log(settings: Settings, clock: Clock, *, quiet: bool = False) -> logs.Lines:
    """Begin to log as the settings say; call ``close`` on what is returned.

    Raises ``SettingsError`` for a ``LOG_DIRECTORY`` that takes no file. Later on nothing that a log
    does ends a run.
    """
    try:
        return logs.configure(
            clock=clock,
            level=settings.log_level,
            json_lines=logs.wants_json(settings.log_format),
            directory=settings.log_directory,
            secrets=settings.secrets(),
            quiet=quiet,
        )
    except OSError as error:
        raise SettingsError((f"LOG_DIRECTORY was {settings.log_directory}: {error}",)) from error
