"""Billing, rating and accumulation by other periods than months and days."""

import pytest

from clients import UsageError
from tests.stories.words import Metered, figure, line, money


def peaks(rating: str, window: str) -> Metered:
    return Metered(
        resource="seats",
        rate="2",
        method="PEAK",
        window=window,
        combine="TOTAL",
        rating=rating,
        overage="CHARGE",
    )


async def use_peaks(world, asset) -> None:
    for day, seats in (
        ("2024-01-10", 4),
        ("2024-01-20", 5),
        ("2024-02-10", 7),
        ("2024-03-31T23:00", 3),
        ("2024-04-01T01:00", 9),
    ):
        await world.use(asset, "seats", day, seats)


@pytest.mark.capability("M20")
async def test_the_peaks_of_the_months_of_a_quarter_are_billed_together(sandbox):
    world = await sandbox("2024-04-02")
    await world.product("plan", peaks("QUARTER", "MONTH"))
    account = await world.account("ann", billing_months=3)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await use_peaks(world, asset)

    await world.advance("2024-04-06")
    [billed] = await world.liable(account)

    assert figure(billed.used_quantity) == 5 + 7 + 3
    assert money(billed.amount) == 30
    assert figure((await world.wallet(account, "seats")).used_quantity) == 9


async def test_a_year_counts_once_in_two_years_of_billing(sandbox):
    world = await sandbox("2025-01-02")
    await world.product("plan", peaks("YEAR", "YEAR"))
    account = await world.account("ann", billing_months=24)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await use_peaks(world, asset)
    await world.use(asset, "seats", "2025-01-01T01:00", 2)

    await world.advance("2026-01-05")
    [billed] = await world.liable(account)

    assert figure(billed.used_quantity) == 9 + 2
    assert len(await world.ratable(account)) == 2


async def test_weeks_are_counted_from_the_anchor_and_billed_with_the_month_they_begin_in(sandbox):
    world = await sandbox("2024-02-06")
    weekly = Metered(
        resource="calls", grant="10", refresh="DAY", refresh_count=7, rate="1", rating="WEEK"
    )
    await world.product("plan", weekly)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for day in ("2024-01-07", "2024-01-08", "2024-01-29", "2024-02-04", "2024-02-05"):
        await world.use(asset, "calls", day, 8)

    await world.advance("2024-02-10")
    [billed] = await world.liable(account)

    assert figure(billed.used_quantity) == 4 * 8  # the week from 29 January holds 4 February
    assert figure(billed.overage_quantity) == 6
    assert figure((await world.wallet(account, "calls")).balance) == 2


@pytest.mark.capability("M33.billing", "M127.S9")
@pytest.mark.parametrize(("rating", "months"), [("QUARTER", 1), ("YEAR", 3), ("QUARTER", 3)])
async def test_who_is_billed_too_often_cannot_buy_what_is_rated_for_longer(sandbox, rating, months):
    world = await sandbox("2024-01-31")
    window = "QUARTER" if (rating, months) == ("QUARTER", 3) else "MONTH"
    await world.product("plan", peaks(rating, window))
    account = await world.account("ann", billing_months=months)

    with pytest.raises(UsageError, match="billing") as refused:
        await world.sell(account, line("plan", "2024-01-01"))
    assert refused.value.reason == "PERIOD_ORDER"


async def test_a_target_keeps_its_periods_when_something_older_is_bound_to_it(sandbox):
    world = await sandbox("2024-04-20")
    await world.product("plan", peaks("QUARTER", "MONTH"))
    account = await world.account("ann", billing_months=3)
    [first] = await world.sell(account, line("plan", "2024-02-01", binding="ACCOUNT"))
    await world.use(first, "seats", "2024-04-10", 4)

    [second] = await world.sell(account, line("plan", "2024-01-15", binding="ACCOUNT"))
    await world.use(second, "seats", "2024-01-20", 3)
    await world.use(second, "seats", "2024-04-12", 5)
    await world.advance("2024-05-06")

    lines = {
        (one.start_time.ToDatetime().month, figure(one.used_quantity))
        for one in await world.liable(account)
    }
    # The first quarter is that from November, which begins with what is bound first.
    assert lines == {(1, 3), (2, 4), (2, 5)}


async def test_what_ends_within_a_month_and_is_rated_by_day_is_billed_when_the_month_is_over(
    sandbox,
):
    world = await sandbox("2024-01-02")
    daily = Metered(resource="calls", rate="1", rating="DAY", waiting_days=0)
    await world.product("plan", daily)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01", end="2024-01-05"))
    await world.use(asset, "calls", "2024-01-01", 3)
    await world.advance("2024-01-04T01:00")
    await world.use(asset, "calls", "2024-01-04", 4)

    await world.advance("2024-01-20")
    assert await world.liable(account) == []
    late = await world.use(asset, "calls", "2024-01-04", 1)
    await world.advance("2024-02-02")

    amounts = sorted(money(one.amount) for one in await world.liable(account))
    assert (late.code, amounts) == (late.LATE, [1, 7])
