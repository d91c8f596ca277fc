"""Billing that begins with the calendar, on a date, or every week; rating follows it."""

from itertools import pairwise
from typing import Any

import pytest
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as rpc

from clients import UsageError
from tests.stories.words import Metered, day, figure, line, moment, money, stamp
from tests.stories.world import World

CALLS = Metered(resource="calls", rate="1")
WEEKLY = Metered(resource="calls", rate="1", grant="10", refresh="WEEK", rating="WEEK")


def every(unit: str, count: int = 1, **alignment: Any) -> accounts.Account:
    return accounts.Account(billing_interval=types.Cadence(unit=unit, count=count), **alignment)


def span(period: Any) -> tuple[str, str]:
    return tuple(one.ToJsonString()[:10] for one in (period.start_time, period.end_time))


async def at(world: World, name: str, time: str) -> Any:
    request = rpc.PeriodAtRequest(name=name, time=stamp(moment(time)))
    return await world.client.wallets.PeriodAt(request)


async def walked(world: World, asset: Any, first: str, count: int, kind: str) -> list[Any]:
    """The periods of an asset's resource from `first` on, each from where the last one ends."""
    found, time = [], moment(first)
    for _ in range(count):
        answer = await at(world, asset.name, time.isoformat())
        [periods] = answer.resource_periods
        one = getattr(periods, kind) if kind != "refresh_windows" else periods.refresh_windows[0]
        found.append(one)
        time = one.end_time.ToDatetime(tzinfo=time.tzinfo)
    return found


