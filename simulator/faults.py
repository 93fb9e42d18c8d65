"""Fault schedules: what goes wrong, where, when; the same seed goes wrong the same way.

One schedule acts on sockets and answers through the servers' seam (``servers.fault_seam``) and on
frames in process. Moments are relative to the start of the world. Must not: read a clock or draw
from a global generator.

A schedule is written in Python, in JSON of the same shape, or in TOML:

    [[fault]]
    kind = "silence"            # see FaultKind
    where = "market_socket:*"   # surface, colon, event or route; * and ? match
    from_seconds = 120
    for_seconds = 20
    from_message = 3            # the third that matches in that span ...
    times = 1                   # ... and no other
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
from simulator.fault_texts import event_of, shift_stamps
from simulator.frame import Frame
from simulator.servers.fault_seam import Answer, Close, Deliver, Fate, Surface

TIMES_MAX: Final = 10_000
"""Strikes of one fault, and so settlements that it scripts."""
FAULTS_MAX: Final = 256
"""Faults of one schedule."""
HELD_MAX: Final = 1024
"""Connections with a frame held back for reordering."""
STRUCK_MAX: Final = 8192
"""Connections remembered as cut already; the oldest are forgotten first."""
DELAY_SECONDS_MAX: Final = 600.0
SERVER_ERROR: Final = 500
TOO_EARLY: Final = 425
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
SLOW_CONSUMER: Final = 4002
STRANGE_FRAME: Final = (
    '{"event_type":"from_the_future","type":"from_the_future",'
    '"stream":"btcusdt@fromTheFuture","data":{"e":"fromTheFuture","s":"BTCUSDT"}}'
)
"""Unknown on every socket of the venues, and sound JSON."""
SOURCE_SURFACES: Final = {
    Source.BINANCE_PUBLIC: Surface.BINANCE_SOCKET,
    Source.BINANCE_MARKET: Surface.BINANCE_SOCKET,
    Source.BINANCE_SPOT: Surface.BINANCE_SOCKET,
    Source.COINBASE: Surface.COINBASE_SOCKET,
    Source.POLYMARKET_MARKET: Surface.MARKET_SOCKET,
    Source.POLYMARKET_USER: Surface.USER_SOCKET,
    Source.POLYMARKET_REFERENCE: Surface.REFERENCE_SOCKET,
}


IN_PROCESS_CONNECTIONS: Final = {Source.BINANCE_MARKET: 2, Source.BINANCE_SPOT: 3}
"""Numbers of in-process connections in the order the worker opens sockets; the others are 1."""


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
    STRANGE = "strange"
    """A frame of a kind that no client knows comes before the real one (invariant 12)."""
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
    CLOCK_SKEW = "clock_skew"
    """The venue's clock, as its texts tell it, is ``delay_seconds`` ahead (behind if negative)."""
    FAILED_SETTLEMENT = "failed_settlement"
    """The next ``times`` trades of customers, or one, end MATCHED, then FAILED."""
    THIN_BOOK = "thin_book"
    """Makers take most of their shares away: orders are filled in part."""
    ONE_SIDED_BOOK = "one_sided_book"
    """One side of the books is empty."""
    TICK_SIZE = "tick_size"
    """Every market's tick becomes the fine one, whatever its price."""
    RESTART = "restart"
    """The matching engine restarts: 425 for the span, then post-only (reference B.4)."""
    OUTAGE = "outage"
    """The server named by ``where`` (``postgres``, ``discord``) is cut off by its proxy."""


WORLD_KINDS: Final = frozenset(
    {
        FaultKind.FAILED_SETTLEMENT,
        FaultKind.THIN_BOOK,
        FaultKind.ONE_SIDED_BOOK,
        FaultKind.TICK_SIZE,
        FaultKind.RESTART,
        FaultKind.OUTAGE,
    }
)
"""Acted out by the world itself (``world_faults``), not by a transport."""
UNDRAWN_KINDS: Final = WORLD_KINDS | {FaultKind.CLOCK_SKEW}
"""Kinds that strike no single message."""
REFUSING_KINDS: Final = frozenset({FaultKind.REFUSE, FaultKind.HANG_UP})
"""They strike what comes in; every other kind of a transport strikes what goes out."""


