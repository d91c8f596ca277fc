"""The sweep: every second, and whenever somebody rings, do what is due.

One tenant's jobs are done one at a time, in the order of their moments and ranks; tenants go side
by side. Redis is not needed for any of it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby

import asyncpg
import structlog

from server.config import Config
from server.domain.errors import UsageError
from server.domain.ids import JobId, TenantId
from server.store import jobs
from server.store.transaction import read
from server.usecases.credentials import NO_TENANT
from workers.run import Task, run_job

log = structlog.get_logger("sweep")

AT_MOST = 500


async def sweep_once(pool: asyncpg.Pool, tasks: Mapping[str, Task], concurrency: int) -> int:
    """Do what is due now; the answer is how many jobs ended."""
    due = await read(pool, NO_TENANT, lambda tx: jobs.due(tx, at_most=AT_MOST))
    slots = asyncio.Semaphore(concurrency)

    async def one_tenant(tenant_id: TenantId, job_ids: Sequence[JobId]) -> int:
        async with slots:
            ended = [await run_job(pool, tasks, tenant_id, job_id) for job_id in job_ids]
            return sum(ended)

    by_tenant = groupby(sorted(due, key=lambda pair: pair[0]), key=lambda pair: pair[0])
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(one_tenant(tenant_id, [job_id for _, job_id in pairs]))
            for tenant_id, pairs in by_tenant
        ]
    return sum(task.result() for task in running)


async def sweep_for_ever(
    pool: asyncpg.Pool,
    tasks: Mapping[str, Task],
    config: Config,
    *,
    bell: asyncio.Event | None = None,
    stopping: asyncio.Event | None = None,
) -> None:
    """Sweep until `stopping`; again at once while something was done, else at the next second."""
    bell = bell or asyncio.Event()
    while stopping is None or not stopping.is_set():
        bell.clear()
        try:
            ended = await sweep_once(pool, tasks, config.worker_concurrency)
        except (UsageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("sweep_failed", error=type(error).__name__)
            ended = 0
        if not ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(config.sweep_seconds):
                    await bell.wait()