@pytest.mark.parametrize(
    ("billing", "starts"),
    [
        (
            every("QUARTER", billing_calendar_aligned=True),
            ["2024-02-10", "2024-04-01", "2024-07-01", "2024-10-01", "2025-01-01"],
        ),
        (
            every("HALF_YEAR", billing_calendar_aligned=True),
            ["2024-02-10", "2024-07-01", "2025-01-01", "2025-07-01", "2026-01-01"],
        ),
        (
            every("MONTH", 3, billing_anchor_date=day("2024-02-15")),
            ["2024-02-10", "2024-02-15", "2024-05-15", "2024-08-15", "2024-11-15"],
        ),
        (
            every("QUARTER", billing_anchor_date=day("2024-02-15")),
            ["2024-02-10", "2024-02-15", "2024-05-15", "2024-08-15", "2024-11-15"],
        ),
        (
            every("MONTH", billing_anchor_date=day("2023-10-31")),
            ["2024-02-10", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"],
        ),
        # As before: a day of the month, counted from the first sale.
        (
            every("QUARTER", billing_anchor_day=15),
            ["2024-02-10", "2024-04-15", "2024-07-15", "2024-10-15", "2025-01-15"],
        ),
        (
            every("WEEK"),
            ["2024-02-10", "2024-02-12", "2024-02-19", "2024-02-26", "2024-03-04"],
        ),
        (
            every("WEEK", 2, billing_anchor_date=day("2024-02-14")),
            ["2024-02-10", "2024-02-14", "2024-02-28", "2024-03-13", "2024-03-27"],
        ),
    ],
)
async def test_billing_periods_begin_where_the_account_says(sandbox, billing, starts):
    world = await sandbox("2024-02-10")
    await world.product("plan", Metered(resource="calls", rate="1", rating="DAY"))
    account = await world.account("ann", billing=billing)
    [asset] = await world.sell(account, line("plan", "2024-02-10"))

    found = await walked(world, asset, "2024-02-10", 5, "billing_period")

    assert [span(one)[0] for one in found] == starts
    of_account = [await at(world, account, start) for start in starts]
    assert [one.billing_period for one in of_account] == found
    kept = await world.client.accounts.GetAccount(accounts.GetAccountRequest(name=account))
    assert kept.billing_interval == billing.billing_interval
    assert kept.billing_anchor_day == billing.billing_anchor_day
    assert kept.HasField("billing_anchor_date") == billing.HasField("billing_anchor_date")
    has_other = billing.billing_anchor_day or billing.HasField("billing_anchor_date")
    assert kept.billing_calendar_aligned is not bool(has_other)


async def test_quarters_of_the_calendar_are_rated_and_billed_by_it(sandbox):
    world = await sandbox("2024-02-10")
    await world.product("plan", Metered(resource="calls", rate="1", rating="QUARTER"))
    billing = every("QUARTER", billing_calendar_aligned=True)
    account = await world.account("ann", zone="Europe/Berlin", billing=billing)
    first, second = [
        *await world.sell(account, line("plan", "2024-02-10")),
        *await world.sell(account, line("plan", "2024-03-05")),
    ]
    await world.advance("2024-03-31T21:30")
    for asset, quantity in ((first, 3), (second, 4)):
        await world.use(asset, "calls", "2024-03-31T21:30", quantity)
    await world.advance("2024-03-31T22:30")
    await world.use(first, "calls", "2024-03-31T22:00", 100)
    await world.advance("2024-04-05")

    lines = {one.asset: one for one in await world.liable(account)}

    ends = "2024-03-31T22:00:00Z"
    assert {one.end_time.ToJsonString() for one in lines.values()} == {ends}
    assert lines[first.name].start_time.ToJsonString() == "2024-02-09T23:00:00Z"
    assert lines[second.name].start_time.ToJsonString() == "2024-03-04T23:00:00Z"
    assert [money(lines[one.name].amount) for one in (first, second)] == [3, 4]
    # All targets have the same quarters.
    assert span((await at(world, account, "2024-05-05")).billing_period) == (
        "2024-03-31",
        "2024-06-30",
    )


async def test_refresh_windows_are_counted_from_the_asset_whatever_billing_is_aligned_to(sandbox):
    world = await sandbox("2024-02-10")
    await world.product("plan", Metered(resource="calls", grant="10", refresh="MONTH", rate="1"))
    account = await world.account("ann", billing=accounts.Account(billing_calendar_aligned=True))
    [asset] = await world.sell(account, line("plan", "2024-02-10"))

    windows = await walked(world, asset, "2024-02-10", 3, "refresh_windows")

    assert [span(one) for one in windows] == [
        ("2024-02-10", "2024-03-10"),
        ("2024-03-10", "2024-04-10"),
        ("2024-04-10", "2024-05-10"),
    ]


@pytest.mark.parametrize("kind", ["billing_period", "rating_period", "refresh_windows"])
@pytest.mark.parametrize(
    "billing", [every("WEEK"), every("WEEK", billing_anchor_date=day("2023-12-27"))]
)
@pytest.mark.capability("M153.year")
async def test_weeks_tile_a_year(sandbox, kind, billing):
    """Also where summer time begins and ends, a week has seven days."""
    world = await sandbox("2024-01-01")
    await world.product("plan", WEEKLY)
    account = await world.account("ann", zone="Europe/Berlin", billing=billing)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    weeks = await walked(world, asset, "2024-01-01T12:00", 54, kind)

    assert weeks[0].start_time.ToJsonString() == "2023-12-31T23:00:00Z"
    assert all(one.end_time == two.start_time for one, two in pairwise(weeks))
    hours = [(one.end_time.seconds - one.start_time.seconds) // 3600 for one in weeks[1:]]
    assert sorted(set(hours)) == [167, 168, 169]
    assert hours.count(168) == len(hours) - 2
    assert span(weeks[-1])[1] > "2025-01-01"


@pytest.mark.capability("M153.lines")
async def test_each_week_has_its_line_with_what_was_used_beyond_the_grant_of_the_week(sandbox):
    world = await sandbox("2024-01-03")
    await world.product("plan", WEEKLY)
    account = await world.account("ann", billing=every("WEEK"))
    # From a Wednesday: 5 of 7 days, then whole weeks, each billed from Monday.
    [asset] = await world.sell(account, line("plan", "2024-01-03"))
    for time, quantity in (
        ("2024-01-03", 4),
        ("2024-01-07", 9),
        ("2024-01-08", 3),
        ("2024-01-14", 8),
        ("2024-01-15", 20),
    ):
        await world.advance(time)
        await world.use(asset, "calls", time, quantity)

    await world.advance("2024-01-26")

    lines = [
        (*span(one), figure(one.used_quantity), money(one.amount))
        for one in await world.liable(account)
    ]
    # Grants of 10 from Wednesday to Wednesday: 13 are used until the 10th with the 3 of the 8th.
    assert lines == [
        ("2024-01-03", "2024-01-08", 13, 3),
        ("2024-01-08", "2024-01-15", 11, 3),
        ("2024-01-15", "2024-01-22", 20, 18),
    ]


@pytest.mark.parametrize(
    ("rating", "window", "method", "told"),
    [
        ("MONTH", "DAY", "SUM", "a billing period of 1 week cannot hold a monthly rating period"),
        ("QUARTER", "DAY", "SUM", "a billing period of 1 week cannot hold a quarterly rating"),
        ("WEEK", "WEEK", "PEAK", "billing, rating and accumulation cannot all be weekly"),
    ],
)
@pytest.mark.capability("M153.order")
async def test_what_a_week_cannot_hold_is_refused_at_the_sale(
    sandbox, rating, window, method, told
):
    world = await sandbox("2024-01-03")
    await world.product(
        "plan", Metered(resource="calls", rate="1", rating=rating, window=window, method=method)
    )
    account = await world.account("ann", billing=every("WEEK"))

    with pytest.raises(UsageError) as refused:
        await world.quote(account, line("plan", "2024-01-03"))

    assert refused.value.reason == "PERIOD_ORDER"
    assert told in str(refused.value)
    assert refused.value.facts["billing"] == "1 WEEK"


@pytest.mark.capability("M153.order")
@pytest.mark.parametrize(("rating", "window"), [("WEEK", "DAY"), ("DAY", "DAY"), ("DAY", "HOUR")])
async def test_what_a_week_holds_is_sold(sandbox, rating, window):
    world = await sandbox("2024-01-03")
    await world.product(
        "plan", Metered(resource="calls", rate="1", rating=rating, window=window, method="PEAK")
    )
    account = await world.account("ann", billing=every("WEEK"))

    assert await world.sell(account, line("plan", "2024-01-03"))
