"""Void runs: all usage that matches a filter, counted first and then voided."""

from usage_management.v1 import consumption_service_pb2 as consumption

from clients.pages import pages
from tests.stories.consumption.amend_words import days, listed, shop, stored
from tests.stories.record_runs.run_words import begin_void, only, periods, usages, void_all
from tests.stories.words import Metered, line, refusal, usage

CALLS = "usageResources/calls"


async def test_a_dry_run_says_what_the_run_then_does(sandbox):
    world, account, asset = await shop(
        sandbox, Metered(resource="calls", rate="1"), Metered(resource="sms", rate="1")
    )
    [other] = await world.sell(account, line("plan", "2024-01-01"))
    await world.record(
        [
            usage(asset, "calls", "2024-01-10", 1, "before", site="x"),
            usage(asset, "calls", "2024-01-11", 2, "first", site="x"),
            usage(asset, "calls", "2024-01-11", 3, "elsewhere", site="y"),
            usage(asset, "calls", "2024-01-12", 4, "unlabeled"),
            usage(asset, "sms", "2024-01-12", 5, "sms", site="x"),
            usage(other, "calls", "2024-01-12", 6, "other", site="x"),
            usage(asset, "calls", "2024-01-12T23:59", 7, "last", site="x", more="z"),
            usage(asset, "calls", "2024-01-13", 8, "after", site="x"),
        ]
    )
    tests = only("2024-01-11", "2024-01-13", labels={"site": "x"})

    dry = await void_all(world, account, filter=tests, dry_run=True)
    untouched = await listed(world, account, "VOIDED")
    real = await void_all(world, account, filter=tests, reason="site x was a test")
    again = await void_all(world, account, filter=tests)
    calls = only("2024-01-01", "2024-02-01", asset=asset.name, usage_resource=CALLS)
    narrow = await void_all(world, account, filter=calls, dry_run=True)

    def figures(run: consumption.VoidRun):
        return run.record_count, usages(run), periods(run)

    assert figures(dry) == figures(real)
    assert figures(dry) == (
        4,
        {
            (asset.name, CALLS): (2, 9, 0),
            (asset.name, "usageResources/sms"): (1, 5, 0),
            (other.name, CALLS): (1, 6, 0),
        },
        [(1, False), (1, False), (2, False)],
    )
    assert untouched == []
    assert (again.record_count, list(again.usage)) == (0, [])
    assert narrow.record_count == 4
    assert await listed(world, account, "VOIDED") == ["first", "last", "other", "sms"]
    record = await stored(world, account, "last")
    assert (record.void_reason, record.voided_by) == ("site x was a test", record.created_by)
    request = consumption.ListVoidRunsRequest(parent=account, page_size=3)
    runs = [one async for one in pages(world.client.consumption.ListVoidRuns, request)]
    assert [one.name for one in runs] == [one.name for one in (narrow, again, real, dry)]
    assert [len(one.usage) for one in runs] == [0, 0, 0, 0]


async def test_a_run_of_many_slices_voids_all(sandbox):
    world, account, asset = await shop(sandbox)
    for day in (10, 11, 12):
        at = f"2024-01-{day}T08:00"
        await world.record([usage(asset, "calls", at, 1, f"{day}-{n:03}") for n in range(1000)])
    await world.record([usage(asset, "calls", "2024-01-20", 1, "kept")])

    run = await void_all(world, account, filter=only("2024-01-10", "2024-01-13"))

    assert run.record_count == 3000
    assert await days(world, account) == {"2024-01-20": (1, 1)}


async def test_a_filter_that_makes_no_sense_is_refused(sandbox):
    world, account, _ = await shop(sandbox)
    good = only("2024-01-10", "2024-01-13")

    def wrong(**more: object) -> consumption.UsageRecordFilter:
        found = consumption.UsageRecordFilter(**more)
        made = consumption.UsageRecordFilter()
        made.MergeFrom(good)
        made.MergeFrom(found)
        return made

    bad = [
        consumption.UsageRecordFilter(),
        only("2024-01-10", "2024-01-10"),
        wrong(asset="accounts/bob/assets/00000000-0000-4000-8000-000000000001"),
        wrong(labels={"site": ""}),
        wrong(usage_resource="calls"),
    ]

    found = [await refusal(begin_void(world, account, filter=one)) for one in bad]
    nobody = await refusal(begin_void(world, "accounts/nobody", filter=good))
    name = f"{account}/voidRuns/00000000-0000-4000-8000-000000000001"
    missing = consumption.GetVoidRunRequest(name=name)
    unknown = await refusal(world.client.consumption.GetVoidRun(missing))

    assert [one.reason for one in found] == [
        "FIELD_REQUIRED", "INTERVAL_INVALID", "NAME_FORMAT", "LABELS_INVALID", "NAME_FORMAT",
    ]  # fmt: skip
    assert (nobody.reason, unknown.reason) == ("ACCOUNT_NOT_FOUND", "VOID_RUN_NOT_FOUND")
