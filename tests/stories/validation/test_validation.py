"""Validation of a product before it is sold."""

import pytest
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import validation_service_pb2 as validation

from clients import UsageError
from tests.stories.validation_words import CALLS, broken, validate
from tests.stories.words import Metered, day, number
from tests.stories.world import World

ERROR, WARNING = validation.ValidationRule.ERROR, validation.ValidationRule.WARNING


async def plan(world: World, product: str, start: str | None = None, end: str | None = None) -> str:
    """A product that meters calls on these days, as a draft; the answer is that record's name."""
    await world.product("elsewhere", CALLS)
    elsewhere = await world.client.catalog.GetProductUsageResource(
        catalog_rpc.GetProductUsageResourceRequest(name="products/elsewhere/usageResources/calls")
    )
    frequency = elsewhere.policies.rating_frequency_policy
    await world.client.catalog.CreateProduct(
        catalog_rpc.CreateProductRequest(
            product_id=product, product=catalog.Product(usage_model_type="ANCHOR")
        )
    )
    held = catalog.ProductUsageResource(
        usage_resource="usageResources/calls",
        policies=catalog.ResourcePolicies(rating_frequency_policy=frequency),
    )
    if start is not None:
        held.start_date.CopyFrom(day(start))
    if end is not None:
        held.end_date.CopyFrom(day(end))
    made = await world.client.catalog.CreateProductUsageResource(
        catalog_rpc.CreateProductUsageResourceRequest(
            parent=f"products/{product}", product_usage_resource=held
        )
    )
    return made.name


async def price(
    world: World, product: str, entry: str, start: str | None = None, end: str | None = None
) -> str:
    """An entry for calls on these days, as a draft; the answer is its name."""
    made = rates.RateCardEntry(
        product=f"products/{product}",
        usage_resource="usageResources/calls",
        currency_code="USD",
        rate=types.Rate(value=number("0.5"), currency_code="USD"),
    )
    if start is not None:
        made.start_date.CopyFrom(day(start))
    if end is not None:
        made.end_date.CopyFrom(day(end))
    request = rates.CreateRateCardEntryRequest(
        parent="rateCards/base", rate_card_entry_id=entry, rate_card_entry=made
    )
    return (await world.client.rates.CreateRateCardEntry(request)).name


