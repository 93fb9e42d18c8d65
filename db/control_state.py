"""What a control log comes to: halts that stand, requests without answer, a flatten without end.

Must not: read or write files. A line is one entry as JSON that ends with its own CRC-32, as in the
journal but unchained: the worker, its watchdog and an operator's verbs all append. An entry this
version cannot read is damage, and damage is a halt: "could not read" is never "none stands" (I30).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from db.journal_format import BadLineError, check_line, seal
from helpers.domain import NS_PER_SECOND, HoldCause, Message, OperatorVerb, TradingState

TEXT_CHARACTERS_MAXIMUM: Final = 300
"""Of a reason or a detail; longer ones are cut, so that a line is always one small write."""
LINE_BYTES_MAXIMUM: Final = 4096
"""Above the longest entry with every character escaped; a longer line is damage."""
ANSWERS_REMEMBERED_MAXIMUM: Final = 1024
"""A request is looked for among the latest; a log is folded at every start long before."""
RequestId = Annotated[str, msgspec.Meta(max_length=64)]
LINE_START: Final = b'{"entry":"'
_ID_BITS: Final = 0xFFFF


class ControlRequest(Message, frozen=True, tag_field="entry", tag="request"):
    """What an operator asked for; it stands until a worker answers."""

    request_id: RequestId
    at_ns: int
    verb: OperatorVerb
    reason: str


class ControlAnswer(Message, frozen=True, tag_field="entry", tag="answer"):
    """What a worker did about a request, with its own words (I30)."""

    request_id: RequestId
    at_ns: int
    verb: OperatorVerb
    trading: TradingState
    detail: str
    run: str
    done: bool = True
    """False where another answer follows: positions are still being closed."""


class CauseHeld(Message, frozen=True, tag_field="entry", tag="held"):
    """A latched cause began to hold entries."""

    cause: HoldCause
    detail: str
    at_ns: int


class CauseReleased(Message, frozen=True, tag_field="entry", tag="released"):
    """A latched cause ended; ``request_id`` names the operator's request that ended it, if any."""

    cause: HoldCause
    at_ns: int
    request_id: RequestId


class ModelNoted(Message, frozen=True, tag_field="entry", tag="model"):
    """What a worker did about model files that changed; whoever wrote them waits for it."""

    at_ns: int
    change: Literal["promoted", "rolled_back", "refused"]
    model_id: Annotated[str, msgspec.Meta(max_length=64)]
    """What decides now."""
    offered: Annotated[str, msgspec.Meta(max_length=64)]
    """The id that the files claim."""
    detail: str
    run: str


class Damage(Message, frozen=True):
    """Something that cannot be read: whether a halt stood there is not known."""

    problem: str


ControlEntry = ControlRequest | ControlAnswer | CauseHeld | CauseReleased | ModelNoted

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ControlEntry).decode


