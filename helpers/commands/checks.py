"""What one look of an examination comes to: ok, failed with its fix, or skipped with the reason."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

from helpers.domain import Message

FREE_BYTES_MINIMUM: Final = 256 << 20
"""Of the journal's disk: a day of four live markets and some to spare."""


class CheckRow(Message, frozen=True):
    """One look."""

    name: str
    state: Literal["ok", "failed", "skipped"]
    found: str
    fix: str = ""


class Problem(Exception):  # noqa: N818
    """A look that ended badly: what was found, and what mends it."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(found)
        self.found = found
        self.fix = fix


class SkippedError(Exception):
    """A look that another one's failure made pointless."""


Look = Callable[[], Awaitable[str]]


async def look_at(name: str, look: Look) -> CheckRow:
    """Return the row of one look."""
    try:
        return CheckRow(name, "ok", await look())
    except SkippedError as skipped:
        return CheckRow(name, "skipped", str(skipped))
    except Problem as problem:
        return CheckRow(name, "failed", problem.found, problem.fix)


def room_to_write(folder: Path, fix: str) -> str:
    """Return that a folder can be written; raise ``Problem`` when its disk is full, ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"doctor")
        probe.flush()
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MINIMUM:
        raise Problem(f"{folder}: {free >> 20} MB free, expected {FREE_BYTES_MINIMUM >> 20}", fix)
    return f"{folder} is writable, {free >> 30} GB free"