async def test_a_product_that_can_be_sold_breaks_no_rule(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", CALLS)

    found = await validate(world, "plan")

    assert found.valid
    assert [one.product for one in found.products] == ["products/plan"]
    assert broken(found.products[0]) == {}
    assert found.start_date == day("2024-01-01")


@pytest.mark.capability("M123")
async def test_ten_products_are_looked_at_over_a_span_of_days_and_eleven_are_refused(sandbox):
    world = await sandbox("2024-01-01")
    held = await plan(world, "plan", end="2024-06-01")
    await price(world, "plan", "plan-usd", end="2024-03-01")
    await world.activate("plan")
    names = [f"p{number}" for number in range(9)]
    for name in names:
        await world.client.catalog.CreateProduct(
            catalog_rpc.CreateProductRequest(
                product_id=name, product=catalog.Product(usage_model_type="ANCHOR")
            )
        )

    ten = await validate(world, "plan", *names)
    before = await validate(world, "plan", start="2024-01-01", end="2024-03-01")
    over = await validate(world, "plan", start="2024-03-01")
    past = await validate(world, "plan", start="2024-06-01")
    with pytest.raises(UsageError) as eleven:
        await validate(world, "plan", *names, "elsewhere")

    assert [one.product for one in ten.products] == [f"products/{n}" for n in ("plan", *names)]
    assert list(broken(ten.products[0])) == ["RATE_ENDS_EARLY"]
    assert all(list(broken(one)) == ["PRODUCT_NOT_ACTIVE"] for one in ten.products[1:])
    assert broken(before.products[0]) == {}
    assert broken(over.products[0]) == {"RATE_MISSING": [[held]]}
    assert broken(past.products[0]) == {"PRODUCT_EMPTY": [["products/plan"]]}
    assert (ten.valid, before.valid, over.valid) == (True, True, False)
    assert eleven.value.code.name == "INVALID_ARGUMENT"
    assert (eleven.value.reason, eleven.value.facts["got"]) == ("TOO_MANY_ITEMS", "11")


@pytest.mark.capability("M124")
async def test_rates_beside_the_days_of_sale_and_rates_that_are_missing_are_errors(sandbox):
    world = await sandbox("2024-01-01")
    held = await plan(world, "plan", start="2024-01-01", end="2024-06-01")
    await world.activate("plan")

    missing = await validate(world, "plan")
    entry = await price(world, "plan", "late", start="2024-06-01")
    await world.activate("plan")
    mismatch = await validate(world, "plan")
    await price(world, "plan", "in-time", end="2024-06-01")
    await world.activate("plan")
    both = await validate(world, "plan")

    assert broken(missing.products[0]) == {"RATE_MISSING": [[held]]}
    assert broken(mismatch.products[0]) == {"EFFECTIVITY_MISMATCH": [[entry, held]]}
    assert list(broken(both.products[0])) == ["EFFECTIVITY_MISMATCH"]
    for found in (missing, mismatch, both):
        assert not found.valid
        assert [one.rule.severity for one in found.products[0].results] == [ERROR]


async def test_a_day_without_a_rate_is_a_warning_and_rates_that_follow_each_other_are_none(sandbox):
    """The shortest gap that civil days can say is a day, the longest that is tolerated 12 hours."""
    world = await sandbox("2024-01-01")
    held = await plan(world, "gaps", start="2024-01-01", end="2024-12-01")
    first = await price(world, "gaps", "first", "2024-01-02", "2024-05-01")
    second = await price(world, "gaps", "second", "2024-05-02", "2024-11-30")
    await world.activate("gaps")
    found = await validate(world, "gaps")

    assert broken(found.products[0]) == {
        "RATE_ENDS_EARLY": [[second, held]],
        "RATE_GAP": [[first, second, held]],
        "RATE_STARTS_LATE": [[first, held]],
    }
    assert [one.rule.severity for one in found.products[0].results] == [WARNING] * 3
    assert found.valid

    for entry, start, end in (
        ("day", "2024-01-01", "2024-01-02"),
        ("hole", "2024-05-01", "2024-05-02"),
        ("end", "2024-11-30", "2024-12-01"),
    ):
        await price(world, "gaps", entry, start, end)
    await world.activate("gaps")
    assert broken((await validate(world, "gaps")).products[0]) == {}


@pytest.mark.capability("M128")
async def test_findings_stand_by_rule_with_records_that_can_be_read_and_what_to_do(sandbox):
    world = await sandbox("2024-01-01")
    await plan(world, "plan", end="2024-06-01")
    await price(world, "plan", "a", start="2024-06-01", end="2024-07-01")
    await price(world, "plan", "b", start="2024-07-01")
    await world.activate("plan")

    [product] = (await validate(world, "plan", "plan")).products
    rules = await world.client.validation.ListValidationRules(
        validation.ListValidationRulesRequest(page_size=1000)
    )

    [result] = product.results
    entries = [f"rateCards/base/entries/{id_}" for id_ in "ab"]
    assert [one.records[0] for one in result.findings] == entries
    assert result.finding_count == 2
    assert "2024-06-01" in result.findings[0].message
    assert result.rule in rules.validation_rules
    assert all(rule.id and rule.title and rule.remedy for rule in rules.validation_rules)
    for one in result.findings:
        entry, held = one.records
        found = await world.client.rates.GetRateCardEntry(rates.GetRateCardEntryRequest(name=entry))
        metered = await world.client.catalog.GetProductUsageResource(
            catalog_rpc.GetProductUsageResourceRequest(name=held)
        )
        assert (found.name, metered.name) == (entry, held)


@pytest.mark.capability("M129")
async def test_drafts_are_ignored_unless_they_are_asked_for(sandbox):
    world = await sandbox("2024-01-01")
    held = await plan(world, "plan")
    await price(world, "plan", "usd", end="2024-06-01")
    unsold, drafted = await validate(world, "plan"), await validate(world, "plan", drafts=True)
    await world.activate("plan")
    overlap = await price(world, "plan", "more", start="2024-05-01")

    default, with_drafts = await validate(world, "plan"), await validate(world, "plan", drafts=True)

    assert broken(unsold.products[0]) == {"PRODUCT_NOT_ACTIVE": [["products/plan"]]}
    runs_out = {"RATE_RUNS_OUT": [["rateCards/base/entries/usd", held]]}
    assert broken(drafted.products[0]) == runs_out
    assert broken(default.products[0]) == runs_out
    assert broken(with_drafts.products[0]) == {
        "RATE_OVERLAP": [[overlap, "rateCards/base/entries/usd"]]
    }
    assert (default.valid, with_drafts.valid) == (True, False)


async def test_what_is_not_there_or_upside_down_is_refused(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", CALLS)

    for call, reason in (
        (validate(world), "FIELD_REQUIRED"),
        (validate(world, "plan", "nothing"), "PRODUCT_NOT_FOUND"),
        (validate(world, "no name"), "CODE_FORMAT"),
        (validate(world, "plan", start="2024-02-01", end="2024-02-01"), "INTERVAL_INVALID"),
        (validate(world, "plan", end="2024-01-01"), "INTERVAL_INVALID"),
    ):
        with pytest.raises(UsageError) as refused:
            await call
        assert refused.value.reason == reason


async def test_grants_and_tiers_that_say_less_than_they_seem_to_are_told(sandbox):
    world = await sandbox("2024-01-01")
    free = (("0", "10", "0"), ("10", "100", "1"))
    await world.product("plan", Metered(resource="calls", tiers=free, grant="5", scale=1))

    found = await validate(world, "plan")

    entry = "rateCards/tiers/entries/plan-calls-USD"
    assert broken(found.products[0]) == {
        "TIERS_INCOMPLETE": [[entry]],
        "TIER_ZERO": [[entry]],
    }
    assert found.valid
