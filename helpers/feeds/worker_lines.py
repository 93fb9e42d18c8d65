"""How the worker's own control events stand on a tape, so that a replay sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from helpers.domain import (
    Connected,
    Disconnected,
    FastSourceChosen,
    FeedEvent,
    OperatorRequest,
    StrikeKnown,
)
from helpers.feeds.skipped import Skipped
from helpers.feeds.wire import UNREADABLE

WorkerEvent = Connected | Disconnected | FastSourceChosen | StrikeKnown | OperatorRequest
"""Events that come from no venue's frame."""


TAPE_FORMAT: Final = 1
"""What the recorder says it writes, in the first line of every file."""


class _Line(Struct, frozen=True):
    kind: str = ""
    """Empty in the recorder's own lines, where ``event`` is a name."""
    event: Raw = Raw()


class _TapeLine(Struct, frozen=True):
    event: str
    format: int = TAPE_FORMAT
    dropped: int = 0


_NAMES: Final[Mapping[type, str]] = {
    Connected: "connected",
    Disconnected: "disconnected",
    FastSourceChosen: "fast_source_chosen",
    StrikeKnown: "strike_known",
    OperatorRequest: "operator_request",
}


def encode_worker_event(event: WorkerEvent) -> str:
    """Return the tape line of a control event: ``{"kind": ..., "event": {...}}``."""
    body = Raw(msgspec.json.encode(event))
    return msgspec.json.encode(_Line(_NAMES[type(event)], body)).decode()


class WorkerLineParser:
    """Turns the worker's lines back into events; what it cannot use is in ``skipped``."""

    def __init__(self) -> None:
        self.skipped = Skipped()
        self._decode_line = msgspec.json.Decoder(_Line).decode
        self._decode_tape_line = msgspec.json.Decoder(_TapeLine).decode
        self._decode: Mapping[str, Callable[[Raw], WorkerEvent]] = {
            "connected": msgspec.json.Decoder(Connected).decode,
            "disconnected": msgspec.json.Decoder(Disconnected).decode,
            "fast_source_chosen": msgspec.json.Decoder(FastSourceChosen).decode,
            "strike_known": msgspec.json.Decoder(StrikeKnown).decode,
            "operator_request": msgspec.json.Decoder(OperatorRequest).decode,
        }

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[FeedEvent]:  # noqa: ARG002
        """Return the event of one line, with the time it was made at; never raises."""
        try:
            line = self._decode_line(raw)
            if not line.kind:
                self._count_tape_line(self._decode_tape_line(raw))
                return ()
            decode = self._decode.get(line.kind)
            if decode is None:
                self.skipped.count(f"unknown:{line.kind}")
                return ()
            return (decode(line.event),)
        except UNREADABLE:
            self.skipped.count("malformed:line")
            return ()

    def _count_tape_line(self, line: _TapeLine) -> None:
        if line.event == "tape_begun" and line.format == TAPE_FORMAT:
            self.skipped.count("ignored:tape_begun")
        elif line.event == "tape_overflow" and line.dropped > 0:
            self.skipped.count("unrecorded:frames", line.dropped)
        else:
            self.skipped.count(f"unknown:{line.event}")
