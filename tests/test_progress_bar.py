"""The bar on the last line of a terminal."""

from __future__ import annotations

import io

import pytest

from helpers.commands.progress_bar import ProgressBar


class Terminal(io.StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        return True


def test_it_counts_up_and_leaves_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """From what was done before; more than all is all."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with ProgressBar(2_000, "steps", 1_000) as bar:
        bar.advance(500)
        bar.show(2_500)
    first, second, third = terminal.getvalue().split("\r\x1b[K")[1:]
    assert first == "[###############...............] 1,000/2,000 steps, ..."
    assert second.startswith("[######################........] 1,500/2,000 steps, ")
    assert third == "[##############################] 2,500/2,000 steps, 0 s left\n"


def test_it_is_silent_where_nobody_looks_or_other_lines_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not a byte in a file, nor between log lines."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with ProgressBar(10, "steps", shown=False) as bar:
        bar.advance(1)
        bar.clear()
    assert terminal.getvalue() == ""
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with ProgressBar(10, "steps") as bar:
        bar.advance(1)
    assert file.getvalue() == ""


def test_it_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every redraw of a line that wrapped was a new line."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    with ProgressBar(200_000_000, "bytes of the tape") as bar:
        bar.advance(100_000_000)
    drawn = terminal.getvalue().removesuffix("\n").split("\r\x1b[K")[1:]
    assert [len(line) for line in drawn] == [59, 59]
