"""Voids and amendments of final periods, in every way in which usage is counted and paid for."""

import pytest

from tests.stories.consumption.amend_words import VOIDED, amend, days, shop, void
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, figure, line, money, usage


async def billed(world, account) -> list[int]:
    """Return the amounts of all lines that are not zero, in order."""
    amounts = [money(one.amount) for one in await world.liable(account)]
    return sorted(amount for amount in amounts if amount)


@pytest.mark.parametrize(("rollovers", "before", "after"), [(1, [20], [20]), (0, [10], [-10, 10])])
async def test_what_was_voided_is_as_if_it_had_never_been(sandbox, rollovers, before, after):
    """R26 D: 100 a month that roll over; 60, 30 and 220 are used; 25 of January are voided."""
    metered = Metered(
        resource="calls", rate="1", grant="100", refresh="MONTH", validity="MONTH",
        max_rollovers=rollovers,
    )  # fmt: skip
    world, account, asset = await shop(sandbox, metered, start="2024-01-31")
    await world.record([usage(asset, "calls", "2024-01-10", n, f"r{n}") for n in (35, 25)])
    for month, quantity in (("02", 30), ("03", 220)):
        await world.advance(f"2024-{month}-20")
        await world.use(asset, "calls", f"2024-{month}-10", quantity)
    await world.advance("2024-04-10")
    owed = await billed(world, account)

    await void(world, account, "r25")
    await world.advance("2024-05-10")

    assert owed == before
    assert await billed(world, account) == after


async def test_a_month_without_any_record_left_owes_nothing(sandbox):
    world, account, asset = await shop(sandbox)
    await world.record([usage(asset, "calls", "2024-01-10", n, f"r{n}") for n in (3, 4)])
    await world.advance("2024-02-10")

    await void(world, account, "r3", "r4")
    await world.advance("2024-03-10")
    gone = await billed(world, account)
    await world.record([usage(asset, "calls", "2024-01-10", 5, "again")])
    await world.advance("2024-04-10")

    assert gone == [-7, 7]
    assert sum(await billed(world, account)) == 5
    assert await days(world, account) == {"2024-01-10": (5, 1)}


async def test_users_of_a_final_month_are_counted_again(sandbox):
    metered = Metered(
        resource="users", rate="1", method="UNIQUE_COUNT", unique_label="user",
        window="RATING_PERIOD",
    )  # fmt: skip
    world, account, asset = await shop(sandbox, metered)

    def seen(record_id: str, day: int, user: str):
        return usage(asset, "users", f"2024-01-{day:02}", 1, record_id, user=user)

    await world.record([seen("a", 10, "u1"), seen("b", 11, "u1"), seen("c", 12, "u2")])
    await world.advance("2024-02-10")

    await void(world, account, "a")
    await world.advance("2024-03-10")
    unchanged = sum(await billed(world, account))
    await amend(world, seen("c", 12, "u1"))
    await world.advance("2024-04-10")

    assert unchanged == 2
    assert sum(await billed(world, account)) == 1


@pytest.mark.parametrize("left", [True, False])
async def test_a_reading_of_a_final_month_no_longer_carries_over(sandbox, left):
    """1 GB all of April, and 3 GB from the 16th by mistake; May goes on with what is left."""
    gauge = Metered(
        resource="stored", rate="1", scale=2, method="TIME_WEIGHTED", window="RATING_PERIOD"
    )
    world = await sandbox("2024-04-30")
    await world.product("disk", gauge)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("disk", "2024-04-01"))
    readings = [usage(asset, "stored", "2024-04-16", 3, "wrong")]
    readings += [usage(asset, "stored", "2024-04-01", 1, "right")] if left else []
    await world.record(readings)
    await world.advance("2024-05-10")
    [april] = await world.liable(account)

    await void(world, account, "wrong")
    may = await world.wallet(account, "stored")
    await world.advance("2024-06-10")

    assert figure(april.used_quantity) == (2 if left else figure(april.used_quantity))
    assert figure(may.used_quantity) == (1 if left else 0)
    total = sum(figure(one.used_quantity) for one in await world.liable(account))
    assert total == (2 if left else 0)


async def test_tokens_that_voided_usage_cost_are_given_back(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "10"}, Credits(price="1", grant="100")))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record([usage(asset, "data", "2024-01-10", n, f"r{n}") for n in (9, 3)])
    await world.advance("2024-02-20")
    owed = sum(await billed(world, account))

    [outcome] = await void(world, account, "r9")
    await world.advance("2024-03-20")

    assert outcome.code == VOIDED
    assert owed == 20
    assert sum(await billed(world, account)) == 0
