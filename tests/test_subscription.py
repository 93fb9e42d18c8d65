"""What is asked for and how long its silence is held against it."""

from __future__ import annotations

import asyncio

import pytest

from helpers.feeds.subscription import MISSES_MAXIMUM, FixedSubscription, Misses

BOTH = frozenset({"a", "b"})


def test_a_stream_is_given_up_after_misses_in_a_row_and_judged_again_once_heard() -> None:
    """The count is per stream and starts afresh with its first word."""
    misses = Misses()
    for count in range(1, MISSES_MAXIMUM + 1):
        assert misses.judged(BOTH) == BOTH
        assert misses.add("a") == count
    assert misses.judged(BOTH) == {"b"}
    misses.heard("a")
    assert misses.judged(BOTH) == BOTH


def test_unwanted_streams_are_forgotten() -> None:
    """The counts stay as small as the set of wanted streams."""
    misses = Misses()
    for _ in range(MISSES_MAXIMUM):
        misses.add("a")
    misses.keep_only(frozenset({"b"}))
    assert misses.judged(BOTH) == BOTH


async def test_a_fixed_subscription_never_changes() -> None:
    """It sends its frames on opening, gives no second try, and has no changes."""
    subscription = FixedSubscription(BOTH, ("frame",))
    assert subscription.opening_frames(subscription.names()) == ("frame",)
    assert subscription.second_try("a") == ()
    with pytest.raises(AssertionError, match="changed"):
        subscription.change_frames(frozenset("c"), frozenset())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await subscription.changed_from(BOTH)
