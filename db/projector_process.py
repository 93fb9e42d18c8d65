"""The process that carries journals into Postgres, beside a worker and never in it.

    python -m db.projector_process        # a line of JSON on its input: see ``Order``

It lives as long as its input is open: when whoever started it is gone, so is the reason to run. A
line ``drain`` asks it to end as soon as nothing is left. What it has to say are lines of JSON on
its output. Must not: hold up whoever started it, or end because a server is away.
"""

from __future__ import annotations

import asyncio
import enum
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Final

import asyncpg
import msgspec

from db.connection import Database, DatabaseUnavailableError, connect, words
from db.embedded import EmbeddedUnavailableError, serve
from db.migrate import MigrationError, migrate, pending
from db.projector import JournalFolder, Projector, Step
from db.retention import retire_batch
from helpers.clock import RealClock, pause_seconds, system_seconds, wait_seconds
from helpers.domain import NS_PER_SECOND, Message
from helpers.heap import keep_large_pieces_apart

EXIT_UNAVAILABLE: Final = 69
EXIT_STUCK: Final = 70
NICENESS: Final = 5
"""The embedded server inherits it: both give way to whoever trades."""
POLL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
RETIRE_SECONDS: Final = 3600.0
DAY_SECONDS: Final = 86_400
END_SECONDS: Final = 20.0
"""From the end of the input to the end of the process, orderly or not."""
DRAIN: Final = b"drain\n"
NAME: Final = "state-fusion-worker projector"


class Order(Message, frozen=True):
    """What to carry, and where to."""

    url: str
    """Empty: the embedded server is started, or joined where somebody runs it."""
    direct_url: str
    """The same server without a pooler before it."""
    embedded_directory: str
    folders: tuple[tuple[str, bool], ...]
    """Folders of runs, and whether they are demos."""
    detail_days: float
    """How long decisions and refusals stay."""


class ProjectorState(enum.StrEnum):
    """What the process tells."""

    FOLLOWING = "following"
    AWAY = "away"
    """No server to write to; the journal has everything."""
    BEHIND = "behind"
    """The server's schema is not this build's."""
    NO_SERVER = "no_server"
    """There is no embedded server on this platform."""
    DAMAGED = "damaged"
    LOST = "lost"
    """Rows were retired from the journal before they were carried over."""
    FAULT = "fault"
    """A row that no table takes."""
    DRAINED = "drained"


class Told(Message, frozen=True):
    """One line of the process."""

    state: ProjectorState
    detail: str = ""


Tell = Callable[[ProjectorState, str], None]
Wait = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits for an event, for so many seconds at most."""


class Follower:
    """Carries over what is written until told to drain, through every absence of the server."""

    def __init__(
        self, order: Order, url: str, drain: asyncio.Event, tell: Tell, wait: Wait
    ) -> None:
        """Take the address to write to, who hears of what happens, and how time passes."""
        self._order = order
        self._url = url
        self._drain = drain
        self._tell = tell
        self._wait = wait
        self._database = Database(url, name=NAME)
        self._projector: Projector | None = None
        self._failures = 0
        self._told = ProjectorState.DRAINED
        self._next_retire_seconds = 0.0

    async def run(self) -> None:
        """Return when drained."""
        try:
            while True:
                try:
                    more = await self._advance()
                except MigrationError as error:
                    await self._fail(ProjectorState.BEHIND, str(error))
                except DatabaseUnavailableError as error:
                    await self._fail(ProjectorState.AWAY, str(error))
                except (asyncpg.PostgresError, OSError) as error:
                    await self._fail(ProjectorState.AWAY, words(error))
                else:
                    self._failures = 0
                    self._say(ProjectorState.FOLLOWING, "")
                    if not more:
                        if self._drain.is_set():
                            return
                        await self._wait(self._drain, POLL_SECONDS)
        finally:
            await self._database.close()

    async def _advance(self) -> bool:
        if self._projector is None:
            await self._prepare()
            folders = (JournalFolder(Path(path), demo) for path, demo in self._order.folders)
            self._projector = Projector(self._database, tuple(folders))
        step = await self._projector.step()
        if step is not None:
            self._tell_of(step)
            return True
        return False if self._drain.is_set() else await self._retire()

    async def _prepare(self) -> None:
        connection = await connect(self._order.direct_url or self._url, name=NAME)
        try:
            if not self._order.url:
                await migrate(connection)
            elif missing := await pending(connection):
                raise MigrationError(f"{missing[0].name} is not applied: run python -m db.migrate")
        finally:
            await connection.close(timeout=POLL_SECONDS)

    async def _retire(self) -> bool:
        now = system_seconds()
        if now < self._next_retire_seconds:
            return False
        age_ns = round(self._order.detail_days * DAY_SECONDS) * NS_PER_SECOND
        if await retire_batch(self._database, RealClock().now_ns() - age_ns):
            return True
        self._next_retire_seconds = now + RETIRE_SECONDS
        return False

    async def _fail(self, state: ProjectorState, why: str) -> None:
        self._say(state, why)
        wait = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        if self._drain.is_set():
            await asyncio.sleep(min(wait, POLL_SECONDS))
        else:
            await self._wait(self._drain, wait)

    def _say(self, state: ProjectorState, detail: str) -> None:
        # Once for every change: an hour's absence is one line.
        if state is not self._told:
            self._told = state
            self._tell(state, detail)

    def _tell_of(self, step: Step) -> None:
        if step.rows_lost:
            self._tell(ProjectorState.LOST, f"{step.run}: {step.rows_lost} rows")
        if step.damage:
            self._tell(ProjectorState.DAMAGED, f"{step.run}: {step.damage}")
        if step.fault:
            self._tell(ProjectorState.FAULT, f"{step.run}: {step.fault}")


async def project(order: Order, drain: asyncio.Event, tell: Tell, wait: Wait = wait_seconds) -> int:
    """Carry over until drained; return the exit code."""
    try:
        if order.url:
            await Follower(order, order.url, drain, tell, wait).run()
        else:
            async with serve(Path(order.embedded_directory)) as url:
                await Follower(order, url, drain, tell, wait).run()
    except EmbeddedUnavailableError as error:
        tell(ProjectorState.NO_SERVER, str(error))
        return EXIT_UNAVAILABLE
    tell(ProjectorState.DRAINED, "")
    return 0


def _tell_output(state: ProjectorState, detail: str) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(Told(state, detail)) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Nobody reads any more; the end of the input says so as well, and ends us in order.
        return


def _listen(lines: BinaryIO, drain: Callable[[], object], end: Callable[[], object]) -> None:
    for line in lines:
        if line == DRAIN:
            drain()
    end()
    pause_seconds(END_SECONDS)
    os._exit(EXIT_STUCK)


async def _main(lines: BinaryIO, order: Order) -> int:
    loop, drain = asyncio.get_running_loop(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(project(order, drain, _tell_output))
        threading.Thread(
            target=_listen,
            args=(
                lines,
                lambda: loop.call_soon_threadsafe(drain.set),
                lambda: loop.call_soon_threadsafe(work.cancel),
            ),
            daemon=True,
        ).start()
    return 0 if work.cancelled() else work.result()


def main() -> int:
    """Do what the first line of the input says."""
    os.nice(NICENESS)
    keep_large_pieces_apart()
    lines = sys.stdin.buffer
    order = msgspec.json.decode(lines.readline(), type=Order)
    code = asyncio.run(_main(lines, order))
    sys.stdout.flush()
    # The thread waits in a read that nothing ends but the end of the input.
    os._exit(code)


if __name__ == "__main__":
    main()
