"""Reads journals back, verifying every line; finds runs by name.

Must not: write. Damage in the middle is an error that names the line; a torn last line, which a
crash leaves, is a warning value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from db.journal_format import (
    BadLineError,
    JournalDamagedError,
    JournalError,
    JournalFault,
    check_line,
    read_envelope,
    read_header,
)
from db.records import Record, decode_body
from helpers.domain import Message, Mode

RUN_NAME: Final = re.compile(r"(\d{6})_(\d{8}T\d{6}Z)_(paper|live|replay)")
SEGMENT_NAME: Final = re.compile(r"(\d{6})\.jsonl")
UNKNOWN_KINDS_LIMIT: Final = 64
"""Distinct unknown kinds that are counted by name; a newer version adds a few, garbage many."""


class RunFolder(Message, frozen=True):
    """One run on disk."""

    number: int
    mode: Mode
    path: Path


class JournalFaults:
    """What a reader met on the way and survived."""

    def __init__(self) -> None:
        self.torn_tail: JournalFault | None = None
        self.unknown_kinds: dict[str, int] = {}

    def count_unknown_kind(self, kind: str) -> None:
        """Count a row of a kind this version does not know."""
        if kind not in self.unknown_kinds and len(self.unknown_kinds) >= UNKNOWN_KINDS_LIMIT:
            kind = "(others)"
        self.unknown_kinds[kind] = self.unknown_kinds.get(kind, 0) + 1


class SegmentEnd(Message, frozen=True):
    """Where a segment stops being sound."""

    next_seq: int
    chain: int
    sound_bytes: int
    """Length up to the end of the last whole line; 0 when not even the header is whole."""


def list_runs(folder: Path) -> list[RunFolder]:
    """Return the runs in a journal folder, oldest first; empty when there is no such folder."""
    if not folder.is_dir():
        return []
    runs = [
        RunFolder(number=int(match[1]), mode=Mode(match[3]), path=path)
        for path in folder.iterdir()
        if (match := RUN_NAME.fullmatch(path.name)) and path.is_dir()
    ]
    return sorted(runs, key=lambda run: run.number)


def latest_run(folder: Path) -> Path | None:
    """Return the newest run in a journal folder that has anything to read, or ``None``."""
    for run in reversed(list_runs(folder)):
        if list_segments(run.path):
            return run.path
    return None


def list_segments(run: Path) -> list[Path]:
    """Return the segments of a run in order."""
    return sorted(path for path in run.iterdir() if SEGMENT_NAME.fullmatch(path.name))


def read_journal(path: Path, faults: JournalFaults | None = None) -> Iterator[Record]:
    """Yield the rows of a run folder, or of one segment file, in order and verified.

    Raises ``JournalDamagedError`` at the first line that is not what was written, after yielding
    every row before it. A torn last line and unknown kinds are told in ``faults``.
    """
    faults = JournalFaults() if faults is None else faults
    segments = list_segments(path) if path.is_dir() else [path]
    state = _ChainState()
    for segment in segments:
        yield from _read_segment(segment, state, faults, last=segment == segments[-1])


def last_moment_ns(path: Path) -> int | None:
    """Return the time of the last sound row of a run or segment, ``None`` when it has none.

    Damage is not an error here: the time before it is returned.
    """
    segments = list_segments(path) if path.is_dir() else [path]
    for segment in reversed(segments):
        last_ns: int | None = None
        try:
            for record in read_journal(segment):
                last_ns = record.at_ns
        except JournalDamagedError:
            pass
        if last_ns is not None:
            return last_ns
    return None


def find_end(run: Path) -> SegmentEnd:
    """Return where the last segment of a run stops being sound, for appending to it.

    Raises ``JournalDamagedError`` when that segment is damaged before its last line, and
    ``JournalError`` when there is none.
    """
    segments = list_segments(run)
    if not segments:
        raise JournalError(f"journal run {run} has no segment, expected at least 000001.jsonl")
    state = _read_to_end(segments[-1], last=True)
    sound_bytes = state.sound_bytes
    if sound_bytes == 0 and len(segments) > 1:
        # Not even the header is whole: the chain goes on from the segment before.
        state = _read_to_end(segments[-2], last=False)
    return SegmentEnd(next_seq=state.next_seq or 1, chain=state.chain or 0, sound_bytes=sound_bytes)


class _ChainState:
    def __init__(self) -> None:
        self.chain: int | None = None
        self.next_seq: int | None = None
        self.next_segment: int | None = None
        self.sound_bytes = 0


def _read_to_end(segment: Path, *, last: bool) -> _ChainState:
    state = _ChainState()
    for _ in _read_segment(segment, state, JournalFaults(), last=last):
        pass
    return state


def _read_segment(
    segment: Path, state: _ChainState, faults: JournalFaults, *, last: bool
) -> Iterator[Record]:
    state.sound_bytes = 0
    number = 0
    try:
        with segment.open("rb") as file:
            for line in file:
                number += 1
                if not line.endswith(b"\n"):
                    faults.torn_tail = _torn(segment, number, line, last=last)
                    return
                record = _read_line(line[:-1], number, state, faults)
                state.sound_bytes += len(line)
                if record is not None:
                    yield record
    except BadLineError as bad:
        fault = JournalFault(
            segment=segment.name,
            line=number,
            problem=bad.problem,
            expected=bad.expected,
            found=bad.found,
        )
        raise JournalDamagedError(fault) from bad
    except OSError as error:
        raise JournalError(f"journal segment {segment.name} cannot be read: {error}") from error


def _torn(segment: Path, number: int, line: bytes, *, last: bool) -> JournalFault:
    found = f"{len(line)} bytes and the end of the file"
    if not last:
        raise BadLineError("cut short before the last segment", "a newline", found)
    return JournalFault(
        segment=segment.name,
        line=number,
        problem="torn last line dropped",
        expected="a newline",
        found=found,
    )


def _read_line(
    line: bytes, number: int, state: _ChainState, faults: JournalFaults
) -> Record | None:
    if number == 1:
        _enter_segment(line, state)
        return None
    assert state.chain is not None  # Line 1 set it, or raised.
    chain = check_line(line, state.chain)
    envelope = read_envelope(line)
    if envelope.seq != state.next_seq:
        raise BadLineError("sequence broken", str(state.next_seq), str(envelope.seq))
    state.chain, state.next_seq = chain, envelope.seq + 1
    try:
        body = decode_body(envelope.kind, envelope.body)
    except msgspec.ValidationError as error:
        raise BadLineError(
            "body unreadable", f"a body of kind {envelope.kind}", str(error)
        ) from error
    if body is None:
        faults.count_unknown_kind(envelope.kind)
        return None
    return Record(
        seq=envelope.seq,
        at_ns=envelope.at,
        mode=envelope.mode,
        market=envelope.market,
        kind=envelope.kind,
        body=body,
    )


def _enter_segment(line: bytes, state: _ChainState) -> None:
    header, start, chain = read_header(line)
    if state.next_segment is not None and header.segment != state.next_segment:
        raise BadLineError("segment missing", f"segment {state.next_segment}", f"{header.segment}")
    if state.chain is not None and start != state.chain:
        raise BadLineError("chain broken between segments", f"{state.chain:08x}", f"{start:08x}")
    if state.next_seq is not None and header.first_seq != state.next_seq:
        raise BadLineError("sequence broken", str(state.next_seq), str(header.first_seq))
    state.chain, state.next_seq = chain, header.first_seq
    state.next_segment = header.segment + 1
