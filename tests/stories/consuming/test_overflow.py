"""N13: a sum with more digits than are kept is refused and seen, never wrapped or rounded."""

import asyncio

from usage.v1 import access_service_pb2 as access

from tests.stories.words import Metered, figure, line, moment, stamp

MOST = "9" * 26


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
