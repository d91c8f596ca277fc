"""Limits of a quote that other terms than a rate or a quantity go beyond."""

from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories.policy_words import overage, override
from tests.stories.quote_words import beyond, state
from tests.stories.words import Metered, line


async def test_usage_that_a_quote_makes_free_is_a_discount_of_all_of_it(sandbox):
    world = await sandbox("2024-01-31T12:00")
    await world.product("plan", Metered(resource="calls", rate="1", max_discount="10"))
    account = await world.account("ann")
    free = override(overage_policy=await overage(world, "gratis", "FREE"))
    wanted = line("plan", "2024-01-01")
    wanted.MergeFrom(quotes.SaleLine(policies=[free]))

    quote = await world.quote(account, wanted)

    assert beyond(quote) == [(0, "calls", "DISCOUNT", 10, "100")]
    assert state(quote) == "WAITING_FOR_APPROVAL"
