"""A correction that cannot rate what was rated: it is seen, and goes on once it can."""

import pytest
from usage_management.v1 import access_service_pb2 as access

from tests.stories.consumption.amend_words import void
from tests.stories.words import Metered, line, money, usage


@pytest.mark.parametrize("is_waived", [False, True])
async def test_a_correction_goes_on_once_its_cause_is_gone(sandbox, is_waived):
    """A late record costs more than money can say; it is voided, also after the job was waived."""
    world = await sandbox("2024-01-31")
    plan = Metered(resource="calls", rate="10", grant="5", refresh="MONTH", max_rollovers=1)
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 7)
    await world.advance("2024-02-10")

    await world.record([usage(asset, "calls", "2024-01-11", 10**18, "wrong")])
    with pytest.raises(AssertionError, match="RATED_LINE_FAILED"):
        await world.advance("2024-02-11")
    [job] = (await world.client.access.ListJobs(access.ListJobsRequest())).jobs
    if is_waived:
        await world.client.access.WaiveJob(access.WaiveJobRequest(name=job.name))
    await void(world, account, "wrong")
    await world.record([usage(asset, "calls", "2024-01-12", 1, "right")])
    await world.client.access.RetryJob(access.RetryJobRequest(name=job.name))
    await world.advance("2024-03-10")

    assert [money(one.amount) for one in await world.liable(account)] == [20, 10]
