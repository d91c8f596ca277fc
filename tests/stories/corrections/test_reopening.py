"""Late usage that replaces the lines of its period: the outcome is that of usage in time."""

import asyncio
from uuid import uuid4

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import summary_service_pb2 as summaries

from clients import UsageError
from clients.values import enum_name
from tests.stories.words import Metered, figure, line, money, usage

LATE = consumption.RecordOutcome.LATE


def minutes(**more) -> Metered:
    words = {"resource": "minutes", "grant": "100", "refresh": "MONTH", "max_rollovers": 1}
    return Metered(**({"rate": "0.5", "late": "REOPEN"} | words | more))


async def played(world, name: str, *, late: bool):
    """100 minutes a month that roll over once: 60 in January, 30 more in time or too late."""
    account = await world.account(name)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "minutes", "2024-01-10", 60)
    if not late:
        await world.use(asset, "minutes", "2024-01-20", 30)
    return account, asset


async def states(world, account: str):
    """The wallet, its grants and its lines, as anybody could compare them."""
    wallet = await world.wallet(account, "minutes")
    grants = await world.grants(wallet)
    return (
        figure(wallet.balance),
        figure(wallet.used_quantity),
        sorted((g.start_time.seconds, figure(g.balance)) for g in grants if figure(g.balance)),
        [(figure(one.used_quantity), money(one.amount)) for one in await world.liable(account)],
    )


