"""A job that will not end: it stops the clock, is named, is listed, is tried again or given up."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from usage.v1 import access_service_pb2 as access

from clients import UsageError
from server.usecases.tenants import tenant_id_of
from tests.stories.words import moment, stamp

ADD = """
INSERT INTO jobs (tenant_id, job_id, kind, rank, account_id, payload, fire_time, attempts, state,
                  error)
VALUES ($1, $2, 'close_period', 0, 'ann', $3, $4, 9, 'QUARANTINED', 'a test put it here')
"""


async def test_a_quarantined_job_stops_the_clock_until_somebody_decides(
    sandbox, story_database: str
):
    world = await sandbox("2024-01-01")
    tenant = await world.client.access.GetTenant(access.GetTenantRequest())
    tenant_id = tenant_id_of(tenant.name.partition("/")[2])
    job_id, wallet_id = uuid4(), uuid4()
    payload = f'{{"wallet_id": "{wallet_id}", "start_time": "2024-01-01T00:00:00+00:00"}}'
    superuser = await asyncpg.connect(story_database)
    await superuser.execute(ADD, tenant_id, job_id, payload, moment("2024-01-01"))
    await superuser.close()
    jobs = world.client.access
    name = f"jobs/{job_id}"

    run = await jobs.AdvanceClock(access.AdvanceClockRequest(to_time=stamp(moment("2024-02-01"))))
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await jobs.GetRun(access.GetRunRequest(name=run.name))
    [listed] = (await jobs.ListJobs(access.ListJobsRequest())).jobs
    retried = await jobs.RetryJob(access.RetryJobRequest(name=name))
    done = await world.advance("2024-02-01")

    assert (run.state, run.failed_job) == (access.Run.FAILED, name)
    assert "a test put it here" in run.error
    assert (listed.name, listed.state, listed.attempt_count) == (name, access.Job.QUARANTINED, 9)
    assert (retried.state, retried.attempt_count) == (access.Job.PENDING, 0)
    assert done.done_counts["close_period"] == 1  # there was nothing to close, which is an end
    with pytest.raises(UsageError, match="ITEM_STATE"):
        await jobs.WaiveJob(access.WaiveJobRequest(name=name))
    with pytest.raises(UsageError, match="JOB_NOT_FOUND"):
        await jobs.RetryJob(access.RetryJobRequest(name=f"jobs/{uuid4()}"))
