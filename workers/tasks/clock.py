"""Jobs that move a sandbox's clock."""

from server.domain.ids import TenantId
from server.store.jobs import Job
from server.store.pool import Connection
from server.usecases import clock


async def advance_clock(tx: Connection, tenant_id: TenantId, job: Job) -> None:
    """Take one step of the run that the job names."""
    await clock.step(tx, tenant_id, job)
