"""Amend runs: all usage that matches a filter, amended in the same way, each record once."""

import pytest
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import consumption_service_pb2 as consumption

from clients import UsageError
from clients.pages import pages
from tests.stories.consumption.amend_words import days, reasons, shop, stored, void
from tests.stories.record_runs.run_words import amend_all, begin_amend, only, periods, usages
from tests.stories.words import Metered, figure, line, number, refusal, usage

Change = consumption.UsageRecordChange

CALLS, SMS = "usageResources/calls", "usageResources/sms"
TESTS = only("2024-01-11", "2024-01-13", labels={"site": "x"})
BOTH = Metered(resource="calls", rate="1"), Metered(resource="sms", rate="1")


async def dozen_of_sms(world) -> str:
    """Define a dozen of SMS, and put it in force."""
    content = catalog.UnitOfMeasure(unit_class="unitClasses/sms-class", scale=0, factor=number(12))
    request = catalog_rpc.CreateUnitOfMeasureRequest(
        unit_of_measure_id="dozen", unit_of_measure=content
    )
    made = await world.client.catalog.CreateUnitOfMeasure(request)
    await world.product("other", activate=False)
    await world.promise_in("other", "sms", "dozen")
    return made.name


@pytest.mark.capability("M109.amend")
async def test_a_dry_run_says_what_the_run_then_does(sandbox):
    world, account, asset = await shop(sandbox, *BOTH)
    await world.record(
        [
            usage(asset, "calls", "2024-01-10", 1000, "before", site="x"),
            usage(asset, "calls", "2024-01-11", 2000, "first", site="x"),
            usage(asset, "calls", "2024-01-11", 3000, "elsewhere", site="y"),
            usage(asset, "sms", "2024-01-12", 5000, "sms", site="x", more="z"),
            usage(asset, "calls", "2024-01-12T23:59", 0, "nothing", site="x"),
            usage(asset, "calls", "2024-01-12T23:59", 7001, "last", site="x"),
            usage(asset, "calls", "2024-01-12T23:59", 4, "voided", site="x"),
            usage(asset, "calls", "2024-01-13", 8000, "after", site="x"),
        ]
    )
    await void(world, account, "voided")
    run = {
        "filter": TESTS,
        "change": Change(quantity_factor=number(1), quantity_divisor=number(1000)),
        "reason": "they were milliseconds",
    }
    start = await days(world, account)

    dry = await amend_all(world, account, **run, dry_run=True)
    untouched = await days(world, account)
    real = await amend_all(world, account, **run)

    def figures(found: consumption.AmendRun):
        counts = found.record_count, found.unchanged_count, found.refused_count
        return counts, usages(found), periods(found)

    assert figures(dry) == figures(real)
    assert figures(dry) == (
        (3, 1, 0),
        {(asset.name, CALLS): (2, 9001, figure(number("9.001"))), (asset.name, SMS): (1, 5000, 5)},
        [(1, False), (2, False)],
    )
    assert untouched == start
    record = await stored(world, account, "last")
    assert (figure(record.quantity), record.revision) == (figure(number("7.001")), 2)
    assert record.amended_by == record.created_by
    assert [figure(one.quantity) for one in record.earlier_revisions] == [7001]
    for name, quantity in (("before", 1000), ("elsewhere", 3000), ("nothing", 0), ("voided", 4)):
        kept = await stored(world, account, name)
        assert (figure(kept.quantity), kept.revision) == (quantity, 1)
    request = consumption.ListAmendRunsRequest(parent=account, page_size=1)
    runs = [one async for one in pages(world.client.consumption.ListAmendRuns, request)]
    assert [(one.name, len(one.usage)) for one in runs] == [(real.name, 0), (dry.name, 0)]
    assert (runs[0].change, runs[0].filter) == (real.change, TESTS)
    assert real.reason == "they were milliseconds"


async def test_a_run_that_was_wrong_is_undone_by_another(sandbox):
    world, account, asset = await shop(sandbox)
    await world.record([usage(asset, "calls", "2024-01-11", 5, "a", site="x")])

    await amend_all(world, account, filter=TESTS, change=Change(quantity_factor=number(4)))
    undone = await amend_all(
        world, account, filter=TESTS, change=Change(quantity_factor=number("0.25"))
    )

    assert (undone.record_count, undone.unchanged_count) == (1, 0)
    record = await stored(world, account, "a")
    assert (figure(record.quantity), record.revision) == (5, 3)
    assert await days(world, account) == {"2024-01-11": (5, 1)}


