"""The dashboard's files: nothing inline, nothing from elsewhere, names of markets as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "helpers" / "web" / "dashboard"
FILES = sorted(path for path in FOLDER.iterdir() if not path.is_symlink())
"""Ours; the chart library is a link to its one copy."""
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
MARKUP_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|"
    r"setAttribute\([^,]*\"(style|on\w+|src|href)\""
)
ELSEWHERE = re.compile(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)
NAMESPACE = "http://www.w3.org/2000/svg"
LINES_MAXIMUM = 400
COLUMNS_MAXIMUM = 100


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_text_goes_in_as_text(path: Path) -> None:
    """Names of markets come from outside: no script turns text into markup."""
    assert MARKUP_FROM_TEXT.findall(path.read_text()) == []


def test_nothing_is_inline() -> None:
    """The policy allows files of the worker only: no script, style or handler in the page."""
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page) == []
    asked = re.findall(r"(?:src|href)=\"([^\"#]+)\"", page)
    assert asked
    assert all(address.startswith("/static/") for address in asked)
    files = {address.removeprefix("/static/") for address in asked}
    assert files <= {path.name for path in FOLDER.iterdir() if path.is_file()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    """No content delivery network, no font, no counter; and files stay of a size to be read."""
    text = path.read_text().replace(NAMESPACE, "")
    assert ELSEWHERE.search(text) is None
    lines = text.splitlines()
    assert len(lines) <= LINES_MAXIMUM
    if path.suffix in (".js", ".css"):
        assert [line for line in lines if len(line) > COLUMNS_MAXIMUM] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_part_that_a_script_names_is_in_the_page(path: Path) -> None:
    """A part that was renamed in one of the two places is found here, not by a user."""
    page = (FOLDER / "index.html").read_text()
    named = re.findall(r"\bparts\.(\w+)", path.read_text())
    assert [name for name in named if f'data-part="{name}"' not in page] == []
