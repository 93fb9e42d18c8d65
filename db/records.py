"""What a journal row can say: one type a kind, named in an explicit registry.

Must not: read or write files. A kind's name is part of the format and never changes; a new field
of a body gets a default, so that older journals still read.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from helpers.domain import (
    Accepted,
    AlertSent,
    Approved,
    Body,
    BookHealth,
    CashAdjusted,
    Checkpoint,
    ClaimChanged,
    Decision,
    Equity,
    ExitAttempted,
    ExitEnded,
    FeedGap,
    FeedRestored,
    Fill,
    HaltChanged,
    LedgerConflict,
    MarketSeen,
    MergeAsked,
    Message,
    Mode,
    ModelChanged,
    OperatorAnswered,
    OrderSigned,
    OrderUpdate,
    Reconciled,
    Refused,
    Rejected,
    ResolutionSeen,
    RoundTrip,
    RunStarted,
    RunStopped,
    Settled,
    ShadowWindow,
    StrikeSeen,
    Unknown,
    Unsized,
)


class Record(Message, frozen=True):
    """One row of the journal."""

    seq: int
    at_ns: int
    mode: Mode
    market: str
    """Slug; empty for what concerns the whole run."""
    kind: str
    body: Body


TYPE_OF_KIND: Final[dict[str, type[Body]]] = {
    "run_started": RunStarted,
    "market_seen": MarketSeen,
    "strike_seen": StrikeSeen,
    "resolution_seen": ResolutionSeen,
    "decision": Decision,
    "approved": Approved,
    "refused": Refused,
    "unsized": Unsized,
    "order_signed": OrderSigned,
    "accepted": Accepted,
    "rejected": Rejected,
    "unknown": Unknown,
    "order_update": OrderUpdate,
    "fill": Fill,
    "settled": Settled,
    "position_closed": RoundTrip,
    "shadow_window": ShadowWindow,
    "ledger_conflict": LedgerConflict,
    "checkpoint": Checkpoint,
    "cash_adjusted": CashAdjusted,
    "claim_changed": ClaimChanged,
    "merge_asked": MergeAsked,
    "reconciled": Reconciled,
    "model_changed": ModelChanged,
    "equity": Equity,
    "halt_changed": HaltChanged,
    "operator_answered": OperatorAnswered,
    "exit_attempted": ExitAttempted,
    "exit_ended": ExitEnded,
    "book_health": BookHealth,
    "feed_gap": FeedGap,
    "feed_restored": FeedRestored,
    "alert": AlertSent,
    "run_stopped": RunStopped,
}
KIND_OF_TYPE: Final[dict[type[Body], str]] = {body: kind for kind, body in TYPE_OF_KIND.items()}

NON_FINITE_KEY: Final = "#float"
"""JSON has no infinity; a float without a JSON form is written as ``{"#float": "inf"}``.

An age is infinite when there was no message at all, and the refusal that says so must read back.
No body holds a mapping, so no text from a venue can be taken for one of these.
"""

_encoder = msgspec.json.Encoder()
_DECODERS = {kind: msgspec.json.Decoder(body) for kind, body in TYPE_OF_KIND.items()}
_NON_FINITE_MARK = b'{"' + NON_FINITE_KEY.encode() + b'":'


def encode_body(body: Body) -> bytes:
    """Return a body as JSON text that ``decode_body`` turns back into an equal one.

    Text that is not Unicode has its broken characters replaced by ``?``.
    """
    try:
        text = _encoder.encode(body)
    except UnicodeEncodeError:
        # A venue's broken text (half a surrogate pair) must not cost the row that quotes it.
        return _encoder.encode(_plain(msgspec.to_builtins(body)))
    # The encoder writes a non-finite float as null, which would not read back.
    if b"null" in text:
        return _encoder.encode(_plain(msgspec.to_builtins(body)))
    return text


def decode_body(kind: str, text: bytes | msgspec.Raw) -> Body | None:
    """Return the body of a known kind, or ``None`` for a kind this version does not know.

    Raises ``msgspec.ValidationError`` when the text is not a body of that kind.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    if _NON_FINITE_MARK in bytes(text):
        return msgspec.convert(
            _restore_non_finite(msgspec.json.decode(text)), type=TYPE_OF_KIND[kind]
        )
    return decoder.decode(text)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return {NON_FINITE_KEY: str(value)}
    return value


def _restore_non_finite(value: object) -> object:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(mark := value.get(NON_FINITE_KEY), str):
            return float(mark)
        return {key: _restore_non_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore_non_finite(item) for item in value]
    return value
