"""Gauges, as stored gigabytes and seats, are weighted by time."""

import random

import pytest
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.words import Metered, figure, line, refusal, usage

STORED = Metered(
    resource="stored",
    rate="1",
    scale=2,
    method="TIME_WEIGHTED",
    window="RATING_PERIOD",
    late="REJECT",
    dimensions=("region",),
)


async def test_storage_of_30_days_is_averaged_by_time(sandbox):
    """1 GB for 5 days and 3 GB for 25 are 2.67, live and final, in any order of arrival."""
    world = await sandbox("2024-04-30")
    await world.product("disk", STORED)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01"))

    await world.use(asset, "stored", "2024-04-06", 3)
    await world.use(asset, "stored", "2024-04-01", 1)
    live = await world.wallet(account, "stored")
    await world.advance("2024-05-10")

    [liable] = await world.liable(account)
    assert str(figure(liable.used_quantity)) == "2.666666666667"
    assert str(figure(live.used_quantity)) == "2.666666666667"


async def test_seats_go_on_without_being_reported_again(sandbox):
    """10 seats from April 16 on: half of April, all of May, and a third of June, when they end."""
    world = await sandbox("2024-05-02")
    await world.product("seats", STORED)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("seats", "2024-04-01", end="2024-06-11"))

    await world.use(asset, "stored", "2024-04-16", 10)
    may = await world.wallet(account, "stored")
    await world.advance("2024-06-05")
    june = await world.wallet(account, "stored")
    await world.advance("2024-09-01")

    used = [str(figure(one.used_quantity)) for one in await world.liable(account)]
    assert sorted(used) == ["10", "3.333333333333", "5"]
    assert [str(figure(one.used_quantity)) for one in (may, june)] == ["10", "3.333333333333"]
    request = summaries.ListUsageSummariesRequest(parent=account)
    cells = (await world.client.summaries.ListUsageSummaries(request)).usage_summaries
    assert [one.record_count for one in cells] == [1, 0, 0]


@pytest.mark.parametrize("seed", range(3))
async def test_no_order_of_arrival_changes_what_is_held(sandbox, seed):
    """Two regions, readings within a day, split into calls at random."""
    world = await sandbox("2024-05-02")
    await world.product("disk", STORED)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01"))
    readings = [
        usage(asset, "stored", f"2024-04-{day:02}T{hour:02}:30:00", value, region=region)
        for day, hour, value, region in (
            (1, 0, 4, "eu"), (1, 12, 8, "eu"), (1, 6, 2, "eu"), (9, 1, 0, "eu"), (20, 23, 5, "eu"),
            (3, 4, 7, "us"), (3, 3, 1, "us"),
        )
    ]  # fmt: skip
    chance = random.Random(seed)
    chance.shuffle(readings)

    while readings:
        count = chance.randint(1, 3)
        await world.record(readings[:count])
        readings = readings[count:]
    await world.advance("2024-05-10")

    lines = await world.ratable(account)
    assert {one.dimensions["region"]: str(figure(one.used_quantity)) for one in lines} == {
        # 4 for 6 hours, 2 for 6, 8 for 7 days and 13 hours, 5 for 10 days and half an hour.
        "eu": "3.73125",
        # 1 for an hour, 7 for 27 days and 19.5 hours.
        "us": "6.490972222222",
    }


async def test_a_cap_and_a_figure_of_time_exclude_each_other(sandbox):
    world = await sandbox("2024-04-30")
    blocked = Metered(
        resource="stored",
        grant="5",
        method="TIME_WEIGHTED",
        window="RATING_PERIOD",
        late="REJECT",
        overage="BLOCK",
    )

    refused = await refusal(world.product("disk", blocked))

    assert refused.reason == "POLICY_CONFLICT"
    assert "only at the end of its window" in refused.message
