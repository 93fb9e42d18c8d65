"""The embedded Postgres: started for who needs it, one per folder, gone when nobody does.

    async with serve(Path("backups/postgres")) as url:
        ...

The first process that serves a folder owns the server, the others are its guests; when the owner
is gone one of them becomes it. The address stays the same, and a server that dies is started
again, so who loses a connection connects anew. Must not: leave a server behind, or start a second
one on the same data.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from db.embedded_cluster import DATABASE, OWNER_LOCK, ROLE, SERVER_LOCK, Cluster
from db.embedded_user import EmbeddedUnavailableError
from helpers.clock import monotonic_seconds

__all__ = ["EmbeddedUnavailableError", "serve"]

START_SECONDS: Final = 60.0
"""Longest wait for a first connection: after a kill it first repairs what was being written."""
STOP_SECONDS: Final = 10.0
LEFT_BEHIND_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.2
"""How often an owner looks whether its server lives, a guest whether its owner does."""
CONNECT_PAUSE_SECONDS: Final = 0.01
CONNECT_SECONDS: Final = 5.0
RESTART_SECONDS: Final = (0.0, 0.5, 2.0, 5.0, 15.0)
"""Waits before a dead server is started again, by the starts that failed; the last one from then
on."""


@contextlib.asynccontextmanager
async def serve(folder: Path) -> AsyncGenerator[str, None]:
    """Yield the address of a folder's server, which runs until the last block is left.

    Raises ``EmbeddedUnavailableError`` where there can be none.
    """
    server = _Server(folder)
    failed: Exception | None = None
    try:
        await server.begin()
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(server.keep())
            try:
                yield server.url
            except Exception as error:  # noqa: BLE001 - the caller's own, raised below as it is
                failed = error
            finally:
                keeping.cancel()
    finally:
        await server.end()
    if failed is not None:  # out of the group, which would have wrapped it
        raise failed


class _Server:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._owner_lock = -1
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    async def begin(self) -> None:
        """Own the server, or be the guest of who does; it takes connections on return."""
        try:
            self._cluster = Cluster(self._folder)
            self._cluster.prepare()
            until = monotonic_seconds() + START_SECONDS
            while not await self._try_begin():
                if monotonic_seconds() > until:
                    raise EmbeddedUnavailableError(
                        f"another process owns the server of {self._folder} and it takes no "
                        f"connection; see {self._cluster.log_path}"
                    )
                await asyncio.sleep(LOOK_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedUnavailableError(
                f"the embedded Postgres cannot use {self._folder}: {error}"
            ) from error

    async def _try_begin(self) -> bool:
        if self._take_ownership():
            await self._start()
            return True
        place = self._cluster.noted_socket_folder()
        if place is None:
            return False
        self.url = _address(place)
        return await _answers(self.url)

    async def keep(self) -> None:
        """Start a server that died again, and become the owner when the owner is gone."""
        failed_starts = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._process is not None and self._process.poll() is None:
                continue
            if not self._take_ownership():
                continue
            await asyncio.sleep(RESTART_SECONDS[min(failed_starts, len(RESTART_SECONDS) - 1)])
            try:
                await self._start()
                failed_starts = 0
            except (EmbeddedUnavailableError, OSError, subprocess.SubprocessError):
                # Why is in the server's log; who uses it finds no connection and says so.
                failed_starts += 1

    async def end(self) -> None:
        """Stop the server if it is ours."""
        process, self._process = self._process, None
        if process is not None:
            await _stop(process)
        lock, self._owner_lock = self._owner_lock, -1
        if lock >= 0:
            os.close(lock)

    def _take_ownership(self) -> bool:
        if self._owner_lock < 0:
            self._owner_lock = _try_lock(self._folder / OWNER_LOCK)
        return self._owner_lock >= 0

    async def _start(self) -> None:
        lock = await self._nobody_left()
        try:
            await asyncio.to_thread(self._cluster.make, lock)
            place = self._cluster.socket_folder()
            # Here and not in a thread: the server is told to stop when the thread that started it
            # is gone.
            process = self._process = self._cluster.start(place, lock)
        finally:
            os.close(lock)
        self.url = _address(place)
        until = monotonic_seconds() + START_SECONDS
        while not await _answers(self.url):
            if process.poll() is not None or monotonic_seconds() > until:
                await _stop(process)
                self._process = None
                raise EmbeddedUnavailableError(
                    f"the embedded Postgres did not start; see {self._cluster.log_path}"
                )
            await asyncio.sleep(CONNECT_PAUSE_SECONDS)

    async def _nobody_left(self) -> int:
        """Return a lock that no process of an earlier server has; stop one that still runs."""
        path = self._folder / SERVER_LOCK
        began = monotonic_seconds()
        told = False
        while (lock := _try_lock(path)) < 0:
            waited = monotonic_seconds() - began
            process_id = self._cluster.server_process_id()
            if waited > LEFT_BEHIND_SECONDS:
                raise EmbeddedUnavailableError(
                    f"a server of {self._folder} was left behind and does not end (process "
                    f"{process_id}): stop it"
                )
            if waited > LOOK_SECONDS and process_id and not told:
                told = True
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process_id, signal.SIGINT)
            await asyncio.sleep(CONNECT_PAUSE_SECONDS)
        return lock


async def _stop(process: subprocess.Popen[bytes]) -> None:
    # Fast: who is connected is cut, what is committed is written. Then without writing, then hard.
    for sent in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sent)
        until = monotonic_seconds() + STOP_SECONDS
        while process.poll() is None and monotonic_seconds() < until:
            await asyncio.sleep(CONNECT_PAUSE_SECONDS)


async def _answers(url: str) -> bool:
    """Return whether a server takes connections: the only sign of life that counts."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
        await connection.close(timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


def _address(socket_folder: Path) -> str:
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(socket_folder), safe='/')}"


def _try_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return -1
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
