"""Issues of a grant: how long each lives, and how much a partial one holds."""

from decimal import Decimal

import pytest

from tests.stories.words import Metered, figure, line


async def issued(world, account: str, resource: str) -> list[tuple[str, str, Decimal]]:
    """Return the first day, the day after the last, and the quantity of each issue."""
    grants = await world.grants(await world.wallet(account, resource))
    return [
        (
            one.start_time.ToDatetime().strftime("%m-%d"),
            one.expire_time.ToDatetime().strftime("%m-%d"),
            figure(one.quantity),
        )
        for one in grants
    ]


@pytest.mark.capability("M17.validity")
async def test_a_grant_pays_as_long_as_it_is_valid_and_no_longer(sandbox):
    """100 valid for 10 days, once; and 100 a quarter, each valid for a month."""
    world = await sandbox("2024-01-01")
    await world.product(
        "plan",
        Metered(resource="once", grant="100", validity="DAY", validity_count=10, rate="1"),
        Metered(resource="quarterly", grant="100", refresh="QUARTER", validity="MONTH", rate="1"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    for day in ("2024-01-10T23:59", "2024-01-11T00:00"):
        await world.advance(day)
        await world.use(asset, "once", day, 20)
    for day in ("2024-01-31T23:59", "2024-02-01T00:00", "2024-04-30T23:59", "2024-05-01T00:00"):
        await world.advance(day)
        await world.use(asset, "quarterly", day, 30)
    await world.advance("2024-06-10")

    assert await issued(world, account, "once") == [("01-01", "01-11", 100)]
    assert await issued(world, account, "quarterly") == [
        ("01-01", "02-01", 100),
        ("04-01", "05-01", 100),
    ]
    over = sorted(
        (one.usage_resource.partition("/")[2], figure(one.overage_quantity))
        for one in await world.liable(account)
        if figure(one.overage_quantity)
    )
    assert over == [("once", 20), ("quarterly", 30), ("quarterly", 30)]


async def test_an_issue_that_a_sale_covers_in_part_is_prorated_by_days(sandbox):
    """1,000 a month: 30 of 31 days are 967, and 24 of 29 are 827, truncated."""
    world = await sandbox("2024-01-16")
    await world.product(
        "plan",
        Metered(resource="calls", grant="1000", refresh="MONTH", rate="1"),
        Metered(resource="fine", grant="1000", refresh="MONTH", rate="1", scale=2),
    )
    brief, long = await world.account("brief"), await world.account("long")
    await world.sell(brief, line("plan", "2024-01-01", end="2024-01-31"))
    [asset] = await world.sell(long, line("plan", "2024-01-16", end="2024-03-11"))
    await world.advance("2024-03-10")
    await world.use(asset, "calls", "2024-03-10", 828)
    await world.advance("2024-04-10")

    assert await issued(world, brief, "calls") == [("01-01", "01-31", 967)]
    assert await issued(world, brief, "fine") == [("01-01", "01-31", Decimal("967.74"))]
    assert await issued(world, long, "calls") == [
        ("01-16", "02-16", 1000),
        ("02-16", "03-11", 827),
    ]
    assert [figure(one.overage_quantity) for one in await world.liable(long)] == [1]
