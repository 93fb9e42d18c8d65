"""Reads tapes: recorded frames in receive order, whatever state the file was left in.

Must not: parse a frame, or wait. What was survived is counted in ``TapeFaults``.

A tape is JSON Lines, usually gzipped: ``{"t": received_ns, "src": source, "raw": frame}``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, field

from helpers.domain import Message, Source

TAPE_SUFFIX: Final = ".jsonl.gz"
PART_SUFFIX: Final = ".part"
"""Of a tape that is being written, or was when its writer was killed; it reads all the same."""
READ_BYTES: Final = 256 * 1024
"""Read at once: large enough to make the calls cheap."""
BLOCK_BYTES: Final = 1024 * 1024
"""Decompressed bytes handed on at once; also bounds what a hostile archive can unfold to."""
LINE_BYTES_LIMIT: Final = 16 * 1024 * 1024
"""A longer line is no frame; the largest REST answer recorded is well under 1 MB."""
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31
"""zlib's code for a gzip stream with the largest window."""


class TapeError(Exception):
    """A tape cannot be opened, or can no longer be written."""


class TapeFrame(Message, frozen=True):
    """One recorded frame; also the line it is written as."""

    received_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] = field(name="t")
    source_text: str = field(name="src")
    raw: str


class TapeFaults:
    """What a reader survived."""

    def __init__(self) -> None:
        self.truncated = 0
        """Files whose gzip stream ends early: the writer was killed."""
        self.corrupt = 0
        """Files whose gzip stream is damaged; the rest of such a file is lost."""
        self.malformed_lines = 0
        self.out_of_order = 0
        """Frames older than the one before; delivered at that one's time."""


_Decode = Callable[[bytes], list[TapeFrame]]
_OnRead = Callable[[int], None]
"""Told how many bytes of a file were read just now, as they lie on the disk."""
_decode_tape_lines = msgspec.json.Decoder(TapeFrame).decode_lines


def tape_files(path: Path) -> list[Path]:
    """Return the files a tape consists of, in order.

    A file stands for itself, a folder for every tape in it, and the name a ``TapeWriter`` was given
    for the parts it wrote. Raises ``TapeError`` when there is none.
    """
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [p for p in path.iterdir() if p.is_file() and _is_tape(p.name)]
    else:
        found = written_parts(path)
    if not found:
        raise TapeError(f"no tape was found at {path}: expected a .jsonl.gz or .jsonl file")
    return sorted(found)


def written_parts(path: Path) -> list[Path]:
    """Return the files that a ``TapeWriter`` of this name has written so far, in order."""
    if not path.parent.is_dir():
        return []
    stem = re.escape(path.name.removesuffix(TAPE_SUFFIX))
    name = re.compile(stem + r"_\d{8}T\d\d_\d{3}" + re.escape(TAPE_SUFFIX) + r"(\.part)?")
    return sorted(p for p in path.parent.iterdir() if name.fullmatch(p.name))


def read_tape(
    path: Path, faults: TapeFaults | None = None, on_read: _OnRead | None = None
) -> Iterator[TapeFrame]:
    """Yield the frames of a tape in receive order; see ``tape_files`` for what ``path`` may be.

    A truncated or damaged gzip stream ends its file, a malformed or torn line is skipped, a frame
    that goes back in time is delivered at the last time seen; each is counted in ``faults``. Raises
    ``TapeError`` for a file that cannot be read at all.
    """
    faults = TapeFaults() if faults is None else faults
    return _in_order(tape_files(path), _decode_tape_lines, faults, on_read)


def read_hftbacktest(
    path: Path, source: Source, faults: TapeFaults | None = None
) -> Iterator[TapeFrame]:
    """Yield the frames of an hftbacktest collector file: lines of ``<received ns> <frame>``.

    Such a file does not say its source. Faults and errors as ``read_tape``.
    """

    def decode(block: bytes) -> list[TapeFrame]:
        return [_hftbacktest_frame(line, source) for line in block.split(b"\n") if line]

    return _in_order([path], decode, TapeFaults() if faults is None else faults)


def _hftbacktest_frame(line: bytes, source: Source) -> TapeFrame:
    time_text, _, raw = line.partition(b" ")
    if not raw:
        raise ValueError("a line had no frame")
    return TapeFrame(received_ns=int(time_text), source_text=source.value, raw=raw.decode())


def _in_order(
    files: list[Path], decode: _Decode, faults: TapeFaults, on_read: _OnRead | None = None
) -> Iterator[TapeFrame]:
    last_ns = 0
    for file in files:
        for block in _whole_lines(_blocks(file, faults, on_read), faults):
            for frame in _decode_block(block, decode, faults):
                if frame.received_ns >= last_ns:
                    last_ns = frame.received_ns
                    yield frame
                else:
                    faults.out_of_order += 1
                    yield TapeFrame(
                        received_ns=last_ns, source_text=frame.source_text, raw=frame.raw
                    )


def _decode_block(block: bytes, decode: _Decode, faults: TapeFaults) -> list[TapeFrame]:
    try:
        return decode(block)
    except ValueError:
        # Some line is bad: find out which, slowly. (msgspec's errors are ValueErrors too.)
        pass
    frames: list[TapeFrame] = []
    for line in block.split(b"\n"):
        if not line.strip():
            continue
        try:
            frames.extend(decode(line))
        except ValueError:
            faults.malformed_lines += 1
    return frames


def _whole_lines(blocks: Iterator[bytes], faults: TapeFaults) -> Iterator[bytes]:
    rest = b""
    skipping = False
    for block in blocks:
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest += tail
        elif skipping:
            # The end of the over-long line is dropped with its beginning.
            _, _, head = head.partition(b"\n")
            rest, skipping = tail, False
            yield head
        else:
            yield rest + head
            rest = tail
        if len(rest) > LINE_BYTES_LIMIT:
            faults.malformed_lines += not skipping
            rest, skipping = b"", True
    if rest and not skipping:
        yield rest


def _blocks(file: Path, faults: TapeFaults, on_read: _OnRead | None) -> Iterator[bytes]:
    def read() -> bytes:
        found = stream.read(READ_BYTES)
        if on_read is not None:
            on_read(len(found))
        return found

    try:
        with file.open("rb") as stream:
            start = read()
            if start.startswith(_GZIP_MAGIC):
                yield from _unzip(start, read, faults)
                return
            while start:
                yield start
                start = read()
    except OSError as error:
        raise TapeError(f"tape {file} cannot be read: {error}") from error


def _unzip(compressed: bytes, read: Callable[[], bytes], faults: TapeFaults) -> Iterator[bytes]:
    unzipper = zlib.decompressobj(_GZIP_WINDOW)
    begun = False
    while compressed or (compressed := read()):
        begun = True
        try:
            block = unzipper.decompress(compressed, BLOCK_BYTES)
        except zlib.error:
            faults.corrupt += 1
            return
        if block:
            yield block
        if unzipper.eof:
            # Another gzip member may follow, as after concatenating tapes.
            compressed = unzipper.unused_data
            unzipper = zlib.decompressobj(_GZIP_WINDOW)
            begun = False
        else:
            compressed = unzipper.unconsumed_tail
    if begun:
        faults.truncated += 1
        if rest := unzipper.flush():
            yield rest


def _is_tape(name: str) -> bool:
    name = name.removesuffix(PART_SUFFIX)
    return name.endswith((TAPE_SUFFIX, ".jsonl"))
