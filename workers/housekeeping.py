"""Housekeeping: jobs that ended long ago are deleted, a few at a time."""

import asyncio
import random
from datetime import timedelta

import asyncpg
import structlog

from server.domain.errors import UsageError
from server.domain.ids import TenantId
from server.store import jobs
from server.store.shares import SharedPool
from server.store.transaction import read_control, transact

log = structlog.get_logger("housekeeping")

EVERY_SECONDS = 300.0
# Small transactions with pauses between them, so that the write-ahead log keeps up.
BATCH = 500
PAUSE_SECONDS = 0.05


async def keep_house(pool: SharedPool, kept: timedelta) -> None:
    """Delete jobs that ended longer ago than `kept`, again and again, until canceled."""
    while True:
        # Workers that start together do not all delete together.
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.5, 1))
        try:
            await forget_ended(pool, kept)
        except (UsageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("housekeeping_failed", error=type(error).__name__)


async def forget_ended(pool: SharedPool, kept: timedelta) -> int:
    """Delete all jobs that ended longer ago than `kept`; returns how many."""
    deleted = 0
    for tenant_id in await read_control(pool, lambda tx: jobs.ended_tenants(tx, kept)):
        deleted += await _forget_of(pool, tenant_id, kept)
    return deleted


async def _forget_of(pool: SharedPool, tenant_id: TenantId, kept: timedelta) -> int:
    deleted = 0
    while True:
        batch = await transact(
            pool, tenant_id, lambda tx: jobs.forget_ended(tx, kept, at_most=BATCH)
        )
        deleted += batch
        if batch < BATCH:
            return deleted
        await asyncio.sleep(PAUSE_SECONDS)
