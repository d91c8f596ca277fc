"""Gauges whose readings are taken back: nothing holds over final periods any more."""

import pytest

from tests.stories.consumption.amend_words import void
from tests.stories.words import Metered, line, usage


@pytest.mark.parametrize("rating", ["MONTH", "DAY"])
async def test_a_period_that_held_only_a_voided_reading_is_empty(sandbox, rating):
    world = await sandbox("2024-01-01")
    gauge = Metered(
        resource="disk",
        method="TIME_WEIGHTED",
        window="DAY" if rating == "DAY" else "RATING_PERIOD",
        rating=rating,
        scale=6,
        grant="1",
        refresh="MONTH",
        rate="2",
    )
    await world.product("plan", gauge)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record([usage(asset, "disk", "2024-01-01", 5, "wrong")])
    await world.advance("2024-03-10")

    await void(world, account, "wrong")
    await world.advance("2024-03-11")

    assert sum(float(one.amount.value) for one in await world.ratable(account)) == 0
    # The fixture verifies the account.
