"""Publications reach everybody who waits; nobody waits for whoever does not read."""

from __future__ import annotations

import asyncio

from helpers.clock import system_seconds
from helpers.server.hub import FRESH_SECONDS, QUEUE_MAXIMUM, Hub
from tests.server.site import published


async def test_nothing_is_wanted_while_nobody_asks() -> None:
    """A question wants one publication; a viewer wants all."""
    hub = Hub()
    assert not hub.wanted
    asking = asyncio.ensure_future(hub.fresh())
    await asyncio.sleep(0)
    assert hub.wanted
    hub.publish(published(1))
    assert (await asking).seq == 1
    assert not hub.wanted
    viewer = hub.join(lambda: None)
    assert viewer is not None
    assert hub.wanted
    hub.leave(viewer)
    assert not hub.wanted


async def test_what_is_old_answers_nobody() -> None:
    """A new publication is waited for."""
    hub = Hub()
    hub.publish(published(1, at_seconds=system_seconds() - FRESH_SECONDS - 1))
    asking = asyncio.ensure_future(hub.fresh())
    await asyncio.sleep(0)
    assert not asking.done()
    hub.publish(published(2))
    assert (await asking).seq == 2


async def test_all_viewers_get_the_same_bytes() -> None:
    """A view is encoded once."""
    hub = Hub()
    viewers = [hub.join(lambda: None) for _ in range(3)]
    hub.publish(published(5))
    events = [viewer.queue.get_nowait() for viewer in viewers if viewer is not None]
    assert len(events) == 3
    assert all(event is events[0] for event in events)
    assert events[0] == b'id: 5\nevent: view\ndata: {"seq":5}\n\n'


async def test_a_viewer_that_is_behind_is_cut() -> None:
    """After so many views that it did not take; the others stay."""
    hub, cut = Hub(), []
    slow = hub.join(lambda: cut.append("slow"))
    quick = hub.join(lambda: cut.append("quick"))
    assert slow is not None
    assert quick is not None
    for seq in range(QUEUE_MAXIMUM + 1):
        hub.publish(published(seq))
        quick.queue.get_nowait()
    assert (cut, hub.viewers, hub.dropped) == (["slow"], 1, 1)


async def test_the_end_ends_every_stream() -> None:
    """Who is behind is cut; nobody comes in any more."""
    hub, cut = Hub(), []
    slow = hub.join(lambda: cut.append("slow"))
    assert slow is not None
    for seq in range(QUEUE_MAXIMUM):
        hub.publish(published(seq))
    quick = hub.join(lambda: cut.append("quick"))
    assert quick is not None
    assert quick.queue.get_nowait() is not None, "the latest comes at once"
    hub.close()
    assert quick.queue.get_nowait() is None
    assert cut == ["slow"]
    assert hub.join(lambda: None) is None
