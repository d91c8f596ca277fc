"""Housekeeping: deletes ended jobs and old answers in small batches."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from server.config import Config
from server.domain.errors import UsageError
from server.domain.ids import TenantId
from server.store import jobs, requests
from server.store.connection import ControlTransaction, Transaction
from server.store.shares import SharedPool
from server.store.transaction import read_control, transact

log = structlog.get_logger("housekeeping")

EVERY_SECONDS = 300.0
# Small transactions with pauses, so that the write-ahead log keeps up.
BATCH = 500
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Rows that are deleted once they are older than `kept`.

    `tenants` returns the tenants that have such rows; `delete` deletes a batch of one tenant and
    returns its size.
    """

    kept: timedelta
    tenants: Callable[[ControlTransaction, timedelta], Awaitable[list[TenantId]]]
    delete: Callable[[Transaction, timedelta, int], Awaitable[int]]


def ended_jobs(kept: timedelta) -> Chore:
    """Return the chore that deletes ended jobs."""
    return Chore(
        kept=kept,
        tenants=jobs.ended_tenants,
        delete=lambda tx, age, most: jobs.forget_ended(tx, age, at_most=most),
    )


def old_requests(kept: timedelta) -> Chore:
    """Return the chore that deletes the answers of old requests."""
    return Chore(
        kept=kept,
        tenants=requests.old_tenants,
        delete=lambda tx, age, most: requests.delete_old(tx, age, at_most=most),
    )


def chores_of(config: Config) -> tuple[Chore, ...]:
    """Return the chores of a worker."""
    return (
        ended_jobs(timedelta(hours=config.ended_job_hours)),
        old_requests(timedelta(days=config.request_days)),
    )


async def run_housekeeping(pool: SharedPool, chores: tuple[Chore, ...]) -> None:
    """Run the chores repeatedly, until canceled."""
    while True:
        # Random, so that workers that started together do not delete at the same time.
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.5, 1))
        for chore in chores:
            try:
                await do(pool, chore)
            except (UsageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("housekeeping_failed", error=type(error).__name__)


async def do(pool: SharedPool, chore: Chore) -> int:
    """Delete all rows of a chore; return the number."""
    deleted = 0
    for tenant_id in await read_control(pool, lambda tx: chore.tenants(tx, chore.kept)):
        deleted += await _do_of(pool, tenant_id, chore)
    return deleted


async def _do_of(pool: SharedPool, tenant_id: TenantId, chore: Chore) -> int:
    deleted = 0
    while True:
        batch = await transact(pool, tenant_id, lambda tx: chore.delete(tx, chore.kept, BATCH))
        deleted += batch
        if batch < BATCH:
            return deleted
        await asyncio.sleep(PAUSE_SECONDS)
