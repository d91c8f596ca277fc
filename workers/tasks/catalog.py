"""Jobs about the catalogue: look at a slice of it."""

from server.domain.ids import TenantId
from server.store.jobs import Job
from server.store.pool import Connection
from server.usecases.validation import catalog_run


async def validate_catalog(tx: Connection, tenant_id: TenantId, job: Job) -> None:
    """Hold the next products of the run that the job names to the rules."""
    await catalog_run.look_at_slice(tx, tenant_id, job)
