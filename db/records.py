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
    Approved,
    Asset,
    Decision,
    Fill,
    Message,
    Mode,
    OrderUpdate,
    Outcome,
    Refused,
    Rejected,
    Settled,
    Source,
    StrikeRung,
    Unknown,
    Unsized,
)


class RunStarted(Message, frozen=True):
    """First row of a run: what ran, on what."""

    run_id: str
    strategy: str
    model_id: str
    feature_version: str
    settings_digest: str
    build_id: str
    tape: str
    """Name of the tape that is replayed; empty on live feeds."""


class MarketSeen(Message, frozen=True):
    """A market came into view, or its facts changed."""

    slug: str
    condition_id: str
    asset: Asset
    opens_ns: int
    closes_ns: int
    up_token: str
    down_token: str
    problems: tuple[str, ...]


class StrikeSeen(Message, frozen=True):
    """The price to beat of a market became known."""

    price: float
    rung: StrikeRung


class PositionClosed(Message, frozen=True):
    """A position left the ledger, sold or paid out."""

    market: str
    outcome: Outcome
    shares_micros: int
    """Shares that left, in micro-shares."""
    cost_micros: int
    """What they cost, entry fees included."""
    proceeds_micros: int
    """What came back, exit fees already taken off."""
    fees_micros: int
    """Entry and exit fees together, for showing: both are already in the two sums above."""
    reason: str
    opened_ns: int
    at_ns: int

    @property
    def pnl_micros(self) -> int:
        """Return profit after fees, in micro-dollars."""
        return self.proceeds_micros - self.cost_micros


class Equity(Message, frozen=True):
    """The account at one moment, in micro-dollars."""

    cash_micros: int
    realised_micros: int
    unrealised_micros: int
    open_positions: int


class HaltChanged(Message, frozen=True):
    """Entries were stopped or allowed again; exits continue either way."""

    state: str
    cause: str
    detail: str


class RunStopped(Message, frozen=True):
    """Last row of a run that ended in order; a run without one was killed or still runs."""

    reason: str
    trades: int
    """Closed positions."""
    pnl_micros: int
    """Realised profit after fees."""
    fees_micros: int
    decisions: int
    refusals: int


class FeedGap(Message, frozen=True):
    """A feed went silent, dropped, or lost its sequence."""

    source: Source
    reason: str


Body = (
    RunStarted
    | MarketSeen
    | StrikeSeen
    | Decision
    | Approved
    | Refused
    | Unsized
    | Accepted
    | Rejected
    | Unknown
    | OrderUpdate
    | Fill
    | Settled
    | PositionClosed
    | Equity
    | HaltChanged
    | FeedGap
    | RunStopped
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
    "decision": Decision,
    "approved": Approved,
    "refused": Refused,
    "unsized": Unsized,
    "accepted": Accepted,
    "rejected": Rejected,
    "unknown": Unknown,
    "order_update": OrderUpdate,
    "fill": Fill,
    "settled": Settled,
    "position_closed": PositionClosed,
    "equity": Equity,
    "halt_changed": HaltChanged,
    "feed_gap": FeedGap,
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
