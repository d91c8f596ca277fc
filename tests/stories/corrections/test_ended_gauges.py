"""Late readings of a gauge whose service has ended: no period of its wallet is open any more."""

from collections import Counter

import pytest

from server.usecases.billing import slices
from tests.stories.words import Metered, figure, line, usage
from tests.stories.world import World

GAUGE = Metered(resource="disk", method="TIME_WEIGHTED", window="RATING_PERIOD", scale=6, rate="2")


@pytest.mark.parametrize("limit", [1, slices.SLICE_CELLS])
async def test_a_late_reading_holds_to_the_end_of_service(sandbox, monkeypatch, limit):
    """Each slice of a correction begins with the reading that the one before left."""
    monkeypatch.setattr(slices, "SLICE_CELLS", limit)
    world: World = await sandbox("2024-01-01")
    await world.product("plan", GAUGE)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01", end="2024-05-01"))
    await world.record([usage(asset, "disk", "2024-01-01", 5)])
    await world.advance("2024-06-10")

    await world.record([usage(asset, "disk", "2024-01-31", 7)])
    await world.advance("2024-06-11")

    owed = Counter()
    for one in await world.ratable(account):
        owed[one.origin_start_time.ToDatetime().month] += figure(one.amount)
    assert [owed[month] for month in (2, 3, 4)] == [14, 14, 14]
