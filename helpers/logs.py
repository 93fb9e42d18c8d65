"""Log lines: structlog on the terminal and in ``logs/worker.log``, tagged for grep, redacted.

Every line carries a tag people grep for. The last step before a line is written replaces every
known secret, so none can leave whatever the caller passed (I35). A line that cannot be written is
counted and told of later: a full disk or a closed terminal must not end a worker that holds
positions. Must not: read a clock of its own or the environment.
"""

from __future__ import annotations

import datetime
import enum
import errno
import logging
import sys
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TextIO

import msgspec
import structlog

from helpers.clock import Clock

FILE_BYTES_MAXIMUM: Final = 20 * 2**20
"""A log file is rotated at this size."""
FILES_KEPT: Final = 5
SECRET_LENGTH_MINIMUM: Final = 4
"""Shorter values are not replaced: they would blank half the log and protect nothing."""
MASK: Final = "********"
TURN_SECONDS: Final = 0.5
"""Longest wait for another thread's line; one that is stuck must not keep the watchdog silent."""
RESERVED: Final = ("at", "tag", "level", "event", "exception")
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Tag(enum.StrEnum):
    """What a line is about; the words people grep for."""

    SAFETY = "SAFETY"
    RL = "RL"
    TEMPORAL = "TEMPORAL"
    FEED = "FEED"
    ORDER = "ORDER"
    PAPER = "PAPER"
    LIVE = "LIVE"
    LEDGER = "LEDGER"
    HEALTH = "HEALTH"


class Log(Protocol):
    """A bound logger: event name first, facts as keywords."""

    def debug(self, event: str, **facts: Any) -> None:
        """Write what only a builder wants to see."""
        ...

    def info(self, event: str, **facts: Any) -> None:
        """Write what an operator wants to see."""
        ...

    def warning(self, event: str, **facts: Any) -> None:
        """Write what an operator should look at."""
        ...

    def error(self, event: str, **facts: Any) -> None:
        """Write what is broken."""
        ...


class Redactor:
    """Replaces secrets in finished text."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = tuple(s for s in secrets if len(s) >= SECRET_LENGTH_MINIMUM)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text


class _Terminal(Protocol):
    def write(self, text: str, /) -> object: ...


class _StandardError:
    """Standard error as it is when a line is written.

    The one of the start may be closed by then, and a library that speaks late must not fail for it.
    """

    def write(self, text: str, /) -> None:
        sys.stderr.write(text)


class Lines:
    """Writes finished lines to the terminal and to a rotated file."""

    def __init__(
        self,
        stream: _Terminal | None,
        path: Path | None,
        redact: Redactor,
        limit: int,
        lost_line: Callable[[int], str] = "{} lines were lost".format,
    ) -> None:
        """Open the file; raise ``OSError`` where it cannot be had.

        ``lost_line`` words what is written once a file takes lines again.
        """
        self._stream = stream
        self._path = path
        self._redact = redact
        self._limit = limit
        self._lost_line = lost_line
        self._file: BinaryIO | None = None
        self._size = 0
        self.lost = 0
        """Lines that the file did not take, until it was told how many."""
        # Of the same thread again: a signal may be told of in the middle of a line.
        self._turn = threading.RLock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open(path)

    def write(self, line: str) -> None:
        """Write one line, newline added, wherever that can be done; never raises ``OSError``."""
        text = self._redact(line) + "\n"
        held = self._turn.acquire(timeout=TURN_SECONDS)
        try:
            self._put(text)
        finally:
            if held:
                self._turn.release()

    def _put(self, text: str) -> None:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except BrokenPipeError:
                self._stream = None  # Nobody reads it, and nobody will.
            except (OSError, ValueError):
                pass  # A terminal that was closed; the file has the line.
        if self._path is not None:
            try:
                self._keep(self._path, text)
            except OSError:
                self.lost += 1
                self._close_file()  # Opened anew for the next line: the folder may be another.

    def _keep(self, path: Path, text: str) -> None:
        if self._file is None:
            self._file = self._open(path)
        if self.lost:
            # Behind what a full disk may have cut in the middle.
            self._append(self._file, "\n" + self._lost_line(self.lost) + "\n")
            self.lost = 0
        self._append(self._file, text)
        if self._size >= self._limit:
            self._rotate(path)

    def _append(self, file: BinaryIO, text: str) -> None:
        encoded = text.encode("utf-8", "replace")
        written = file.write(encoded)
        self._size += written
        if written < len(encoded):
            raise OSError(errno.ENOSPC, "a part of a line was written")

    def close(self) -> None:
        """Close the file; whoever speaks later is heard on the terminal only."""
        self._path = None
        self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self, path: Path) -> BinaryIO:
        # Unbuffered: what a full disk refused must not come back in the middle of a later line.
        file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        return file

    def _rotate(self, path: Path) -> None:
        self._close_file()
        for number in range(FILES_KEPT - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))
        self._file = self._open(path)


def configure(
    *,
    clock: Clock,
    level: str = "info",
    json_lines: bool,
    directory: Path | None,
    secrets: tuple[str, ...] = (),
    stream: TextIO | None = None,
    quiet: bool = False,
) -> Lines:
    """Set up structlog for the process and return its writer; call ``close`` on it at the end.

    ``quiet`` keeps lines off the terminal (they still go to the file). Times are the clock's, so
    a replay's lines carry the recorded times. Raises ``OSError`` for a folder that takes no file.
    """
    out = None if quiet else (stream or _StandardError())
    render = _json if json_lines else _text

    def lost_line(count: int) -> str:
        event = {"at": utc(clock.now_ns()), "tag": Tag.HEALTH.value, "level": "warning"}
        return render(None, "", {**event, "event": "log_lines_lost", "lines": count})

    path = directory / "worker.log" if directory else None
    lines = Lines(out, path, Redactor(secrets), FILE_BYTES_MAXIMUM, lost_line)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp(clock),
            _exception,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _LineLogger(lines),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(lines, json_lines)
    return lines


def wants_json(log_format: str) -> bool:
    """Return whether lines are JSON: as asked, or wherever nobody watches a terminal."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


