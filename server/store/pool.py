"""The pool of connections to Postgres: its codecs, its limits, and whom it connects as.

Connections are `usage_app`, which row-level security binds; a superuser, a role that bypasses it or
the owner of the tables is refused. Nothing else opens a connection, and no session state is used
but the tenant, so a released connection needs no reset.
"""

from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from server.domain.errors import FailedPrecondition
from server.store.shares import SharedPool

Connection = asyncpg.Connection | PoolConnectionProxy

# The settings without which an `OK` would not mean that the effect is on disk.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")

# The statement that begins every transaction. The tenant is a UUID and the rest are integers, so
# there is nothing to inject; one message without parameters saves three round trips.
_BEGIN = (
    "BEGIN; SET LOCAL usage.tenant_id = '{tenant}'; SET LOCAL statement_timeout = {statement}; "
    "SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = 10000"
)
LOCK_MILLISECONDS = 2_000


def begin(tenant_id: UUID, seconds: float) -> str:
    """The statement that begins a transaction of `tenant_id` which may take `seconds`."""
    milliseconds = max(1, int(seconds * 1000))
    return _BEGIN.format(
        tenant=tenant_id, statement=milliseconds, lock=min(LOCK_MILLISECONDS, milliseconds)
    )


class PinnedConnection(asyncpg.Connection):
    """A connection that knows which tenant its session reads as."""

    pinned: UUID | None = None

    async def pin(self, tenant_id: UUID) -> None:
        """Let what is read outside a transaction be read as `tenant_id`.

        That is the only session state there is, and it is told only when it changes. A transaction
        sets its own, and leaves this one as it was.
        """
        if self.pinned != tenant_id:
            self.pinned = None  # until the server has taken it
            await self.execute("SELECT set_config('usage.tenant_id', $1, false)", str(tenant_id))
            self.pinned = tenant_id


async def open_pool(
    dsn: str, *, size: int, role: str = "usage_app", pins: bool = True
) -> SharedPool:
    """Connect, and refuse a role that row-level security does not bind.

    Behind a pooler that hands out transactions (`pins` false) sessions cannot carry a tenant, so
    every read is a transaction. Raises FailedPrecondition (UNSAFE_ROLE).
    """
    pool = SharedPool(
        dsn,
        connection_class=PinnedConnection if pins else asyncpg.Connection,
        statement_cache_size=100 if pins else 0,
        # All at once: a connection that is made under load may take longer than a call waits.
        min_size=size,
        max_size=size,
        init=_prepare,
        reset=_leave,
        server_settings={"role": role, "timezone": "UTC", "application_name": "usage"},
        command_timeout=60,
    )
    await pool
    try:
        async with pool.acquire(timeout=10) as connection:
            await _refuse_powerful_role(connection)
    except BaseException:
        await pool.close()
        raise
    return pool


async def unsafe_settings(connection: Connection) -> tuple[str, ...]:
    """The settings that let an acknowledged effect be lost, as in `fsync = off`."""
    found = [(name, await connection.fetchval(f"SHOW {name}")) for name in DURABLE]
    return tuple(f"{name} = {value}" for name, value in found if value == "off")


async def _prepare(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=msgspec.json.decode,
        )


async def _leave(connection: asyncpg.Connection) -> None:
    """Nothing to reset: see the module's docstring."""


async def _refuse_powerful_role(connection: Connection) -> None:
    name = await connection.fetchval(
        "SELECT r.rolname FROM pg_roles AS r WHERE r.rolname = current_user"
        " AND (r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class AS c"
        " WHERE c.relowner = r.oid AND c.relname = 'tenants'))"
    )
    if name is not None:
        raise FailedPrecondition(
            "UNSAFE_ROLE",
            f"the database role {name} is above row-level security; connect as usage_app",
            {"role": name},
        )
