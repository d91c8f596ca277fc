"""PeriodAt: the periods that contain a moment, as recording and closing see them."""

import random
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import preview_service_pb2 as previews
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import wallet_service_pb2 as rpc

from clients import UsageError
from clients.values import enum_name
from tests.stories.preview_words import preview
from tests.stories.sale_words import plan, to
from tests.stories.token_words import pack, set_up
from tests.stories.words import Metered, day, line, moment, stamp, usage

INSTANT = timedelta(microseconds=1)
CALLS = Metered(resource="calls", grant="100", refresh="MONTH", rate="1")
MINUTES = Metered(resource="minutes", rate="1", rating="DAY", waiting_hours=5)


async def ask(world, name: str, at: str | datetime | None = None) -> rpc.PeriodAtResponse:
    request = rpc.PeriodAtRequest(name=name)
    if at is not None:
        request.time.CopyFrom(stamp(moment(at) if isinstance(at, str) else at))
    return await world.client.wallets.PeriodAt(request)


async def kept(world, account: str, record_id: str) -> consumption.UsageOutcome:
    request = consumption.GetUsageRecordRequest(name=f"{account}/usageRecords/{record_id}")
    return (await world.client.consumption.GetUsageRecord(request)).outcome


def of(answer: rpc.PeriodAtResponse, resource: str) -> rpc.UsageResourcePeriods:
    name = f"usageResources/{resource}"
    [found] = [one for one in answer.resource_periods if one.usage_resource == name]
    return found


def span(period) -> tuple[str, str]:
    """`2024-02-28T23:00`, twice: minutes are enough, for all periods start and end at one."""
    ends = (period.start_time, period.end_time)
    assert all(one.nanos == 0 and one.seconds % 60 == 0 for one in ends)
    return tuple(one.ToJsonString()[:16] for one in ends)


def freeze(period) -> str:
    return period.freeze_time.ToJsonString()


def every(unit: str, count: int = 1, **alignment: Any) -> accounts.Account:
    """Billing periods of some length and alignment."""
    return accounts.Account(billing_interval=types.Cadence(unit=unit, count=count), **alignment)


def asset_start(zone: str, *on: int) -> float:
    return datetime(*on, tzinfo=ZoneInfo(zone)).timestamp()


async def berlin(world):
    """From the last of January until the middle of April, billed on the 31st."""
    await world.product("plan", CALLS, MINUTES)
    account = await world.account("ann", zone="Europe/Berlin", anchor_day=31)
    [asset] = await world.sell(account, line("plan", "2024-01-31", end="2024-04-15"))
    return account, asset


