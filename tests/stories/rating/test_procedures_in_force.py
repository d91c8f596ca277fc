"""Procedures in force: what a tenant rates by is what it bills, shows and explains."""

from dataclasses import replace
from typing import Any

import pytest
from usage_management.v1 import procedure_service_pb2 as requests
from usage_management.v1 import summary_service_pb2 as summaries

from clients.values import enum_name, reason_of
from tests.stories.procedure_words import (
    BASE,
    DATA,
    INACTIVE,
    SETTING,
    formula,
    own,
    put,
    use_own,
    version,
    voucher,
)
from tests.stories.token_words import Credits, described, set_up
from tests.stories.words import Metered, day, figure, line, money, number, refusal, usage
from tests.stories.world import World


async def sold(world: World, *metered: Metered, account: str = "ann") -> tuple[str, Any]:
    """A plan is sold from January on, 10 GB a month included and 2.00 for each of the others."""
    await world.product("plan", *(metered or (DATA,)))
    named = await world.account(account)
    [asset] = await world.sell(named, line("plan", "2024-01-01"))
    return named, asset


def steps(rated: Any) -> list[str]:
    return [enum_name(step, "element") for step in rated.waterfall]


@pytest.mark.capability("M48")
async def test_the_default_procedure_of_a_tenant_rates_what_is_billed(sandbox):
    world = await sandbox("2024-01-31")
    made = await own(world, formula("net_unit_rate + 3"))
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 14)
    live = await world.wallet(account, "data")
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    [owing] = await world.liable(account)
    assert figure(live.estimated_amount) == money(owing.amount) == 20
    assert (figure(rated.amount), figure(rated.net_unit_rate)) == (20, 5)
    assert rated.procedure_version == made.name
    assert steps(rated) == ["BASE_RATE", "FORMULA", "AMOUNT"]
    assert rated.waterfall[1].inputs["net_unit_rate"] == "2"


async def test_what_is_shipped_rates_where_nothing_else_was_chosen(sandbox):
    world = await sandbox("2024-01-31")
    await version(world, "v1", [SETTING, BASE, formula("net_unit_rate + 3")])
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 14)
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    assert figure(rated.amount) == 8
    assert rated.procedure_version == "procedures/negotiable-rating/versions/v1"


async def test_of_two_versions_the_higher_rank_rates(sandbox):
    world = await sandbox("2024-01-31")
    await own(world)
    second = await version(world, "v2", [SETTING, BASE, voucher(10)], rank=2)
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 110)
    live = await world.wallet(account, "data")
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    assert figure(live.estimated_amount) == figure(rated.amount) == 180
    assert rated.procedure_version == second.name
    assert steps(rated) == ["BASE_RATE", "MANUAL_DISCOUNT", "AMOUNT"]


async def test_a_version_that_begins_later_rates_what_begins_later(sandbox):
    world = await sandbox("2024-01-31")
    first = await own(world)
    spring = {"start_date": {"year": 2024, "month": 2, "day": 1}}
    second = await version(world, "v2", [SETTING, BASE, voucher(50)], rank=2, **spring)
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 14)
    january = await world.wallet(account, "data")
    await world.advance("2024-02-12")
    await world.use(asset, "data", "2024-02-11", 14)
    [late] = await world.record([usage(asset, "data", "2024-01-20", 1)])
    february = await world.wallet(account, "data")
    await world.advance("2024-03-12")

    by_version = [
        (one.procedure_version, figure(one.amount)) for one in await world.ratable(account)
    ]
    # What came late happened in January, and is billed with February.
    assert sorted(by_version) == [(first.name, 2), (first.name, 8), (second.name, 4)]
    assert (figure(january.estimated_amount), figure(february.estimated_amount)) == (8, 4)
    assert late.code == late.LATE
    assert sorted(money(one.amount) for one in await world.liable(account)) == [2, 4, 8]


