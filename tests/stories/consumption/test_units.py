"""Usage in any unit of the resource's class, however fine; and usage that is rounded."""

from decimal import Decimal

import pytest
from google.type.decimal_pb2 import Decimal as DecimalPb
from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.catalog_words import move, unit
from tests.stories.words import Metered, figure, line, refusal, usage
from tests.stories.world import World

ACTIVE = 2


async def in_unit(world: World, asset, quantity: object, unit_id: str, at: str, **labels: str):
    record = usage(asset, "compute", at, quantity, **labels)
    record.unit_of_measure = f"unitsOfMeasure/{unit_id}"
    [outcome] = await world.record([record])
    return outcome


async def minutes(world: World) -> None:
    """A minute is a sixtieth of the unit that the resource counts in, an hour."""
    await unit(
        world, "minute", "compute-class", factor=DecimalPb(value="1"), divisor=DecimalPb(value="60")
    )
    await move(world, ACTIVE, "unitsOfMeasure/minute")


@pytest.mark.capability("M10.ratio", "M86.split")
async def test_minutes_are_counted_in_hours_without_a_remainder(sandbox):
    """181 minutes sent one by one, in 3 days: 181/60 hours of a day are converted once."""
    world = await sandbox("2024-01-31")
    await world.product("vm", Metered(resource="compute", rate="60", grant="1.5", scale=1))
    await minutes(world)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("vm", "2024-01-01"))

    records = [usage(asset, "compute", "2024-01-02", 1) for _ in range(181)]
    for record in records:
        record.unit_of_measure = "unitsOfMeasure/minute"
    await world.record(records[:100])
    await world.record(records[100:])
    live = await world.wallet(account, "compute")
    await world.advance("2024-02-10")

    [liable] = await world.liable(account)
    assert figure(live.used_quantity) == figure(liable.used_quantity)
    assert str(figure(liable.used_quantity)) == "3.016666666667"
    # 1.5 hours are included; 1.516666666667 cost 60 each.
    assert figure(liable.exact_amount) == Decimal("91.00000000002")
    request = summaries.ListUsageSummariesRequest(parent=account)
    [cell] = (await world.client.summaries.ListUsageSummaries(request)).usage_summaries
    assert str(figure(cell.sum_quantity)) == "3.016666666667"


async def test_six_times_ten_minutes_fit_an_hour_that_may_not_be_exceeded(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("vm", Metered(resource="compute", grant="1", overage="BLOCK"))
    await minutes(world)
    [asset] = await world.sell(await world.account("ann"), line("vm", "2024-01-01"))

    outcomes = [await in_unit(world, asset, 10, "minute", "2024-01-02") for _ in range(7)]

    assert [one.code for one in outcomes] == [1] * 6 + [5]


@pytest.mark.capability("M10.usage")
@pytest.mark.parametrize(
    ("rounding", "billed"),
    [("ROUNDING_UNSPECIFIED", "4.4"), ("HALF_UP", "4"), ("UP", "5"), ("DOWN", "4")],
)
async def test_usage_is_rounded_once_where_the_unit_says_so(sandbox, rounding, billed):
    """1.1 on four occasions, in two regions: 4.4, whatever each of them would be alone."""
    world = await sandbox("2024-01-31")
    compute = Metered(resource="compute", rate="10", dimensions=("region",), rounding=rounding)
    await world.product("vm", compute)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("vm", "2024-01-01"))

    for at, region in (("02", "eu"), ("02", "us"), ("09", "eu"), ("20", "us")):
        await world.record([usage(asset, "compute", f"2024-01-{at}", "1.1", region=region)])
    live = await world.wallet(account, "compute")
    await world.advance("2024-02-10")

    lines = await world.liable(account)
    assert sum(figure(one.used_quantity) for one in lines) == Decimal(billed)
    assert figure(live.used_quantity) == Decimal(billed)
    assert sum(figure(one.exact_amount) for one in lines) == Decimal(billed) * 10


async def test_usage_is_never_refused_for_its_precision(sandbox):
    """Five pieces are 0.416666666667 dozens; a tenth decimal of a unit without decimals counts."""
    world = await sandbox("2024-01-31")
    await world.product("box", Metered(resource="compute", rate="12"))
    await unit(
        world, "piece", "compute-class", factor=DecimalPb(value="1"), divisor=DecimalPb(value="12")
    )
    await move(world, ACTIVE, "unitsOfMeasure/piece")
    account = await world.account("ann")
    [asset] = await world.sell(account, line("box", "2024-01-01"))

    pieces = await in_unit(world, asset, 5, "piece", "2024-01-02")
    fine = await in_unit(world, asset, "0.0000000001", "compute-unit", "2024-01-02")
    await world.advance("2024-02-10")

    assert [pieces.code, fine.code] == [1, 1]
    [liable] = await world.liable(account)
    assert str(figure(liable.used_quantity)) == "0.416666666767"


async def test_tiers_and_packages_fit_the_unit(sandbox):
    world = await sandbox("2024-01-31")
    tiers = (("0", "10.5", "2"), ("10.5", None, "1"))

    refused = await refusal(world.product("vm", Metered(resource="compute", tiers=tiers)))

    assert refused.reason == "UNIT_SCALE"
    assert "10.5 has more than the 0 decimals" in refused.message