def new_request_id(verb: OperatorVerb, at_ns: int, bits: int) -> str:
    """Return an id for people: what, when (UTC), and four digits of the caller's random bits."""
    at = datetime.fromtimestamp(at_ns // NS_PER_SECOND, tz=UTC)
    return f"{verb}-{at:%Y%m%dT%H%M%S}-{bits & _ID_BITS:04x}"


def fitting(text: str) -> str:
    """Return a reason or detail that can be written: not too long, and Unicode."""
    return text[:TEXT_CHARACTERS_MAXIMUM].encode("utf-8", "replace").decode()


def encode_line(entry: ControlEntry) -> bytes:
    """Return an entry's line, newline included."""
    payload = _encode(entry)[:-1]
    suffix, _ = seal(payload, 0)
    line = payload + suffix
    assert len(line) <= LINE_BYTES_MAXIMUM, f"an entry of {len(line)} bytes"
    return line


def decode_line(line: bytes) -> ControlEntry | Damage:
    """Return the entry of a line, given without its newline, or what is wrong with it."""
    if len(line) >= LINE_BYTES_MAXIMUM:
        return Damage(f"a line of {len(line)} bytes, expected less than {LINE_BYTES_MAXIMUM}")
    try:
        check_line(line, 0)
        return _decode(line)
    except BadLineError as bad:
        return Damage(f"{bad.problem}: expected {bad.expected}, found {bad.found}")
    except msgspec.DecodeError as error:
        return Damage(f"an entry of another version: {error}")


def may_be_torn(tail: bytes) -> bool:
    """Say whether bytes without a newline are the beginning of an entry whose writer died."""
    start = LINE_START[: len(tail)]
    return tail.startswith(start) and len(tail) < LINE_BYTES_MAXIMUM and b"\0" not in tail


class ControlState:
    """The fold of a control log."""

    def __init__(self) -> None:
        self._standing: dict[HoldCause, CauseHeld] = {}
        self._waiting: dict[str, ControlRequest] = {}
        self._flattening: tuple[ControlRequest, ControlAnswer] | None = None
        self._answers: dict[str, ControlAnswer] = {}
        self._last_ns = 0

    @property
    def standing(self) -> tuple[CauseHeld, ...]:
        """Return the latched causes that stand, the oldest first."""
        return tuple(self._standing.values())

    @property
    def waiting(self) -> tuple[ControlRequest, ...]:
        """Return the requests no worker has answered, the oldest first."""
        return tuple(self._waiting.values())

    @property
    def flattening(self) -> ControlRequest | None:
        """Return the latest flatten that a worker began, and none has ended or will resume."""
        if self._flattening is None or any(one.verb is OperatorVerb.RESUME for one in self.waiting):
            return None
        return self._flattening[0]

    @property
    def kept(self) -> tuple[ControlEntry, ...]:
        """Return the entries that come to the same state, answers that nobody needs apart."""
        return (*self.standing, *self.waiting, *(self._flattening or ()))

    @property
    def at_a_start(self) -> tuple[CauseHeld, ...]:
        """Return what holds entries once a worker has started and obeyed the requests that wait."""
        causes = dict(self._standing)
        for request in self.waiting:
            if request.verb is OperatorVerb.RESUME:
                causes.clear()
            else:
                detail = f"operator: {request.reason}"
                held = CauseHeld(HoldCause.OPERATOR, detail, request.at_ns)
                causes.setdefault(HoldCause.OPERATOR, held)
        return tuple(causes.values())

    def answer(self, request_id: str) -> ControlAnswer | None:
        """Return the answer to a request."""
        return self._answers.get(request_id)

    def apply(self, entry: ControlEntry | Damage) -> None:
        """Take the next entry; the same one twice changes nothing."""
        match entry:
            case ControlRequest():
                if entry.request_id not in self._answers:
                    self._waiting.setdefault(entry.request_id, entry)
            case ControlAnswer():
                self._apply_answer(entry)
            case CauseHeld():
                self._standing.setdefault(entry.cause, entry)
            case CauseReleased():
                self._standing.pop(entry.cause, None)
            case ModelNoted():
                pass  # for whoever waits for it at this moment
            case Damage():
                self._note_damage(entry)
        if not isinstance(entry, Damage):
            self._last_ns = entry.at_ns

    def _apply_answer(self, answer: ControlAnswer) -> None:
        request = self._waiting.pop(answer.request_id, None)
        self._answers[answer.request_id] = answer
        if len(self._answers) > ANSWERS_REMEMBERED_MAXIMUM:
            del self._answers[next(iter(self._answers))]
        if answer.verb is OperatorVerb.FLATTEN and not answer.done:
            if request is not None:
                self._flattening = request, answer
        elif answer.verb is not OperatorVerb.HALT:
            self._flattening = None  # flat, or resumed

    def _note_damage(self, damage: Damage) -> None:
        self._flattening = None  # whether a resume ended it is not known: nothing is sold for it
        held = CauseHeld(HoldCause.CONTROL, fitting(damage.problem), self._last_ns)
        self._standing.setdefault(HoldCause.CONTROL, held)
        # Who asked before it did not know of it: such a word ends nothing.
        for request in self.waiting:
            if request.verb is OperatorVerb.RESUME:
                del self._waiting[request.request_id]