async def test_what_was_rated_stays_and_its_version_too(sandbox):
    """The sandbox verifies: January again by the version that rated it, not by the new one."""
    world = await sandbox("2024-01-31")
    first = await own(world, formula("net_unit_rate + 3"))
    account, asset = await sold(world)
    await world.use(asset, "data", "2024-01-10", 14)
    await world.advance("2024-02-10")

    second = await version(world, "v2", [SETTING, BASE, voucher(50)], rank=2)
    await put(world, first.name, state=INACTIVE)
    request = requests.DeleteProcedureVersionRequest(name=first.name)
    kept = await refusal(world.client.procedures.DeleteProcedureVersion(request))
    await world.use(asset, "data", "2024-02-09", 14)
    await world.advance("2024-03-10")

    assert kept.reason == "IN_USE"
    rated = await world.ratable(account)
    assert [one.procedure_version for one in rated] == [first.name, second.name]
    assert [figure(one.amount) for one in rated] == [20, 4]


async def test_what_is_shown_follows_the_default_at_once(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await sold(world)
    await world.use(asset, "data", "2024-01-10", 14)

    async def shown() -> Any:
        return figure((await world.wallet(account, "data")).estimated_amount)

    shipped = await shown()
    await own(world, formula("net_unit_rate + 3"))
    by_own = await shown()
    second = await version(world, "v2", [SETTING, BASE, voucher(50)], rank=2)
    by_second = await shown()
    await put(world, second.name, state=INACTIVE)
    back = await shown()
    await use_own(world, "negotiable-rating")

    assert (shipped, by_own, by_second, back, await shown()) == (8, 20, 4, 20, 8)


@pytest.mark.capability("M54")
async def test_the_lines_of_a_period_are_rated_together(sandbox):
    """Ten off a unit's price, in percent, where the assets of a wallet use 100 together."""
    world = await sandbox("2024-01-31")
    together = {
        "list_operation": {
            "list_function": "SUM",
            "source": "overage_quantity",
            "variable": "whole",
        }
    }
    some = {"list_group": {"condition": "whole >= 100", "elements": [voucher(10)]}}
    await own(world, together, some)
    await world.product("plan", Metered(resource="data", rate="2"))
    account = await world.account("ann")
    first, second = await world.sell(
        account,
        line("plan", "2024-01-01", binding="ACCOUNT"),
        line("plan", "2024-01-01", binding="ACCOUNT"),
    )

    await world.use(first, "data", "2024-01-10", 60)
    before = await world.wallet(account, "data")
    await world.use(second, "data", "2024-01-11", 40)
    after = await world.wallet(account, "data")
    await world.advance("2024-02-10")

    assert (figure(before.estimated_amount), figure(after.estimated_amount)) == (120, 180)
    assert {figure(one.amount) for one in await world.ratable(account)} == {108, 72}


async def test_tokens_are_what_the_procedure_of_the_tenant_makes_of_usage(sandbox):
    world = await sandbox("2024-01-31")
    await own(world, formula("net_unit_rate * 2"))
    text = described("plan", {"data": "2"}, Credits(price="0.20", grant="50"))
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "data", "2024-01-10", 10)
    await world.use(asset, "data", "2024-01-11", 15)
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    [owing] = await world.liable(account)
    # 25 GB come to 4 credits each; of the 100, 50 were granted, and a credit costs 0.40.
    assert figure(live.overage_quantity) == 50
    assert figure(live.estimated_amount) == money(owing.amount) == 20
    [traced] = (await world.trace(owing)).sources
    assert [figure(one.usage_summary.quantity) for one in traced.usage_summaries] == [40, 60]


async def test_what_a_procedure_fails_is_kept_and_says_why(sandbox):
    world = await sandbox("2024-01-31")
    made = await own(world, formula("net_unit_rate - 3"))
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 14)
    live = await world.wallet(account, "data")
    await world.advance("2024-02-02")
    over = await world.wallet(account, "data")
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    [owing] = await world.liable(account)
    # Of the period of now it is the estimate that is missing, of one before it what is not billed.
    assert (live.HasField("estimated_amount"), live.HasField("unbilled_amount")) == (False, True)
    assert (over.HasField("estimated_amount"), over.HasField("unbilled_amount")) == (True, False)
    assert rated.State.Name(rated.state) == "RATING_FAILED"
    assert (reason_of(rated.error), rated.procedure_version) == ("RATE_NEGATIVE", made.name)
    assert "nobody is paid" in rated.error.message
    assert steps(rated) == ["BASE_RATE"]
    assert (figure(rated.used_quantity), figure(rated.overage_quantity)) == (14, 4)
    assert owing.State.Name(owing.state) == "FAILED"
    assert (figure(owing.used_quantity), money(owing.amount)) == (14, 0)


