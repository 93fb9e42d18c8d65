"""Moments as people type them."""

from __future__ import annotations

import pytest

from helpers.commands.spans import parse_moment_ns
from helpers.domain import NS_PER_SECOND

LAST_NS = 1_774_656_000 * NS_PER_SECOND


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7d", 1_774_656_000 - 7 * 86_400),
        ("1h", 1_774_656_000 - 3600),
        ("90", 1_774_656_000 - 90),
        ("2026-03-28", 1_774_656_000),
        ("2026-03-28T01:00+01:00", 1_774_656_000),
    ],
)
def test_a_moment_is_read(text: str, seconds: int) -> None:
    """A length of time counts back from the last row; a date is UTC unless it says otherwise."""
    assert parse_moment_ns(text, LAST_NS) == seconds * NS_PER_SECOND


@pytest.mark.parametrize("text", ["", "yesterday", "1w", "-1h", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Never guessed."""
    assert parse_moment_ns(text, LAST_NS) is None


def test_more_than_all_is_all() -> None:
    """0 would mean that no span was given."""
    assert parse_moment_ns("999999d", LAST_NS) == 1


def test_a_moment_after_the_last_one_is_the_last_one() -> None:
    """Every calendar has more years than 64 bits of nanoseconds."""
    assert parse_moment_ns("9999-12-31", LAST_NS) == 2**63 - 1
