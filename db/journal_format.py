"""The journal's line format, its errors and what damage looks like; pure, no files.

Must not: know what a body means.

A run is a folder of segments; a segment is JSON Lines. Every line ends with ``,"crc":"xxxxxxxx"}``:
the CRC-32 of the line's bytes before that suffix, seeded with the CRC of the line before it. An
edited, lost, doubled or reordered line therefore breaks the chain at a line that can be named. The
chain finds accidents; it is not a signature and stops no forger.

The first line of a segment is its header: format, segment number, first sequence number, and the
chain as it stood, so that a segment can be read after its predecessors were retired.

Errors, by what the caller does::

    JournalError           stop: what is decided next could not be explained
      JournalLockedError   another worker writes here: stop that one, or use another folder
      JournalDamagedError  reading: all before the named line is sound; restore or discard
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from helpers.domain import Message, Mode

FORMAT: Final = 1
_SUFFIX_START: Final = b',"crc":"'
_SUFFIX_END: Final = b'"}'
_CRC_DIGITS: Final = 8
_SUFFIX_BYTES: Final = len(_SUFFIX_START) + _CRC_DIGITS + len(_SUFFIX_END)
_SHOWN_CHARACTERS: Final = 60
"""How much of a damaged line an error quotes: enough to find it, never a whole record."""


class JournalFault(Message, frozen=True):
    """One damage: where, what was expected, what was found."""

    segment: str
    """File name of the segment."""
    line: int
    """Line number, from 1."""
    problem: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.segment} line {self.line}: {self.problem}: "
            f"expected {self.expected}, found {self.found}"
        )


class JournalError(Exception):
    """The journal cannot be written or read."""


class JournalLockedError(JournalError):
    """Another writer holds the journal."""


class JournalDamagedError(JournalError):
    """A line in the middle is not what was written."""

    def __init__(self, fault: JournalFault) -> None:
        super().__init__(f"journal damaged: {fault}")
        self.fault = fault


class BadLineError(Exception):
    """A line that breaks the chain; the reader adds where."""

    def __init__(self, problem: str, expected: str, found: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.expected = expected
        self.found = found


class Header(Message, frozen=True):
    """First line of a segment."""

    journal: int
    segment: int
    first_seq: int
    chain: str


class Envelope(Message, frozen=True):
    """A line around its body."""

    seq: int
    at: int
    mode: Mode
    market: str
    kind: str
    body: msgspec.Raw


_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(Header)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def seal(payload: bytes, chain: int) -> tuple[bytes, int]:
    """Return the suffix, newline included, that closes a payload, and the new chain."""
    crc = crc32(payload, chain)
    return b',"crc":"%08x"}\n' % crc, crc


def header_line(segment: int, first_seq: int, chain: int) -> tuple[bytes, int]:
    """Return the first line of a segment and the chain after it."""
    header = Header(journal=FORMAT, segment=segment, first_seq=first_seq, chain=f"{chain:08x}")
    payload = _encoder.encode(header)[:-1]
    suffix, crc = seal(payload, chain)
    return payload + suffix, crc


def check_line(line: bytes, chain: int) -> int:
    """Return the chain after a line, given without its newline; raise ``BadLineError``."""
    payload, suffix = line[:-_SUFFIX_BYTES], line[-_SUFFIX_BYTES:]
    digits = suffix[len(_SUFFIX_START) : -len(_SUFFIX_END)]
    crc = crc32(payload, chain)
    expected = b"%b%08x%b" % (_SUFFIX_START, crc, _SUFFIX_END)
    if suffix == expected:
        return crc
    if not (suffix.startswith(_SUFFIX_START) and suffix.endswith(_SUFFIX_END)):
        raise BadLineError("no checksum at the end of the line", '"crc":"xxxxxxxx"}', _shown(line))
    raise BadLineError("checksum does not match", f"{crc:08x}", digits.decode("ascii", "replace"))


def read_header(line: bytes) -> tuple[Header, int, int]:
    """Return a header, the chain it starts from and the chain after it; raise ``BadLineError``."""
    try:
        header = _header_decoder.decode(line)
        chain = int(header.chain, 16)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadLineError("not a segment header", '{"journal":1,...}', _shown(line)) from error
    crc = check_line(line, chain)
    if header.journal != FORMAT:
        raise BadLineError("unknown journal format", str(FORMAT), str(header.journal))
    return header, chain, crc


def read_envelope(line: bytes) -> Envelope:
    """Return a checked line's envelope; raise ``BadLineError`` when it is not one."""
    try:
        return _envelope_decoder.decode(line)
    except msgspec.DecodeError as error:
        raise BadLineError("not a journal row", '{"seq":...}', _shown(line)) from error


def _shown(line: bytes) -> str:
    return repr(line[:_SHOWN_CHARACTERS].decode("utf-8", "replace"))
