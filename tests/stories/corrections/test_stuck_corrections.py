"""A correction that will not end: it is listed, stops no other account, and is tried again."""

import asyncio

import asyncpg
import pytest
from usage_management.v1 import access_service_pb2 as access

from server.domain.ids import AccountId
from server.store.pool import open_pool
from server.store.transaction import read
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing.verification import verify_account
from tests.logins import as_service
from tests.stories.bill_words import owed
from tests.stories.words import Metered, line, moment, stamp
from tests.stories.world import World

CORRECTION = "server.usecases.billing.slices.correction"
# A job is found once it failed, by a worker that has let go of it.
QUARANTINE = """
UPDATE jobs SET state = 'QUARANTINED', attempts = 9
 WHERE tenant_id = $1 AND kind = 'correct_usage' AND error <> '' RETURNING job_id
"""


def broken(*_args, **_more):
    raise RuntimeError("a bug")


async def quarantined(world: World, database: str) -> str:
    """The name of the only correction, as it is after too many attempts like its first."""
    tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    superuser = await asyncpg.connect(database)
    job_id = None
    async with asyncio.timeout(20):
        while job_id is None:
            await asyncio.sleep(0.02)
            tenant_id = tenant_id_of(tenant.name.partition("/")[2])
            job_id = await superuser.fetchval(QUARANTINE, tenant_id)
    await superuser.close()
    return f"jobs/{job_id}"


async def advanced(world: World, to: str) -> access.Run:
    """The run as it ended, whatever came of it."""
    client = world.client.access
    run = await client.AdvanceClock(access.AdvanceClockRequest(to_time=stamp(moment(to))))
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await client.GetRun(access.GetRunRequest(name=run.name))
    return run


async def findings(world: World, database: str) -> list[str]:
    """Return the findings of `usage verify` about ann."""
    tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    tenant_id = tenant_id_of(tenant.name.partition("/")[2])
    pool = await open_pool(as_service(database), size=1)
    found = await read(pool, tenant_id, lambda tx: verify_account(tx, AccountId("ann")))
    await pool.close()
    return [str(one) for one in found.findings]


async def stuck(sandbox, database: str, monkeypatch: pytest.MonkeyPatch):
    """A world in which a correction of ann's January is in quarantine."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="2", refresh="MONTH", rate="1"))
    found = []
    for name in ("ann", "bob"):
        [asset] = await world.sell(await world.account(name), line("plan", "2024-01-01"))
        await world.use(asset, "calls", "2024-01-10", 7)
        found.append(asset)
    await world.advance("2024-02-10")
    for asset in found:
        await world.use(asset, "calls", "2024-02-05", 4)
    monkeypatch.setattr(CORRECTION, broken)
    await world.use(found[0], "calls", "2024-01-11", 3)
    name = await quarantined(world, database)
    monkeypatch.undo()
    return world, found[0], name


async def test_a_correction_in_quarantine_is_seen_and_tried_again(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world, ann, name = await stuck(sandbox, story_database, monkeypatch)
    jobs = world.client.access

    listed = (await jobs.ListJobs(access.ListJobsRequest())).jobs
    differing = await findings(world, story_database)
    run = await advanced(world, "2024-03-10")
    bills = [await owed(world, f"accounts/{one}") for one in ("ann", "bob")]
    # What comes meanwhile is taken in as well.
    await world.use(ann, "calls", "2024-01-12", 1)
    retried = await jobs.RetryJob(access.RetryJobRequest(name=name))
    await world.advance("2024-04-10")

    [shown] = listed
    assert (shown.name, shown.state) == (name, access.Job.QUARANTINED)
    assert (shown.kind, shown.account) == (access.Job.CORRECT_USAGE, "accounts/ann")
    assert "a bug" in shown.error.message
    assert (run.state, run.failed_job) == (access.Run.FAILED, name)
    # Closed before; the clock stands still until somebody decides.
    assert bills[0] == bills[1]
    [stopped] = differing
    assert "correction from 2024-01-01" in stopped
    assert name in stopped
    assert "QUARANTINED" in stopped
    assert (retried.state, retried.attempt_count) == (access.Job.PENDING, 0)
    total = sum(one.amount.units for one in await world.liable("accounts/ann"))
    assert total == 7 + 3 + 1 - 2 + 4 - 2
