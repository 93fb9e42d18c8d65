"""A heap that keeps its size over weeks; for the processes that live so long.

The heap is the C library's. glibc begins by mapping pieces of 128 KiB and more on their own, but
learns from the first that is freed to take them from its heap, up to 32 MiB. Then asyncio's reads,
256 KiB each and shrunk at once to what came, leave holes there that what lives longer settles in:
after half a day of the soak 24 MB were in use in a heap of 79 MB, and the process, which has the
simulated venues in it, went on to grow by 17 MB a day.
"""

from __future__ import annotations

import ctypes
from typing import Final

LARGE_PIECE_BYTES: Final = 128 * 1024
"""From here on a piece of memory is mapped on its own: what glibc begins with."""
_M_MMAP_THRESHOLD: Final = -3
"""Of ``malloc.h``; setting it also ends its adjustment (mallopt(3))."""


def keep_large_pieces_apart() -> bool:
    """Have large pieces of memory mapped on their own in this process from now on.

    Return whether the C library can be told so; one other than glibc is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE_PIECE_BYTES) == 1
