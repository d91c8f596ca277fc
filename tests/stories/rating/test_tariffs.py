"""Tariffs: flat amounts of tiers, packages by tier and surcharges, from the quote to the line."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from tests.stories.bill_words import owed, replay
from tests.stories.market_words import EU, market, used
from tests.stories.preview_words import amounts, lines, preview
from tests.stories.rate_words import Step, add, cost, get, priced, put, shop, tier
from tests.stories.words import Metered, figure, line, money, number, refusal, usage
from tests.stories.world import World

START: Step = ("0", "100", "OVERRIDE", "1")
MORE: Step = ("100", None, "OVERRIDE", "30")


def tariff(mode: str, resource: str = "data", product: str = "plan") -> Any:
    """20 and 1 a unit up to 100; beyond, 50 and 30 for every package of 80 that is begun."""
    made = priced(resource, None, START, MORE, mode=mode, product=product)
    first, second = made.tiers.tiers
    first.flat_amount.CopyFrom(number(20))
    second.flat_amount.CopyFrom(number(50))
    second.package_size.CopyFrom(number(80))
    return made


async def sold(sandbox: Any, mode: str) -> tuple[World, str, Any]:
    world = await shop(sandbox, Metered(resource="data"))
    await put(world, "tiers/data", tariff(mode))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-01-31")
    return world, account, asset


@pytest.mark.parametrize(
    ("mode", "at_60", "at_180"),
    [
        # 60 + 20; the first 100 and its 20, then one package of 80 and its 50.
        ("GRADUATED", 80, 100 + 20 + 30 + 50),
        # 60 + 20; three packages of 80 and the flat amount of their tier.
        ("VOLUME", 80, 3 * 30 + 50),
    ],
)
async def test_what_is_quoted_is_previewed_and_owed(
    sandbox: Any, mode: str, at_60: int, at_180: int
) -> None:
    world, account, asset = await sold(sandbox, mode)
    asked = [await cost(world, quantity) for quantity in (60, 180)]
    for on, quantity in (("2024-01-05", 50), ("2024-01-20", 10)):
        await world.use(asset, "data", on, quantity)
    more = amounts(await preview(world, account, *lines(asset, "data", ("2024-01-25", 120))))
    await world.use(asset, "data", "2024-01-25", 120)
    await world.advance("2024-02-10")

    assert asked == [at_60, at_180]
    assert more == [at_180 - at_60]
    assert await owed(world, account) == {"data": (180, at_180)}
    [rated] = await world.ratable(account)
    assert figure(rated.amount) == at_180
    again = await replay(world, account, price_book="priceBooks/book")
    assert [figure(one.difference) for one in again.summaries] == [0]


async def test_late_usage_is_charged_only_for_the_tier_that_it_enters(sandbox: Any) -> None:
    """January had 90 for 110; ten late ones cost ten, and one beyond begins package and tier."""
    world, account, asset = await sold(sandbox, "GRADUATED")
    await world.use(asset, "data", "2024-01-05", 90)
    await world.advance("2024-02-10")
    await world.use(asset, "data", "2024-01-06", 10)
    await world.advance("2024-03-10")
    await world.use(asset, "data", "2024-01-07", 1)
    before = amounts(await preview(world, account, *lines(asset, "data", ("2024-01-08", 5))))
    await world.advance("2024-04-10")

    rated = sorted(await world.ratable(account), key=lambda one: one.start_time.seconds)
    assert [figure(one.amount) for one in rated] == [110, 10, 30 + 50]
    assert before == [0]
    assert sorted(money(one.amount) for one in await world.liable(account)) == [10, 80, 110]


async def test_a_surcharge_is_a_negative_discount_everywhere(sandbox: Any) -> None:
    """2.00 and a quarter is 2.50 by a tier; 200 % more is 6.00 as agreed."""
    world = await shop(sandbox, Metered(resource="data"))
    await put(world, "base/data", priced("data", "2"))
    await put(world, "tiers/data", priced("data", None, ("0", None, "PERCENTAGE", "-25")))
    account = await world.account("ann")
    tripled = quotes.NegotiatedRate(
        usage_resource="usageResources/data",
        tiers=types.RateTiers(tiers=[tier("0", None, "PERCENTAGE", "-200")]),
    )
    [own] = await world.sell(account, line("plan", "2024-01-01"))
    [agreed] = await world.sell(account, line("plan", "2024-01-01", negotiated=[tripled]))

    await world.use(own, "data", "2024-01-05", 10)
    await world.use(agreed, "data", "2024-01-05", 10)
    await world.advance("2024-02-10")

    assert await cost(world, 10) == 25
    assert sorted(money(one.amount) for one in await world.liable(account)) == [25, 60]


async def test_a_region_has_a_surcharge(sandbox: Any) -> None:
    """Ten at 10, and ten in Europe at 12.50."""
    world = await market(sandbox, (EU, "PERCENTAGE", "-25"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await used(world, asset, ("2024-01-05", 10, EU), ("2024-01-05", 10, {}))
    await world.advance("2024-02-10")

    assert sorted(figure(one.amount) for one in await world.ratable(account)) == [100, 125]


async def test_negotiated_tiers_have_flat_amounts_of_their_own(sandbox: Any) -> None:
    world = await shop(sandbox, Metered(resource="data"))
    await put(world, "tiers/data", tariff("GRADUATED"))
    account = await world.account("ann")
    cheap = tier("0", None, "OVERRIDE", "1")
    cheap.flat_amount.CopyFrom(number(5))
    agreed = quotes.NegotiatedRate(
        usage_resource="usageResources/data", tiers=types.RateTiers(tiers=[cheap])
    )
    [asset] = await world.sell(account, line("plan", "2024-01-01", negotiated=[agreed]))

    await world.use(asset, "data", "2024-01-05", 10)
    await world.use(asset, "data", "2024-01-06", 200)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"data": (210, Decimal(215))}


async def test_a_flat_amount_may_be_due_without_usage(sandbox: Any) -> None:
    """20 a month from the first day of an asset to its last: a month unused, used, and cut short.

    In February 150 units reach the second tier, whose 50 and 30 are owed in place of the 20.
    """
    world = await shop(sandbox, Metered(resource="data"))
    made = tariff("VOLUME")
    made.tiers.tiers[0].due_without_usage = True
    await put(world, "tiers/data", made)
    account = await world.account("ann")
    start = "2024-01-10"
    [asset] = await world.sell(account, line("plan", start, end="2024-04-06"))
    await world.advance("2024-01-31")
    january = await world.wallet(account, "data")
    await world.advance("2024-02-10")
    await world.use(asset, "data", "2024-02-09", 150)
    await world.advance("2024-06-10")

    assert figure(january.estimated_amount) == 20
    lines_ = sorted(await world.liable(account), key=lambda one: one.start_time.seconds)
    assert [money(one.amount) for one in lines_] == [20, 50 + 2 * 30, 20, 20]
    assert [figure(one.used_quantity) for one in lines_] == [0, 150, 0, 0]
    [source] = (await world.trace(lines_[0])).sources
    assert figure(source.ratable_summary.amount) == 20
    assert [one.usage_summary.record_count for one in source.usage_summaries] == [0]
    again = await replay(world, account, price_book="priceBooks/book")
    assert [figure(one.difference) for one in again.summaries] == [0] * 4


async def test_what_is_due_without_usage_is_no_line_of_its_own_beside_usage(sandbox: Any) -> None:
    """Usage by region charges the flat amount; only a month without usage has a line without."""
    world = await sandbox("2024-01-20")
    await world.product("plan", Metered(resource="calls", dimensions=("region",)))
    made = priced("calls", None, ("0", None, "OVERRIDE", "2"))
    made.tiers.tiers[0].flat_amount.value = "30"
    made.tiers.tiers[0].due_without_usage = True
    await put(world, "tiers/calls", made)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for region, quantity in (("eu", 5), ("us", 7)):
        await world.record([usage(asset, "calls", "2024-01-10", quantity, region=region)])
    await world.advance("2024-03-10")
    # February has the flat amount alone, and then late usage that charges it instead.
    await world.record([usage(asset, "calls", "2024-02-10", 1, region="eu")])
    await world.advance("2024-04-10")

    found = [
        (
            one.origin_start_time.ToDatetime().month,
            one.dimensions.get("region", ""),
            money(one.amount),
        )
        for one in await world.liable(account)
    ]
    january = sorted(one for one in found if one[0] == 1)
    assert january == [(1, "eu", 40), (1, "us", 14)]
    assert sum(amount for month, _, amount in found if month == 2) == 32


async def test_what_is_due_before_today_is_billed_with_a_back_dated_sale(sandbox: Any) -> None:
    """Sold in April from February 20 on: February and March are closed with it, in turn."""
    world = await shop(sandbox, Metered(resource="data"))
    made = tariff("GRADUATED")
    made.tiers.tiers[0].due_without_usage = True
    await put(world, "tiers/data", made)
    account = await world.account("ann")
    await world.advance("2024-04-15")
    await world.sell(account, line("plan", "2024-02-20"))
    await world.advance("2024-05-10")

    assert [money(one.amount) for one in await world.liable(account)] == [20, 20, 20]


async def test_what_final_periods_owe_is_billed_as_a_correction(sandbox: Any) -> None:
    """The second asset of a target is sold on April 15, from January 1 on: 3 months are final."""
    world = await shop(sandbox, Metered(resource="data"))
    made = tariff("GRADUATED")
    made.tiers.tiers[0].due_without_usage = True
    await put(world, "tiers/data", made)
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.advance("2024-04-15")
    [second] = await world.sell(account, line("plan", "2024-01-01", binding="ACCOUNT"))
    await world.advance("2024-05-10")

    own = [one for one in await world.liable(account) if one.asset == second.name]
    origins = sorted(one.origin_start_time.ToJsonString()[:7] for one in own)
    assert origins == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert [money(one.amount) for one in own] == [20] * 4


@pytest.mark.parametrize("is_due", [True, False])
async def test_amounts_without_bounds_fail_their_line_and_never_the_close(
    sandbox: Any, is_due: bool
) -> None:
    """A flat amount of 26 digits fails its line; one of 10^14 for 10^-12 units has no unit rate."""
    world = await shop(sandbox, Metered(resource="data"))
    made = tariff("GRADUATED")
    made.tiers.tiers[0].due_without_usage = is_due
    made.tiers.tiers[0].flat_amount.CopyFrom(number("9" * 26 if is_due else 10**14))
    await put(world, "tiers/data", made)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-01-31")
    if not is_due:
        await world.use(asset, "data", "2024-01-05", "0.000000000001")
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    if is_due:
        assert rated.error.message.startswith("the amount would be 9")
    else:
        assert (figure(rated.amount), rated.HasField("net_unit_rate")) == (
            Decimal("100000000000000.000000000001"),
            False,
        )


async def test_an_entry_tells_its_flat_amounts_and_package_sizes(sandbox: Any) -> None:
    world = await shop(sandbox, Metered(resource="data"))
    made = tariff("VOLUME")
    made.tiers.tiers[0].due_without_usage = True
    name = await put(world, "tiers/data", made)

    told = await get(world, name)

    assert told.tiers.tiers == made.tiers.tiers


async def test_what_a_tier_cannot_have_is_refused(sandbox: Any) -> None:
    world = await shop(sandbox, Metered(resource="data"))

    def bad(**fields: str) -> Any:
        made = priced("data", None, ("0", None, "PERCENTAGE", "5"))
        for field, value in fields.items():
            getattr(made.tiers.tiers[0], field).CopyFrom(number(value))
        return made

    found = [
        (await refusal(add(world, "tiers/bad", bad(**fields)))).reason
        for fields in ({"flat_amount": "-1"}, {"package_size": "0"}, {"package_size": "10"})
    ]

    assert found == ["RATE_NEGATIVE", "FACTOR_RANGE", "TIERS_INVALID"]
    due = bad()
    due.tiers.tiers[0].due_without_usage = True
    refused = await refusal(add(world, "tiers/bad", due))
    assert refused.reason == "TIERS_INVALID"
    assert "only the flat amount of a first tier" in refused.message
