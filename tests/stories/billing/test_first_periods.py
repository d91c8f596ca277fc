"""First periods: in every answer they begin with the service, and end as a whole period does."""

from typing import Any

from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as rpc

from clients import UsageError
from tests.stories.bill_words import next_book, replay
from tests.stories.list_words import Listing
from tests.stories.preview_words import lines, preview
from tests.stories.procedure_words import BASE, SETTING, use_own, version
from tests.stories.rate_words import priced, put
from tests.stories.selling.rate_plans import plan as rate_plan
from tests.stories.words import Metered, day, figure, line, moment, money, stamp, usage
from tests.stories.world import World

CALLS = Metered(resource="calls", rate="1")
FIRST = ("2024-01-01", "2024-01-10")
SECOND = ("2024-01-10", "2024-02-10")


def span(period: Any) -> tuple[str, str]:
    return tuple(one.ToJsonString()[:10] for one in (period.start_time, period.end_time))


async def at(world: World, name: str, time: str) -> Any:
    request = rpc.PeriodAtRequest(name=name, time=stamp(moment(time)))
    return await world.client.wallets.PeriodAt(request)


async def on_the_tenth(sandbox: Any, metered: Metered = CALLS) -> tuple[World, str, Any]:
    """An asset from 1 January, on an account that is billed on the tenth."""
    world = await sandbox("2024-01-05")
    await world.product("plan", metered)
    account = await world.account("ann", anchor_day=10)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    return world, account, asset


async def test_the_periods_and_the_wallet_are_told_from_the_start_of_the_service(sandbox):
    world, account, asset = await on_the_tenth(sandbox)

    [calls] = (await at(world, asset.name, "2024-01-05")).resource_periods
    [later] = (await at(world, asset.name, "2024-01-10")).resource_periods
    wallet = await world.wallet(account, "calls")

    assert span(calls.rating_period) == span(calls.billing_period) == FIRST
    assert calls.rating_period.freeze_time.ToJsonString() == "2024-01-13T00:00:00Z"
    assert span(later.rating_period) == span(later.billing_period) == SECOND
    assert (wallet.period_start_time, wallet.period_end_time) == (
        calls.rating_period.start_time,
        calls.rating_period.end_time,
    )
    assert span((await at(world, account, "2024-01-05")).billing_period) == FIRST
    # No asset yet: the period that billing would have.
    before = (await at(world, account, "2023-12-31")).billing_period
    assert span(before) == ("2023-12-10", "2024-01-10")


async def test_a_wallet_tells_its_first_period_until_the_service_begins(sandbox):
    world = await sandbox("2023-11-20")
    await world.product("plan", CALLS)
    account = await world.account("ann", anchor_day=10)
    await world.sell(account, line("plan", "2024-01-01"))

    for now in ("2023-11-20", "2023-12-20", "2024-01-09"):
        await world.advance(now)
        wallet = await world.wallet(account, "calls")
        ends = (wallet.period_start_time, wallet.period_end_time)
        assert tuple(one.ToJsonString()[:10] for one in ends) == FIRST


async def test_usage_and_lines_of_the_first_period_begin_with_the_service(sandbox):
    world, account, asset = await on_the_tenth(sandbox)
    await world.record([usage(asset, "calls", "2024-01-03", 5, "one")])
    await world.advance("2024-01-14")
    listed = Listing(
        world.client.summaries.ListRatableSummaries, summaries.ListRatableSummariesRequest, account
    )
    billed = Listing(
        world.client.summaries.ListLiableSummaries, summaries.ListLiableSummariesRequest, account
    )

    [ratable], [liable] = await world.ratable(account), await world.liable(account)
    [cell] = (
        await world.client.summaries.ListUsageSummaries(
            summaries.ListUsageSummariesRequest(parent=account)
        )
    ).usage_summaries
    kept = await world.client.consumption.GetUsageRecord(
        consumption.GetUsageRecordRequest(name=f"{account}/usageRecords/one")
    )
    [among] = (
        await world.client.consumption.ListUsageRecords(
            consumption.ListUsageRecordsRequest(parent=account)
        )
    ).usage_records
    traced = await world.trace(liable)

    assert span(ratable) == span(liable) == FIRST
    assert ratable.origin_start_time == ratable.start_time
    assert cell.period_start_time == ratable.start_time
    assert not cell.correction_pending
    assert span(kept.outcome.period) == span(among.outcome.period) == FIRST
    [source] = traced.sources
    assert span(source.ratable_summary) == FIRST
    [of_day] = source.usage_summaries
    assert of_day.usage_summary.period_start_time == ratable.start_time
    # The filters see the start of service.
    january = stamp(moment("2024-01-01"))
    for listing, name in ((listed, ratable.name), (billed, liable.name)):
        assert await listing.names(start_time=january) == [name]
        assert await listing.names(end_time=january) == []
        assert await listing.names(end_time=stamp(moment("2024-01-02"))) == [name]
        assert await listing.names(start_time=stamp(moment("2024-01-02"))) == []


