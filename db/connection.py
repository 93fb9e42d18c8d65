"""A connection to Postgres that may be cut at any time: every wait is limited, all in transactions.

Works with a server itself, through PgBouncer in transaction mode, and with managed servers that cut
idle connections: everything happens in explicit transactions, no prepared statement outlives one,
and a connection that was cut while idle is replaced once before the transaction begins. Must not:
put the address, which holds a password, into any text (I35).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import asyncpg

CONNECT_SECONDS: Final = 10.0
STATEMENT_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 2.0
APPLICATION: Final = "state-fusion-worker"

CUT: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What says that there is no server to talk to now; a ``ValueError`` among them says that we said
something wrong."""
REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ProtocolViolationError,
    asyncpg.FeatureNotSupportedError,
)
"""What a server, or a pooler before it, answers to a login that is wrong."""


class DatabaseUnavailableError(Exception):
    """No use of the database now; nothing was committed, or whether it was is not known.

    The text holds no address.
    """


async def connect(
    url: str, *, name: str = APPLICATION, statement_seconds: float = STATEMENT_SECONDS
) -> asyncpg.Connection[asyncpg.Record]:
    """Return a new connection; raises ``DatabaseUnavailableError``."""
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=statement_seconds,
            # Behind PgBouncer in transaction mode the next transaction is on another server.
            statement_cache_size=0,
            # The only parameters that PgBouncer lets pass as it comes.
            server_settings={"application_name": name, "timezone": "UTC"},
        )
    except ValueError:
        # Not chained: these repeat parts of the address, its password among them.
        raise DatabaseUnavailableError(
            "its address cannot be read, expected postgresql://user:password@host:port/database"
        ) from None
    except (*CUT, *REFUSED) as error:
        raise DatabaseUnavailableError(words(error)) from error


class Database:
    """One connection, opened when it is needed and again when it was cut.

    For one task at a time: a second one waits for the first one's transaction.
    """

    def __init__(
        self, url: str, *, name: str = APPLICATION, statement_seconds: float = STATEMENT_SECONDS
    ) -> None:
        """Take the address; nothing is opened before the first transaction."""
        self._url = url
        self._name = name
        self._statement_seconds = statement_seconds
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, read_only: bool = False
    ) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record], None]:
        """Yield a connection in a transaction that is committed at the end of the block.

        Raises ``DatabaseUnavailableError`` when the server is away. If that comes from the end of
        the block, the commit may have happened: what is done must bear to be done again.
        """
        async with self._turn:
            connection = await self._begun(read_only=read_only)
            try:
                yield connection
                await connection.execute("COMMIT")
            except ValueError:
                await self._undo(connection)
                raise
            except CUT as error:
                await self._drop()
                raise DatabaseUnavailableError(words(error)) from error
            except BaseException:
                await self._undo(connection)
                raise

    async def close(self) -> None:
        """Close the connection; the next transaction opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            try:
                await connection.close(timeout=CLOSE_SECONDS)
            except CUT:
                connection.terminate()

    async def _begun(self, *, read_only: bool) -> asyncpg.Connection[asyncpg.Record]:
        # What runs too long is ended by the server as well: after our own limit we are gone, and
        # it would keep its locks.
        begin = (
            f"BEGIN {'READ ONLY' if read_only else 'READ WRITE'}; "
            f"SET LOCAL statement_timeout = {int(self._statement_seconds * 1000)}"
        )
        if self._connection is not None:
            try:
                await self._connection.execute(begin)
            except CUT:
                # Cut while it was idle: nothing was begun, so another one can begin.
                await self._drop()
            else:
                return self._connection
        opened = await connect(
            self._url, name=self._name, statement_seconds=self._statement_seconds
        )
        self._connection = opened
        try:
            await opened.execute(begin)
        except CUT as error:
            await self._drop()
            raise DatabaseUnavailableError(words(error)) from error
        return opened

    async def _undo(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        try:
            await connection.execute("ROLLBACK")
        except (*CUT, asyncpg.PostgresError):
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def words(error: BaseException) -> str:
    """Return what an error of the driver says, in one line."""
    said = str(error).split("\n", 1)[0]
    if isinstance(error, TimeoutError) and not said:
        return "no answer in time"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