async def test_the_outcome_is_that_of_usage_which_came_in_time(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", minutes())
    ann, late_asset = await played(world, "ann", late=True)
    bob, asset = await played(world, "bob", late=False)
    await world.advance("2024-02-06")
    before = await states(world, ann)

    outcome = await world.use(late_asset, "minutes", "2024-01-20", 30)
    reopened = await states(world, ann)
    await world.advance("2024-02-10")

    assert (outcome.code, enum_name(outcome.late, "policy")) == (LATE, "REOPEN")
    assert outcome.late.period.start_time.ToDatetime().month == 1
    assert (before[0], reopened[0]) == (140, 110)
    assert await states(world, ann) == await states(world, bob)
    await world.use(late_asset, "minutes", "2024-02-08", 125)
    await world.use(asset, "minutes", "2024-02-08", 125)
    await world.advance("2024-03-05")
    assert await states(world, ann) == await states(world, bob)
    [_, february] = await world.liable(ann)
    assert money(february.amount) == (125 - 110) / 2


async def test_late_usage_of_two_periods_is_taken_in_together(sandbox):
    world = await sandbox("2023-12-01")
    plan = Metered(resource="minutes", grant="10", refresh="MONTH", rate="2", late="REOPEN")
    await world.product("plan", plan)
    ann, bob = [await world.account(name) for name in ("ann", "bob")]
    sold = [await world.sell(one, line("plan", "2023-12-01")) for one in (ann, bob)]
    [[late], [in_time]] = sold
    await world.advance("2023-12-30")
    for asset in (late, in_time):
        await world.use(asset, "minutes", "2023-12-27", 1)
    await world.use(in_time, "minutes", "2023-12-28", 12)
    await world.advance("2024-01-28")
    await world.use(in_time, "minutes", "2024-01-26", 15)
    await world.advance("2024-02-15")

    january = await world.use(late, "minutes", "2024-01-26", 15)
    december = await world.use(late, "minutes", "2023-12-28", 12)
    await world.advance("2024-02-25")

    months = [one.late.period.start_time.ToDatetime().month for one in (january, december)]
    assert months == [1, 12]
    assert await states(world, ann) == await states(world, bob)
    assert [money(one.amount) for one in await world.liable(ann)] == [6, 10]


async def test_an_invoice_ready_line_says_what_it_said_before(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", minutes(max_rollovers=None))
    account, asset = await played(world, "ann", late=True)
    await world.use(asset, "minutes", "2024-01-11", 50)
    await world.advance("2024-02-06")
    [first] = await world.liable(account)

    for n, at in enumerate(("2024-01-12", "2024-01-13"), 1):
        before = await world.liable(account)
        await world.use(asset, "minutes", at, n)
        assert await world.liable(account) == before
        await world.advance(f"2024-02-{6 + 4 * n:02}")
    [line_] = await world.liable(account)

    assert line_.name == first.name
    assert money(line_.amount) == 6.5
    assert [(figure(s.used_quantity), money(s.amount)) for s in line_.superseded] == [
        (110, 5),
        (111, 5.5),
    ]
    [source] = (await world.trace(line_)).sources
    drawn = sum(figure(d.quantity) for s in source.usage_summaries for d in s.drawn_from)
    assert (drawn, figure(source.ratable_summary.overage_quantity)) == (100, 13)
    wallet = await world.wallet(account, "minutes")
    assert sum(figure(e.amount) for e in await world.entries(wallet)) == figure(wallet.balance)


@pytest.mark.capability("M58")
async def test_what_each_close_rated_can_be_read_step_by_step(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", minutes(max_rollovers=None))
    account, asset = await played(world, "ann", late=True)
    await world.use(asset, "minutes", "2024-01-11", 50)
    await world.advance("2024-02-06")
    [first] = await world.liable(account)
    [[rated], none] = await waterfall(world, first.name)

    await world.use(asset, "minutes", "2024-01-12", 7)
    until_then = await waterfall(world, first.name)
    await world.advance("2024-02-10")
    [[standing], [superseded]] = await waterfall(world, first.name)

    assert (none, until_then) == ([], [[rated], []])
    assert superseded == rated
    assert [dict(one.outputs)["amount"] for one in (superseded, standing)] == ["5", "8.5"]
    assert superseded.execution_id != standing.execution_id
    for name in (first.name, rated.ratable_summary):
        assert await waterfall(world, name, rated.execution_id) == [[], [rated]]
        assert await waterfall(world, name, standing.execution_id) == [[standing], []]
    with pytest.raises(UsageError, match="RATE_EXECUTION_NOT_FOUND"):
        await waterfall(world, first.name, str(uuid4()))


async def waterfall(world, name: str, execution_id: str = ""):
    """Return the rated versions of a line, the current one and those before."""
    request = summaries.GetRateWaterfallRequest(name=name, execution_id=execution_id)
    found = await world.client.summaries.GetRateWaterfall(request)
    return [list(found.lines), list(found.superseded)]


async def test_late_usage_that_is_refused_changes_nothing(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", minutes(overage="BLOCK"), minutes(resource="texts"))
    account, asset = await played(world, "ann", late=True)
    await world.use(asset, "texts", "2024-01-10", 60)
    await world.advance("2024-02-06")
    bills = await world.liable(account)
    wallet = await world.wallet(account, "minutes")
    entries = await world.entries(wallet)

    [beyond] = await world.record([usage(asset, "minutes", "2024-01-20", 101)])
    refused = await world.liable(account), await world.entries(wallet)
    both = await world.record(
        [
            usage(asset, "minutes", "2024-01-20", 101, "too-much"),
            usage(asset, "texts", "2024-01-20", 2, "texts"),
        ]
    )
    until_then = await world.liable(account)
    fits = await world.record(
        [
            usage(asset, "minutes", "2024-01-20", 101, "too-much"),
            usage(asset, "minutes", "2024-01-21", 3, "enough"),
        ]
    )
    await world.advance("2024-02-10")

    assert (beyond.code, len(bills)) == (consumption.RecordOutcome.REJECTED, 2)
    assert refused == (bills, entries)
    assert [one.code for one in both] == [consumption.RecordOutcome.REJECTED, LATE]
    assert until_then == bills
    assert [one.code for one in fits] == [consumption.RecordOutcome.REJECTED, LATE]
    assert sorted(figure(one.used_quantity) for one in await world.liable(account)) == [62, 63]


async def test_a_line_is_replaced_though_later_periods_are_final(sandbox):
    world = await sandbox("2024-01-31")
    daily = Metered(resource="texts", rate="1", rating="DAY", waiting_days=0)
    await world.product("plan", minutes(), daily)
    ann, late_asset = await played(world, "ann", late=True)
    bob, asset = await played(world, "bob", late=False)
    for one in (late_asset, asset):
        await world.use(one, "minutes", "2024-01-12", 50)
    await world.advance("2024-02-13")
    for one in (late_asset, asset):
        await world.use(one, "minutes", "2024-02-12", 110)
    await world.advance("2024-03-05")
    names = [one.name for one in await world.liable(ann)]

    outcome = await world.use(late_asset, "minutes", "2024-01-20", 30)
    await world.advance("2024-03-06")

    assert (outcome.code, enum_name(outcome.late, "policy")) == (LATE, "REOPEN")
    assert outcome.late.period.start_time.ToDatetime().month == 1
    assert await states(world, ann) == await states(world, bob)
    assert [one.name for one in await world.liable(ann)] == names
    assert [money(one.amount) for one in await world.liable(ann)] == [20, 5]


async def test_many_late_records_at_once_are_taken_in_together(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", minutes())
    account, asset = await played(world, "ann", late=True)
    await world.advance("2024-02-06")
    batches = [[usage(asset, "minutes", f"2024-01-{day:02}", 1)] for day in range(2, 12)]

    outcomes = [one for [one] in await asyncio.gather(*map(world.record, batches))]
    await world.advance("2024-02-12")

    assert {one.code for one in outcomes} == {LATE}
    [(used, _)] = (await states(world, account))[3]
    assert used == 70
    [bill] = await world.liable(account)
    # The worker may take in some of them before the others arrive.
    assert figure(bill.superseded[0].used_quantity) == 60


async def test_a_cap_decides_on_late_usage_by_what_its_own_period_has_left(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", minutes(overage="BLOCK", rate=None, max_rollovers=None))
    account, asset = await played(world, "ann", late=True)
    await world.advance("2024-02-06")

    fits, not_any_more = await world.record(
        [usage(asset, "minutes", "2024-01-20", 40), usage(asset, "minutes", "2024-01-21", 1)]
    )

    assert (fits.code, not_any_more.code) == (LATE, consumption.RecordOutcome.REJECTED)
    assert figure((await world.wallet(account, "minutes")).balance) == 100
