"""N13: a sum of more digits than are kept fails its line and is seen, never wrapped or rounded."""

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from clients import UsageClient
from clients.values import reason_of
from tests.service import add_tenant, serving
from tests.stories.words import Metered, figure, line, moment, number, usage
from tests.stories.world import World

Line = summaries.LiableSummary
MOST = "9" * 26


@pytest.mark.capability("M100.failed")
async def test_an_amount_beyond_money_fails_its_own_line_and_is_said_beforehand(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", *(Metered(resource=one, rate="10") for one in ("data", "sms")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-10", 10**18)
    await world.use(asset, "sms", "2024-01-10", 7)

    asked = await world.discover("plan", "data", quantity=number(10**18))
    await world.advance("2024-02-10")

    assert "AMOUNT_RANGE" in str(asked.status)
    liable = {one.usage_resource: one for one in await world.liable(account)}
    failed, fine = liable["usageResources/data"], liable["usageResources/sms"]
    assert (failed.state, fine.state) == (Line.FAILED, Line.READY_FOR_INVOICING)
    assert [
        reason_of(one.error) for one in await world.ratable(account) if one.HasField("error")
    ] == ["AMOUNT_RANGE"]
    assert (await world.trace(failed)).sources


async def test_a_record_counts_a_trillion_millions_at_most(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="data", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    limits = await world.client.access.ListLimits(access.ListLimitsRequest(page_size=1000))

    most = {one.id: one for one in limits.limits}["record.quantity"]
    at, over = await world.record(
        usage(asset, "data", "2024-01-10", quantity) for quantity in (most.value, most.value + 1)
    )

    assert (most.value, most.reason) == (10**18, "DECIMAL_RANGE")
    assert at.code == consumption.RecordOutcome.ACCEPTED
    assert over.code == consumption.RecordOutcome.REJECTED
    for part in ("DECIMAL_RANGE", "quantity", "record.quantity"):
        assert part in str(over.status)


async def test_usage_that_adds_up_to_too_many_digits_fails_its_line_and_never_the_close(
    database: str,
):
    """As records may say that were accepted under a higher limit."""
    async with serving(database, record_quantity=10**26 - 1) as service:
        _, key = await add_tenant(service, moment("2024-01-31"))
        async with UsageClient(service.address, key) as client:
            world = World(client)
            resources = [Metered(resource=one, rate="1") for one in ("data", "sms")]
            await world.product("plan", *resources)
            account = await world.account("ann")
            [asset] = await world.sell(account, line("plan", "2024-01-01"))
            for _ in range(3):
                await world.use(asset, "data", "2024-01-10", MOST)
            await world.use(asset, "sms", "2024-01-10", 7)

            live = await world.wallet(account, "data")
            await world.advance("2024-02-10")
            stopped = (await client.access.ListJobs(access.ListJobsRequest())).jobs
            lines = {one.usage_resource: one for one in await world.ratable(account)}
            liable = {one.usage_resource: one for one in await world.liable(account)}
            await world.use(asset, "data", "2024-02-09", 5)
            await world.advance("2024-03-10")
            later = [one for one in await world.ratable(account) if one.amount.value == "5"]

    failed = lines["usageResources/data"]
    assert figure(live.used_quantity) == figure(failed.used_quantity) == 3 * int(MOST)
    assert not stopped
    assert reason_of(failed.error) == "AGGREGATE_OVERFLOW"
    assert liable["usageResources/data"].state == Line.FAILED
    assert liable["usageResources/sms"].state == Line.READY_FOR_INVOICING
    assert len(later) == 1


async def test_lines_that_add_up_to_more_than_money_fail_when_they_are_billed(sandbox):
    """Each is below 2^63, together they are not."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="data", rate="8", rating="DAY"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for day in (10, 11):
        await world.use(asset, "data", f"2024-01-{day}", 10**18)

    await world.advance("2024-02-10")

    [billed] = [one for one in await world.liable(account) if figure(one.used_quantity)]
    assert (billed.state, figure(billed.exact_amount)) == (Line.FAILED, 16 * 10**18)
    assert not billed.HasField("amount")
