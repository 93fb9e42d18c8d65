"""The counter of what was not used stays small."""

from __future__ import annotations

from helpers.feeds.skipped import MAXIMUM_NAME_CHARACTERS, MAXIMUM_NAMES, OVERFLOW_NAME, Skipped


def test_counts_by_name() -> None:
    """Each name has its own count and rows are sorted."""
    skipped = Skipped()
    skipped.count("b")
    skipped.count("a", 3)
    skipped.count("b")
    assert skipped.rows() == (("a", 3), ("b", 2))


def test_names_are_bounded() -> None:
    """A peer that invents kinds fills one overflow row, and names known before still count."""
    skipped = Skipped()
    for number in range(1000):
        skipped.count(f"kind {number}")
    skipped.count("kind 0")
    rows = dict(skipped.rows())
    assert len(rows) == MAXIMUM_NAMES + 1
    assert rows[OVERFLOW_NAME] == 1000 - MAXIMUM_NAMES
    assert rows["kind 0"] == 2


def test_long_names_are_cut() -> None:
    """A name off the wire cannot be as long as a frame."""
    skipped = Skipped()
    skipped.count("x" * 10_000)
    assert skipped.rows() == (("x" * MAXIMUM_NAME_CHARACTERS, 1),)
