"""A job that was tried too often, put there by hand."""

from uuid import uuid4

import asyncpg
from usage_management.v1 import access_service_pb2 as access

from server.usecases.access.tenants import tenant_id_of
from tests.stories.words import moment
from tests.stories.world import World

ADD = """
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time, attempts, state,
                  error)
VALUES ($1, $2, 'close_period', 0, 'ann', $3, $4, 9, 'QUARANTINED', 'a test put it here')
"""


async def stuck_job(world: World, database: str) -> str:
    """The name of a job of the world's tenant that was tried too often."""
    tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    tenant_id = tenant_id_of(tenant.name.partition("/")[2])
    job_id, wallet_id = uuid4(), uuid4()
    payload = f'{{"wallet_id": "{wallet_id}", "start_time": "2024-01-01T00:00:00+00:00"}}'
    superuser = await asyncpg.connect(database)
    await superuser.execute(ADD, tenant_id, job_id, payload, moment("2024-01-01"))
    await superuser.close()
    return f"jobs/{job_id}"
