"""A correction reads the periods in which something may differ, and no others.

Those that follow are as before once every grant has the balance that it had there.
"""

from typing import Any

import pytest

from server.usecases.billing import slices
from tests.stories.consumption.amend_words import void
from tests.stories.consumption.loading_words import end, start
from tests.stories.words import Metered, figure, line, usage
from tests.stories.world import World

MONTHS = [1, 2, 3, 4, 5, 6]
PLAN: dict[str, Any] = {"resource": "calls", "grant": "10", "refresh": "MONTH", "rate": "2"}


@pytest.fixture
def corrected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The months that corrections compute, each in a slice of its own."""
    found: list[int] = []
    compute = slices.correction

    def watched(books: Any) -> Any:
        found.append(books.since.month)
        return compute(books)

    monkeypatch.setattr(slices, "correction", watched)
    return found


async def late(world: World, plan: Metered, used: int, *days: str) -> list[int]:
    """Use a plan in each of six months, and much later more of it on some days of these.

    Return what is billed of each month in the end, with the balance of the wallet.
    """
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for month in MONTHS:
        await world.advance(f"2024-{month:02}-20")
        await world.use(asset, "calls", f"2024-{month:02}-20", used)
    await world.advance("2024-07-10")
    loading = await start(world, account, "2024-07-20")
    for day in days:
        await world.use(asset, "calls", day, 1)
    await end(world, loading)
    await world.advance("2024-08-10")
    owed = {month: 0 for month in MONTHS}
    for one in await world.ratable(account):
        owed[one.origin_start_time.ToDatetime().month] += int(figure(one.amount))
    return [*owed.values(), int(figure((await world.wallet(account, "calls")).balance))]


async def test_it_ends_where_grants_are_as_before(sandbox, corrected):
    world: World = await sandbox("2024-01-01")

    found = await late(world, Metered(**PLAN), 12, "2024-02-05")

    assert found == [4, 6, 4, 4, 4, 4, 10]
    assert corrected == [2]


async def test_it_goes_on_while_a_remainder_differs(sandbox, corrected):
    world: World = await sandbox("2024-01-01")
    plan = Metered(**PLAN, max_rollovers=1)

    # Of what rolls over to February and to March, 1 is missing now. In March the rest expires.
    found = await late(world, plan, 6, "2024-01-05")

    assert found == [0, 0, 0, 0, 0, 0, 20]
    assert corrected == [1, 2, 3]


async def test_it_goes_on_to_the_last_period_whose_usage_changed(sandbox, corrected):
    world: World = await sandbox("2024-01-01")

    found = await late(world, Metered(**PLAN), 12, "2024-01-05", "2024-04-05")

    assert found == [6, 4, 4, 6, 4, 4, 10]
    assert corrected == [1, 2, 3, 4]


async def test_it_goes_on_to_the_end_where_nothing_expires(sandbox, corrected):
    world: World = await sandbox("2024-01-01")
    plan = Metered(**PLAN, max_rollovers=0)

    found = await late(world, plan, 6, "2024-01-05")

    assert found == [0, 0, 0, 0, 0, 0, 4 * 6 - 1 + 2 * 10]
    assert corrected == MONTHS


async def test_it_ends_where_a_reading_that_was_taken_back_is_not_held_any_more(sandbox, corrected):
    world: World = await sandbox("2024-01-01")
    gauge = Metered(
        resource="disk", method="TIME_WEIGHTED", window="RATING_PERIOD", scale=6, rate="2"
    )
    await world.product("plan", gauge)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for month in MONTHS:
        await world.advance(f"2024-{month:02}-25")
        await world.use(asset, "disk", f"2024-{month:02}-05", 5)
        await world.use(asset, "disk", f"2024-{month:02}-20", 0)
    await world.advance("2024-07-10")
    await world.record([usage(asset, "disk", "2024-01-31", 7, "wrong")])
    await world.advance("2024-07-11")
    await void(world, account, "wrong")
    await world.advance("2024-07-12")
    corrected.clear()

    await world.use(asset, "disk", "2024-01-06", 6)
    await world.advance("2024-07-13")

    assert corrected == [1]
