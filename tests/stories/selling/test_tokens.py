"""Tokens: resources that cost credits, credits that are granted, and what is left in money."""

from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from tests.stories.bill_words import owed
from tests.stories.token_words import Credits, described, set_up
from tests.stories.validation_words import validate
from tests.stories.words import Metered, figure, line, number


@pytest.mark.capability("M45")
async def test_usage_costs_credits_and_credits_cost_money(sandbox):
    """X4: 50 GB at 2 credits, 0.20 a credit."""
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="0.20")))
    assert (await validate(world, "plan")).products[0].results == []
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "data", "2024-01-10", 50)
    before = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    assert figure(before.overage_quantity) == 100
    assert (figure(before.estimated_amount), before.currency_code) == (20, "USD")
    assert await owed(world, account) == {"credits": (100, 20)}


@pytest.mark.capability("M45")
async def test_credits_of_several_resources_are_drawn_from_what_is_granted(sandbox):
    """X12: 102 GB at 10 credits and 5,500 SMS at 5, 5,000 credits granted, 0.75 a credit."""
    world = await sandbox("2024-01-31")
    text = described(
        "plan", {"data": "10", "sms": "5"}, Credits(price="0.75", grant="5000", refresh=True)
    )
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "data", "2024-01-10", 102)
    await world.use(asset, "sms", "2024-01-11", 5500)
    live = await world.wallet(account, "credits")
    sms = await world.wallet(account, "sms")
    await world.advance("2024-02-10")
    final = await world.wallet(account, "credits")

    assert (figure(live.used_quantity), figure(live.balance)) == (28_520, 0)
    assert figure(live.overage_quantity) == 23_520
    assert (figure(sms.estimated_amount), sms.token_unit) == (27_500, "unitsOfMeasure/credit")
    assert await owed(world, account) == {"credits": (23_520, 17_640)}
    assert figure(final.balance) == 5_000
    ratable = {one.usage_resource: one for one in await world.ratable(account)}
    assert figure(ratable["usageResources/data"].amount) == 1_020
    assert ratable["usageResources/data"].token_unit == "unitsOfMeasure/credit"
    assert ratable["usageResources/credits"].currency_code == "USD"
    [owing] = await world.liable(account)
    trace = await world.trace(owing)
    cells = [one.usage_summary for one in trace.sources[0].usage_summaries]
    assert [figure(one.quantity) for one in cells] == [1_020, 27_500]
    assert all(one.source_usage_summary for one in cells)


async def test_what_is_included_of_a_resource_costs_no_credits(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {"data": "10"}, Credits(price="1", grant="30"), grants={"data": "2"})
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "data", "2024-01-10", "4.5")
    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")

    assert (figure(live.balance), figure(live.used_quantity)) == (5, 25)
    assert await owed(world, account) == {"credits": (0, 0)}
    assert figure((await world.wallet(account, "credits")).posted_balance) == 5


async def test_late_usage_costs_the_credits_of_its_own_period(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(
        world, described("plan", {"data": "2"}, Credits(price="1", grant="10", refresh=True))
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "data", "2024-01-10", 6)
    await world.advance("2024-02-10")

    await world.use(asset, "data", "2024-01-20", 3)
    live = await world.wallet(account, "credits")
    await world.advance("2024-03-10")

    assert figure(live.balance) == 10
    amounts = [
        (figure(one.overage_quantity), one.amount.units) for one in await world.liable(account)
    ]
    assert amounts == [(2, 2), (6, 6)]


async def test_the_final_balance_is_the_live_one(sandbox):
    """Credits that expire while usage goes on, rated by the day."""
    world = await sandbox("2024-01-31")
    daily = "{period: DAY, waiting_time: {days: 1}}"
    text = described(
        "plan", {"calls": "0.3333", "data": "7"}, Credits(price="1", grant="40", rating=daily)
    )
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for day in (1, 5, 9):
        await world.use(asset, "calls", f"2024-01-{day:02}", 10)
        await world.use(asset, "data", f"2024-01-{day:02}T12:00", 1)

    live = await world.wallet(account, "credits")
    await world.advance("2024-02-10")
    final = await world.wallet(account, "credits")

    assert figure(live.balance) == figure(final.balance) == Decimal("40") - 3 * Decimal("10.333")
    assert figure(final.posted_balance) == figure(final.balance)


async def refused(call) -> UsageError:
    with pytest.raises(UsageError) as error:
        await call
    return error.value


def resource(name: str, category: str, unit_class: str, token: str = "") -> Any:
    return catalog_rpc.CreateUsageResourceRequest(
        usage_resource_id=name,
        usage_resource=catalog.UsageResource(
            category=category,
            unit_class=f"unitClasses/{unit_class}",
            token_resource=f"usageResources/{token}" if token else "",
        ),
    )


def held(product: str, name: str, token: str = "") -> Any:
    return catalog_rpc.CreateProductUsageResourceRequest(
        parent=f"products/{product}",
        product_usage_resource=catalog.ProductUsageResource(
            usage_resource=f"usageResources/{name}",
            token_resource=f"usageResources/{token}" if token else "",
        ),
    )


@pytest.mark.capability("M13")
async def test_only_usage_is_rated_in_tokens_and_only_in_tokens(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="1")))
    rpc = world.client.catalog

    for name, category, unit_class, token in (
        ("calls", "USAGE", "things", "data"),  # to what is no token
        ("points", "TOKEN", "credits", "credits"),  # a token in tokens
        ("calls", "USAGE", "things", "calls"),  # to itself
    ):
        error = await refused(rpc.CreateUsageResource(resource(name, category, unit_class, token)))
        assert error.reason == "TOKEN_RESOURCE", name
    error = await refused(rpc.CreateUsageResource(resource("calls", "USAGE", "credits")))
    assert error.reason == "UNIT_CLASS_MISMATCH"
    await rpc.CreateUsageResource(resource("calls", "USAGE", "things"))
    error = await refused(rpc.CreateProductUsageResource(held("plan", "calls", "data")))
    assert error.reason == "TOKEN_RESOURCE"
    assert error.violations[0].field == "product_usage_resource.token_resource"


