"""Frames come through the one buffer whole and unmixed, plainly and under TLS."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from helpers.clock import RealClock
from helpers.domain import Source
from helpers.feeds.connection import READ_BYTES, SteadyConnection
from helpers.feeds.socket import SocketTimings, open_connection
from helpers.feeds.subscription import Endpoint

SIZES = (1, 200, 0, 3 * READ_BYTES, 7, READ_BYTES)
"""Some are longer than what is read at once."""
FRAMES = [bytes([number % 251]) * SIZES[number % len(SIZES)] for number in range(60)]


async def received(scheme: str, context: ssl.SSLContext | None) -> list[bytes]:
    """Return what comes of ``FRAMES``, each kept while the buffer is used again."""

    async def speak(connection: ServerConnection) -> None:
        for frame in FRAMES:
            await connection.send(frame)

    async with serve(speak, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        endpoint = Endpoint(
            Source.BINANCE_PUBLIC, f"{scheme}://localhost:{port}", lambda _: (), 1.0, 1.0
        )
        connection = await open_connection(endpoint, SocketTimings(), RealClock())
        assert isinstance(connection, SteadyConnection)
        async with asyncio.timeout(10), connection:
            return [await connection.recv(decode=False) for _ in FRAMES]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate for this machine with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    path = tmp_path / "own.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", tmp_path / "c.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "c.pem").read_bytes())
    return path


async def test_frames_of_every_size_arrive_as_they_were_sent() -> None:
    """In order, and not overwritten by what was read after them."""
    assert await received("ws", None) == FRAMES


async def test_so_they_do_under_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every venue is reached in this way."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await received("wss", context) == FRAMES
