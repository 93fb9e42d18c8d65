"""Fault schedules: what goes wrong, where, when; the same seed goes wrong the same way.

One schedule acts on sockets and answers through the servers' seam (``servers.fault_seam``) and on
frames in process. Moments are relative to the start of the world. Must not: read a clock or draw
from a global generator.

A schedule is written in Python or in TOML:

    [[fault]]
    kind = "silence"            # see FaultKind
    where = "market_socket:*"   # surface, colon, event or route; * and ? match
    from_seconds = 120
    for_seconds = 20
"""

from __future__ import annotations

import enum
import random
import tomllib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from helpers.domain import NS_PER_SECOND, Message, Source
from simulator.frame import Frame
from simulator.servers.fault_seam import Answer, Close, Deliver, Fate, Surface

FAULTS_MAX: Final = 256
"""Faults of one schedule."""
HELD_MAX: Final = 1024
"""Connections with a frame held back for reordering."""
DELAY_SECONDS_MAX: Final = 600.0
SERVER_ERROR: Final = 500
TOO_EARLY: Final = 425
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
SLOW_CONSUMER: Final = 4002
SOURCE_SURFACES: Final = {
    Source.BINANCE_PUBLIC: Surface.BINANCE_SOCKET,
    Source.BINANCE_MARKET: Surface.BINANCE_SOCKET,
    Source.BINANCE_SPOT: Surface.BINANCE_SOCKET,
    Source.COINBASE: Surface.COINBASE_SOCKET,
    Source.POLYMARKET_MARKET: Surface.MARKET_SOCKET,
    Source.POLYMARKET_USER: Surface.USER_SOCKET,
    Source.POLYMARKET_REFERENCE: Surface.REFERENCE_SOCKET,
}


class FaultKind(enum.StrEnum):
    """What can go wrong."""

    SILENCE = "silence"
    """Frames are lost, pings and pongs live on (C.8)."""
    CUT = "cut"
    """The connection is reset, once for each."""
    GAP = "gap"
    """Single frames are lost, with ``probability``."""
    REORDER = "reorder"
    """A frame comes after the next one of its connection."""
    DUPLICATE = "duplicate"
    LATE = "late"
    """Frames and answers come ``delay_seconds`` late; the request was carried out in time."""
    ERROR_AFTER = "error_after"
    """The request is carried out and answered with ``status``: the outcome is unknown (I20)."""
    REFUSE = "refuse"
    """Requests and handshakes are answered with ``status`` and not carried out: 425, 429, 451."""
    HANG_UP = "hang_up"
    """Requests and handshakes are cut without an answer."""
    SLOW_READER = "slow_reader"
    """The venue closes the socket because its client reads too slowly."""
    FAILED_SETTLEMENT = "failed_settlement"
    """Trades of customers end MATCHED, then FAILED."""
    THIN_BOOK = "thin_book"
    """Makers take most of their shares away: orders are filled in part."""
    ONE_SIDED_BOOK = "one_sided_book"
    """One side of the books is empty."""
    CLOCK_SKEW = "clock_skew"
    """The venue's clock is ``delay_seconds`` ahead of the truth."""


WORLD_KINDS: Final = frozenset(
    {
        FaultKind.FAILED_SETTLEMENT,
        FaultKind.THIN_BOOK,
        FaultKind.ONE_SIDED_BOOK,
        FaultKind.CLOCK_SKEW,
    }
)
"""Acted out by the world itself, not by a transport."""


class Fault(Message, frozen=True):
    """One thing that goes wrong in one span of time."""

    kind: FaultKind
    where: str = "*"
    from_seconds: float = 0.0
    for_seconds: float = 10.0
    probability: float = 1.0
    status: int = SERVER_ERROR
    retry_after_seconds: int = 0
    delay_seconds: float = 1.0


class _File(Message, frozen=True):
    fault: tuple[Fault, ...] = ()


