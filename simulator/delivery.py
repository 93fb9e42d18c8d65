"""Frames on their way from the venues to a worker in process: each arrives after its latency.

Must not: parse a frame, or hold one back longer than its source takes.
"""

from __future__ import annotations

from collections.abc import Callable

from helpers.domain import Source
from simulator.frame import Frame
from simulator.world_settings import Latencies


class Delivery:
    """Owner of the frames that were sent and have not arrived."""

    def __init__(self, latencies: Latencies, deliver: Callable[[Source, str, int], None]) -> None:
        """Take what a frame is given to: its source, its text, and when it is received."""
        self._latency_ns = {source: latencies.latency_ns(source) for source in Source}
        self._deliver = deliver
        self._on_the_way: list[tuple[int, int, Frame]] = []
        self._sent = 0

    def send(self, frame: Frame) -> None:
        """Put a frame on its way."""
        self._sent += 1
        received_ns = frame.at_ns + self._latency_ns[frame.source]
        self._on_the_way.append((received_ns, self._sent, frame))

    def deliver_until(self, now_ns: int) -> None:
        """Let everything arrive that is due up to a moment, in order of arrival."""
        on_the_way = self._on_the_way
        on_the_way.sort()
        arrived = 0
        for received_ns, _, frame in on_the_way:
            if received_ns > now_ns:
                break
            arrived += 1
            self._deliver(frame.source, frame.text, received_ns)
        del on_the_way[:arrived]