async def test_late_usage_names_the_first_period_in_records_and_previews(sandbox):
    world, account, asset = await on_the_tenth(
        sandbox, Metered(resource="calls", rate="1", late="REOPEN")
    )
    await world.advance("2024-01-14")

    [previewed] = await preview(world, account, *lines(asset, "calls", ("2024-01-03", 5)))
    [outcome] = await world.record([usage(asset, "calls", "2024-01-03", 5)])

    assert span(outcome.late.period) == FIRST
    assert previewed.late == outcome.late
    await world.advance("2024-01-18")
    [liable] = await world.liable(account)
    assert (span(liable), money(liable.amount)) == (FIRST, 5)


async def test_a_correction_names_the_first_period_as_its_origin(sandbox):
    world, account, asset = await on_the_tenth(sandbox)
    await world.advance("2024-01-14")
    await world.use(asset, "calls", "2024-01-03", 5)
    await world.advance("2024-02-14")

    [ratable] = await world.ratable(account)

    assert span(ratable) == SECOND
    assert ratable.origin_start_time.ToJsonString()[:10] == "2024-01-01"


async def test_a_refusal_names_the_first_period(sandbox):
    world, account, asset = await on_the_tenth(
        sandbox, Metered(resource="calls", rate="1", late="REJECT")
    )
    await world.advance("2024-01-14")

    [previewed] = await preview(world, account, *lines(asset, "calls", ("2024-01-03", 5)))
    [outcome] = await world.record([usage(asset, "calls", "2024-01-03", 5)])

    for status in (previewed.status, outcome.status):
        refused = UsageError.of_status(status)
        assert refused.reason == "PERIOD_CLOSED"
        assert refused.facts["period_start_time"] == "2024-01-01T00:00:00+00:00"
        assert refused.facts["period_end_time"] == "2024-01-10T00:00:00+00:00"


async def test_what_rates_the_first_period_is_in_force_when_the_service_begins(sandbox):
    """The procedure is in force from 1 January, and the whole period would begin before that."""
    world = await sandbox("2023-12-20")
    await world.product("plan", CALLS)
    account = await world.account("ann", anchor_day=10)
    from_january = {"year": 2024, "month": 1, "day": 1}
    own = await version(world, "v1", [SETTING, BASE], start_date=from_january)
    await use_own(world)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.advance("2024-01-05")
    await world.use(asset, "calls", "2024-01-03", 5)

    [planned] = (await rate_plan(world, asset.name, "2024-01-05")).lines
    await world.advance("2024-01-14")
    [ratable] = await world.ratable(account)

    assert ratable.procedure_version == own.name
    assert figure(ratable.amount) == 5
    assert planned.procedure_version == own.name
    assert planned.rating_period_date == day("2024-01-01")


async def test_a_replay_tells_the_first_period_too(sandbox):
    world, account, asset = await on_the_tenth(sandbox)
    await world.use(asset, "calls", "2024-01-03", 5)
    await world.advance("2024-01-14")
    await next_book(world)
    await put(world, "next-base/calls", priced("calls", "3"))

    [found] = (await replay(world, account)).summaries
    inside = await replay(world, account, start_time=stamp(moment("2024-01-01")))
    outside = await replay(world, account, end_time=stamp(moment("2024-01-01")))

    assert found.start_time.ToJsonString()[:10] == "2024-01-01"
    assert len(inside.summaries) == 1
    assert not outside.summaries


