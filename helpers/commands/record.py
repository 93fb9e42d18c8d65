"""`worker.py record`: write the live feeds to a tape that replay can read; trade nothing."""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import signal
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Final

from helpers.clock import Clock, RealClock
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.failures import leaves
from helpers.commands.live_feeds import LiveFeeds
from helpers.commands.log_start import open_log
from helpers.commands.run import (
    EXIT_INTERNAL,
    EXIT_UNAVAILABLE,
    new_event_loop,
)
from helpers.commands.verbs import typed_number, verb_parser
from helpers.domain import Connected, Market, Source
from helpers.feeds.ingest import WorkerEvent, encode_worker_event
from helpers.feeds.probe import NoFastMarket
from helpers.feeds.retry import VenueRefused
from helpers.heap import keep_large_pieces_apart
from helpers.logs import Log, Tag, logger
from helpers.recorder import TapeError, TapeWriter
from helpers.settings import Settings, SettingsError, load_settings
from helpers.venues import Venues

TAPE_NAME: Final = "record.jsonl.gz"
PROGRESS_SECONDS: Final = 30.0


class _Enough(Exception):  # noqa: N818
    """The recording is to end."""


def main(arguments: list[str]) -> int:
    """Record until stopped; see the README for exit codes."""
    parser = verb_parser("record")
    parser.add_argument("--minutes", type=_minutes, default=0.0, help="end after so long; 0: never")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        return report_settings_error(error)
    warn_unknown_names()
    clock = RealClock()
    try:
        lines = open_log(settings, clock)
    except SettingsError as error:
        return report_settings_error(error)
    try:
        recording = record(settings, clock, Venues(), random.Random(), options.minutes * 60.0)
        return supervise(recording, new_event_loop)
    finally:
        lines.close()


def _minutes(text: str) -> float:
    minutes = typed_number(text)
    if not 0.0 <= minutes < math.inf:
        raise argparse.ArgumentTypeError(f"was {text}, expected a number of minutes, or 0")
    return minutes


async def record(
    settings: Settings, clock: Clock, venues: Venues, rng: random.Random, seconds: float
) -> None:
    """Record for some seconds (0: until a signal).

    Raises ``TapeError`` when the tape cannot be written, and a group of ``NoFastMarket`` or
    ``VenueRefused`` when the venues cannot be had.
    """
    recording = _Recording(settings.tape_directory / TAPE_NAME, clock)
    await recording.run(settings, venues, rng, seconds)


def supervise(
    recording: Coroutine[object, object, None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> int:
    """Run a recording to its end on a new loop, close it, and return the exit code."""
    log = logger(Tag.FEED)
    code = 0
    keep_large_pieces_apart()
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(recording)
    except* (NoFastMarket, VenueRefused) as group:
        for error in leaves(group):
            log.error("venue_unavailable", why=str(error))
        code = EXIT_UNAVAILABLE
    except* TapeError as group:
        for error in leaves(group):
            log.error("cannot_write", why=str(error))
        code = EXIT_INTERNAL
    return code


class _Recording:
    """A sink that writes every frame."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._log: Log = logger(Tag.FEED)
        self._path = path
        self._tape = TapeWriter(path)
        self._frames = 0
        self._now_ns = 0

    async def run(
        self, settings: Settings, venues: Venues, rng: random.Random, seconds: float
    ) -> None:
        self.on_worker_event(Connected(Source.WORKER, self._clock.now_ns()))
        # Nothing is held, so a window's tokens are given up soon after its close, resolved or not.
        feeds = LiveFeeds(settings, self, _nothing_held, venues=venues, clock=self._clock, rng=rng)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._log.info("recording", tape=str(self._path))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(feeds.run())
                tasks.create_task(self._say_progress())
                tasks.create_task(_end(stop, seconds))
        except* _Enough:
            self._log.info("recorded", frames=self._frames, dropped=self._tape.dropped)
        finally:
            self._tape.close()

    def on_frame(self, source: Source, raw: str | bytes, received_ns: int) -> None:
        """Write a frame."""
        self._now_ns = max(self._now_ns, received_ns)
        self._frames += 1
        text = raw if isinstance(raw, str) else raw.decode(errors="replace")
        self._tape.write(self._now_ns, source, text)

    def on_worker_event(self, event: WorkerEvent) -> None:
        """Write an event of our own."""
        self._now_ns = max(self._now_ns, event.received_ns)
        self._tape.write(self._now_ns, Source.WORKER, encode_worker_event(event))

    async def _say_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self._log.info("recording", frames=self._frames, dropped=self._tape.dropped)


async def _end(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds or None):
            await stop.wait()
    except TimeoutError:
        pass
    raise _Enough


def _nothing_held() -> Iterable[Market]:
    return ()
