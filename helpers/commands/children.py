"""Processes that work for a verb: ctrl-C is its owner's to hear, and they end with it.

A terminal sends the signal to every process in front of it. A child that heard it, too, would write
where it was interrupted all over the owner's last words. Must not: start a process itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Final

EXIT_ORPHANED: Final = 1
"""Of a child whose owner is gone: nobody asks any more."""


@contextmanager
def deaf_to_interrupts() -> Generator[None]:
    """Start processes in the body: SIGINT is blocked in them from their first instruction.

    What a thread blocks is inherited by the processes it starts. The owner, which must be the main
    thread, hears afterwards what was sent to it meanwhile: a library's thread may take the signal
    that this one blocks, and a process that is half started when its owner is interrupted is known
    to nobody.
    """
    # Starting the first process starts this, and that lets the signal through again.
    resource_tracker.ensure_running()
    heard: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def ended_with_the_owner() -> Generator[None]:
    """Kill whatever processes the body has started when it ends by an exception."""
    others = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        raise


def leave_with_the_owner() -> None:
    """End this process when its owner is gone, however it went; what a pool's processes do first.

    A pool's process keeps both ends of the pipe it is told its work by, so the end of an owner that
    was killed never reaches it: it would finish its work, and wait for more for ever.
    """
    threading.Thread(target=_await_owner, name="owner", daemon=True).start()


def _await_owner() -> None:
    owner = multiprocessing.parent_process()
    if owner is not None:
        owner.join()
        os._exit(EXIT_ORPHANED)  # at once, in the middle of whatever nobody wants
