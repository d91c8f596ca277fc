"""N13: a sum with more digits than are kept is refused and seen, never wrapped or rounded."""

import asyncio

from usage.v1 import access_service_pb2 as access
from usage.v1 import summary_service_pb2 as summaries

from tests.stories.words import Metered, figure, line, moment, number, stamp

Line = summaries.LiableSummary
MOST = "9" * 26


async def test_an_amount_beyond_money_fails_its_own_line_and_is_said_beforehand(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", *(Metered(resource=one, rate="1") for one in ("data", "sms")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-10", 2**63)
    await world.use(asset, "sms", "2024-01-10", 7)

    asked = await world.discover("plan", "data", quantity=number(2**63))
    await world.advance("2024-02-10")

    assert "AMOUNT_RANGE" in str(asked.status)
    liable = {one.usage_resource: one for one in await world.liable(account)}
    failed, fine = liable["usageResources/data"], liable["usageResources/sms"]
    assert (failed.state, fine.state) == (Line.FAILED, Line.READY_FOR_INVOICING)
    assert [one.error_reason for one in await world.ratable(account) if one.error_reason] == [
        "AMOUNT_RANGE"
    ]
    assert (await world.trace(failed)).sources


async def test_usage_that_adds_up_to_too_many_digits_holds_up_its_own_wallet_only(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", *(Metered(resource=one, rate="1") for one in ("data", "sms")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for _ in range(3):
        await world.use(asset, "data", "2024-01-10", MOST)
    await world.use(asset, "sms", "2024-01-10", 7)
    jobs = world.client.access

    live = await world.wallet(account, "data")
    run = await jobs.AdvanceClock(access.AdvanceClockRequest(to_time=stamp(moment("2024-02-10"))))
    while run.state == access.Run.RUNNING:
        await asyncio.sleep(0.02)
        run = await jobs.GetRun(access.GetRunRequest(name=run.name))
    listed = (await jobs.ListJobs(access.ListJobsRequest())).jobs

    assert figure(live.used_quantity) == 3 * int(MOST)
    [refused] = [one for one in listed if one.state == access.Job.REFUSED]
    assert refused.error.startswith("AGGREGATE_OVERFLOW: the usage of the asset ")
    assert [one.usage_resource for one in await world.liable(account)] == ["usageResources/sms"]
