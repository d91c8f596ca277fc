"""Late usage of lines that failed, and of days that are billed by the quarter."""

from collections import Counter
from decimal import Decimal

import pytest

from tests.stories.consumption.amend_words import amend, void
from tests.stories.words import Metered, line, money, usage
from tests.stories.world import World

POLICIES = pytest.mark.parametrize("policy", ["NEXT_PERIOD", "REOPEN"])


async def total(world: World, account: str) -> Decimal:
    return sum((money(one.amount) for one in await world.liable(account)), Decimal(0))


@POLICIES
async def test_a_line_that_failed_is_rated_once_its_usage_is_right(sandbox, policy):
    world = await sandbox("2024-01-01")
    plan = Metered(resource="calls", rate="10", late=policy, grant="2", refresh="MONTH")
    await world.product("plan", plan)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-01-31")
    await world.record([usage(asset, "calls", "2024-01-10", 10**18, "wrong")])
    await world.advance("2024-02-10")
    [failed] = await world.liable(account)
    assert failed.state == failed.FAILED

    await amend(world, usage(asset, "calls", "2024-01-10", 7, "wrong"))
    await world.advance("2024-03-10")
    amended = await total(world, account)
    await world.record([usage(asset, "calls", "2024-01-12", 3, "more")])
    await world.advance("2024-04-10")
    more = await total(world, account)
    await void(world, account, "wrong")
    await world.advance("2024-05-10")

    assert (amended, more, await total(world, account)) == (50, 80, 10)


async def by_origin(world: World, account: str) -> dict[int, Decimal]:
    found = Counter[int]()
    for one in await world.liable(account):
        found[one.origin_end_time.seconds] += money(one.amount)
    return {end: amount for end, amount in found.items() if amount}


@POLICIES
async def test_days_that_are_billed_by_the_quarter_long_after_their_end(sandbox, policy):
    world = await sandbox("2024-01-10")
    plan = Metered(
        resource="calls", rate="0.003", late=policy, grant="2", refresh="MONTH", rating="DAY"
    )
    await world.product("plan", plan)
    quarters = {"billing_months": 3, "anchor_day": 31, "zone": "Europe/Berlin"}
    ann, bob = [await world.account(name, **quarters) for name in ("ann", "bob")]
    sold = line("plan", "2024-01-10", end="2024-02-20")
    [[late], [in_time]] = [await world.sell(name, sold) for name in (ann, bob)]
    times = ["2024-01-10T12:00", "2024-01-31T23:30", "2024-02-19T22:59:59"]
    for n, at in enumerate(times):
        await world.advance(at)
        await world.use(in_time, "calls", at, 5 + n)
    await world.use(late, "calls", times[1], 6)
    await world.advance("2024-06-10")

    await world.use(late, "calls", times[0], 5)
    await world.advance("2024-06-11")
    await world.use(late, "calls", times[2], 7)
    await world.record([usage(late, "calls", times[2], 70, "wrong")])
    await world.advance("2024-10-11")
    await void(world, ann, "wrong")
    await world.advance("2025-06-11")

    assert await by_origin(world, ann) == await by_origin(world, bob)
