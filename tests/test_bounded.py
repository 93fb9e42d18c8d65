"""Memories have a bound, and forget the oldest first."""

from __future__ import annotations

from helpers.domain import keep_latest


def test_the_oldest_is_forgotten_first_and_a_known_one_takes_no_room() -> None:
    """A run of weeks keeps no more than its bound."""
    known: dict[str, int] = {}
    for number, key in enumerate(("a", "b", "a", "c")):
        keep_latest(known, key, number, 2)
    assert known == {"b": 1, "c": 3}
