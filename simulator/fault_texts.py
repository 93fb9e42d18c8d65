"""What fault schedules read from and change in wire texts; decides nothing."""

from __future__ import annotations

import re
from typing import Final

from helpers.domain import NS_PER_MS, NS_PER_SECOND, Source
from simulator.frame import Frame

STREAM_SOURCES: Final = frozenset(
    {Source.BINANCE_PUBLIC, Source.BINANCE_MARKET, Source.BINANCE_SPOT}
)
_STAMP: Final = re.compile(
    r'("(?:E|T|ts|timestamp|serverTime|match_time|last_update)":"?)(\d{13}|\d{10})(?!\d)'
)
"""Keys under which the venues stamp what they send, in milliseconds or in seconds."""
_EVENT_TYPE: Final = re.compile(r'"event_type":"([a-z_]+)"')


def event_of(frame: Frame) -> str:
    """Return the word that a socket server gives the seam for this frame (``fault_seam``)."""
    if frame.source in STREAM_SOURCES:
        return frame.key.partition("@")[2]
    if frame.source in (Source.COINBASE, Source.POLYMARKET_REFERENCE):
        return frame.key.partition(":")[0]
    found = _EVENT_TYPE.search(frame.text)
    return found[1] if found else frame.key


def shift_stamps(text: str, skew_ns: int) -> str:
    """Return a text as a venue would write it whose clock is ``skew_ns`` ahead.

    A body that is nothing but a number is the CLOB's ``/time`` in seconds. ISO dates stay.
    """
    if text.isdecimal():
        return str(int(text) + skew_ns // NS_PER_SECOND)
    return _STAMP.sub(lambda found: found[1] + _shifted(found[2], skew_ns), text)


def _shifted(digits: str, skew_ns: int) -> str:
    unit_ns = NS_PER_SECOND if len(digits) == len("1790000100") else NS_PER_MS
    return str(int(digits) + skew_ns // unit_ns)
