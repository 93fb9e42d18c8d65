"""A source's clock against ours, estimated from the frames it sends; reads no clock itself."""

from __future__ import annotations

from typing import Final

SAMPLE_EVERY_FRAMES: Final = 32
"""Once the ring is half full only every 32nd frame is sampled: the cost a frame is a countdown."""
RING_SAMPLES: Final = 127
"""Odd, so that the median is a sample; with the stride above it spans about 4,000 frames."""
MEDIAN_EVERY_SAMPLES: Final = 8
"""The median is taken anew at every 8th sample, not when it is read, so reads change nothing."""


class ClockOffset:
    """Streaming median of received minus venue time: latency plus what our clock is ahead."""

    __slots__ = ("_added", "_samples", "countdown", "median_ns")

    def __init__(self) -> None:
        self._samples: list[int] = []
        self._added = 0
        self.median_ns = 0
        self.countdown = 1
        """Frames until the next sample; decremented by the owner of the hot path."""

    @property
    def measured(self) -> bool:
        """Return whether any frame has shown the source's clock yet."""
        return bool(self._samples)

    def add(self, received_ns: int, venue_ns: int) -> None:
        """Take one frame's receive and venue time; frames without a venue time are skipped."""
        samples = self._samples
        added = self._added
        sparse = added >= RING_SAMPLES // 2
        self.countdown = SAMPLE_EVERY_FRAMES if sparse else 1
        if venue_ns <= 0:
            return
        self._added = added + 1
        if len(samples) < RING_SAMPLES:
            samples.append(received_ns - venue_ns)
        else:
            samples[added % RING_SAMPLES] = received_ns - venue_ns
        if not sparse or added % MEDIAN_EVERY_SAMPLES == 0:
            self.median_ns = sorted(samples)[len(samples) // 2]
