"""The picture of a day: drawn outside, bounded, and never a reason to fail."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.discord_picture import DRAW_SECONDS, EXIT_NO_LIBRARY, Picture, draw
from helpers.discord_words import EquityPoint

ROOT = Path(__file__).resolve().parents[1]
POINTS = tuple(EquityPoint(minute * 60_000_000_000, (minute % 90) * 10_000) for minute in range(99))


async def test_a_day_is_a_png() -> None:
    """Of a size that Discord shows whole."""
    pytest.importorskip("matplotlib", reason="the pictures group is not installed")
    picture = await draw("2026-03-28: +$4.00", POINTS)
    assert picture.problem == ""
    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture.png[16:24])
    assert (width, height) == (880, 352)


async def test_one_point_is_no_curve() -> None:
    """A worker that ran for a minute has nothing to show, and starts no process for it."""
    assert await draw("x", POINTS[:1]) == Picture(problem="there is nothing to draw yet")


def test_without_the_library_the_child_says_so() -> None:
    """The one exit code that is told as a missing package."""
    blocked = (
        "import sys, runpy; sys.modules['matplotlib'] = None; "
        "runpy.run_module('helpers.discord_picture', run_name='__main__', alter_sys=True)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", blocked],
        cwd=ROOT, input=b'{"title":"x","points":[[1,2],[3,4]]}', capture_output=True, check=False,
        timeout=DRAW_SECONDS,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (EXIT_NO_LIBRARY, b"")
