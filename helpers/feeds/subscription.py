"""What a socket asks for and how its answer is recognised; must not touch a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from helpers.domain import Connected, Disconnected, Message, Source

MISSES_MAXIMUM: Final = 3
"""Deadlines a stream may miss in a row before its silence is no longer a reason to reconnect."""

Frames = Callable[[Source, "str | bytes", int], None]
"""The sink of raw frames: source, frame, receive time in ns. Called on the loop, not awaited."""
OnLink = Callable[[Connected | Disconnected], None]
"""Where a reader says that its socket came or went."""
StreamNamer = Callable[[bytes], Sequence[str]]
"""Names the streams one frame is news of; empty for a frame that carries no venue data."""


class Endpoint(Message, frozen=True):
    """One socket of a venue and how its silence is judged. A duration of 0 switches a rule off."""

    source: Source
    url: str
    streams_in: StreamNamer
    silence_seconds: float
    """No data at all for so long means dead, whatever it answers to pings (I16, C.8)."""
    first_data_seconds: float
    """Each stream must have sent something so long after it was asked for."""
    stream_silence_seconds: float = 0.0
    """Each stream must send at least once in a period of this length."""
    farewell_prefixes: tuple[bytes, ...] = ()
    """Beginnings of the venue's notice that it will shut this socket down."""
    keepalive: str = ""
    keepalive_answer: bytes = b""
    keepalive_seconds: float = 0.0
    ping_seconds: float = 0.0
    """The library's protocol pings; only where a socket may rightly be silent for long."""
    rotate_seconds: float = 0.0
    """Replaced, make before break, at this age at the latest."""
    rotate_jitter_seconds: float = 0.0
    """Taken off the age at random, so that sockets do not rotate together."""
    maximum_frame_bytes: int = 1 << 20


class Subscription(Protocol):
    """What a reader asks of whoever knows the wanted streams."""

    def names(self) -> frozenset[str]:
        """Return the streams that are wanted now."""
        ...

    def judged(self, names: frozenset[str], /) -> frozenset[str]:
        """Return those of the names whose silence is a fault."""
        ...

    def opening_frames(self, names: frozenset[str], /) -> tuple[str, ...]:
        """Return what to send on a fresh socket."""
        ...

    def change_frames(self, added: frozenset[str], removed: frozenset[str], /) -> tuple[str, ...]:
        """Return what to send on a running socket."""
        ...

    def heard(self, name: str, /) -> None:
        """Take note that a stream has sent something (not called for every frame)."""
        ...

    def second_try(self, name: str, /) -> tuple[str, ...]:
        """Return what to send for a stream that missed its deadline; empty gives the socket up."""
        ...

    async def changed_from(self, names: frozenset[str], /) -> None:
        """Return once ``names()`` differs from what is given."""
        ...


class Misses:
    """Counts the deadlines a stream has missed, and gives it up after a named number.

    A stream that never speaks must not cost the others their socket for ever: after
    ``MISSES_MAXIMUM`` it is left to the age of its data, which stops entries (I16).
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, name: str) -> int:
        """Return how often this stream has now missed its deadline since it last spoke."""
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        return count

    def heard(self, name: str) -> None:
        """Forget the misses of a stream that has spoken."""
        self._counts.pop(name, None)

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget streams that are not wanted any more."""
        self._counts = {name: count for name, count in self._counts.items() if name in names}

    def judged(self, names: frozenset[str]) -> frozenset[str]:
        """Return the streams that have not been given up."""
        return frozenset(name for name in names if self._counts.get(name, 0) < MISSES_MAXIMUM)


class FixedSubscription:
    """Streams that are named once, in the URL or in the opening frames."""

    def __init__(self, names: frozenset[str], frames: tuple[str, ...] = ()) -> None:
        self._names = names
        self._frames = frames
        self._misses = Misses()

    def names(self) -> frozenset[str]:
        """Return the streams, always the same."""
        return self._names

    def judged(self, names: frozenset[str], /) -> frozenset[str]:
        """Return the streams that have not been given up."""
        return self._misses.judged(names)

    def opening_frames(self, _names: frozenset[str], /) -> tuple[str, ...]:
        """Return the frames given at construction."""
        return self._frames

    def change_frames(self, added: frozenset[str], removed: frozenset[str], /) -> tuple[str, ...]:
        """Raise ``AssertionError``: a fixed set has no changes to send."""
        raise AssertionError(f"a fixed subscription changed by {added} and {removed}")

    def heard(self, name: str, /) -> None:
        """Forget the stream's misses."""
        self._misses.heard(name)

    def second_try(self, name: str, /) -> tuple[str, ...]:
        """Count the miss; return nothing: the whole socket is opened anew."""
        self._misses.add(name)
        return ()

    async def changed_from(self, _names: frozenset[str], /) -> None:
        """Never return."""
        await asyncio.get_running_loop().create_future()
