"""`worker.py config`: the effective settings, secrets masked, and where each came from.

``--json`` prints a list, each with ``name``, ``value`` (as it would be written in .env, a secret
as stars), ``source`` and ``allowed``. Keys are stable: some may be added, none goes.
"""

from __future__ import annotations

import json
import sys

from pydantic import SecretStr

from helpers.commands.terminal import write_out
from helpers.commands.verbs import verb_parser
from helpers.settings import (
    EXIT_CONFIGURATION,
    Settings,
    SettingsError,
    load_settings,
    source_of,
    unknown_names,
)
from helpers.settings_words import bounds_of


def main(arguments: list[str]) -> int:
    """Print every setting; return 0, or 78 when one is wrong."""
    parser = verb_parser("config")
    parser.add_argument("--json", action="store_true", help="one JSON document, stable keys")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    rows = [
        (name.upper(), shown(getattr(settings, name)), source_of(name), bounds_of(field))
        for name, field in Settings.model_fields.items()
    ]
    if options.json:
        keys = ("name", "value", "source", "allowed")
        document = [dict(zip(keys, row, strict=True)) for row in rows]
        write_out(json.dumps(document, indent=2) + "\n")
        warn_unknown_names()
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    text = ""
    for name, value, source, bounds in rows:
        line = f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source:<{widths[2]}}  {bounds}"
        text += line.rstrip() + "\n"
    write_out(text)
    warn_unknown_names()
    return 0


def shown(value: object) -> str:
    """Return a setting as it would be written in .env, a secret as a mask."""
    if isinstance(value, SecretStr):
        return str(value)  # pydantic prints stars
    if value is None:
        return "(not set)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)  # pyright: ignore[reportUnknownArgumentType]
    return f"{value:g}" if isinstance(value, float) else str(value)


def report_settings_error(error: SettingsError) -> int:
    """Print what is wrong, one line each, and return the exit code."""
    sys.stderr.write("worker.py: the settings are wrong (environment or .env):\n")
    for line in error.lines:
        sys.stderr.write(f"  {line}\n")
    return EXIT_CONFIGURATION


def warn_unknown_names() -> None:
    """Say which variables look like ours but are not (I12)."""
    for name in unknown_names():
        sys.stderr.write(f"worker.py: {name} is not a setting of this worker; is it a typo?\n")
