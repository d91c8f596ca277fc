"""Guided setup: one at a time for each tenant."""

from server.store.connection import Transaction
from server.store.sql import load

SQL = load("modeling/setup.sql")


async def lock(tx: Transaction) -> None:
    """Wait for whoever sets up a product of this tenant, until the transaction ends."""
    await tx.execute(SQL["lock_setup"], tx.tenant_id)