async def test_each_resource_has_its_rating_period_freeze_and_refresh_window(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await berlin(world)
    month = ("2024-02-28T23:00", "2024-03-30T23:00")

    answer = await ask(world, asset.name, "2024-02-29T12:00")

    assert answer.time == stamp(moment("2024-02-29T12:00"))
    names = [one.usage_resource for one in answer.resource_periods]
    assert names == ["usageResources/calls", "usageResources/minutes"]
    calls, minutes = of(answer, "calls"), of(answer, "minutes")
    # February has no 31st, March has: the periods are counted from January, not from each other.
    assert span(calls.rating_period) == month
    # Three civil days, of which one is the day that summer time begins and has 23 hours.
    assert freeze(calls.rating_period) == "2024-04-02T22:00:00Z"
    [window] = calls.refresh_windows
    assert window.product_usage_grant == "products/plan/grants/calls-grant"
    assert span(window) == month
    assert span(minutes.rating_period) == ("2024-02-28T23:00", "2024-02-29T23:00")
    assert freeze(minutes.rating_period) == "2024-03-01T04:00:00Z"
    assert not minutes.refresh_windows
    billing = [answer.billing_period, calls.billing_period, minutes.billing_period]
    assert [span(one) for one in billing] == [month] * 3
    assert calls.wallet == (await world.wallet(account, "calls")).name


async def test_a_period_contains_its_start_and_not_its_end(sandbox):
    world = await sandbox("2024-01-31")
    _, asset = await berlin(world)
    start = moment("2024-02-28T23:00")

    before, after = (
        await ask(world, asset.name, start - INSTANT),
        await ask(world, asset.name, start),
    )

    january, february = of(before, "calls"), of(after, "calls")
    assert span(january.rating_period) == ("2024-01-30T23:00", "2024-02-28T23:00")
    assert span(january.refresh_windows[0]) == ("2024-01-30T23:00", "2024-02-28T23:00")
    assert span(before.billing_period) == ("2024-01-30T23:00", "2024-02-28T23:00")
    assert february.rating_period.start_time == stamp(start)
    assert february.refresh_windows[0].start_time == stamp(start)
    assert after.billing_period.start_time == stamp(start)


async def test_a_day_that_the_clock_changes_is_shorter(sandbox):
    world = await sandbox("2024-01-31")
    _, asset = await berlin(world)

    minutes = of(await ask(world, asset.name, "2024-03-31T12:00"), "minutes").rating_period

    assert span(minutes) == ("2024-03-30T23:00", "2024-03-31T22:00")
    assert freeze(minutes) == "2024-04-01T03:00:00Z"


async def test_the_last_refresh_window_is_cut_where_the_asset_ends(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await berlin(world)

    calls = of(await ask(world, asset.name, "2024-04-10"), "calls")
    [window] = calls.refresh_windows

    assert span(calls.rating_period) == ("2024-03-30T23:00", "2024-04-29T22:00")
    assert span(window) == ("2024-03-30T23:00", "2024-04-14T22:00")
    await world.advance("2024-04-10")
    [last] = [
        one
        for one in await world.grants(await world.wallet(account, "calls"))
        if one.start_time == window.start_time
    ]
    # 15 days of 30.
    assert (last.quantity.value, last.expire_time) == ("50", window.end_time)


async def test_an_asset_has_no_periods_before_it_starts_and_from_its_end_on(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await berlin(world)
    start, end = moment("2024-01-30T23:00"), moment("2024-04-14T22:00")

    for outside in (start - INSTANT, end):
        answer = await ask(world, asset.name, outside)
        assert not answer.resource_periods
        assert not answer.HasField("billing_period")
        assert (await ask(world, account, outside)).HasField("billing_period")
    for inside in (start, end - INSTANT):
        assert len((await ask(world, asset.name, inside)).resource_periods) == 2


async def test_an_account_has_a_billing_period_and_now_is_its_clock(sandbox):
    world = await sandbox("2024-02-28T22:59")
    account = await world.account("ann", zone="Europe/Berlin", anchor_day=31)

    before = await ask(world, account)
    await world.advance("2024-02-28T23:00")
    after = await ask(world, account)

    assert before.time == stamp(moment("2024-02-28T22:59"))
    assert span(before.billing_period) == ("2024-01-30T23:00", "2024-02-28T23:00")
    assert span(after.billing_period) == ("2024-02-28T23:00", "2024-03-30T23:00")
    assert not after.resource_periods


async def test_quarters_are_counted_from_the_first_sale_to_each_target(sandbox):
    world = await sandbox("2024-02-01")
    await world.product("plan", CALLS)
    account = await world.account("ann", billing_months=3)
    nothing_sold = await ask(world, account, "2024-03-15")
    [first] = await world.sell(account, line("plan", "2024-01-01"))
    one_sold = await ask(world, account, "2024-03-15")
    [second] = await world.sell(account, line("plan", "2024-02-01"))
    two_sold = await ask(world, account, "2024-03-15")

    assert not nothing_sold.HasField("billing_period")
    assert span(one_sold.billing_period) == ("2024-01-01T00:00", "2024-04-01T00:00")
    assert not two_sold.HasField("billing_period")
    for asset, quarter in (
        (first, ("2024-01-01T00:00", "2024-04-01T00:00")),
        (second, ("2024-02-01T00:00", "2024-05-01T00:00")),
    ):
        answer = await ask(world, asset.name, "2024-03-15")
        assert span(answer.billing_period) == quarter
        assert span(of(answer, "calls").billing_period) == quarter
        assert span(of(answer, "calls").rating_period) == ("2024-03-01T00:00", "2024-04-01T00:00")


@pytest.mark.parametrize(
    ("name", "at", "reason"),
    [
        ("accounts/nobody", "2024-02-01", "ACCOUNT_NOT_FOUND"),
        (
            "accounts/nobody/assets/018f0000-0000-7000-8000-000000000001",
            "2024-02-01",
            "ASSET_NOT_FOUND",
        ),
        ("accounts/nobody", "1989-12-31", "TIMESTAMP_RANGE"),
        ("accounts/nobody", "2200-01-01", "TIMESTAMP_RANGE"),
        ("products/plan", "2024-02-01", "NAME_FORMAT"),
        ("accounts/nobody/assets/1", "2024-02-01", "ID_FORMAT"),
    ],
)
async def test_what_is_not_there_has_no_periods(sandbox, name, at, reason):
    world = await sandbox("2024-02-01")

    with pytest.raises(UsageError) as refused:
        await ask(world, name, at)

    assert refused.value.reason == reason


LONG = {"calls": "MONTH", "minutes": "DAY", "seats": "QUARTER"}
SHORT = {"calls": "WEEK", "minutes": "DAY"}


@pytest.mark.parametrize(
    ("zone", "ratings", "billing"),
    [
        ("Europe/Berlin", LONG, every("QUARTER", billing_anchor_day=31)),
        ("America/Santiago", LONG, every("QUARTER", billing_anchor_day=15)),
        ("Asia/Kolkata", LONG, every("MONTH", 3, billing_anchor_day=1)),
        ("Europe/Berlin", LONG, every("QUARTER", billing_calendar_aligned=True)),
        ("America/Santiago", LONG, every("HALF_YEAR", billing_calendar_aligned=True)),
        ("Asia/Kolkata", LONG, every("QUARTER", billing_anchor_date=day("2023-08-31"))),
        ("Pacific/Chatham", LONG, every("YEAR", billing_anchor_date=day("2031-02-28"))),
        ("Europe/Berlin", SHORT, every("WEEK")),
        ("America/Santiago", SHORT, every("WEEK", 2, billing_anchor_date=day("2024-04-03"))),
        ("UTC", SHORT, every("MONTH", billing_calendar_aligned=True)),
    ],
)
async def test_usage_is_put_in_the_period_at_its_time(sandbox, zone, ratings, billing):
    """At any time, and at both sides of an edge, PeriodAt answers what recording does.

    Late usage is put in a later period, which PeriodAt answers at the start of that. No period
    begins before the asset.
    """
    world = await sandbox("2024-05-20")
    slow = {"rate": "1", "waiting_days": 31}
    metered = [Metered(resource=one, rating=by, **slow) for one, by in ratings.items()]
    await world.product("plan", *metered)
    account = await world.account("ann", zone=zone, billing=billing)
    [asset] = await world.sell(account, line("plan", "2024-02-10"))
    rng = random.Random(zone)
    first, now = moment("2024-02-11"), moment("2024-05-20")
    times = [first + (now - first) * rng.random() for _ in range(25)]
    answers = [await ask(world, asset.name, time) for time in times]
    edges = [one.rating_period for answer in answers for one in answer.resource_periods]
    starts = {one.start_time.ToNanoseconds() // 1_000 for one in edges}
    exact = [moment("1970-01-01") + timedelta(microseconds=each) for each in sorted(starts)]
    times += [edge - back for edge in exact for back in (INSTANT, INSTANT * 0) if edge > first]

    records = [
        usage(asset, resource, time, 1, f"{resource}-{index}")
        for index, time in enumerate(times)
        for resource in ratings
    ]
    rng.shuffle(records)
    half = len(records) // 2
    outcomes = await world.record(records[:half])
    # What froze until then is closed, and more usage of it is late.
    await world.advance("2024-06-25")
    asked = [
        previews.PreviewLine(
            asset=one.asset,
            usage_resource=one.usage_resource,
            quantity=one.quantity,
            usage_time=one.usage_time,
        )
        for one in records[half:]
    ]
    previewed = await preview(world, account, *asked)
    outcomes += await world.record(records[half:])
    assert [one.late for one in previewed] == [one.late for one in outcomes[half:]]

    late = 0
    service_start = asset_start(zone, 2024, 2, 10)
    for record, outcome in zip(records, outcomes, strict=True):
        became = await kept(world, account, record.record_id)
        resource = record.usage_resource.partition("/")[2]
        time = record.usage_time.ToDatetime(tzinfo=now.tzinfo)
        at_time = of(await ask(world, asset.name, time), resource)
        own = at_time.rating_period
        assert own.start_time.seconds >= service_start
        assert at_time.billing_period.start_time.seconds >= service_start
        assert own.start_time.ToNanoseconds() <= record.usage_time.ToNanoseconds()
        assert record.usage_time.ToNanoseconds() < own.end_time.ToNanoseconds()
        assert became.period == own
        assert became.late == outcome.HasField("late")
        if became.late:
            late += 1
            billing = outcome.late.period
            assert billing.end_time.ToNanoseconds() > own.end_time.ToNanoseconds()
            around = billing.start_time.ToDatetime(tzinfo=now.tzinfo)
            assert billing == of(await ask(world, asset.name, around), resource).rating_period
    assert 0 < late < len(records)


@pytest.mark.parametrize(("late", "month"), [("REOPEN", 1), ("NEXT_PERIOD", 2)])
async def test_late_usage_names_the_period_that_bills_it(sandbox, late, month):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1", late=late))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-02-05")
    frozen = of(await ask(world, asset.name, "2024-01-20"), "calls").rating_period

    [outcome] = await world.record([usage(asset, "calls", "2024-01-20", 1, "late-1")])

    assert freeze(frozen) == "2024-02-04T00:00:00Z"
    assert enum_name(outcome.late, "policy") == late
    billing = of(await ask(world, asset.name, f"2024-0{month}-20"), "calls").rating_period
    assert outcome.late.period == billing
    became = await kept(world, account, "late-1")
    assert (became.late, became.period) == (True, frozen)
    again = of(await ask(world, asset.name, "2024-01-20"), "calls").rating_period
    assert again == frozen


async def test_every_grant_names_the_grant_of_the_product(sandbox):
    world = await sandbox("2024-01-01")
    await world.product(
        "plan",
        Metered(resource="calls", grant="100", refresh="MONTH", max_rollovers=1, rate="1"),
        Metered(resource="minutes", grant="10", rate="1"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-02-02")
    waiting = await world.grants(await world.wallet(account, "calls"))
    await world.advance("2024-03-05")

    calls = [*waiting, *await world.grants(await world.wallet(account, "calls"))]
    minutes = await world.grants(await world.wallet(account, "minutes"))

    kinds = {(enum_name(one, "kind"), one.provisional) for one in calls}
    assert {("SALE", False), ("REFRESH", False), ("ROLLOVER", False), ("ROLLOVER", True)} <= kinds
    assert {one.product_usage_grant for one in calls} == {"products/plan/grants/calls-grant"}
    assert [one.product_usage_grant for one in minutes] == ["products/plan/grants/minutes-grant"]
    # An issue starts with its refresh window.
    for grant in calls:
        answer = await ask(world, asset.name, grant.start_time.ToDatetime())
        [window] = of(answer, "calls").refresh_windows
        assert window.product_usage_grant == grant.product_usage_grant
        assert window.start_time == grant.start_time


async def test_a_pack_has_the_periods_of_the_asset_it_is_bound_to(sandbox):
    world = await sandbox("2024-01-15")
    await plan(world, grant="4000")
    await set_up(world, pack("booster", "credits", grant="2000"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    [booster] = await world.sell(account, to(asset.name, "booster", "2024-01-10", "2024-01-20"))

    own = of(await ask(world, asset.name), "credits")
    added = of(await ask(world, booster.name), "credits")
    grants = await world.grants(await world.wallet(account, "credits"))

    assert (added.wallet, added.rating_period) == (own.wallet, own.rating_period)
    assert added.billing_period == own.billing_period
    assert not (await ask(world, booster.name, "2024-01-20")).resource_periods
    assert {one.asset: one.product_usage_grant.split("/")[1] for one in grants} == {
        asset.name: "plan",
        booster.name: "booster",
    }
