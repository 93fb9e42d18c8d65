"""What was sent and what has arrived, counted on real sockets of this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from helpers.clock import system_seconds
from simulator.loopback_wire import HOST, IN_FLIGHT_BYTES_MAXIMUM, CountingSocket, Wire
from simulator.simulated_loop import SETTLE_SECONDS


class Pair:
    """A wire with one listener and one connection."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.wire = Wire()
        self.listener = self.keep(self.wire.listener())
        self.client = self.keep(self.wire.connect(HOST, self.port))
        accepted, _ = self.listener.accept()
        self.server = self.keep(accepted)

    @property
    def port(self) -> int:
        return self.listener.local[1]

    def keep(self, made: CountingSocket) -> CountingSocket:
        """Close a socket with the pair, if the test has not."""
        self.stack.callback(made.close)
        return made

    def arrived(self, *readable: socket.socket, reads: bool = True) -> bool:
        """Return whether all is there, when everybody (or nobody) reads."""
        return self.wire.has_arrived(lambda _fd: reads, {one.fileno() for one in readable})

    def settles(self) -> bool:
        """Return whether all is there soon: most systems deliver at once, none promises it."""
        until_seconds = system_seconds() + SETTLE_SECONDS
        while not self.arrived() and system_seconds() < until_seconds:
            pass
        return self.arrived()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack)


def drain(end: CountingSocket, size: int) -> bytes:
    """Read so many bytes."""
    found = b""
    while len(found) < size:
        found += end.recv(size - len(found))
    return found


def test_bytes_are_carried_unchanged_and_counted_both_ways(pair: Pair) -> None:
    """Every byte sent waits to be read; two directions are counted apart."""
    assert pair.client.send(b"question") == 8
    assert pair.server.sendmsg([b"an", b"sw", b"er"]) == 6
    assert pair.wire.room_bytes(pair.client.outgoing) == IN_FLIGHT_BYTES_MAXIMUM - 8
    assert pair.wire.room_bytes(pair.server.outgoing) == IN_FLIGHT_BYTES_MAXIMUM - 6
    assert pair.settles()
    assert pair.server.waiting_bytes() == 8
    assert drain(pair.server, 5) == b"quest"
    assert pair.wire.room_bytes(pair.client.outgoing) == IN_FLIGHT_BYTES_MAXIMUM - 3
    buffer = bytearray(10)
    assert pair.server.recv_into(buffer) == 3
    assert bytes(buffer[:3]) == b"ion"
    assert drain(pair.client, 6) == b"answer"
    for end in (pair.client, pair.server):
        assert pair.wire.room_bytes(end.outgoing) == IN_FLIGHT_BYTES_MAXIMUM


def test_what_is_said_to_be_sent_and_is_not_there_has_not_arrived(pair: Pair) -> None:
    """The order of events would be left to chance; nobody waits for what nobody reads."""
    pair.wire.sent(pair.client.outgoing, 1)
    assert not pair.arrived()
    assert pair.arrived(reads=False)
    pair.client.send(b"")
    pair.wire.received(pair.client.outgoing, 1)
    assert pair.arrived()


def test_only_so_much_is_on_its_way(pair: Pair) -> None:
    """A send takes what fits, then none; reading makes room, and the full end is named."""
    text = b"x" * (IN_FLIGHT_BYTES_MAXIMUM + 1_000)
    assert pair.client.send(text) == IN_FLIGHT_BYTES_MAXIMUM
    assert pair.wire.full() == {pair.client.fileno()}
    with pytest.raises(BlockingIOError):
        pair.client.send(b"y")
    with pytest.raises(BlockingIOError):
        pair.client.sendmsg([b"y"])
    drain(pair.server, 100)
    assert pair.wire.full() == frozenset()
    assert pair.client.send(text) == 100


def test_a_connection_is_on_its_way_until_it_is_accepted(pair: Pair) -> None:
    """The listener must be seen to be readable before time may pass."""
    made = [pair.keep(pair.wire.connect(HOST, pair.port)) for _ in range(2)]
    assert not pair.arrived()
    assert pair.arrived(pair.listener)
    first, _ = pair.listener.accept()
    assert pair.keep(first).incoming == made[0].outgoing
    assert not pair.arrived()
    pair.keep(pair.listener.accept()[0])
    assert pair.arrived()


def test_the_end_of_a_stream_is_on_its_way_until_it_is_read(pair: Pair) -> None:
    """After a shutdown the peer has an empty read to come; the other direction lives on."""
    pair.client.send(b"last")
    pair.client.shutdown(socket.SHUT_WR)
    assert not pair.arrived()
    assert pair.arrived(pair.server)
    assert drain(pair.server, 4) == b"last"
    assert not pair.arrived()
    assert pair.server.recv(1) == b""
    assert pair.arrived()
    pair.server.send(b"bye")
    assert drain(pair.client, 3) == b"bye"


def test_reading_no_more_is_no_end_of_a_stream(pair: Pair) -> None:
    """Only what can be sent no more ends."""
    pair.client.shutdown(socket.SHUT_RD)
    assert pair.arrived()


@pytest.mark.parametrize("closes_first", ["client", "server"])
def test_closing_is_seen_by_the_other_end_and_forgotten_after_both(
    pair: Pair, closes_first: str
) -> None:
    """What was sent before can still be read; then there is an end, then nothing is left."""
    first, second = pair.client, pair.server
    if closes_first == "server":
        first, second = second, first
    first.send(b"last words")
    second.send(b"unheard")
    first.close()
    assert not pair.arrived()
    assert drain_or_reset(second) in (b"last words", b"")
    second.close()
    assert pair.arrived()
    for sender, receiver in ((first, second), (second, first)):
        direction = (sender.local, receiver.local)
        assert pair.wire.room_bytes(direction) == IN_FLIGHT_BYTES_MAXIMUM
    assert pair.wire.full() == frozenset()


def drain_or_reset(end: CountingSocket) -> bytes:
    """Read what comes; a close with unread bytes resets the connection, which is an end too."""
    try:
        return end.recv(100)
    except ConnectionResetError:
        return b""


def test_a_closed_listener_waits_for_nobody(pair: Pair) -> None:
    """Connections it never accepted do not hold up time."""
    pair.keep(pair.wire.connect(HOST, pair.port))
    assert not pair.arrived()
    pair.listener.close()
    assert pair.arrived()


def test_a_listener_can_share_the_port_of_a_bound_socket() -> None:
    """As servers do that bind first and serve later."""
    wire = Wire()
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        port = bound.getsockname()[1]
        with wire.listener(like=bound) as listener, wire.connect("localhost", port) as client:
            accepted, _ = listener.accept()
            with accepted:
                client.send(b"hello")
                assert drain(accepted, 5) == b"hello"


@pytest.mark.parametrize(
    ("host", "port"), [("example.com", 80), (None, 80), ("127.0.0.1", None), ("::1", 80)]
)
def test_nothing_leaves_this_machine(host: str | None, port: int | None) -> None:
    """A host that is not loopback is refused before any name is looked up."""
    with pytest.raises(OSError, match="no network"):
        Wire().connect(host, port)


def test_a_port_nobody_listens_on_is_refused() -> None:
    """And the socket is closed again (an open one would be a warning, which fails the test)."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        with pytest.raises(ConnectionRefusedError):
            Wire().connect(HOST, bound.getsockname()[1])
