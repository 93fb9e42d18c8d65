"""A frame from the system's socket to the reader, against the library's own connection.

Run ``uv run python -m benchmarks.socket_read``: one row for a quote and one for a book, exit code 1
when one is over its budget. The server's write is in both, and the repeats are interleaved, so a
busy machine slows both sides.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from helpers.feeds.connection import SteadyConnection
from helpers.heap import keep_large_pieces_apart

FRAMES: Final = 1_000
REPEATS: Final = 15
WARM_UP_REPEATS: Final = 2
QUOTE_BYTES: Final = 200
"""A bookTicker of Binance."""
BOOK_BYTES: Final = 30_000
"""A whole book of Polymarket with every price of its grid."""
BUDGET: Final = 0.8


class Line:
    """One connection: both of its ends."""

    def __init__(self, here: ClientConnection, there: ServerConnection) -> None:
        self._here, self._there = here, there

    async def microseconds(self, frame: bytes) -> float:
        """Return what a frame takes on average, one after the other."""
        write, receive = self._there.transport.write, self._here.recv
        began = time.perf_counter()
        for _ in range(FRAMES):
            write(frame)
            await receive(decode=False)
        return (time.perf_counter() - began) / FRAMES * 1e6


async def measure() -> list[tuple[str, float, float]]:
    """Return the name of each row, our microseconds and the library's."""
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def keep(connection: ServerConnection) -> None:
        accepted.put_nowait(connection)
        await connection.wait_closed()

    lines: list[Line] = []
    async with serve(keep, "127.0.0.1", 0, compression=None) as server, AsyncExitStack() as open_:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        for kind in (SteadyConnection, ClientConnection):
            dialled = connect(url, proxy=None, compression=None, create_connection=kind)
            here = await open_.enter_async_context(dialled)
            lines.append(Line(here, await accepted.get()))
        return [
            (f"{size:,} bytes", *await _interleaved(lines, size))
            for size in (QUOTE_BYTES, BOOK_BYTES)
        ]


async def _interleaved(lines: list[Line], size: int) -> tuple[float, float]:
    frame = Frame(Opcode.TEXT, b"7" * size).serialize(mask=False)
    seen = [[await line.microseconds(frame) for line in lines] for _ in range(REPEATS)]
    ours, library = zip(*seen[WARM_UP_REPEATS:], strict=True)
    return median(ours), median(library)


def main() -> int:
    """Print every row; return 1 when one is over its budget."""
    keep_large_pieces_apart()
    over = False
    for name, ours, library in asyncio.run(measure()):
        ratio = ours / library
        over = over or ratio > BUDGET
        verdict = "ok" if ratio <= BUDGET else "over"
        print(
            f"{verdict:4}  {'socket to reader, ' + name:44} {ratio:5.2f}  (budget {BUDGET:.2f})  "
            f"{ours:.1f} us a frame, the library's {library:.1f} us"
        )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
