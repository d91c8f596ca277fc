"""Jobs about rating batches: price what one asks for."""

from server.domain.ids import TenantId
from server.store.jobs import Job
from server.store.pool import Connection
from server.usecases.intake import rating_batches


async def rate_batch(tx: Connection, tenant_id: TenantId, job: Job) -> None:
    """Rate the request that the job names, unless that is done."""
    await rating_batches.rate(tx, tenant_id, job)
