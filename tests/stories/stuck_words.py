"""Jobs that were tried too often: one put there by hand, and one that a bug stops."""

import asyncio
from uuid import UUID, uuid4

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
# A job is found once it failed, by a worker that has let go of it.
QUARANTINE = """
UPDATE jobs SET state = 'QUARANTINED', attempts = 9
 WHERE tenant_id = $1 AND kind = $2 AND error <> '' RETURNING job_id
"""


async def stuck_job(world: World, database: str) -> str:
    """The name of a job of the world's tenant that was tried too often."""
    tenant_id = await _tenant_id(world)
    job_id, wallet_id = uuid4(), uuid4()
    payload = f'{{"wallet_id": "{wallet_id}", "start_time": "2024-01-01T00:00:00+00:00"}}'
    superuser = await asyncpg.connect(database)
    await superuser.execute(ADD, tenant_id, job_id, payload, moment("2024-01-01"))
    await superuser.close()
    return f"jobs/{job_id}"


async def in_quarantine(world: World, database: str, kind: str) -> str:
    """The name of the only job of a kind, as it is after too many attempts like its first."""
    tenant_id = await _tenant_id(world)
    superuser = await asyncpg.connect(database)
    job_id = None
    async with asyncio.timeout(20):
        # A worker fails it in its own time, and only the row says that it did.
        while job_id is None:
            await asyncio.sleep(0.02)
            job_id = await superuser.fetchval(QUARANTINE, tenant_id, kind)
    await superuser.close()
    return f"jobs/{job_id}"


def broken(*_args, **_more):
    raise RuntimeError("a bug")


async def _tenant_id(world: World) -> UUID:
    tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    return tenant_id_of(tenant.name.partition("/")[2])