class FaultError(Exception):
    """A schedule cannot be used: what was found, what was expected."""


class FaultSchedule:
    """Faults in force; implements the seam's ``Faults`` on a clock of the world."""

    def __init__(
        self, faults: Sequence[Fault], seed: int, start_ns: int, now_ns: Callable[[], int]
    ) -> None:
        if len(faults) > FAULTS_MAX:
            raise FaultError(f"schedule had {len(faults)} faults, expected at most {FAULTS_MAX}")
        for fault in faults:
            _check(fault)
        self._faults = tuple(faults)
        # A stream for each fault: adding one changes nothing about when the others strike.
        self._draws = [random.Random(f"{seed}/{index}") for index in range(len(self._faults))]
        self._start_ns = start_ns
        self._now_ns = now_ns
        self._struck: set[tuple[int, str]] = set()
        self._held: dict[str, str] = {}
        self.counts = dict.fromkeys(FaultKind, 0)
        """How often each kind struck."""

    # --- The servers' seam ----------------------------------------------------------------------

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        """Return the fate of a frame or answer that is about to leave."""
        fate: Fate = payload
        if (held := self._held.pop(connection_id, None)) is not None:
            fate = Deliver((payload, held))
        for index, fault in self._striking(kind):
            struck = self._outgoing(index, fault, connection_id, kind, payload)
            if struck is not None:
                self.counts[fault.kind] += 1
                return struck
        return fate

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:  # noqa: ARG002
        """Return how a request or handshake ends before it is carried out, if it does."""
        for _, fault in self._striking(kind):
            if fault.kind is FaultKind.REFUSE:
                self.counts[fault.kind] += 1
                return Answer(fault.status, _body(fault.status), fault.retry_after_seconds)
            if fault.kind is FaultKind.HANG_UP:
                self.counts[fault.kind] += 1
                return Close()
        return None

    def _outgoing(
        self, index: int, fault: Fault, connection_id: str, kind: str, payload: str
    ) -> Fate | None:
        match fault.kind:
            case FaultKind.SILENCE:
                return None if kind.endswith(":pong") else Deliver()
            case FaultKind.GAP:
                return Deliver()
            case FaultKind.CUT | FaultKind.SLOW_READER:
                if (index, connection_id) in self._struck:
                    return None
                self._struck.add((index, connection_id))
                return Close(SLOW_CONSUMER if fault.kind is FaultKind.SLOW_READER else 1006)
            case FaultKind.REORDER:
                if len(self._held) >= HELD_MAX:
                    return None
                self._held[connection_id] = payload
                return Deliver()
            case FaultKind.DUPLICATE:
                return Deliver((payload, payload))
            case FaultKind.LATE:
                return Deliver((payload,), round(fault.delay_seconds * NS_PER_SECOND))
            case FaultKind.ERROR_AFTER:
                return Answer(fault.status, _body(fault.status))
            case _:
                return None

    # --- In process and in the world --------------------------------------------------------------

    def on_frame(self, frame: Frame) -> list[tuple[int, Frame]]:
        """Return (delay_ns, frame) of what becomes of a frame that no socket carries."""
        surface = SOURCE_SURFACES.get(frame.source)
        if surface is None:
            return [(0, frame)]
        event = frame.key.partition("@")[2] or frame.key
        fate = self.outgoing(f"{frame.source}-in-process", f"{surface}:{event}", frame.text)
        if isinstance(fate, str):
            return [(0, msgspec.structs.replace(frame, text=fate))]
        if isinstance(fate, Deliver):
            texts = (msgspec.structs.replace(frame, text=text) for text in fate.payloads)
            return [(fate.after_ns, text) for text in texts]
        return []  # A cut connection: the frame is lost with it.

    def active(self, kind: FaultKind) -> Fault | None:
        """Return the fault of a kind that is in force now; for what the world acts out."""
        seconds = self._seconds()
        for fault in self._faults:
            if fault.kind is kind and _within(fault, seconds):
                return fault
        return None

    def skew_ns(self) -> int:
        """Return how far the venue's clock is ahead now."""
        fault = self.active(FaultKind.CLOCK_SKEW)
        return 0 if fault is None else round(fault.delay_seconds * NS_PER_SECOND)

    def _striking(self, kind: str) -> list[tuple[int, Fault]]:
        seconds = self._seconds()
        return [
            (index, fault)
            for index, fault in enumerate(self._faults)
            if fault.kind not in WORLD_KINDS
            and _within(fault, seconds)
            and fnmatchcase(kind, fault.where)
            and (fault.probability >= 1.0 or self._draws[index].random() < fault.probability)
        ]

    def _seconds(self) -> float:
        return (self._now_ns() - self._start_ns) / NS_PER_SECOND


