"""The limit of lines: 200 in a quote, or what the service is configured to."""

import pytest
from usage_management.v1 import access_service_pb2 as access

from clients import UsageClient, UsageError
from tests.service import add_tenant, serving
from tests.stories.words import Metered, line, moment
from tests.stories.world import World


async def most_lines(world: World) -> int:
    answer = await world.client.access.ListLimits(access.ListLimitsRequest(page_size=1000))
    return next(limit.value for limit in answer.limits if limit.id == "quote.lines")


async def sells_at_most(world: World, most: int) -> None:
    """A quote of so many lines is taken, one of one more is not."""
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann")
    lines = [line("plan", "2024-01-01") for _ in range(most + 1)]

    assert await most_lines(world) == most
    with pytest.raises(UsageError, match="TOO_MANY_ITEMS") as refused:
        await world.quote(account, *lines)
    assert refused.value.facts["limit"] == str(most)
    assert refused.value.facts["got"] == str(most + 1)
    assert len(await world.sell(account, *lines[1:])) == most


@pytest.mark.capability("M139")
async def test_a_quote_has_at_most_200_lines(sandbox):
    await sells_at_most(await sandbox("2024-01-01"), 200)


@pytest.mark.capability("M139")
async def test_the_limit_of_lines_is_a_setting(database: str):
    async with serving(database, quote_lines=3) as service:
        _, key = await add_tenant(service, moment("2024-01-01"))
        async with UsageClient(service.address, key) as client:
            await sells_at_most(World(client), 3)
