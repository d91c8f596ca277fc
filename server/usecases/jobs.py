"""Jobs that stopped: seen, tried again, given up."""

from server.domain.errors import FailedPrecondition, NotFound
from server.domain.ids import JobId, TenantId
from server.store import jobs as store
from server.store.jobs import JobRow
from server.store.pool import Connection


async def retry(tx: Connection, tenant_id: TenantId, job_id: JobId) -> JobRow:
    """Another eight attempts. Raises JOB_NOT_FOUND, ITEM_STATE."""
    was_stuck = await store.retry(tx, tenant_id, job_id)
    return await _after(tx, tenant_id, job_id, was_stuck)


async def waive(tx: Connection, tenant_id: TenantId, job_id: JobId) -> JobRow:
    """Give it up for good. Raises JOB_NOT_FOUND, ITEM_STATE."""
    was_stuck = await store.waive(tx, tenant_id, job_id)
    return await _after(tx, tenant_id, job_id, was_stuck)


async def _after(tx: Connection, tenant_id: TenantId, job_id: JobId, was_stuck: bool) -> JobRow:
    job = await store.find(tx, tenant_id, job_id)
    if job is None:
        raise NotFound.of("Job", f"jobs/{job_id}")
    if not was_stuck:
        text = f"the job is {job.state}; only one in quarantine can be retried or waived"
        raise FailedPrecondition("ITEM_STATE", text, {"state": job.state})
    return job
