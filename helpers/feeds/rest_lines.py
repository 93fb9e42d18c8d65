"""How an answer to a REST request stands on a tape: which request, and the body as it came."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from helpers.feeds.wire import UNREADABLE


class RestLine(Struct, frozen=True):
    """One answer: path (with or without its query), symbol or token asked for, raw body."""

    path: str
    symbol: str
    body: Raw


_decode_line = msgspec.json.Decoder(RestLine).decode


def encode_rest(path: str, symbol: str, body_text: str) -> str:
    """Return the tape line of an answer.

    A body that is not JSON (an error page) is kept as a JSON string, so that the line stays
    readable; a parser will count it as malformed.
    """
    body = body_text.encode("utf-8", errors="replace")
    try:
        msgspec.json.decode(body)
    except UNREADABLE:
        body = msgspec.json.encode(body.decode())
    return msgspec.json.encode(RestLine(path, symbol, Raw(body))).decode()


def read_rest_line(raw: bytes | str) -> RestLine | None:
    """Return the answer on a tape line, or ``None`` when it is none."""
    try:
        return _decode_line(raw)
    except UNREADABLE:
        return None