async def test_the_earliest_asset_of_a_shared_target_counts(sandbox):
    world = await sandbox("2024-01-25")
    await world.product("plan", CALLS)
    account = await world.account("ann", anchor_day=1)
    [second] = await world.sell(account, line("plan", "2024-01-20", binding="ACCOUNT"))
    alone = (await at(world, second.name, "2024-01-25")).resource_periods[0]
    await world.use(second, "calls", "2024-01-21", 2)

    # It is sold later, and begins earlier.
    [first] = await world.sell(account, line("plan", "2024-01-08", binding="ACCOUNT"))
    await world.use(first, "calls", "2024-01-09", 3)
    found = [
        (await at(world, asset.name, time)).resource_periods[0]
        for asset, time in ((first, "2024-01-08"), (second, "2024-01-25"))
    ]
    await world.advance("2024-02-05")

    assert span(alone.rating_period) == ("2024-01-20", "2024-02-01")
    for one in found:
        assert span(one.rating_period) == span(one.billing_period) == ("2024-01-08", "2024-02-01")
    billed = await world.liable(account)
    assert sorted((one.asset, *span(one), money(one.amount)) for one in billed) == sorted(
        [
            (first.name, "2024-01-08", "2024-02-01", 3),
            (second.name, "2024-01-08", "2024-02-01", 2),
        ]
    )


async def test_a_line_keeps_the_start_it_was_made_with(sandbox):
    world = await sandbox("2024-01-25")
    await world.product("plan", CALLS)
    account = await world.account("ann")
    [second] = await world.sell(account, line("plan", "2024-01-20", binding="ACCOUNT"))
    await world.use(second, "calls", "2024-01-21", 2)
    await world.advance("2024-02-05")

    await world.sell(account, line("plan", "2024-01-08", binding="ACCOUNT"))

    [ratable], [liable] = await world.ratable(account), await world.liable(account)
    assert span(ratable) == span(liable) == ("2024-01-20", "2024-02-01")
    [now] = (await at(world, second.name, "2024-01-25")).resource_periods
    assert span(now.rating_period) == ("2024-01-08", "2024-02-01")


async def test_a_first_week_is_billed_with_the_month_that_the_service_begins_in(sandbox):
    """The week of the service begins on Monday, 29 January, as a whole; the service in February."""
    world = await sandbox("2024-02-01")
    await world.product("plan", Metered(resource="calls", rate="1", rating="WEEK"))
    account = await world.account(
        "ann",
        billing=accounts.Account(billing_calendar_aligned=True),
    )
    [asset] = await world.sell(account, line("plan", "2024-02-01"))
    for time in ("2024-02-02", "2024-02-05", "2024-02-29", "2024-03-02", "2024-03-04"):
        await world.advance(time)
        await world.use(asset, "calls", time, 1)

    await world.advance("2024-03-10")

    weeks = [span(one) for one in await world.ratable(account)]
    [february] = await world.liable(account)
    assert weeks[:2] == [("2024-02-01", "2024-02-05"), ("2024-02-05", "2024-02-12")]
    # The week from 26 February holds 2 March.
    assert (span(february), money(february.amount)) == (("2024-02-01", "2024-03-01"), 4)


async def test_late_usage_goes_after_final_periods_though_earlier_ones_are_open(sandbox):
    """March 10 to 15 is final; a second asset from February 10 opens periods before it again."""
    world = await sandbox("2024-03-20")
    await world.product("plan", Metered(resource="calls", rate="1"))
    account = await world.account("ann", anchor_day=15)
    [first] = await world.sell(account, line("plan", "2024-03-10", binding="ACCOUNT"))
    await world.use(first, "calls", "2024-03-12", 1)
    await world.advance("2024-04-20")
    await world.sell(account, line("plan", "2024-02-10", binding="ACCOUNT"))

    [late] = await world.record([usage(first, "calls", "2024-03-12", 2)])
    await world.advance("2024-06-20")

    assert late.late.period.start_time.ToJsonString() == "2024-04-15T00:00:00Z"
    assert [figure(one.used_quantity) for one in await world.liable(account)] == [1, 2]
