"""The lease of the one trader as a lock in Postgres: one worker per wallet on all machines (I31).

A session's advisory lock, on a connection that does nothing else: back in a pool, or behind a
pooler, the session would be somebody else's. The server gives the lock back when the session ends,
so a lost connection is a lost lease. A thread of its own asks twice a second whether it still is
held: nothing here waits on the trading loop, and that loop cannot delay the asking.

A cut that says nothing is noticed here after a few seconds, by the server after half a minute: our
entries stop before anybody else can have the lock. Must not: take the lock anew by itself; whoever
lost it may trade only what ends something until it is told to retake it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import asyncpg

from db.connection import (
    CLOSE_SECONDS,
    CUT,
    DatabaseUnavailableError,
    connect,
    words,
)
from helpers.clock import system_seconds
from helpers.domain import Mode
from helpers.lease import LeaseError, LeaseHolder, LeaseTakenError, LeaseUnavailableError

ACQUIRE_SECONDS: Final = 10.0
"""Longest wait at a start: connecting, and asking for the lock."""
ASK_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 3.0
UNHEARD_SECONDS: Final = 5.0
"""Since the server last said that the lock is held: it is not known any more (I18)."""
TAKEN_TRIES: Final = 10
TAKEN_PAUSE_SECONDS: Final = 0.2
"""The session of a worker that was killed a moment ago may not have ended yet."""
SERVER_NOTICES: Final = (
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
    ("idle_session_timeout", "0"),
)
"""After 30 s of silence the server ends our session; without that it would hold it for hours."""
NAME_PREFIX: Final = "trader "
NAME_BYTES_MAXIMUM: Final = 63
HELD: Final = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = $1
)
"""
WHO: Final = """
SELECT activity.application_name
FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (held.classid::bigint << 32 | held.objid::bigint) = $1
"""


class PostgresLease:
    """An advisory lock keyed by mode and wallet; a ``Lease``."""

    def __init__(self, url: str, mode: Mode, wallet: str) -> None:
        """Take the server's address, without a pooler before it, and what is to be held."""
        self._new_session = partial(_Session, url, mode, wallet)
        self._session = self._new_session()

    def acquire(self, holder: LeaseHolder) -> None:
        """Take it, or raise ``LeaseTakenError`` that says who has it.

        Raises ``LeaseUnavailableError`` where the server cannot be asked, ``LeaseError`` where no
        session of its own can be had.
        """
        self._session = self._new_session()
        self._session.acquire(holder)

    def retake(self, holder: LeaseHolder) -> None:
        """Take it in another session; raises as ``acquire``."""
        self._session.release()
        self.acquire(holder)

    def sign(self, holder: LeaseHolder) -> None:
        """Say anew who holds it: more is known of the run now."""
        self._session.sign(holder)

    def loss(self) -> str:
        """Return why it is not held any more, empty while it is; lost until it is retaken."""
        return self._session.loss()

    def release(self) -> None:
        """Give it back; does nothing when it is not held."""
        self._session.release()


