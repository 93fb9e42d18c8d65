"""What a run begins with lives as long as it does: the collector looks only at what came after.

A full collection stops the loop for as long as it looks at everything that ever was, modules and
all: 39 ms with the demo's 83,000 objects, 4 ms with the 7,000 that the run itself has made. And as
it comes only when a quarter as many are new, cycles of requests that failed, and of sockets that
were closed, wait for hours. Must not: outlast the run, or cycles of what comes next would stay.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def set_aside() -> Generator[None]:
    """Keep what exists now out of every collection while the body runs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
