"""Reads a run piece by piece while it is written, from wherever the last piece ended.

Every line is verified as in ``db.journal_reading``. A line without its newline is still being
written, or was cut by a crash: it is not there yet. Must not: write, or remember anything; where to
go on is the reader's to keep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from db.journal_format import BadLineError, check_line, read_envelope, read_header
from db.journal_reading import list_segments
from db.records import Record, decode_body
from helpers.domain import Message

PIECE_ROWS: Final = 4000
PIECE_BYTES: Final = 4 << 20
"""What is read at once; a longer line alone (a checkpoint of many markets) is read whole."""
SEGMENT_NAME_DIGITS: Final = 6


class TailPosition(Message, frozen=True):
    """Up to where a run was read."""

    segment: int = 0
    """0 before the first."""
    byte_offset: int = 0
    seq: int = 0
    """Of the last row."""
    chain: int = 0


class Piece(Message, frozen=True):
    """What follows a position."""

    records: tuple[Record, ...]
    end: TailPosition
    rows_lost: int = 0
    """Rows whose segments were retired before they were read."""
    rows_unknown: int = 0
    """Rows of kinds that only a newer version knows."""
    damage: str = ""
    """Why nothing after the end can be read."""


def read_piece(run: Path, position: TailPosition, rows: int = PIECE_ROWS) -> Piece:
    """Return at most so many rows after a position; without any, all was read.

    What cannot be read is told in ``damage``, never raised; raises ``OSError`` for a disk that
    fails.
    """
    reading = _Reading(run, position)
    try:
        while len(reading.records) < rows and reading.enter_segment():
            if not reading.read_lines(rows):
                break
    except BadLineError as bad:
        place = f"{reading.segment:0{SEGMENT_NAME_DIGITS}d}.jsonl after byte {reading.offset}"
        said = f"{bad.problem}: expected {bad.expected}, found {bad.found}"
        return reading.piece(f"{place}: {said}")
    except FileNotFoundError:
        # Retired between the look and the reading: the next look finds what is left.
        return reading.piece("")
    return reading.piece("")


class _Reading:
    def __init__(self, run: Path, position: TailPosition) -> None:
        self._run = run
        self.segment = position.segment
        self.offset = position.byte_offset
        self._seq = position.seq
        self._chain = position.chain
        self.records: list[Record] = []
        self._lost = 0
        self._unknown = 0
        self._ended = False
        self._newer: int | None = None

    def piece(self, damage: str) -> Piece:
        end = TailPosition(self.segment, self.offset, self._seq, self._chain)
        return Piece(tuple(self.records), end, self._lost, self._unknown, damage)

    def enter_segment(self) -> bool:
        """Choose what to read next; ``False`` when there is nothing."""
        numbers = [int(path.stem) for path in list_segments(self._run)]
        later = [number for number in numbers if number > self.segment]
        if self._ended or self.segment not in numbers:
            if not later:
                return False
            self.segment, self.offset, self._ended = later[0], 0, False
            later = later[1:]
        # Looked up before the reading: then all of a segment that has a successor was read.
        self._newer = later[0] if later else None
        return True

    def read_lines(self, rows: int) -> bool:
        """Read what the segment has, as far as allowed; ``False`` at the end of everything."""
        chunk, at_end = self._chunk()
        whole = chunk.rfind(b"\n") + 1
        for line in chunk[: whole - 1].split(b"\n") if whole else ():
            if len(self.records) >= rows:
                return True
            self._take(line)
            self.offset += len(line) + 1
        if not at_end:
            return True
        if self._newer is None:
            return False
        if whole < len(chunk):
            raise BadLineError(
                "cut short before the last segment",
                "a newline",
                f"{len(chunk) - whole} bytes and the end of the file",
            )
        self._ended = True
        return True

    def _chunk(self) -> tuple[bytes, bool]:
        size = PIECE_BYTES
        with _segment_path(self._run, self.segment).open("rb") as file:
            while True:
                file.seek(self.offset)
                chunk = file.read(size)
                if len(chunk) < size:
                    return chunk, True
                if b"\n" in chunk:
                    return chunk, False
                size *= 2

    def _take(self, line: bytes) -> None:
        if self.offset == 0:
            self._take_header(line)
            return
        chain = check_line(line, self._chain)
        envelope = read_envelope(line)
        if envelope.seq != self._seq + 1:
            raise BadLineError("sequence broken", str(self._seq + 1), str(envelope.seq))
        try:
            body = decode_body(envelope.kind, envelope.body)
        except msgspec.ValidationError as error:
            raise BadLineError(
                "body unreadable", f"a body of kind {envelope.kind}", str(error)
            ) from error
        self._chain, self._seq = chain, envelope.seq
        if body is None:
            self._unknown += 1
            return
        self.records.append(
            Record(
                seq=envelope.seq,
                at_ns=envelope.at,
                mode=envelope.mode,
                market=envelope.market,
                kind=envelope.kind,
                body=body,
            )
        )

    def _take_header(self, line: bytes) -> None:
        header, start, chain = read_header(line)
        if header.segment != self.segment:
            raise BadLineError("another segment", f"{self.segment}", f"{header.segment}")
        lost = header.first_seq - 1 - self._seq
        if lost < 0:
            raise BadLineError("sequence broken", f"{self._seq + 1}", f"{header.first_seq}")
        if lost == 0 and self._seq and start != self._chain:
            raise BadLineError(
                "chain broken between segments", f"{self._chain:08x}", f"{start:08x}"
            )
        # Retired segments lie between: the header says how the chain stood after them.
        self._lost += lost
        self._chain, self._seq = chain, header.first_seq - 1


def _segment_path(run: Path, number: int) -> Path:
    return run / f"{number:0{SEGMENT_NAME_DIGITS}d}.jsonl"
