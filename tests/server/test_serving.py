"""The listening socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from helpers.server import serving
from helpers.server.serving import SEND_BUFFER_BYTES, listen
from tests.server.site import running

WAIT_SECONDS_MAXIMUM = 30


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


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /livez HT",
        b"POST /control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /live",
    ],
)
async def test_who_does_not_say_what_they_want_is_cut(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, half a head, half a body, or half of a second request."""
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(serving, "KEEP_ALIVE_SECONDS", 0.1)
    async with running() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(said)
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAXIMUM):
                await reader.read()
        except ConnectionResetError:
            pass  # cut, with what it had sent unread
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"a" * 70_000,
        b"\r\n".join(b"X-%d: a" % number for number in range(200)),
        b'Cookie: dashboard="' + b"\\a" * 20_000 + b'"',
    ],
    ids=["long", "many lines", "backslashes"],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_a_request_has_a_length(head: bytes, whole: bool) -> None:
    """Nobody needs a token to send one, and the loop that takes it apart trades."""
    request = b"GET /view HTTP/1.1\r\nHost: localhost\r\n" + head
    async with running() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        answer = b""
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAXIMUM):
                writer.write(request + (b"\r\n\r\n" if whole else b""))
                answer = await reader.read()
        except ConnectionResetError:
            pass  # cut, with what it had sent unread
        writer.close()
        assert not answer or answer.startswith(b"HTTP/1.1 400")
        found = await served.client.get("/view")
        assert found.status_code == 200, "others are served"


async def test_every_request_of_a_connection_has_a_length_of_its_own() -> None:
    """A scraper keeps its connection for months."""
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n" % (b"a" * 2_000)
    async with running() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        async with asyncio.timeout(WAIT_SECONDS_MAXIMUM):
            for _ in range(20):
                writer.write(request)
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
                await reader.readuntil(b"alive\n")
        writer.close()


async def test_who_listens_to_events_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request was whole; its answer takes for ever."""
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.05)
    async with running() as served, served.client.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        await asyncio.sleep(0.2)
        seen = [await anext(lines) for _ in range(500)]
    assert any(line.startswith("data:") for line in seen[-10:])
