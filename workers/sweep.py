"""The sweep: every second, and whenever somebody rings, do what is due.

One tenant's jobs are done one at a time, in the order of their moments and ranks; tenants go side
by side. Redis is not needed for any of it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

import asyncpg
import structlog

from server.config import Config
from server.domain.errors import UsageError
from server.domain.ids import JobId, TenantId
from server.store import jobs
from server.store.shares import SharedPool
from server.store.transaction import read
from server.usecases.credentials import NO_TENANT
from workers.run import Task, run_job

log = structlog.get_logger("sweep")

AT_MOST = 500
# How soon to look again for what others have in hand.
IN_HAND_SECONDS = 0.05
TROUBLE = (UsageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many jobs were due, and how many of them ended."""

    due: int
    ended: int


async def sweep_once(
    pool: SharedPool,
    tasks: Mapping[str, Task],
    concurrency: int,
    *,
    stopping: asyncio.Event | None = None,
) -> Swept:
    """Do what is due now. Nothing is begun once `stopping` is set."""
    due = await read(pool, NO_TENANT, lambda tx: jobs.due(tx, at_most=AT_MOST))
    slots = asyncio.Semaphore(concurrency)

    async def one_tenant(tenant_id: TenantId, job_ids: Sequence[JobId]) -> int:
        ended = 0
        async with slots:
            for job_id in job_ids:
                if stopping is not None and stopping.is_set():
                    break
                ended += await _run(pool, tasks, tenant_id, job_id)
        return ended

    by_tenant = groupby(sorted(due, key=lambda pair: pair[0]), key=lambda pair: pair[0])
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(one_tenant(tenant_id, [job_id for _, job_id in pairs]))
            for tenant_id, pairs in by_tenant
        ]
    return Swept(len(due), sum(task.result() for task in running))


async def sweep_for_ever(
    pool: SharedPool,
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
            swept = await sweep_once(pool, tasks, config.worker_concurrency, stopping=stopping)
        except TROUBLE as error:
            log.warning("sweep_failed", error=type(error).__name__)
            swept = Swept(0, 0)
        if not swept.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(IN_HAND_SECONDS if swept.due else config.sweep_seconds):
                    await bell.wait()


async def _run(
    pool: SharedPool, tasks: Mapping[str, Task], tenant_id: TenantId, job_id: JobId
) -> bool:
    """Do one job; what goes wrong around it costs an attempt, and no other job its turn."""
    try:
        return await run_job(pool, tasks, tenant_id, job_id)
    except TROUBLE as error:
        log.warning("job_not_run", job=str(job_id), error=type(error).__name__)
        return False
    except Exception:
        log.exception("job_not_run", job=str(job_id))
        return False
