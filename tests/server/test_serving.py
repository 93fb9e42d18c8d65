"""The listening socket."""

from __future__ import annotations

import socket

import pytest

from helpers.server.serving import SEND_BUFFER_BYTES, listen


def test_a_port_that_is_taken_cannot_be_had() -> None:
    """Two workers do not share one."""
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])


def test_what_the_system_holds_for_a_viewer_is_bounded() -> None:
    """Accepted connections inherit it; Linux doubles what it is told."""
    with listen("127.0.0.1", 0) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            size = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert size <= 2 * SEND_BUFFER_BYTES


def test_the_address_of_all_interfaces_answers_both_protocols() -> None:
    """A platform checks over IPv4 and its private network is IPv6."""
    try:
        listener = listen("::", 0)
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with listener, socket.socket() as client:
        client.connect(("127.0.0.1", listener.getsockname()[1]))
