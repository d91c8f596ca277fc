"""A close that is refused is seen in its run, in the status and by verify; a retry bills on."""

import asyncio
from io import StringIO

import pytest
from rich.console import Console
from usage_management.v1 import access_service_pb2 as access

from clients import UsageError
from clients.cli.status import print_failed, waiting
from server.domain.errors import FailedPrecondition
from server.store.pool import open_pool
from server.store.transaction import read
from server.usecases.access.tenants import tenant_id_of
from server.usecases.billing.verification import verify_account
from tests.logins import as_service
from tests.stories.words import Metered, figure, line, moment, stamp
from tests.stories.world import World

CLOSING = "server.usecases.billing.closing.closing"


def refuse(*_args, **_more):
    raise FailedPrecondition("RATING_FAILED", "a test refuses this")


async def findings(world: World, database: str) -> list[str]:
    """Return the findings of `usage verify` about the account of the story."""
    tenant = await world.client.access.GetTenant(access.GetTenantRequest(name="tenants/-"))
    tenant_id = tenant_id_of(tenant.name.partition("/")[2])
    pool = await open_pool(as_service(database), size=1)
    try:
        found = await read(pool, tenant_id, lambda tx: verify_account(tx, "ann"))
    finally:
        await pool.close()
    return [str(one) for one in found.findings]


async def advanced(world: World, to: str) -> access.Run:
    """The run as it ended, whatever came of it."""
    client = world.client.access
    run = await client.AdvanceClock(access.AdvanceClockRequest(to_time=stamp(moment(to))))
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await client.GetRun(access.GetRunRequest(name=run.name))
    return run


async def sold(world: World) -> str:
    """An account with usage in January."""
    await world.product("plan", Metered(resource="data", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-10", 7)
    return account


async def test_a_refused_close_is_seen_everywhere_and_retried_billing_goes_on(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    world = await sandbox("2024-01-31")
    account = await sold(world)
    monkeypatch.setattr(CLOSING, refuse)
    run = await advanced(world, "2024-02-10")
    again = await advanced(world, "2024-03-10")
    shown = await waiting(world.client)
    differing = await findings(world, story_database)
    monkeypatch.undo()
    retried = await world.client.access.RetryJob(access.RetryJobRequest(name=run.failed_job))
    await world.advance("2024-03-10")
    billed = await world.liable(account)

    # Also the next run, which did not cause it: the wallet still waits for it.
    for one in (run, again):
        assert (one.state, one.failed_job) == (access.Run.FAILED, retried.name)
        assert "RATING_FAILED: a test refuses this" in one.error.message
        assert "RetryJob" in one.error.message
        assert "WaiveJob" in one.error.message
    assert shown["failed"] == 1
    assert shown["failed_jobs"][0]["name"] == run.failed_job
    assert "a test refuses this" in shown["failed_jobs"][0]["error"]["message"]
    console = Console(width=300, file=StringIO())
    print_failed(console, shown["failed_jobs"])
    for part in (run.failed_job, "ann", "FAILED", "a test refuses this", "RetryJob", "WaiveJob"):
        assert part in console.file.getvalue()
    [difference] = differing
    assert run.failed_job in difference
    assert "RetryJob" in difference
    assert (retried.state, retried.attempt_count) == (access.Job.PENDING, 0)
    assert [figure(one.used_quantity) for one in billed] == [7]
    assert await findings(world, story_database) == []


async def test_a_refused_close_can_be_given_up_and_begun_again(
    sandbox, story_database: str, monkeypatch: pytest.MonkeyPatch
):
    """Given up, it stops no clock; until it is begun again it is named, and billing waits."""
    world = await sandbox("2024-01-31")
    account = await sold(world)
    monkeypatch.setattr(CLOSING, refuse)
    run = await advanced(world, "2024-02-10")
    monkeypatch.undo()
    waived = await world.client.access.WaiveJob(access.WaiveJobRequest(name=run.failed_job))
    done = await advanced(world, "2024-02-10")
    [difference] = await findings(world, story_database)
    before = await world.liable(account)
    await world.client.access.RetryJob(access.RetryJobRequest(name=run.failed_job))
    again = await advanced(world, "2024-03-10")

    assert waived.state == access.Job.WAIVED
    assert "a test refuses this" in waived.error.message
    assert (done.state, again.state) == (access.Run.DONE, access.Run.DONE)
    assert "WAIVED" in difference
    assert "RetryJob" in difference
    assert before == []
    billed = [figure(one.used_quantity) for one in await world.liable(account)]
    assert sum(billed) == 7
    assert await findings(world, story_database) == []
    with pytest.raises(UsageError, match="ITEM_STATE"):
        await world.client.access.WaiveJob(access.WaiveJobRequest(name=run.failed_job))