async def test_an_amount_that_is_longer_than_money_is_fails_its_line(sandbox):
    world = await sandbox("2024-01-31")
    await own(world, formula("net_unit_rate * 10000000000000000000000000"))
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 110)
    await world.advance("2024-02-10")

    [rated] = await world.ratable(account)
    [owing] = await world.liable(account)
    assert reason_of(rated.error) == "AMOUNT_RANGE"
    assert figure(rated.overage_quantity) == 100
    assert owing.State.Name(owing.state) == "FAILED"


async def test_a_day_without_a_version_fails_what_it_would_rate(sandbox):
    world = await sandbox("2024-01-31")
    made = await own(world, start_date={"year": 2024, "month": 2, "day": 1})
    account, asset = await sold(world)

    await world.use(asset, "data", "2024-01-10", 14)
    await world.advance("2024-02-10")
    await world.use(asset, "data", "2024-02-09", 14)
    await world.advance("2024-03-10")

    first, second = await world.ratable(account)
    assert (reason_of(first.error), first.procedure_version) == ("PROCEDURE_NOT_IN_FORCE", "")
    assert (figure(second.amount), second.procedure_version) == (8, made.name)


async def test_what_is_discovered_is_what_will_be_billed(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await sold(world)
    shipped = await world.discover("plan", "data", date=day("2024-01-15"), quantity=number(4))

    await own(world, formula("net_unit_rate + 3"))
    begins = {"start_date": {"year": 2024, "month": 1, "day": 15}}
    await version(world, "v2", [SETTING, BASE, voucher(50)], rank=2, **begins)
    first = await world.discover("plan", "data", date=day("2024-01-14"), quantity=number(4))
    then = await world.discover("plan", "data", date=day("2024-01-15"), quantity=number(4))
    held = {"asset": asset.name, "quantity": number(4)}
    january = await world.discover("plan", "data", date=day("2024-01-15"), **held)
    february = await world.discover("plan", "data", date=day("2024-02-01"), **held)
    await world.use(asset, "data", "2024-01-20", 14)
    await world.advance("2024-02-10")

    answers = [shipped, first, then, january, february]
    assert [figure(one.amount) for one in answers] == [8, 20, 4, 20, 4]
    assert steps(then) == ["BASE_RATE", "MANUAL_DISCOUNT", "AMOUNT"]
    assert [one.procedure_version[-2:] for one in answers] == ["v1", "v1", "v2", "v1", "v2"]
    assert figure(then.terms.rate.value) == 2
    # January's rating period began before the second version did.
    [owing] = await world.liable(account)
    assert money(owing.amount) == figure(january.amount) == 20


async def test_what_cannot_be_rated_is_no_amount_when_it_is_discovered(sandbox):
    world = await sandbox("2024-01-31")
    await sold(world)
    await own(world, formula("net_unit_rate - 3"), start_date={"year": 2024, "month": 1, "day": 15})

    before = await world.discover("plan", "data", date=day("2024-01-14"), quantity=number(4))
    after = await world.discover("plan", "data", date=day("2024-01-15"), quantity=number(4))

    assert "no version" in before.status.message
    assert "nobody is paid" in after.status.message
    assert not (before.HasField("amount"))
    assert not (after.HasField("amount"))


async def waterfall(world: World, line: Any, execution_id: str = "") -> summaries.RateWaterfall:
    request = summaries.GetRateWaterfallRequest(name=line.name, execution_id=execution_id)
    return await world.client.summaries.GetRateWaterfall(request)


@pytest.mark.capability("M58", "M148")
async def test_a_waterfall_is_of_a_line_and_of_an_execution(sandbox):
    world = await sandbox("2024-01-31")
    made = await own(world, formula("net_unit_rate + 3"))
    daily = Metered(resource="data", rate="2", rating="DAY", waiting_days=0)
    account, asset = await sold(world, daily)
    await world.use(asset, "data", "2024-01-30T12:00", 4)
    await world.use(asset, "data", "2024-01-30T13:00", 1)
    await world.advance("2024-01-31T12:00")
    await world.use(asset, "data", "2024-01-31T11:00", 2)
    await world.advance("2024-02-10")

    first, second = await world.ratable(account)
    [owing] = await world.liable(account)
    whole = await waterfall(world, owing)
    one = await waterfall(world, second)
    same = await waterfall(world, owing, second.execution_id)
    gone = await refusal(waterfall(world, first, second.execution_id))
    wrong = await refusal(waterfall(world, first, "yesterday"))
    none = await refusal(waterfall(world, summaries.LiableSummary(name=first.name[:-1] + "z")))

    assert [one.ratable_summary for one in whole.lines] == [first.name, second.name]
    assert one.lines == same.lines == [whole.lines[1]]
    shown = whole.lines[0]
    assert (shown.success, shown.currency_code, shown.procedure_version) == (True, "USD", made.name)
    assert (shown.inputs["overage_quantity"], shown.inputs["used_quantity"]) == ("5", "5")
    assert (shown.outputs["amount"], shown.outputs["net_unit_rate"]) == ("25", "5")
    assert [step.sequence for step in shown.steps] == [1, 2, 3]
    assert [enum_name(step, "element") for step in shown.steps] == [
        "BASE_RATE",
        "FORMULA",
        "AMOUNT",
    ]
    assert first.execution_id != second.execution_id
    assert shown.execution_start_time.ToNanoseconds() < shown.execution_end_time.ToNanoseconds()
    assert (gone.reason, wrong.reason) == ("RATE_EXECUTION_NOT_FOUND", "ID_FORMAT")
    assert none.reason == "ID_FORMAT"


async def test_a_line_that_is_replaced_is_rated_by_the_version_that_rated_it_first(sandbox):
    world = await sandbox("2024-01-31")
    account, asset = await sold(world, replace(DATA, late="REOPEN"))
    await world.use(asset, "data", "2024-01-10", 14)
    await world.advance("2024-02-10")
    [before] = await world.ratable(account)

    await own(world, formula("net_unit_rate + 3"))
    await world.use(asset, "data", "2024-01-20", 1)
    await world.advance("2024-02-20")

    [after] = await world.ratable(account)
    [stale] = (await waterfall(world, after, before.execution_id)).superseded
    [shown] = (await waterfall(world, after, after.execution_id)).lines
    assert before.name == after.name
    assert before.procedure_version == stale.procedure_version
    assert stale.procedure_version == "procedures/negotiable-rating/versions/v1"
    assert after.procedure_version == shown.procedure_version == stale.procedure_version
    assert after.execution_id != before.execution_id
    assert (figure(before.amount), figure(after.amount)) == (8, 10)
    assert stale.outputs["amount"] == "8"


async def test_a_procedure_reads_what_tells_usage_apart(sandbox):
    """Without any rate by attribute: the region is an input of the tenant's own procedure."""
    world = await sandbox("2024-01-31")
    inputs = [{"name": "region", "kind": "TEXT"}]
    half = {"list_group": {"condition": 'region == "eu"', "elements": [voucher(50)]}}
    await version(world, "v1", [{"rating_setting": {"inputs": inputs}}, BASE, half])
    await use_own(world)
    metered = Metered(resource="data", rate="2", dimensions=("region",))
    account, asset = await sold(world, metered)

    acts = (("eu", 10), ("us", 10), ("", 5))
    labels = [({"region": region} if region else {}, quantity) for region, quantity in acts]
    await world.record([usage(asset, "data", "2024-01-10", n, **told) for told, n in labels])
    eu = await world.discover("plan", "data", quantity=number(10), attributes={"region": "eu"})
    us = await world.discover("plan", "data", quantity=number(10), attributes={"region": "us"})
    await world.advance("2024-02-10")

    rated = {one.dimensions.get("region", ""): one for one in await world.ratable(account)}
    assert (figure(eu.amount), figure(us.amount)) == (10, 20)
    assert (figure(rated["eu"].amount), figure(rated["us"].amount)) == (10, 20)
    # What names no region is kept, and says what is missing.
    assert reason_of(rated[""].error) == "RATING_FAILED"
    assert rated[""].error.message == "the attribute region is not given"
    assert figure(rated[""].overage_quantity) == 5
    owing = [(one.State.Name(one.state), money(one.amount)) for one in await world.liable(account)]
    assert sorted(owing) == [
        ("FAILED", 0),
        ("READY_FOR_INVOICING", 10),
        ("READY_FOR_INVOICING", 20),
    ]
