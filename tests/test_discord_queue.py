"""What is merged, what is dropped, and what never is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.discord_queue import (
    CHARACTERS_MAXIMUM,
    EMBEDS_MAXIMUM,
    MERGED_TEXT_MAXIMUM,
    AlertQueue,
    Ended,
    Waiting,
)
from helpers.discord_words import Alert
from helpers.domain import AlertKind, AlertOutcome, AlertSeverity
from tests.discord_world import alert

INFO, WARNING, CRITICAL = AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL


def size(one: Alert) -> int:
    return len(one.title) + len(one.text)


def filled(queue: AlertQueue, *alerts: Alert) -> list[Ended]:
    return [ended for one in alerts for ended in queue.put(one)]


def titles(batch: tuple[Waiting, ...]) -> list[str]:
    return [one.alert.title for one in batch]


def test_the_oldest_info_goes_before_any_warning() -> None:
    """U13: info gives way first, then warnings, each oldest first; critical ones never."""
    queue = AlertQueue(size, maximum=4)
    assert not filled(
        queue, alert(WARNING, "w1"), alert(INFO, "i1"), alert(INFO, "i2"), alert(CRITICAL, "c1")
    )
    ended = filled(queue, alert(WARNING, "w2"), alert(INFO, "i3"), alert(CRITICAL, "c2"))
    assert [one.alert.title for one in ended] == ["i1", "i2", "i3"]
    ended = filled(queue, alert(INFO, "i4"), alert(CRITICAL, "c3"), alert(WARNING, "w3"))
    assert [one.alert.title for one in ended] == ["i4", "w1", "w2"]
    assert {one.outcome for one in ended} == {AlertOutcome.DROPPED}
    assert titles(queue.take()) == ["c1", "c2", "c3", "w3"]


def test_a_queue_full_of_critical_alerts_merges_the_next_into_its_kin() -> None:
    """Bounded, and yet nothing critical is lost: its words are in the older one's text."""
    queue = AlertQueue(size, maximum=2)
    filled(
        queue,
        alert(CRITICAL, "halted: a", kind=AlertKind.ENTRIES_HELD),
        alert(CRITICAL, "unknown: b", kind=AlertKind.ORDER_UNKNOWN),
    )
    (merged,) = filled(queue, alert(CRITICAL, "halted: c", "why: c", kind=AlertKind.ENTRIES_HELD))
    assert (merged.outcome, merged.merged_into) == (AlertOutcome.MERGED, 1)
    first, _ = queue.take()
    assert (first.alert.title, first.alert.count) == ("halted: a", 2)
    assert first.alert.text.endswith("also halted: c\nwhy: c")
    assert first.characters == size(first.alert)
    for number in range(200):
        filled(queue, alert(CRITICAL, f"halted: {number}", kind=AlertKind.MISMATCH))
    (kin,) = queue.take()
    assert kin.alert.count == 200
    assert len(kin.alert.text) == MERGED_TEXT_MAXIMUM


def test_the_same_again_takes_the_place_of_what_waits() -> None:
    """Five hundred reconnects of one feed are one alert, with the latest words."""
    queue = AlertQueue(size)
    ended = filled(
        queue, *(alert(WARNING, "feed stale", f"try {n}", merge_key="feed") for n in range(500))
    )
    assert Counter(one.outcome for one in ended) == {AlertOutcome.MERGED: 499}
    assert {one.merged_into for one in ended} == {1}
    (one,) = queue.take()
    assert (one.alert.text, one.alert.count) == ("try 499", 500)
    # What is on its way is not changed any more.
    assert not filled(queue, alert(WARNING, "feed stale", "new", merge_key="feed"))
    queue.put_back((one,))
    assert [w.alert.text for w in queue.take()] == ["try 499", "new"]


def test_a_message_takes_ten_embeds_and_six_thousand_characters() -> None:
    """Discord refuses more of either."""
    queue = AlertQueue(size)
    filled(queue, *(alert(INFO, f"{n:02}", "x" * 978) for n in range(6)))
    filled(queue, *(alert(INFO, f"{n:02}", "x" * 20) for n in range(6, 20)))
    assert [len(queue.take()) for _ in range(4)] == [6, 10, 4, 0]


def test_a_picture_goes_alone() -> None:
    """A message has one picture, of the alert it belongs to."""
    queue = AlertQueue(size)
    filled(queue, alert(), replace(alert(title="summary"), picture=b"png"), alert())
    assert [titles(queue.take()) for _ in range(4)] == [
        ["entered BTC 15m up"],
        ["summary"],
        ["entered BTC 15m up"],
        [],
    ]


def test_what_comes_back_is_sent_before_what_came_later() -> None:
    """A post that failed does not change the order; something critical still overtakes."""
    queue = AlertQueue(size)
    filled(queue, alert(INFO, "1"), alert(INFO, "2"))
    batch = queue.take(1)
    filled(queue, alert(CRITICAL, "c"))
    queue.put_back(batch)
    assert titles(queue.take()) == ["c", "1", "2"]
    assert len(queue) == 3


_ALERTS = st.builds(
    alert,
    st.sampled_from(AlertSeverity),
    st.sampled_from(["a", "b"]),
    st.integers(0, 3_000).map("x".__mul__),
    st.sampled_from(["", "", "k1", "k2"]),
    st.sampled_from([AlertKind.ENTERED, AlertKind.MISMATCH]),
)


@given(st.lists(st.one_of(_ALERTS, st.sampled_from(["take", "back", "settle"])), max_size=80))
def test_every_alert_leaves_once(steps: list[Alert | str]) -> None:
    """Whatever comes and goes: bounded, each number ends once, nothing critical is dropped."""
    queue = AlertQueue(size, maximum=5)
    ended: Counter[int] = Counter()
    batch: tuple[Waiting, ...] = ()
    put = 0
    for step in steps:
        if isinstance(step, Alert):
            put += 1
            for one in queue.put(step):
                ended[one.number] += 1
                if one.outcome is AlertOutcome.DROPPED:
                    assert one.alert.severity is not CRITICAL
        elif step == "take" and not batch:
            batch = queue.take()
            assert len(batch) <= EMBEDS_MAXIMUM
            assert len(batch) == 1 or sum(one.characters for one in batch) <= CHARACTERS_MAXIMUM
        elif step == "back":
            queue.put_back(batch)
            batch = ()
        elif step == "settle":
            queue.settle(batch)
            ended.update(one.number for one in batch)
            batch = ()
        assert len(queue) <= 5 + len(AlertKind)
    queue.put_back(batch)
    ended.update(one.number for one in queue.drain())
    assert ended == Counter(range(1, put + 1))
    assert len(queue) == 0
