"""What verbs print: tables with words to the left and numbers to the right, to whoever reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, TextIO

from helpers.settings import no_colour

CLEAR: Final = "\x1b[2J\x1b[H"
"""Empties the terminal and goes to its first line."""


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int]) -> str:
    """Return a table; ``numbers`` are the columns that stand to the right."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "".join(
        "  ".join(
            f"{text:>{width}}" if column in numbers else f"{text:<{width}}"
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def wants_colour(stream: TextIO) -> bool:
    """Say whether whoever reads a stream sees colours: a terminal, and no NO_COLOR."""
    return stream.isatty() and not no_colour()


def write_out(text: str) -> None:
    """Write to standard output, whose reader may have seen enough (``head``, a pager)."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter's own flush at the end must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
