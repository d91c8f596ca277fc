"""Packages agreed for a target are counted from the day on which they begin to price."""

from decimal import Decimal
from typing import Any

from tests.stories.preview_words import amounts, lines, preview
from tests.stories.pricing.test_replay import figures, replay
from tests.stories.pricing.test_target_rates import agreed, contract, owed, sell
from tests.stories.words import number


async def test_a_package_begins_again_when_another_rate_counts_it(sandbox: Any) -> None:
    """50 units at ten before the agreement start no package of it, and 40 after start one."""
    world, account, target = await contract(sandbox)
    by_hundred = agreed("300")
    by_hundred.rate.per.CopyFrom(number(100))
    by_hundred.rate.package = True
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