class _Session:
    """One session of the server, from asking for the lock until it is gone."""

    def __init__(self, url: str, mode: Mode, wallet: str) -> None:
        self._url = url
        self._mode = mode
        self._wallet = wallet
        self._key = lock_key(mode, wallet)
        self._thread: threading.Thread | None = None
        self._taken: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._name = ""
        self._giving_back = False
        self._loss = ""
        self._confirmed_seconds = 0.0

    def acquire(self, holder: LeaseHolder) -> None:
        """Take it, or raise ``LeaseTakenError`` that says who has it.

        Raises ``LeaseUnavailableError`` where the server cannot be asked.
        """
        assert self._thread is None, "a session is begun once"
        self._name = _name(holder)
        self._thread = threading.Thread(target=self._run, name="postgres_lease", daemon=True)
        self._thread.start()
        try:
            self._taken.result(ACQUIRE_SECONDS)
        except TimeoutError as error:
            self.release()
            raise LeaseUnavailableError(
                f"the lease's database gave no answer in {ACQUIRE_SECONDS:g} s"
            ) from error
        except DatabaseUnavailableError as error:
            self.release()
            raise LeaseUnavailableError(f"the lease's database is away: {error}") from error
        except BaseException:
            self.release()
            raise

    def sign(self, holder: LeaseHolder) -> None:
        """Say anew who holds it: more is known of the run now."""
        self._name = _name(holder)
        self._tell(self._changed.set)

    def loss(self) -> str:
        """Return why it is not held any more, empty while it is; once lost it stays lost."""
        if not self._loss and self._thread is None:
            self._loss = "it was given back"
        silent_seconds = system_seconds() - self._confirmed_seconds
        if not self._loss and silent_seconds > UNHEARD_SECONDS:
            self._loss = f"Postgres did not confirm it for {silent_seconds:.1f} s"
        return self._loss

    def release(self) -> None:
        """Give it back; does nothing when it is not held."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._giving_back = True
        if self._task is not None:
            self._tell(self._task.cancel)
        # If it does not end, the session does with the process.
        thread.join(CLOSE_SECONDS + ANSWER_SECONDS)

    def _tell(self, what: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it was lost
                self._loop.call_soon_threadsafe(what)

    # --- In the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._hold())
        except BaseException as error:  # noqa: BLE001 - the thread's end: told to who asks
            if self._taken.done():
                self._lose(words(error))
            else:
                self._taken.set_exception(error)

    async def _hold(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        connection = await connect(self._url, name=self._name, statement_seconds=ANSWER_SECONDS)
        try:
            await self._take(connection)
            connection.add_termination_listener(self._on_cut)
            self._confirmed_seconds = system_seconds()
            self._taken.set_result(None)
            await self._keep_asking(connection)
        finally:
            await _close(connection)

    async def _take(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        try:
            await self._refuse_pooler(connection)
            for name, value in SERVER_NOTICES:
                await connection.execute("SELECT set_config($1, $2, false)", name, value)
            for left in reversed(range(TAKEN_TRIES)):
                if await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._key):
                    return
                if left:
                    await asyncio.sleep(TAKEN_PAUSE_SECONDS)
            who = await connection.fetchval(WHO, self._key)
        except (*CUT, asyncpg.PostgresError) as error:
            raise DatabaseUnavailableError(words(error)) from error
        raise LeaseTakenError(
            f"a {self._mode} worker trades {self._wallet} with this database: {_words_of(who)}. "
            "Stop it, or use another wallet or DATABASE_URL"
        )

    async def _refuse_pooler(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        # A pooler invents the number it greets with; the server knows its own.
        found = await connection.fetchval("SELECT pg_backend_pid()")
        if found != connection.get_server_pid():
            raise LeaseError(
                "DATABASE_URL leads through a connection pooler, where no lease can be held: set "
                "DATABASE_DIRECT_URL to the server itself"
            )

    async def _keep_asking(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        name = self._name
        while not self._giving_back and not self._loss:
            asked_seconds = system_seconds()
            held = await connection.fetchval(HELD, self._key)
            if not held:
                self._lose("Postgres says that it is not held")
                return
            # From when it was asked: the answer may have been under way for a while.
            self._confirmed_seconds = asked_seconds
            if name != self._name:
                name = self._name
                await connection.execute("SELECT set_config('application_name', $1, false)", name)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    await self._changed.wait()

    def _on_cut(self, _connection: object) -> None:
        self._lose("the connection to Postgres was lost")
        self._changed.set()

    def _lose(self, why: str) -> None:
        if not self._giving_back:
            self._loss = self._loss or f"{why}: another worker can take it"


def lock_key(mode: Mode, wallet: str) -> int:
    """Return the number of the lock of a wallet, whatever the case of its address."""
    text = f"state-fusion-worker trader {mode.value} {wallet.lower()}"
    # Positive, so that pg_locks shows the same number in its two halves.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


async def _close(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (*CUT, asyncpg.PostgresError):
        connection.terminate()


def _name(holder: LeaseHolder) -> str:
    text = f"{NAME_PREFIX}{holder.pid} {holder.host[:18]} {holder.run or holder.since}"
    return text.encode("ascii", "replace").decode()[:NAME_BYTES_MAXIMUM]


def _words_of(name: object) -> str:
    """Return who a session's name says it is."""
    if not isinstance(name, str) or not name.startswith(NAME_PREFIX):
        return "it left no readable name"
    process_id, _, rest = name.removeprefix(NAME_PREFIX).partition(" ")
    host, _, since = rest.partition(" ")
    return f"process {process_id} on {host}, {since}"
