"""The pool of Postgres connections: codecs, limits, and the login it requires.

Connections log in as `usage_service` or another login that is a member of `usage_app` and of
nothing else. The login decides: `RESET ROLE` and `SET ROLE NONE` return to it, so a role that is
set for the session protects nothing. The tenant is the only session state, so a released connection
needs no reset.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from server.domain.errors import FailedPrecondition
from server.store.connection import Connection
from server.store.migrate import MigrationError
from server.store.shares import SharedPool
from server.store.sql import load

SQL = load("pool.sql")

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import _InitCallback

# With one of these settings off, an `OK` does not prove that the change is on disk.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")

# The statement that begins every transaction. One message without parameters saves round trips;
# the tenant and the credential are UUIDs and the rest integers, so nothing can be injected.
_BEGIN = (
    "BEGIN; SET LOCAL usage.tenant_id = '{tenant}'; SET LOCAL usage.credential_id = '{caller}'; "
    "SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}; "
    "SET LOCAL idle_in_transaction_session_timeout = 10000"
)
LOCK_MILLISECONDS = 2_000

ADVICE = (
    "The service needs a login that is a member of usage_app and of nothing else. `usage migrate`"
    " makes usage_service for it: with the login of today, run ALTER ROLE usage_service LOGIN"
    " PASSWORD 'choose one'; name usage_service and that password in DATABASE_URL; and keep the"
    " login of today in DATABASE_OWNER_URL, which only `usage migrate` reads"
)


@dataclass(frozen=True, slots=True)
class DangerousRole:
    """A role that row-level security does not restrict, and that a login is or can become."""

    role: str
    login: str
    reason: str

    def __str__(self) -> str:
        can = "" if self.role == self.login else f" can become {self.role}, which"
        return f"the database login {self.login}{can} {self.reason}"


def begin(tenant_id: UUID, seconds: float, credential_id: UUID | None = None) -> str:
    """Return the statement that begins a transaction of `tenant_id` with a limit of `seconds`.

    The audit columns name `credential_id`; None is the service itself.
    """
    milliseconds = max(1, int(seconds * 1000))
    return _BEGIN.format(
        tenant=tenant_id,
        caller=credential_id or "",
        statement=milliseconds,
        lock=min(LOCK_MILLISECONDS, milliseconds),
    )


@asynccontextmanager
async def in_transaction(connection: Connection) -> AsyncIterator[None]:
    """Run in the current transaction, or in a new one, so that settings end with it."""
    if connection.is_in_transaction():
        yield
    else:
        async with connection.transaction():
            yield


class PinnedConnection(asyncpg.Connection):
    """A connection that stores the tenant of its session."""

    pinned: UUID | None = None

    async def pin(self, tenant_id: UUID) -> None:
        """Set the tenant of the session for reads outside a transaction.

        The tenant is the only session state, and it is sent only when it changes. A transaction
        sets its own tenant and leaves the session's unchanged.
        """
        if self.pinned != tenant_id:
            self.pinned = None  # if the statement fails, the session's tenant is unknown
            await self.execute("SELECT set_config('usage.tenant_id', $1, false)", str(tenant_id))
            self.pinned = tenant_id


async def open_pool(dsn: str, *, size: int, pins: bool = True) -> SharedPool:
    """Return a pool; refuse a login that row-level security does not restrict.

    Behind a pooler that hands out transactions (`pins` false) sessions cannot carry a tenant, so
    every read is a transaction. Raises FailedPrecondition (UNSAFE_ROLE), and MigrationError if the
    database was never migrated.
    """
    pool = await _create(dsn, size=size, pins=pins)
    try:
        async with pool.acquire(timeout=10) as connection:
            dangerous = await dangerous_role(connection)
            is_migrated = await connection.fetchval(SQL["is_migrated"])
        if dangerous is not None:
            facts = {"role": dangerous.role, "login": dangerous.login}
            raise FailedPrecondition("UNSAFE_ROLE", f"{dangerous}. {ADVICE}", facts)
        if not is_migrated:
            raise MigrationError("the database has no schema of the service: run `usage migrate`")
    except BaseException:
        await pool.close()
        raise
    return pool


async def open_owner_pool(dsn: str) -> SharedPool:
    """Return a pool of a login with more rights, acting as `usage_app`, for `usage migrate`."""
    return await _create(dsn, size=1, pins=False, init=_act_as_app)


async def _create(
    dsn: str, *, size: int, pins: bool, init: "_InitCallback[Record] | None" = None
) -> SharedPool:
    pool = SharedPool(
        dsn,
        connection_class=PinnedConnection if pins else asyncpg.Connection,
        # Behind a pooler, the next statement may run on a connection without the prepared one.
        statement_cache_size=100 if pins else 0,
        # All at the start: opening a connection under load may take longer than a call waits.
        min_size=size,
        max_size=size,
        init=init,
        reset=_leave,
        # PgBouncer accepts these two, and refuses a client that sets others, such as `role`.
        server_settings={"timezone": "UTC", "application_name": "usage"},
        command_timeout=60,
    )
    await pool
    return pool


async def unsafe_settings(connection: Connection) -> tuple[str, ...]:
    """Return the settings that can lose an acknowledged change, as in `fsync = off`."""
    settings = [(name, await connection.fetchval(f"SHOW {name}")) for name in DURABLE]
    return tuple(f"{name} = {value}" for name, value in settings if value == "off")


async def _act_as_app(connection: asyncpg.Connection) -> None:
    await connection.execute("SET ROLE usage_app")


async def _leave(connection: asyncpg.Connection) -> None:
    """Reset nothing: see the module's docstring."""


async def dangerous_role(connection: Connection) -> DangerousRole | None:
    """Return a role that makes this connection's login unsafe for the service, if any."""
    row = await connection.fetchrow(SQL["dangerous_roles"])
    return DangerousRole(**row) if row else None