async def test_usage_gets_another_unit_resource_asset_and_labels(sandbox):
    world, account, asset = await shop(sandbox, *BOTH)
    [other] = await world.sell(account, line("plan", "2024-01-01"))
    sent = usage(asset, "calls", "2024-01-11", 24, "a", site="x", by="robot", old="1")
    await world.record([sent])
    dozen = await dozen_of_sms(world)

    change = Change(
        quantity=number(3), unit_of_measure=dozen, usage_resource=SMS, asset=other.name,
        set_labels={"by": "hand", "new": "2"}, remove_labels=["old", "missing"],
    )  # fmt: skip
    run = await amend_all(world, account, filter=TESTS, change=change)

    assert run.record_count == 1, reasons(run.refused_records)
    assert run.change == change
    assert usages(run) == {(asset.name, CALLS): (1, 24, 0), (other.name, SMS): (1, 0, 36)}
    record = await stored(world, account, "a")
    assert (record.asset, record.usage_resource) == (other.name, SMS)
    assert (figure(record.quantity), record.unit_of_measure) == (3, dozen)
    assert dict(record.labels) == {"site": "x", "by": "hand", "new": "2"}


async def test_what_is_refused_is_named_and_stops_nothing(sandbox):
    world, account, asset = await shop(sandbox)
    others = [usage(asset, "calls", "2024-01-12", 3, f"r{n:03}", site="x") for n in range(120)]
    await world.record(
        [
            usage(asset, "calls", "2024-01-11", 1, "exact", site="x"),
            usage(asset, "calls", "2024-01-11", 10**18, "much", site="x"),
            *others,
        ]
    )

    twice = await amend_all(world, account, filter=TESTS, change=Change(quantity_factor=number(2)))
    thirds = Change(quantity_factor=number(1), quantity_divisor=number(7))
    inexact = await amend_all(world, account, filter=TESTS, change=thirds, dry_run=True)
    away = await amend_all(world, account, filter=TESTS, change=Change(usage_resource=SMS))

    assert (twice.record_count, twice.refused_count) == (121, 1)
    [much] = twice.refused_records
    assert much.usage_record == f"{account}/usageRecords/much"
    assert UsageError.of_status(much.status).reason == "DECIMAL_RANGE"
    assert (inexact.record_count, inexact.refused_count) == (0, 122)
    assert reasons(inexact.refused_records) == ["DECIMAL_SCALE"] * 100
    assert len({one.usage_record for one in inexact.refused_records}) == 100
    assert {*reasons(away.refused_records)} == {"RESOURCE_NOT_ENTITLED"}


async def test_a_cap_refuses_in_a_dry_run_what_it_refuses_in_fact(sandbox):
    """12 calls are included and none is sold beyond: 9 are used, and 3 more fit once."""
    capped = Metered(resource="calls", grant="12", rate="1", overage="BLOCK")
    world, account, asset = await shop(sandbox, capped)
    await world.record(
        [usage(asset, "calls", f"2024-01-11T0{n}:00", 3, f"r{n}", site="x") for n in range(3)]
    )
    run = {"filter": TESTS, "change": Change(quantity_factor=number(2))}

    dry = await amend_all(world, account, **run, dry_run=True)
    real = await amend_all(world, account, **run)

    for found in (dry, real):
        assert (found.record_count, found.refused_count) == (1, 2)
        assert reasons(found.refused_records) == ["CAP_REACHED"] * 2
    assert list(dry.refused_records) == list(real.refused_records)
    assert await days(world, account) == {"2024-01-11": (12, 3)}


async def test_a_change_that_makes_no_sense_is_refused(sandbox):
    world, account, _ = await shop(sandbox)
    nobody = "accounts/bob/assets/00000000-0000-4000-8000-000000000001"
    bad = [
        Change(),
        Change(quantity=number(-1)),
        Change(quantity_factor=number(0)),
        Change(quantity_factor=number(1), quantity_divisor=number(0)),
        Change(quantity_divisor=number(2)),
        Change(quantity_factor=number("1e3")),
        Change(asset=nobody),
        Change(unit_of_measure="dozen"),
        Change(set_labels={"a": ""}),
        Change(set_labels={"a": "b"}, remove_labels=["a"]),
    ]

    found = [await refusal(begin_amend(world, account, filter=TESTS, change=one)) for one in bad]
    missing = consumption.GetAmendRunRequest(
        name=f"{account}/amendRuns/00000000-0000-4000-8000-000000000001"
    )
    unknown = await refusal(world.client.consumption.GetAmendRun(missing))

    assert [one.reason for one in found] == [
        "FIELD_REQUIRED", "QUANTITY_NEGATIVE", "FACTOR_RANGE", "FACTOR_RANGE", "FIELD_REQUIRED",
        "DECIMAL_FORMAT", "NAME_FORMAT", "NAME_FORMAT", "LABELS_INVALID", "LABELS_INVALID",
    ]  # fmt: skip
    assert unknown.reason == "AMEND_RUN_NOT_FOUND"


async def test_a_run_is_no_run_of_the_other_kind(sandbox):
    world, account, _ = await shop(sandbox)
    run = await amend_all(world, account, filter=TESTS, change=Change(quantity=number(1)))

    name = run.name.replace("amendRuns", "voidRuns")
    other = await refusal(
        world.client.consumption.GetVoidRun(consumption.GetVoidRunRequest(name=name))
    )

    assert other.reason == "VOID_RUN_NOT_FOUND"
    request = consumption.ListVoidRunsRequest(parent=account)
    assert not (await world.client.consumption.ListVoidRuns(request)).void_runs
