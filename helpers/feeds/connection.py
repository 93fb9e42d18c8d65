"""The library's connection, read into one buffer that it keeps; must not parse or judge.

asyncio asks for 256 KiB of memory for each read of a few hundred bytes (twice under TLS). Mapped
and unmapped by the system each time, they cost a frame almost as much as all else on its way from
the socket to the reader (``benchmarks.socket_read``); kept by the allocator, they tear holes into
its heap (``helpers.heap``).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from websockets.asyncio.client import ClientConnection

READ_BYTES: Final = 64 * 1024
"""Taken from the system at once; a longer frame comes in several reads."""


class SteadyConnection(ClientConnection, asyncio.BufferedProtocol):
    """A connection that is read without memory being asked for each time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._room = memoryview(bytearray(READ_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return where the transport puts what it reads; it asks anew before each read."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what was read, copied: the library may keep it, and the room is used again."""
        self.data_received(bytes(self._room[:nbytes]))
