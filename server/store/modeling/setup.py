"""The lock of guided setup, which runs once at a time for each tenant."""

from server.store.connection import Transaction
from server.store.sql import load

SQL = load("modeling/setup.sql")


async def lock(tx: Transaction) -> None:
    """Wait for another setup of this tenant; hold the lock until the transaction ends."""
    await tx.execute(SQL["lock_setup"], tx.tenant_id)
