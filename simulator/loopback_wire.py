"""Sockets that count, so that a loop knows what is still on its way between its own two ends.

Loopback delivers at once on most systems, but nothing promises it. With both ends in one process
what was sent and what has arrived can be compared exactly. Must not: change what is carried.
"""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import termios
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

HOST: Final = "127.0.0.1"
HOSTS: Final = (HOST, "localhost")
"""What this process may be called by itself; IPv6 is not spoken here."""
CONNECT_SECONDS: Final = 1.0
"""The system shakes hands for a listener of this very process: milliseconds at the worst."""
BACKLOG: Final = 128
IN_FLIGHT_BYTES_MAXIMUM: Final = 32 * 1024
"""Of one direction. What a send takes and a read finds would otherwise follow the system's
buffers and windows; so little fits them all."""
BUFFER_BYTES: Final = 208 * 1024
"""Receive buffer: what Linux allows by default, and room for that much in small segments."""
_QUICK_ACKNOWLEDGEMENT: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Only Linux has it; elsewhere a run is slower and no different."""

Address = tuple[str, int]
Direction = tuple[Address, Address]
"""Sender's address, receiver's address."""


class Wire:
    """All connections of one loop: bytes and ends of streams that were sent and not yet read."""

    def __init__(self) -> None:
        self._in_flight: dict[Direction, int] = {}
        self._ended: set[Direction] = set()
        self._readers: dict[Direction, CountingSocket] = {}
        self._unaccepted: dict[Address, int] = {}
        self._listeners: dict[Address, CountingSocket] = {}

    def connect(self, host: str | None, port: int | None) -> CountingSocket:
        """Return a connection to a port of this process; raise ``OSError`` when none listens."""
        if host not in HOSTS or port is None:
            raise OSError(f"host was {host!r}, expected one of {HOSTS}: this loop has no network")
        made = CountingSocket(self)
        try:
            made.settimeout(CONNECT_SECONDS)
            made.connect((HOST, port))
            made.setblocking(False)
        except OSError:
            made.close()
            raise
        made.know_ends()
        self._readers[made.incoming] = made
        if made.peer in self._listeners:
            self._unaccepted[made.peer] = self._unaccepted.get(made.peer, 0) + 1
        return made

    def listener(self, port: int = 0, like: socket.socket | None = None) -> CountingSocket:
        """Return a listening socket on a port, or one that shares the port of a bound socket."""
        if like is None:
            made = CountingSocket(self)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((HOST, port))
        else:
            made = CountingSocket(self, like.dup().detach())
        made.setblocking(False)
        made.listen(BACKLOG)
        made.local = made.getsockname()
        self._listeners[made.local] = made
        return made

    def has_arrived(self, reads: Callable[[int], bool], readable: Collection[int]) -> bool:
        """Return whether all that was sent to the descriptors somebody reads waits there."""
        for direction, sent in self._in_flight.items():
            reader = self._readers.get(direction)
            if reader is None or not reads(reader.fileno()):
                continue
            if reader.waiting_bytes() < sent:
                reader.acknowledge()
                return False
        for direction in self._ended:
            fd = self._readers[direction].fileno()
            if reads(fd) and fd not in readable:
                return False
        for address in self._unaccepted:
            fd = self._listeners[address].fileno()
            if reads(fd) and fd not in readable:
                return False
        return True

    def accepted(self, listener: CountingSocket, made: CountingSocket) -> None:
        """Note the serving end of a connection."""
        self._readers[made.incoming] = made
        left = self._unaccepted.pop(listener.local, 0) - 1
        if left > 0:
            self._unaccepted[listener.local] = left

    def room_bytes(self, direction: Direction) -> int:
        """Return how much may be sent now."""
        return IN_FLIGHT_BYTES_MAXIMUM - self._in_flight.get(direction, 0)

    def full(self) -> frozenset[int]:
        """Return the descriptors that may send nothing now."""
        full = [d for d, size in self._in_flight.items() if size >= IN_FLIGHT_BYTES_MAXIMUM]
        ends = (self._readers.get((receiver, sender)) for sender, receiver in full)
        return frozenset(end.fileno() for end in ends if end is not None)

    def sent(self, direction: Direction, size: int) -> None:
        """Note bytes handed to the system."""
        self._in_flight[direction] = self._in_flight.get(direction, 0) + size

    def received(self, direction: Direction, size: int) -> None:
        """Note bytes read; none is the end of the stream."""
        left = self._in_flight.pop(direction, 0) - size
        if left > 0:
            self._in_flight[direction] = left
        if not size:
            self._ended.discard(direction)

    def ended(self, direction: Direction) -> None:
        """Note that a sender will send no more."""
        if direction in self._readers:
            self._ended.add(direction)

    def closed(self, gone: CountingSocket) -> None:
        """Forget an end; the other one has the end of the stream to read."""
        if self._listeners.get(gone.local) is gone:
            del self._listeners[gone.local]
            self._unaccepted.pop(gone.local, None)
        elif self._readers.get(gone.incoming) is gone:
            del self._readers[gone.incoming]
            self._in_flight.pop(gone.incoming, None)
            self._ended.discard(gone.incoming)
            self.ended(gone.outgoing)
            if gone.outgoing not in self._readers:
                self._in_flight.pop(gone.outgoing, None)


class CountingSocket(socket.socket):
    """A TCP socket that tells a wire what passes; everything else is the base class."""

    local: Address = ("", 0)
    peer: Address = ("", 0)

    def __init__(self, wire: Wire, fileno: int | None = None) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM, fileno=fileno)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        # The loop sets this only for sockets that name their protocol; without it a second small
        # send waits 40 ms for the acknowledgement of the first.
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = wire

    def know_ends(self) -> None:
        """Remember both addresses: a reset connection cannot tell its peer any more."""
        self.local, self.peer = self.getsockname(), self.getpeername()

    @property
    def outgoing(self) -> Direction:
        """Return the direction this end sends in."""
        return self.local, self.peer

    @property
    def incoming(self) -> Direction:
        """Return the direction this end reads from."""
        return self.peer, self.local

    def waiting_bytes(self) -> int:
        """Return how many bytes can be read at once."""
        size = array.array("i", [0])
        fcntl.ioctl(self.fileno(), termios.FIONREAD, size)
        return size[0]

    def acknowledge(self) -> None:
        """Let the sender go on now: after ten small segments it waits for an acknowledgement.

        The system delays one by 40 ms; nothing here reads before everything has arrived.
        """
        if _QUICK_ACKNOWLEDGEMENT is not None:
            self.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)

    def accept(self) -> tuple[Self, Address]:
        """Accept a connection, as the base class does."""
        accepted, address = super().accept()
        made = type(self)(self._wire, accepted.detach())
        made.setblocking(False)
        made.know_ends()
        self._wire.accepted(self, made)
        return made, address

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Send what there is room for; raise ``BlockingIOError`` when there is none."""
        size = super().send(memoryview(data)[: self._room()], flags)
        self._wire.sent(self.outgoing, size)
        return size

    def sendmsg(self, buffers: Iterable[ReadableBuffer], /) -> int:  # type: ignore[override]
        """Send several buffers as one; asyncio uses no other argument."""
        return self.send(b"".join(buffers))

    def _room(self) -> int:
        room = self._wire.room_bytes(self.outgoing)
        if room <= 0:
            raise BlockingIOError(errno.EAGAIN, "as much is on its way as fits")
        return room

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read, as the base class does."""
        found = super().recv(size, flags)
        self._wire.received(self.incoming, len(found))
        return found

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Read into a buffer, as the base class does."""
        found = super().recv_into(buffer, nbytes, flags)
        self._wire.received(self.incoming, found)
        return found

    def shutdown(self, how: int, /) -> None:
        """Shut down, as the base class does."""
        super().shutdown(how)
        if how != socket.SHUT_RD:
            self._wire.ended(self.outgoing)

    def close(self) -> None:
        """Close, as the base class does."""
        self._wire.closed(self)
        super().close()
