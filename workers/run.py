"""How a job runs: once in effect, however often it is rung.

The work and the mark that it is done commit together. A refusal by the domain is final and kept on
the row; anything else is kept as the last error, and the claim's pause decides when it is tried
again. A kind nobody here knows is left for a worker that does.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from server.domain.errors import Aborted, Unavailable, UsageError
from server.domain.ids import JobId, TenantId
from server.store import jobs
from server.store.jobs import Job, JobState
from server.store.pool import Connection
from server.store.shares import SharedPool
from server.store.transaction import transact

log = logging.getLogger(__name__)

Task = Callable[[Connection, TenantId, Job], Awaitable[None]]


async def run_job(
    pool: SharedPool, tasks: Mapping[str, Task], tenant_id: TenantId, job_id: JobId
) -> bool:
    """Do the job if it can be had; says whether it took effect or was refused for good."""
    attempt = await transact(
        pool, tenant_id, lambda tx: jobs.claim(tx, tenant_id, job_id, kinds=tasks)
    )
    if attempt is None:
        return False

    async def work(tx: Connection) -> bool:
        job = await jobs.lock(tx, tenant_id, job_id, attempt)
        if job is None:
            return False
        await tasks[job.kind](tx, tenant_id, job)
        await jobs.end(tx, tenant_id, job_id, attempt)
        return True

    try:
        return await transact(pool, tenant_id, work)
    except (Aborted, Unavailable) as error:
        return await _keep_failure(pool, tenant_id, job_id, attempt, error)
    except UsageError as error:
        return await _refuse(pool, tenant_id, job_id, attempt, error)
    except Exception as error:
        log.exception("job %s failed", job_id)
        return await _keep_failure(pool, tenant_id, job_id, attempt, error)


async def _keep_failure(
    pool: SharedPool, tenant_id: TenantId, job_id: JobId, attempt: int, error: Exception
) -> bool:
    text = f"{type(error).__name__}: {error}"[:1000]
    await transact(
        pool, tenant_id, lambda tx: jobs.note_failure(tx, tenant_id, job_id, attempt, text)
    )
    return False


async def _refuse(
    pool: SharedPool, tenant_id: TenantId, job_id: JobId, attempt: int, error: UsageError
) -> bool:
    text = f"{error.reason}: {error.message}"[:1000]
    await transact(
        pool,
        tenant_id,
        lambda tx: jobs.end(tx, tenant_id, job_id, attempt, state=JobState.REFUSED, error=text),
    )
    return True
