"""The daily summary's picture: drawn by a child process, because drawing takes a second of CPU.

Matplotlib is optional (``uv sync --group pictures``) and imported by the child alone; without it a
summary goes without a picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from helpers.discord_words import EquityPoint
from helpers.domain import MICROS, NS_PER_SECOND, Message

ROOT: Final = Path(__file__).resolve().parents[1]
DRAW_SECONDS: Final = 60.0
"""Bound of one picture; a child that takes longer is killed. Nothing but the summary waits."""
PICTURE_BYTES_MAXIMUM: Final = 512 << 10
POINTS_MINIMUM: Final = 2
NICENESS: Final = 10
"""A picture may take its time; an order may not."""
EXIT_NO_LIBRARY: Final = 3
INCHES: Final = (8.0, 3.2)
DOTS_PER_INCH: Final = 110


class Drawing(Message, frozen=True):
    """What the child is told."""

    title: str
    points: tuple[EquityPoint, ...]


class Picture(Message, frozen=True):
    """A PNG, or why there is none."""

    png: bytes = b""
    problem: str = ""


async def draw(title: str, points: tuple[EquityPoint, ...]) -> Picture:
    """Return the picture of a day; never raises for what a child does, bounded."""
    if len(points) < POINTS_MINIMUM:
        return Picture(problem="there is nothing to draw yet")
    text = msgspec.json.encode(Drawing(title, points))
    children: list[subprocess.Popen[bytes]] = []
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(None, _drawn, text, children)
    finally:
        # Cancelled: the thread must not hold up the end of the loop.
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()


def _drawn(text: bytes, children: list[subprocess.Popen[bytes]]) -> Picture:
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "helpers.discord_picture"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            children.append(child)
            try:
                png, _ = child.communicate(text, timeout=DRAW_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                return Picture(problem=f"the picture was not drawn within {DRAW_SECONDS:g} s")
    except OSError as error:
        return Picture(problem=f"the picture's process did not start: {error.strerror}")
    if child.returncode == EXIT_NO_LIBRARY:
        return Picture(problem="matplotlib is not installed: uv sync --group pictures")
    if child.returncode or not png or len(png) > PICTURE_BYTES_MAXIMUM:
        return Picture(problem=f"the picture's process ended with {child.returncode}")
    return Picture(png)


def _png(drawing: Drawing) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure

    times = [
        datetime.datetime.fromtimestamp(at_ns / NS_PER_SECOND, datetime.UTC)
        for at_ns, _ in drawing.points
    ]
    profits = [profit / MICROS for _, profit in drawing.points]
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="tight")
    axes: Any = figure.add_subplot()
    colour = "#2e8b57" if profits[-1] >= profits[0] else "#b03a2e"
    axes.plot(times, profits, color=colour, linewidth=1.4)
    axes.fill_between(times, profits, profits[0], color=colour, alpha=0.15)
    axes.axhline(profits[0], color="#888888", linewidth=0.8)
    axes.set_title(drawing.title, loc="left")
    axes.set_ylabel("profit after fees, dollars")
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=datetime.UTC))
    axes.grid(visible=True, alpha=0.25)
    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def main() -> int:
    """Draw what standard input asks for to standard output."""
    os.nice(NICENESS)
    drawing = msgspec.json.decode(sys.stdin.buffer.read(), type=Drawing)
    try:
        png = _png(drawing)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return EXIT_NO_LIBRARY
    sys.stdout.buffer.write(png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
