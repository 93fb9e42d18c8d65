"""The heap is not torn by large pieces that come and go."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Final

import pytest

MAPPED_AFTER_A_FREED_PIECE: Final = """
import ctypes
from helpers.heap import keep_large_pieces_apart

class Memory(ctypes.Structure):
    # mallinfo2(3): the fourth is how many pieces are mapped on their own.
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

look = ctypes.CDLL(None).mallinfo2
look.restype = Memory
{told}
bytearray(1024 * 1024)
before = look().d
held = bytearray(256 * 1024)
print(look().d - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc's allocator")
def test_large_pieces_of_memory_are_mapped_on_their_own() -> None:
    """Also after one of them was freed, from which glibc would learn to do otherwise."""
    kept_apart, otherwise = (
        int(subprocess.run(
            [sys.executable, "-c", MAPPED_AFTER_A_FREED_PIECE.format(told=told)],
            check=True, capture_output=True, text=True,
        ).stdout)
        for told in ("keep_large_pieces_apart()", "")
    )  # fmt: skip
    assert (kept_apart, otherwise) == (1, 0)