@pytest.mark.capability("M13")
async def test_usage_is_billed_as_the_product_that_its_resource_names(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("overage", Metered(resource="calls", rate="1"))
    text = described("plan", {"data": "2"}, Credits(price="0.20", definition="overage"))
    await set_up(world, text)
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "data", "2024-01-10", 50)
    await world.advance("2024-02-10")

    [billed] = await world.liable(account)
    assert (billed.product, billed.usage_definition_product) == (
        "products/plan",
        "products/overage",
    )


@pytest.mark.capability("M127.S8", "M15")
async def test_a_product_has_one_token_and_keeps_it(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="1")))
    rpc = world.client.catalog
    await rpc.CreateUsageResource(resource("points", "TOKEN", "credits"))
    await rpc.CreateUsageResource(resource("calls", "USAGE", "things"))

    second = await refused(rpc.CreateProductUsageResource(held("plan", "calls", "points")))
    change = catalog_rpc.UpdateProductUsageResourceRequest(
        product_usage_resource=catalog.ProductUsageResource(
            name="products/plan/usageResources/data", token_resource="usageResources/points"
        ),
        update_mask=FieldMask(paths=["token_resource"]),
    )
    frozen = await refused(rpc.UpdateProductUsageResource(change))

    assert (second.code, second.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOKEN_RESOURCE",
    )
    assert frozen.reason == "ACTIVE_IMMUTABLE"


async def test_a_product_without_its_token_is_not_activated(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {"data": "2"}, Credits(price="1"))
    await set_up(world, text)
    plan = catalog.Product(usage_model_type="ANCHOR")
    rpc = world.client.catalog
    await rpc.CreateProduct(catalog_rpc.CreateProductRequest(product_id="poor", product=plan))
    await rpc.CreateProductUsageResource(held("poor", "data"))

    error = await refused(world.activate("poor"))

    assert (error.reason, error.violations[0].reason) == ("VALIDATION_FAILED", "TOKEN_RESOURCE")


async def test_tokens_wait_as_long_as_what_is_rated_in_them(sandbox):
    world = await sandbox("2024-01-31")
    text = described("plan", {"data": "2"}, Credits(price="1"))
    later = "{period: MONTH, waiting_time: {days: 5}}"
    text = text.replace("rating_frequency: {period: MONTH}", f"rating_frequency: {later}", 1)

    error = await refused(set_up(world, text))

    assert error.violations[0].reason == "POLICY_CONFLICT"


async def test_a_price_is_in_money_or_in_a_token(sandbox):
    world = await sandbox("2024-01-31")
    await set_up(world, described("plan", {"data": "2"}, Credits(price="1")))

    for unit, reason in (
        ({"token_unit": "unitsOfMeasure/thing"}, "TOKEN_RESOURCE"),
        ({"token_unit": "unitsOfMeasure/none"}, "UNIT_OF_MEASURE_NOT_FOUND"),
        ({}, "FIELD_REQUIRED"),
    ):
        entry = rates.RateCardEntry(
            product="products/plan",
            usage_resource="usageResources/data",
            rate=types.Rate(value=number(1), **unit),
            **unit,
        )
        request = rates.CreateRateCardEntryRequest(
            parent="rateCards/base", rate_card_entry_id="other", rate_card_entry=entry
        )
        assert (await refused(world.client.rates.CreateRateCardEntry(request))).reason == reason
