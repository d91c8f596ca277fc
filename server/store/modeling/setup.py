"""Guided setup: one at a time for each tenant."""

from server.domain.ids import TenantId
from server.store.pool import Connection
from server.store.sql import load

SQL = load("modeling/setup.sql")


async def lock(tx: Connection, tenant_id: TenantId) -> None:
    """Wait for whoever sets up a product of this tenant, until the transaction ends."""
    await tx.execute(SQL["lock_setup"], tenant_id)
