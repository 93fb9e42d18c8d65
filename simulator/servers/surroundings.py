"""What all surfaces of one simulated venue share: time, faults, connections; no venue rules."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from helpers.domain import NS_PER_SECOND
from simulator.servers.fault_seam import Faults, NoFaults, Surface

PeerAddress = tuple[str, int]


class Surroundings:
    """Time as whoever drives it says, the faults, and the open connections.

    ``advance`` brings the exchange to the present and publishes what happened; it is called before
    and after everything a client asks for. ``speed`` is how many seconds pass inside in one second
    outside.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        advance: Callable[[], None],
        faults: Faults | None = None,
        speed: float = 1.0,
    ) -> None:
        if speed <= 0.0:
            raise ValueError(f"speed was {speed}, expected above 0")
        self.now_ns = now_ns
        self.advance = advance
        self.faults: Faults = faults or NoFaults()
        self.speed = speed
        self.unread: Counter[str] = Counter()
        """Frames of clients that meant nothing, by surface and reason."""
        self._numbers: Counter[Surface] = Counter()
        self._transports: dict[PeerAddress, asyncio.Transport] = {}

    def beside(self, faults: Faults | None) -> Surroundings:
        """Return what another host of the same world has: other faults, the same time and numbers.

        Faults know a connection by its name, so no two hosts may give out the same.
        """
        made = Surroundings(self.now_ns, self.advance, faults, self.speed)
        made._numbers = self._numbers
        return made

    def connection_id(self, surface: Surface) -> str:
        """Return the name of the next socket or request of a surface."""
        self._numbers[surface] += 1
        return f"{surface}-{self._numbers[surface]}"

    def seconds(self, venue_ns: int) -> float:
        """Return how long a time of the venue takes outside."""
        return venue_ns / NS_PER_SECOND / self.speed

    async def wait(self, venue_ns: int) -> None:
        """Wait a time of the venue."""
        await asyncio.sleep(self.seconds(venue_ns))

    def connected(self, peer: PeerAddress, transport: asyncio.Transport) -> None:
        """Remember a connection, so that it can be cut."""
        self._transports[peer] = transport

    def disconnected(self, peer: PeerAddress) -> None:
        """Forget a connection."""
        self._transports.pop(peer, None)

    def cut(self, peer: PeerAddress) -> None:
        """Reset a connection at once, without a word; nothing happens when it is gone."""
        transport = self._transports.pop(peer, None)
        if transport is not None:
            transport.abort()