def logger(tag: Tag) -> Log:
    """Return a logger whose lines carry a tag."""
    return structlog.get_logger().bind(tag=tag.value)


def utc(at_ns: int) -> str:
    """Return nanoseconds since the epoch as ISO UTC with milliseconds."""
    seconds, rest = divmod(at_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


class _LineLogger:
    def __init__(self, lines: Lines) -> None:
        self._write = lines.write

    def msg(self, line: str) -> None:
        self._write(line)

    debug = info = warning = error = critical = msg


Event = MutableMapping[str, Any]


def _stamp(clock: Clock) -> Callable[[Any, str, Event], Event]:
    def stamp(_logger: Any, _name: str, event: Event) -> Event:
        at_ns = event.pop("at_ns", None)
        event["at"] = utc(clock.now_ns() if at_ns is None else at_ns)
        return event

    return stamp


def _exception(_logger: Any, _name: str, event: Event) -> Event:
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        # No frame locals, ever: a key in a failing function would land in the log.
        tracer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
        stacks = tracer((type(error), error, error.__traceback__))
        event["exception"] = [
            f"{stack['exc_type']}: {stack['exc_value']}"
            + "".join(f" < {f['filename']}:{f['lineno']} {f['name']}" for f in reversed(frames))
            for stack in stacks
            if (frames := stack["frames"]) is not None
        ]
    return event


def _json(_logger: Any, _name: str, event: Event) -> str:
    ordered = {key: event[key] for key in RESERVED if key in event}
    ordered.update((key, value) for key, value in event.items() if key not in RESERVED)
    return msgspec.json.encode(ordered, enc_hook=str).decode()


def _text(_logger: Any, _name: str, event: Event) -> str:
    level = event["level"]
    flag = "" if level in ("info", "debug") else f" {level.upper()}"
    facts = " ".join(
        f"{key}={_shown(value)}" for key, value in event.items() if key not in RESERVED
    )
    trace = "".join(f"\n    {line}" for line in event.get("exception", ()))
    tag = event.get("tag", Tag.HEALTH.value)
    return f"{event['at']} {tag:<8}{flag} {event['event']:<18} {facts}{trace}".rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.8g}"
    text = str(value)
    return f'"{text}"' if " " in text else text


class _Standard(logging.Handler):
    def __init__(self, lines: Lines, json_lines: bool) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines
        self._json = json_lines

    def emit(self, record: logging.LogRecord) -> None:
        event: Event = {
            "at": utc(int(record.created * 1e9)),
            "tag": Tag.HEALTH.value,
            "level": record.levelname.lower(),
            "event": "library_message",
            "library": record.name,
            "text": record.getMessage(),
        }
        self._lines.write((_json if self._json else _text)(None, "", event))


def _route_standard_logging(lines: Lines, json_lines: bool) -> None:
    # Libraries log through the standard module; their warnings get the same redaction.
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Standard)]:
        root.removeHandler(handler)
    root.addHandler(_Standard(lines, json_lines))
    root.setLevel(logging.WARNING)
