"""What the tests of the parsers share: hostile JSON, and running frames through a parser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

from helpers.feeds.skipped import Skipped

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)
"""Any JSON, and numbers (NaN, infinity) that only Python writes."""

HOSTILE = st.binary() | st.text() | JSON_VALUES.map(json.dumps)
"""Any bytes, any text, any JSON."""

RECEIVED_NS = 5

_T = TypeVar("_T", covariant=True)


class Parser(Protocol[_T]):
    """What every parser offers."""

    @property
    def skipped(self) -> Skipped: ...

    def parse(self, raw: bytes | str, received_ns: int) -> Sequence[_T]: ...


def parse_all(parser: Parser[_T], *frames: object) -> tuple[list[_T], dict[str, int]]:
    """Return the events of frames (raw, or values to encode) and what the parser skipped."""
    events: list[_T] = []
    for frame in frames:
        raw = frame if isinstance(frame, (str, bytes)) else json.dumps(frame)
        events.extend(parser.parse(raw, RECEIVED_NS))
    return events, dict(parser.skipped.rows())