def read_schedule(path: Path) -> tuple[Fault, ...]:
    """Return the faults of a TOML file; raises ``FaultError`` naming what is wrong with it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        faults = msgspec.convert(table, _File).fault
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FaultError(f"{path} could not be read: {error}") from error
    except msgspec.ValidationError as error:
        raise FaultError(f"{path}: {error}") from error
    for fault in faults:
        _check(fault)
    return faults


def seeded_schedule(seed: int, minutes: float) -> tuple[Fault, ...]:
    """Return a rough time: about one fault of a random kind in two minutes, from a seed."""
    draws = random.Random(f"faults/{seed}")
    made: list[Fault] = []
    at_seconds = 60.0
    while at_seconds < minutes * 60 and len(made) < FAULTS_MAX:
        made.append(_random_fault(draws, at_seconds))
        at_seconds += draws.uniform(60.0, 180.0)
    return tuple(made)


def _random_fault(draws: random.Random, at_seconds: float) -> Fault:
    where = draws.choice(("market_socket:*", "binance_socket:*", "gamma:*", "clob:*"))
    sockets = "socket" in where
    kinds = (
        (FaultKind.SILENCE, FaultKind.CUT, FaultKind.GAP, FaultKind.DUPLICATE, FaultKind.LATE)
        if sockets
        else (FaultKind.REFUSE, FaultKind.ERROR_AFTER, FaultKind.HANG_UP, FaultKind.LATE)
    )
    kind = draws.choice((*kinds, *WORLD_ORDER))
    return Fault(
        kind,
        where,
        from_seconds=round(at_seconds, 3),
        for_seconds=round(draws.uniform(2.0, 40.0), 3),
        probability=0.3 if kind in (FaultKind.GAP, FaultKind.DUPLICATE) else 1.0,
        status=draws.choice((SERVER_ERROR, TOO_EARLY, TOO_MANY, UNAVAILABLE)),
        retry_after_seconds=1,
        delay_seconds=round(draws.uniform(0.2, 3.0), 3),
    )


WORLD_ORDER: Final = (FaultKind.THIN_BOOK, FaultKind.ONE_SIDED_BOOK)
"""World faults a random schedule may draw; the clock and settlements are named explicitly."""


def _within(fault: Fault, seconds: float) -> bool:
    return fault.from_seconds <= seconds < fault.from_seconds + fault.for_seconds


def _body(status: int) -> str:
    return msgspec.json.encode({"error": f"simulated {status}"}).decode()


def _check(fault: Fault) -> None:
    if not 0.0 < fault.probability <= 1.0:
        raise FaultError(f"probability was {fault.probability}, expected above 0, at most 1")
    if fault.from_seconds < 0.0 or fault.for_seconds <= 0.0:
        raise FaultError(f"span was {fault.from_seconds} s + {fault.for_seconds} s, expected later")
    if not 0.0 <= fault.delay_seconds <= DELAY_SECONDS_MAX:
        raise FaultError(f"delay was {fault.delay_seconds} s, expected 0 to {DELAY_SECONDS_MAX}")
