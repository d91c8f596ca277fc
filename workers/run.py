"""Runs claimed jobs; each takes effect once, however often it is claimed.

The effect and the mark that the job is done commit together. A refusal by the domain is stored on
the row, and the job is not tried again until `RetryJob`. Any other error is stored as the last
error, and the job is tried again after a pause.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from server.domain.errors import Aborted, DeadlineExceeded, Unavailable, UsageError
from server.domain.ids import JobId, TenantId
from server.store import jobs
from server.store.connection import Transaction
from server.store.jobs import Claim, Job, JobState
from server.store.shares import SharedPool
from server.store.transaction import transact

log = logging.getLogger(__name__)

Task = Callable[[Transaction, Job], Awaitable[None]]


async def run_job(
    pool: SharedPool, tasks: Mapping[str, Task], tenant_id: TenantId, claim: Claim
) -> bool:
    """Run a claimed job; return True if it took effect or was refused."""
    job_id, attempt = claim.job_id, claim.attempt

    async def work(tx: Transaction) -> bool:
        job = await jobs.lock(tx, job_id, attempt)
        if job is None:
            return False
        await tasks[job.kind](tx, job)
        await jobs.end(tx, job_id, attempt)
        return True

    try:
        return await transact(pool, tenant_id, work)
    except UsageError as error:
        end = _keep_failure if is_temporary(error) else _refuse
        return await end(pool, tenant_id, job_id, attempt, error)
    except Exception as error:
        log.exception("job %s failed", job_id)
        return await _keep_failure(pool, tenant_id, job_id, attempt, error)


def is_temporary(error: UsageError) -> bool:
    """Return True for a temporary refusal: a full store, no connection, no time left."""
    return (
        isinstance(error, Aborted | DeadlineExceeded | Unavailable)
        or error.retry_after_seconds is not None
    )


async def _keep_failure(
    pool: SharedPool, tenant_id: TenantId, job_id: JobId, attempt: int, error: Exception
) -> bool:
    name = error.reason if isinstance(error, UsageError) else type(error).__name__
    text = f"{name}: {error}"[:1000]
    # In a transaction of its own, because that of the work was rolled back.
    await transact(pool, tenant_id, lambda tx: jobs.note_failure(tx, job_id, attempt, text))
    return False


async def _refuse(
    pool: SharedPool, tenant_id: TenantId, job_id: JobId, attempt: int, error: UsageError
) -> bool:
    text = f"{error.reason}: {error.message}"[:1000]
    await transact(
        pool,
        tenant_id,
        lambda tx: jobs.end(tx, job_id, attempt, state=JobState.FAILED, error=text),
    )
    return True
