"""Gauges, as stored gigabytes and seats, are weighted by time."""

import asyncio
import random
from dataclasses import replace
from decimal import Decimal

import pytest
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.preview_words import lines, preview
from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.words import Metered, figure, line, money, refusal, usage

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


@pytest.mark.parametrize("readings", [["2024-04-01"], ["2024-04-01", "2024-04-20"]])
async def test_a_reading_that_repeats_the_last_one_changes_nothing(sandbox, readings):
    """A pack from April 16 on gives 4 of 10 and halves the price: 6 at 0.50, rated at the end."""
    world = await sandbox("2024-05-02")
    await world.product("disk", replace(STORED, rate="1"))
    await set_up(world, pack("cheap", "stored", price="0.5", grant="4"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01", binding="ACCOUNT"))
    await world.sell(account, line("cheap", "2024-04-16", binding="ACCOUNT"))

    for day in readings:
        await world.use(asset, "stored", day, 10)
    await world.advance("2024-05-10")

    [liable] = await world.liable(account)
    assert (figure(liable.overage_quantity), money(liable.amount)) == (6, 3)


@pytest.mark.parametrize("method", ["LATEST", "MINIMUM", "AVERAGE"])
async def test_figures_that_can_fall_are_rated_at_the_end_of_service(sandbox, method):
    """The last reading is on April 10; the price is halved from April 16 on."""
    world = await sandbox("2024-05-02")
    figures = Metered(
        resource="stored", rate="1", method=method, window="RATING_PERIOD", late="REJECT"
    )
    await world.product("disk", figures)
    await set_up(world, pack("cheap", "stored", price="0.5", grant="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01", binding="ACCOUNT"))
    await world.sell(account, line("cheap", "2024-04-16", binding="ACCOUNT"))

    await world.use(asset, "stored", "2024-04-10", 9)
    await world.advance("2024-05-10")

    [liable] = await world.liable(account)
    assert (figure(liable.used_quantity), money(liable.amount)) == (9, 4)


@pytest.mark.parametrize("method", ["TIME_WEIGHTED", "LATEST"])
async def test_windows_count_from_the_rating_period_and_the_first_is_cut(sandbox, method):
    """Weeks from April 1, 8, 15, 22, 29; service from the 10th: the second is cut, four count."""
    world = await sandbox("2024-05-02")
    await world.product("disk", replace(STORED, window="WEEK", method=method))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-10"))

    for day in (10, 15, 22, 29):
        await world.use(asset, "stored", f"2024-04-{day}", 7)
    await world.advance("2024-05-10")

    [liable] = await world.liable(account)
    assert figure(liable.used_quantity) == 4 * 7


async def test_assets_of_one_target_hold_their_own_until_they_end(sandbox):
    world = await sandbox("2024-05-02")
    await world.product("disk", STORED)
    account = await world.account("ann")
    bound = {"binding": "ACCOUNT"}
    [first] = await world.sell(account, line("disk", "2024-04-01", end="2024-05-16", **bound))
    [second] = await world.sell(account, line("disk", "2024-04-16", **bound))

    await world.record(
        [
            usage(first, "stored", "2024-04-01", 4, region="eu"),
            usage(first, "stored", "2024-04-01", 2, region="us"),
            usage(second, "stored", "2024-04-16", 6, region="eu"),
        ]
    )
    await world.advance("2024-07-10")

    used = {}
    for one in await world.ratable(account):
        key = (one.origin_start_time.ToJsonString()[5:7], one.asset == first.name)
        used.setdefault(key, set()).add((one.dimensions["region"], str(figure(one.used_quantity))))
    assert used == {
        ("04", True): {("eu", "4"), ("us", "2")},
        ("04", False): {("eu", "6")},
        # 15 of 31 days.
        ("05", True): {("eu", "1.935483870968"), ("us", "0.967741935484")},
        ("05", False): {("eu", "6")},
        ("06", False): {("eu", "6")},
    }


async def test_a_preview_counts_what_a_reading_carries_over(sandbox):
    """April is open: 9 instead of 3 from April 20 on is 2.2 more in April, and 6 in May."""
    world = await sandbox("2024-05-02")
    await world.product("disk", STORED)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01"))
    await world.use(asset, "stored", "2024-04-01", 3)

    asked = lines(asset, "stored", ("2024-04-20", 9), ("2024-04-20", 1))
    first, back = await preview(world, account, *asked)
    assert [str(figure(one.used_quantity)) for one in first.wallets] == ["8.2"]
    assert (back.status.code, "not previewed" in back.status.message) == (12, True)

    before = await world.wallet(account, "stored")
    await world.use(asset, "stored", "2024-04-20", 9)
    after = await world.wallet(account, "stored")
    assert [figure(one.used_quantity) for one in (before, after)] == [3, 9]


async def test_recorders_at_once_leave_the_figure_of_all_readings(sandbox):
    world = await sandbox("2024-04-03")
    await world.product("disk", replace(STORED, dimensions=()))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01"))
    values = [(5 * n, n * 7 % 13) for n in range(24 * 12)]
    readings = [
        usage(asset, "stored", f"2024-04-02T{at // 60:02}:{at % 60:02}:00", value)
        for at, value in values
    ]
    random.Random(1).shuffle(readings)

    await asyncio.gather(*(world.record(readings[n : n + 6]) for n in range(0, 288, 6)))

    held = sum(value * 300 for _, value in values) + values[-1][1] * 28 * 86_400
    live = await world.wallet(account, "stored")
    assert abs(figure(live.used_quantity) - Decimal(held) / (30 * 86_400)) < Decimal("1e-12")


async def test_a_gauge_is_not_rated_in_tokens_that_block(sandbox):
    world = await sandbox("2024-01-31")
    rating = "rating_frequency: {period: MONTH, late_policy: REJECT}"
    plan = Credits(price="1", grant="1000", rating="{period: MONTH, late_policy: REJECT}")
    token, data = described("plan", {"data": "10"}, plan).split(rating, 1)
    gauge = f"aggregation: {{method: TIME_WEIGHTED, period: RATING_PERIOD}}\n  {rating}"
    text = f"{token}{rating}\n  overage: {{overage: BLOCK}}{data.replace(rating, gauge)}"

    refused = await refusal(set_up(world, text))

    assert [fault.reason for fault in refused.violations] == ["POLICY_CONFLICT"]
    assert "only at the end of its window" in refused.message
