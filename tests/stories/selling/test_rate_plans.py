"""Rate plans: what each resource of an asset costs on a day, and which version will rate it."""

from typing import Any

import pytest

from clients import UsageError
from clients.values import enum_name
from tests.stories.procedure_words import BASE, SETTING, use_own, version, voucher
from tests.stories.sale_words import linked
from tests.stories.selling.rate_plans import plan
from tests.stories.token_words import Credits, commitment, described, set_up
from tests.stories.words import Metered, day, figure, line, money, refusal


@pytest.mark.capability("M148")
async def test_a_plan_says_what_each_resource_costs_and_what_rates_it(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(resource="calls", rate="0.5", overage="FREE"),
        Metered(resource="data", rate="2", tiers=(("0", None, "1.5"),)),
    )
    account = await world.account("ann", anchor_day=15)
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await version(world, "v1", [SETTING, BASE])
    spring = {"start_date": {"year": 2024, "month": 2, "day": 1}}
    await version(world, "v2", [SETTING, BASE, voucher(10)], rank=2, **spring)
    await use_own(world)

    today = await plan(world, asset.name)
    february = await plan(world, asset.name, "2024-02-20")
    before = await plan(world, asset.name, "2023-12-31")

    calls, data = today.lines
    assert (today.name, today.date) == (asset.name, day("2024-01-31"))
    assert (calls.usage_resource, enum_name(calls, "overage")) == ("usageResources/calls", "FREE")
    assert (figure(data.terms.rate.value), data.currency_code, enum_name(data, "overage")) == (
        2,
        "USD",
        "CHARGE",
    )
    assert [figure(one.adjustment.value) for one in data.terms.tiers.tiers] == [1.5]
    assert data.rating_period_date == day("2024-01-15")
    assert data.procedure_version == "procedures/own/versions/v1"
    assert february.lines[1].rating_period_date == day("2024-02-15")
    assert february.lines[1].procedure_version == "procedures/own/versions/v2"
    assert not data.HasField("status")
    assert "no rate" in before.lines[1].status.message
    assert not before.lines[1].HasField("terms")


@pytest.mark.capability("M148")
async def test_a_plan_can_be_asked_for_as_another_procedure_would_rate(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", rate="0.5"))
    [asset] = await world.sell(await world.account("ann"), line("plan", "2024-01-01"))
    await version(world, "v1", [SETTING, BASE])
    await version(world, "v2", [SETTING, BASE, voucher(10)], rank=2)

    usual, own = await plan(world, asset.name), await plan(world, asset.name, procedure="own")
    with pytest.raises(UsageError) as looks:
        await plan(world, asset.name, procedure="default-discovery")
    with pytest.raises(UsageError, match="PROCEDURE_NOT_FOUND"):
        await plan(world, asset.name, procedure="nobodys")

    versions = [one.lines[0].procedure_version for one in (usual, own)]
    assert versions == [
        f"procedures/{name}" for name in ("negotiable-rating/versions/v1", "own/versions/v2")
    ]
    assert (looks.value.reason, looks.value.facts["field"]) == ("PROCEDURE_USAGE", "procedure")


@pytest.mark.capability("M148")
async def test_a_plan_has_the_commitments_that_lower_a_rate(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "3"}, Credits(price="5")))
    await set_up(world, commitment("commit", "credits", "100", price="2.5"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    [added] = await world.sell(account, linked("commit", "2024-01-10", asset))

    early, now = await plan(world, asset.name, "2024-01-09"), await plan(world, asset.name)
    await world.use(asset, "data", "2024-01-20", 100)
    await world.advance("2024-02-10")

    credits, data = now.lines
    assert (data.token_unit, data.currency_code) == ("unitsOfMeasure/credit", "")
    assert list(early.lines[0].commitments) == []
    [lower] = credits.commitments
    assert (lower.asset, figure(lower.terms.rate.value)) == (added.name, 2.5)
    assert figure(credits.terms.rate.value) == 5
    # 300 credits, 100 of them committed: what is left costs what the commitment says.
    [owing] = [one for one in await world.liable(account) if money(one.amount)]
    assert money(owing.amount) == 500


async def test_what_is_no_asset_has_no_plan(sandbox: Any) -> None:
    world = await sandbox("2024-01-31")
    account = await world.account("ann")
    name = f"{account}/assets/0190e5f4-5555-7000-8000-000000000001"

    missing = await refusal(plan(world, name))
    wrong = await refusal(plan(world, f"{account}/assets/one"))

    assert (missing.reason, wrong.reason) == ("ASSET_NOT_FOUND", "ID_FORMAT")
    assert wrong.violations[0].field == "name"
