"""The checks of the documented validator (A1 to A7, S1 to S15), each where we make it."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from tests.stories.token_words import Credits, described, pack, set_up
from tests.stories.validation_words import broken, validate
from tests.stories.words import day, line, number, refusal
from tests.stories.world import World

INACTIVE = "CATALOG_STATE_INACTIVE"


def held(product: str, resource: str, **fields: Any) -> rpc.CreateProductUsageResourceRequest:
    made = catalog.ProductUsageResource(usage_resource=f"usageResources/{resource}", **fields)
    return rpc.CreateProductUsageResourceRequest(
        parent=f"products/{product}", product_usage_resource=made
    )


async def draft(world: World, name: str, kind: str = "ANCHOR") -> None:
    request = rpc.CreateProductRequest(product_id=name, product={"usage_model_type": kind})
    await world.client.catalog.CreateProduct(request)


async def resolved(world: World, product: str) -> list[rpc.ResolvedPolicies]:
    request = rpc.ResolvePoliciesRequest(name=f"products/{product}")
    return list((await world.client.catalog.ResolvePolicies(request)).resources)


async def plan(sandbox: Any) -> World:
    world: World = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="1")))
    return world


@pytest.mark.capability("M126.A1")
async def test_a1_what_a_product_has_twice_is_refused(sandbox):
    world = await plan(sandbox)

    again = await refusal(
        world.client.catalog.CreateProductUsageResource(
            held("plan", "data", start_date=day("2030-01-01"))
        )
    )

    assert again.reason == "CODE_TAKEN"


@pytest.mark.capability("M126.A2")
async def test_a2_what_is_sold_is_there_and_in_force(sandbox):
    world = await plan(sandbox)
    account = await world.account("ann")
    priced = line("plan", "2024-01-01")
    request = rpc.CreateSellingModelRequest(
        selling_model_id="yearly", selling_model={"type": "EVERGREEN"}
    )
    await world.client.catalog.CreateSellingModel(request)

    priced.selling_model = "sellingModels/yearly"
    model = await refusal(world.quote(account, priced))
    priced.selling_model = ""
    world.currency = "EUR"
    other = await world.account("eve")
    rate = await refusal(world.quote(other, priced))
    entry = rates.RateCardEntry(
        product="products/plan",
        usage_resource="usageResources/credits",
        currency_code="EUR",
        rate=types.Rate(value=number(1), currency_code="EUR"),
    )
    await world.client.rates.CreateRateCardEntry(
        rates.CreateRateCardEntryRequest(
            parent="rateCards/base", rate_card_entry_id="draft", rate_card_entry=entry
        )
    )
    drafted = await refusal(world.quote(other, priced))
    unlisted = quotes.Quote(price_book="priceBooks/none", lines=[priced])
    book = await refusal(
        world.client.quotes.CreateQuote(quotes.CreateQuoteRequest(parent=other, quote=unlisted))
    )

    assert (model.reason, book.reason) == ("RESOURCE_INACTIVE", "PRICE_BOOK_NOT_FOUND")
    assert (rate.reason, drafted.reason) == ("RATE_NOT_FOUND", "RATE_NOT_FOUND")
    await world.activate("plan")
    assert (await world.quote(other, priced)).currency_code == "EUR"


@pytest.mark.capability("M126.A3")
async def test_a3_a_rate_is_of_a_resource_of_the_product(sandbox):
    world = await plan(sandbox)
    await draft(world, "other")
    entry = rates.RateCardEntry(
        product="products/other",
        usage_resource="usageResources/data",
        currency_code="USD",
        rate=types.Rate(value=number(1), currency_code="USD"),
    )

    error = await refusal(
        world.client.rates.CreateRateCardEntry(
            rates.CreateRateCardEntryRequest(
                parent="rateCards/base", rate_card_entry_id="x", rate_card_entry=entry
            )
        )
    )

    assert error.reason == "PRODUCT_USAGE_RESOURCE_NOT_FOUND"


@pytest.mark.capability("M126.A4")
async def test_a4_parents_come_into_force_first(sandbox):
    world = await sandbox("2024-01-31")
    make = world.client.catalog
    await make.CreateUnitClass(
        rpc.CreateUnitClassRequest(unit_class_id="things", unit_class={"kind": "USAGE"})
    )
    await make.CreateUnitOfMeasure(
        rpc.CreateUnitOfMeasureRequest(
            unit_of_measure_id="thing", unit_of_measure={"unit_class": "unitClasses/things"}
        )
    )

    error = await refusal(
        make.ChangeStates(
            rpc.ChangeStatesRequest(names=["unitsOfMeasure/thing"], state="CATALOG_STATE_ACTIVE")
        )
    )

    assert error.reason == "RESOURCE_INACTIVE"
    assert "activate it first" in error.message


@pytest.mark.capability("M126.A6")
async def test_a6_and_s8_a_product_has_its_token_and_one(sandbox):
    world = await plan(sandbox)
    await draft(world, "poor")
    await world.client.catalog.CreateProductUsageResource(held("poor", "data"))

    found = await validate(world, "poor", drafts=True)
    error = await refusal(world.activate("poor"))

    assert "TOKEN_MISSING" in broken(found.products[0])
    assert error.violations[0].reason == "TOKEN_RESOURCE"


@pytest.mark.capability("M126.A7")
async def test_a7_the_token_of_what_is_active_stays(sandbox):
    world = await plan(sandbox)
    change = rpc.UpdateProductUsageResourceRequest(
        product_usage_resource=catalog.ProductUsageResource(
            name="products/plan/usageResources/data"
        ),
        update_mask=FieldMask(paths=["token_resource"]),
    )
    await world.client.catalog.UpdateProductUsageResource(change)  # it never said so itself
    change.product_usage_resource.token_resource = "usageResources/credits"

    assert (await refusal(world.client.catalog.UpdateProductUsageResource(change))).reason == (
        "ACTIVE_IMMUTABLE"
    )


@pytest.mark.capability("M127.S1", "M27.S1")
async def test_s1_who_does_not_say_when_usage_is_rated_is_told(sandbox):
    world = await plan(sandbox)
    await draft(world, "silent")
    await world.client.catalog.CreateProductUsageResource(held("silent", "credits"))

    found = await validate(world, "silent", drafts=True)
    [default] = await resolved(world, "silent")

    assert "RATING_FREQUENCY_UNSAID" in broken(found.products[0])
    assert default.rating_frequency_level == rpc.POLICY_LEVEL_DEFAULT
    assert default.rating_frequency_policy.period == policies.RatingFrequencyPolicy.MONTH
    said = {
        level for one in await resolved(world, "plan") for level in [one.rating_frequency_level]
    }
    assert said == {rpc.POLICY_LEVEL_PRODUCT_USAGE_RESOURCE}


@pytest.mark.capability("M127.S2", "M127.S3", "M127.S4", "M127.S6")
async def test_s2_to_s6_what_packs_and_commitments_cannot_have(sandbox):
    world = await plan(sandbox)
    await set_up(world, pack("booster", "credits", grant="5"))
    policy = policies.RatingFrequencyPolicy(period="MONTH")
    await world.client.policies.CreateRatingFrequencyPolicy(
        policy_rpc.CreateRatingFrequencyPolicyRequest(
            rating_frequency_policy_id="monthly", rating_frequency_policy=policy
        )
    )
    own = {"policies": {"rating_frequency_policy": "ratingFrequencyPolicies/monthly"}}
    for kind in ("PACK", "TOKEN_COMMITMENT", "QUANTITY_COMMITMENT", "MONETARY_COMMITMENT"):
        await draft(world, kind.lower(), kind)
        request = held(kind.lower(), "credits", **own)
        error = await refusal(world.client.catalog.CreateProductUsageResource(request))
        assert error.reason == "POLICY_NOT_ALLOWED", kind
    bound = rpc.CreateProductRequest(
        product_id="bound",
        product={"usage_model_type": "TOKEN_COMMITMENT", "grant_binding": "ACCOUNT"},
    )
    account = await world.account("ann")

    assert (await refusal(world.client.catalog.CreateProduct(bound))).reason == "BINDING_TARGET"
    unbound = await refusal(world.quote(account, line("booster", "2024-01-01")))
    assert unbound.reason == "BINDING_TARGET"


@pytest.mark.capability("M127.S9", "M33.accumulation")
async def test_s9_periods_are_in_order(sandbox):
    world = await plan(sandbox)
    monthly = policies.AggregationPolicy(method="SUM", period="MONTH")
    await world.client.policies.CreateAggregationPolicy(
        policy_rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="monthly", aggregation_policy=monthly
        )
    )
    await draft(world, "other")
    own = {"policies": {"aggregation_policy": "aggregationPolicies/monthly"}}

    error = await refusal(
        world.client.catalog.CreateProductUsageResource(held("other", "credits", **own))
    )

    assert error.reason == "PERIOD_ORDER"


@pytest.mark.capability("M127.S10")
async def test_s10_a_unit_of_money_is_an_iso_code_and_a_unit_of_tokens_is_none(sandbox):
    world = await plan(sandbox)
    make = world.client.catalog
    await make.CreateUnitClass(
        rpc.CreateUnitClassRequest(unit_class_id="money", unit_class={"kind": "CURRENCY"})
    )

    for unit, of in (("dollar", "money"), ("EUR", "credits")):
        request = rpc.CreateUnitOfMeasureRequest(
            unit_of_measure_id=unit, unit_of_measure={"unit_class": f"unitClasses/{of}"}
        )
        assert (await refusal(make.CreateUnitOfMeasure(request))).reason == "CURRENCY_UNKNOWN"


@pytest.mark.capability("M127.S11", "M127.S12", "M127.S14", "M127.S15")
async def test_s11_to_s15_are_found_by_the_validator(sandbox):
    world = await plan(sandbox)
    await set_up(world, pack("orphan", "extra", grant="1", is_new=True))
    await draft(world, "promise", "QUANTITY_COMMITMENT")
    await world.client.catalog.CreateUsageResource(
        rpc.CreateUsageResourceRequest(
            usage_resource_id="unsold",
            usage_resource={"category": "USAGE", "unit_class": "unitClasses/things"},
        )
    )
    await world.client.catalog.CreateProductUsageResource(held("promise", "unsold"))
    await draft(world, "overage")
    text = described("odd", {"sms": "0"}, Credits(price="1", definition="overage"))
    for name in ("credits", "things"):
        text = text.replace(f"unitClasses/{name}", f"unitClasses/other-{name}")
    text = text.replace("usageResources/credits", "usageResources/points")
    text = text.replace("unitsOfMeasure/", "unitsOfMeasure/other-")
    await set_up(world, text)
    empty = rates.RateCardEntry(
        product="products/plan", usage_resource="usageResources/data", currency_code="USD"
    )

    orphan, odd = (await validate(world, "orphan", "odd")).products
    [promise] = (await validate(world, "promise", drafts=True)).products
    tiers = await refusal(
        world.client.rates.CreateRateCardEntry(
            rates.CreateRateCardEntryRequest(
                parent="rateCards/tiers", rate_card_entry_id="none", rate_card_entry=empty
            )
        )
    )

    assert "ANCHOR_MISSING" in broken(orphan)  # S12
    assert "ANCHOR_MISSING" in broken(promise)
    assert {"RATE_ZERO", "DEFINITION_NOT_ACTIVE"} <= set(broken(odd))  # S15
    assert tiers.reason == "FIELD_REQUIRED"  # S14
    account = await world.account("ann")
    world.currency = "EUR"
    other = await world.account("eve")
    assert (await world.quote(account, line("plan", "2024-01-01"))).currency_code == "USD"
    sold = await refusal(world.quote(other, line("plan", "2024-01-01")))
    assert sold.reason == "RATE_NOT_FOUND"  # S11
