"""Packages: each that is begun is charged once, at the rate of the units that began it."""

from decimal import Decimal
from typing import Any

from tests.stories.bill_words import figures, replay
from tests.stories.market_words import EU, US, market, used
from tests.stories.preview_words import amounts, lines, preview
from tests.stories.rating.target_words import DATA, agreed, contract, owed, sell
from tests.stories.words import figure, line, money, number
from tests.stories.world import World


def package(price: str, **of: str) -> Any:
    """A price for every hundred that are begun."""
    made = agreed(price, **of)
    made.rate.per.CopyFrom(number(100))
    made.rate.package_pricing = True
    return made


async def ratable(world: World, account: str, on: str) -> list[tuple[Decimal, Decimal]]:
    """Overage and amount of what a rating period handled, the smallest first."""
    found = [one for one in await world.ratable(account) if month(one.start_time) == on]
    return sorted((figure(one.overage_quantity), figure(one.amount)) for one in found)


def month(instant: Any) -> str:
    return instant.ToDatetime().strftime("%Y-%m")


async def test_a_package_begins_again_when_another_rate_counts_it(sandbox: Any) -> None:
    """50 units at ten before the agreement start no package of it, and 40 after start one."""
    world, account, target = await contract(sandbox)
    by_hundred = package("300")
    [own, other] = await sell(world, target, ("2024-01-15", None, by_hundred), ("2024-01-01", None))
    for at, quantity in (("2024-01-05", 50), ("2024-01-20", 40), ("2024-01-25", 50)):
        await world.use(other, "credits", at, quantity)
    await world.use(own, "credits", "2024-01-20", 40)

    previewed = amounts(await preview(world, account, *lines(other, "credits", ("2024-01-26", 11))))
    await world.use(other, "credits", "2024-01-26", 11)
    await world.advance("2024-02-10")

    assert await owed(world, account) == sorted(
        [
            (own.name, Decimal(40), 300),
            (other.name, Decimal(50), 500),
            (other.name, Decimal(101), 600),
        ]
    )
    assert previewed == [300]
    again = figures(await replay(world, account, price_book="priceBooks/book"))
    assert {difference for *_, difference in again} == {0}


async def test_late_usage_goes_on_in_packages_of_its_own_rate_only(sandbox: Any) -> None:
    """51 at ten began no package; 40 began one, which late 60 fill and late 1 more do not."""
    world, account, target = await contract(sandbox)
    [_, other] = await sell(
        world, target, ("2024-01-15", None, package("300")), ("2024-01-01", None)
    )
    await world.use(other, "credits", "2024-01-05", 51)
    await world.use(other, "credits", "2024-01-20", 40)
    await world.advance("2024-02-10")

    told = []
    for at, quantity in (("2024-01-21", 60), ("2024-01-06", 2)):
        told += amounts(await preview(world, account, *lines(other, "credits", (at, quantity))))
        await world.use(other, "credits", at, quantity)
    await world.advance("2024-03-10")
    told += amounts(await preview(world, account, *lines(other, "credits", ("2024-01-22", 1))))
    await world.use(other, "credits", "2024-01-22", 1)
    await world.advance("2024-04-10")

    assert told == [0, 20, 300]
    assert await ratable(world, account, "2024-01") == [(40, 300), (51, 510)]
    assert await ratable(world, account, "2024-02") == [(2, 20), (60, 0)]
    assert await ratable(world, account, "2024-03") == [(1, 300)]
    again = figures(await replay(world, account, price_book="priceBooks/book"))
    assert {difference for *_, difference in again} == {0}


async def test_what_costs_another_rate_in_a_region_begins_packages_of_its_own(sandbox: Any) -> None:
    world = await market(sandbox, (EU, "OVERRIDE", "500"))
    account = await world.account("ann")
    [asset] = await world.sell(
        account, line("plan", "2024-01-01", negotiated=[package("300", **DATA)])
    )
    where = (("2024-01-05", EU), ("2024-01-06", US), ("2024-01-07", {}), ("2024-01-08", EU))
    await used(world, asset, *((day, 40, labels) for day, labels in where))
    await world.advance("2024-02-10")

    assert await ratable(world, account, "2024-01") == [(40, 0), (40, 300), (80, 500)]
    [free] = [one for one in await world.liable(account) if not money(one.amount)]
    [traced] = (await world.trace(free)).sources
    assert dict(traced.ratable_summary.waterfall[-1].inputs)["units_before"] == "40"
