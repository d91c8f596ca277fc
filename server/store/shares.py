"""Fair shares of a pool: one tenant's calls never hold all of its connections.

Calls of one tenant beyond its share wait for each other, in order, so that calls of other tenants
still get a connection.
"""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

# Of four connections, one tenant may hold three.
SHARE = 3 / 4
# Idle connections are never closed: opening one under load takes longer than a call waits.
MAX_QUERIES, IDLE_SECONDS = 50_000, 0.0


class Shares:
    """The connections that each tenant holds or waits for."""

    def __init__(self, connections: int) -> None:
        self.most = max(1, int(connections * SHARE))
        self._free: dict[UUID, asyncio.Semaphore] = {}
        self._users: dict[UUID, int] = {}

    async def acquire(self, tenant_id: UUID) -> None:
        """Wait until the tenant may hold one more connection."""
        free = self._free.get(tenant_id)
        if free is None:
            free = self._free[tenant_id] = asyncio.Semaphore(self.most)
        self._users[tenant_id] = self._users.get(tenant_id, 0) + 1
        try:
            await free.acquire()
        except BaseException:
            # A canceled call no longer waits.
            self._leave(tenant_id)
            raise

    def release(self, tenant_id: UUID) -> None:
        """Return a connection to the tenant's share."""
        self._free[tenant_id].release()
        self._leave(tenant_id)

    def _leave(self, tenant_id: UUID) -> None:
        left = self._users[tenant_id] - 1
        if left:
            self._users[tenant_id] = left
        else:
            # Kept only while in use, so that memory does not grow with the number of tenants.
            del self._users[tenant_id], self._free[tenant_id]


class SharedPool(asyncpg.Pool):
    """A pool with the shares of its connections."""

    __slots__ = ("shares",)

    def __init__(self, dsn: str, *, max_size: int, **options: Any) -> None:
        super().__init__(
            dsn,
            max_size=max_size,
            max_queries=MAX_QUERIES,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            record_class=asyncpg.Record,
            loop=None,
            **options,
        )
        self.shares = Shares(max_size)