class Fault(Message, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong in one span of time."""

    kind: FaultKind
    where: str = "*"
    from_seconds: float = 0.0
    for_seconds: float = 10.0
    connection: str = "*"
    """Which connections, by surface and number (``market_socket-3``)."""
    from_message: int = 1
    """The first of the matching messages in the span that is struck."""
    times: int = 0
    """At most so many strikes, 0 for as many as the span holds."""
    probability: float = 1.0
    status: int = SERVER_ERROR
    retry_after_seconds: int = 0
    delay_seconds: float = 1.0


class _File(Message, frozen=True, forbid_unknown_fields=True):
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
        self._seed = seed
        # A stream for each fault: adding one changes nothing about when the others strike.
        self._draws = [random.Random(f"{seed}/{index}") for index in range(len(self._faults))]
        self._start_ns = start_ns
        self._now_ns = now_ns
        self._seen = [0] * len(self._faults)
        self._times = [0] * len(self._faults)
        self._cut_already: dict[tuple[int, str], None] = {}
        self._held: dict[str, str] = {}
        self._held_frames: dict[str, Frame] = {}
        self.on_cut: Callable[[Source], None] = lambda _source: None
        """In process: the connection of a source was cut, and opens again at once."""
        self.counts = dict.fromkeys(FaultKind, 0)
        """How often each kind struck."""

    def add(self, *faults: Fault) -> None:
        """Put more faults down; raise ``FaultError`` for one that cannot be used."""
        for fault in faults:
            _check(fault)
            self._draws.append(random.Random(f"{self._seed}/{len(self._faults)}"))
            self._faults = (*self._faults, fault)
            self._seen.append(0)
            self._times.append(0)

    # --- The servers' seam ----------------------------------------------------------------------

    def outgoing(self, connection_id: str, kind: str, payload: str) -> Fate:
        """Return the fate of a frame or answer that is about to leave."""
        if skew_ns := self._text_skew_ns(kind):
            payload = shift_stamps(payload, skew_ns)
        fate: Fate = payload
        for index, fault in self._striking(connection_id, kind, incoming=False):
            struck = self._outgoing(index, fault, connection_id, kind, payload)
            if struck is not None:
                self._count(index, fault)
                fate = struck
                break
        # A held frame follows the next that passes as it is: a silence or a gap keeps it waiting.
        if isinstance(fate, str) and (held := self._held.pop(connection_id, None)) is not None:
            return Deliver((fate, held))
        if isinstance(fate, Close):
            self._held.pop(connection_id, None)
        return fate

    def incoming(self, connection_id: str, kind: str) -> Answer | Close | None:
        """Return how a request or handshake ends before it is carried out, if it does."""
        for index, fault in self._striking(connection_id, kind, incoming=True):
            self._count(index, fault)
            if fault.kind is FaultKind.HANG_UP:
                return Close()
            return Answer(fault.status, _body(fault.status), fault.retry_after_seconds)
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
                if (index, connection_id) in self._cut_already:
                    return None
                if len(self._cut_already) >= STRUCK_MAX:
                    del self._cut_already[next(iter(self._cut_already))]
                self._cut_already[index, connection_id] = None
                return Close(SLOW_CONSUMER if fault.kind is FaultKind.SLOW_READER else 1006)
            case FaultKind.REORDER:
                # An answer has no next one, and two held frames would be one lost.
                if "_socket:" not in kind or connection_id in self._held:
                    return None
                if len(self._held) >= HELD_MAX:
                    return None
                self._held[connection_id] = payload
                return Deliver()
            case FaultKind.DUPLICATE:
                return Deliver((payload, payload))
            case FaultKind.STRANGE:
                return Deliver((STRANGE_FRAME, payload)) if "_socket:" in kind else None
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
        connection_id = f"{surface}-{IN_PROCESS_CONNECTIONS.get(frame.source, 1)}"
        waited = connection_id in self._held
        fate = self.outgoing(connection_id, f"{surface}:{event_of(frame)}", frame.text)
        if isinstance(fate, str):
            return [(0, msgspec.structs.replace(frame, text=fate))]
        if not isinstance(fate, Deliver):
            self._held_frames.pop(connection_id, None)
            self.on_cut(frame.source)
            return []  # The frame is lost with its connection.
        sent = [msgspec.structs.replace(frame, text=text) for text in fate.payloads]
        if connection_id in self._held:
            self._held_frames.setdefault(connection_id, frame)
        elif waited:
            late = self._held_frames.pop(connection_id)
            sent[-1] = msgspec.structs.replace(late, text=sent[-1].text)
        return [(fate.after_ns, each) for each in sent]

    def active(self, kind: FaultKind) -> Fault | None:
        """Return the fault of a kind that is in force now; for what the world acts out."""
        seconds = self._seconds()
        for fault in self._faults:
            if fault.kind is kind and _within(fault, seconds):
                return fault
        return None

    def active_world(self) -> tuple[tuple[int, Fault], ...]:
        """Return the world's faults in force now, each with its place in the schedule."""
        seconds = self._seconds()
        return tuple(
            (index, fault)
            for index, fault in enumerate(self._faults)
            if fault.kind in WORLD_KINDS and _within(fault, seconds)
        )

    def _text_skew_ns(self, kind: str) -> int:
        fault = self.active(FaultKind.CLOCK_SKEW)
        if fault is None or not fnmatchcase(kind, fault.where):
            return 0
        return round(fault.delay_seconds * NS_PER_SECOND)

    def _striking(
        self, connection_id: str, kind: str, *, incoming: bool
    ) -> list[tuple[int, Fault]]:
        # All of them, not the first: a message that one fault takes still counts for the others.
        seconds = self._seconds()
        found: list[tuple[int, Fault]] = []
        for index, fault in enumerate(self._faults):
            if (
                fault.kind in UNDRAWN_KINDS
                or (fault.kind in REFUSING_KINDS) is not incoming
                or not _within(fault, seconds)
                or not fnmatchcase(kind, fault.where)
                or not fnmatchcase(connection_id, fault.connection)
            ):
                continue
            self._seen[index] += 1
            if self._seen[index] < fault.from_message:
                continue
            if fault.times and self._times[index] >= fault.times:
                continue
            if fault.probability >= 1.0 or self._draws[index].random() < fault.probability:
                found.append((index, fault))
        return found

    def _count(self, index: int, fault: Fault) -> None:
        self._times[index] += 1
        self.counts[fault.kind] += 1

    def _seconds(self) -> float:
        return (self._now_ns() - self._start_ns) / NS_PER_SECOND


def read_schedule(path: Path) -> tuple[Fault, ...]:
    """Return the faults of a TOML or ``.json`` file; raises ``FaultError`` saying what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        table = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
        faults = msgspec.convert(table, _File).fault
    except msgspec.ValidationError as error:
        raise FaultError(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise FaultError(f"{path} could not be read: {error}") from error
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
    least = -DELAY_SECONDS_MAX if fault.kind is FaultKind.CLOCK_SKEW else 0.0
    if not least <= fault.delay_seconds <= DELAY_SECONDS_MAX:
        found = fault.delay_seconds
        raise FaultError(f"delay was {found} s, expected {least} to {DELAY_SECONDS_MAX}")
    if fault.from_message < 1 or not 0 <= fault.times <= TIMES_MAX:
        found = f"message {fault.from_message}, {fault.times} times"
        raise FaultError(f"strikes were {found}, expected from 1 on, at most {TIMES_MAX}")
