"""Corrections that have to wait, so that what is read meanwhile is read before them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from usage_management.v1 import wallet_service_pb2 as wallet_rpc


@asynccontextmanager
async def corrections_waiting(
    database: str, wallets: Iterable[wallet_rpc.Wallet]
) -> AsyncIterator[None]:
    """Hold the lock that usage of final periods holds together, and corrections alone."""
    keys = {UUID(one.name.rpartition("/")[2]).bytes[:8] for one in wallets}
    holder = await asyncpg.connect(database)
    for key in sorted(keys):
        number = int.from_bytes(key, signed=True)
        await holder.execute("SELECT pg_advisory_lock_shared($1)", number)
    try:
        yield
    finally:
        await holder.close()
