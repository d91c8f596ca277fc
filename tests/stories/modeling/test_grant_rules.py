"""Grants that cannot do what they say, or do it twice, are refused."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import types_pb2 as types

from tests.stories.catalog_words import move
from tests.stories.words import Metered, day, figure, line, number, refusal

HELD = "products/plan/usageResources/calls"


async def grant(world, name: str, **fields) -> catalog.ProductUsageGrant:
    made = catalog.ProductUsageGrant(product_usage_resource=HELD, quantity=number(10), **fields)
    return await world.client.catalog.CreateProductUsageGrant(
        rpc.CreateProductUsageGrantRequest(
            parent="products/plan", product_usage_grant_id=name, product_usage_grant=made
        )
    )


@pytest.mark.parametrize(
    "renewal",
    [
        {},
        {"validity": "MONTH"},
        {"validity": "DAY", "refresh": "MONTH"},
        {"validity": "DAY", "validity_count": 30, "refresh": "MONTH"},
        {"validity": "MONTH", "refresh": "DAY", "refresh_count": 30},
    ],
)
async def test_a_rollover_that_can_never_happen_is_refused_when_it_is_saved(sandbox, renewal):
    world = await sandbox("2024-01-01")
    never = Metered(resource="calls", grant="100", max_rollovers=1, rate="1", **renewal)

    error = await refusal(world.product("plan", never))

    assert error.reason == "POLICY_CONFLICT"
    assert "roll over" in str(error)


@pytest.mark.parametrize(
    "renewal",
    [
        {"refresh": "MONTH"},
        {"refresh": "MONTH", "validity": "MONTH"},
        {"refresh": "MONTH", "validity": "DAY", "validity_count": 31},
    ],
)
async def test_a_rollover_that_happens_is_accepted(sandbox, renewal):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", grant="9", max_rollovers=1, **renewal))


async def test_a_revision_does_not_make_a_rollover_impossible(sandbox):
    world = await sandbox("2024-01-01")
    rolling = {"grant": "100", "refresh": "MONTH", "validity": "MONTH", "max_rollovers": 1}
    await world.product("plan", Metered(resource="calls", rate="1", **rolling))
    yearly = policies.RefreshPolicy(
        name="refreshPolicies/every-1-month", interval={"unit": "YEAR", "count": 1}
    )
    request = policy_rpc.RevisePolicyRequest(
        policy=policy_rpc.Policy(refresh_policy=yearly), update_mask=FieldMask(paths=["interval"])
    )

    error = await refusal(world.client.policies.RevisePolicy(request))

    assert error.reason == "VALIDATION_FAILED"
    assert [(fault.field, fault.reason) for fault in error.violations] == [
        ("products/plan/grants/calls-grant", "POLICY_CONFLICT")
    ]


@pytest.mark.capability("M126.A1")
async def test_grants_for_the_same_sales_on_the_same_days_are_refused(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    await grant(world, "first", end_date=day("2024-07-02"))
    await grant(world, "second", start_date=day("2024-07-01"))

    error = await refusal(world.activate("plan"))

    first, second = "products/plan/grants/first", "products/plan/grants/second"
    assert error.reason == "EFFECTIVITY_OVERLAP"
    assert (error.facts["name"], error.facts["other"]) == (first, "second")
    assert first in str(error)
    assert second in str(error)
    ended = catalog.ProductUsageGrant(name=first, end_date=day("2024-07-01"))
    await world.client.catalog.UpdateProductUsageGrant(
        rpc.UpdateProductUsageGrantRequest(
            product_usage_grant=ended, update_mask=FieldMask(paths=["end_date"])
        )
    )
    await world.activate("plan")

    await grant(world, "third", start_date=day("2024-08-01"))
    assert (await refusal(world.activate("plan"))).reason == "EFFECTIVITY_OVERLAP"


async def test_a_grant_of_a_selling_model_is_beside_that_of_every_sale(sandbox):
    world = await sandbox("2024-01-01")
    await world.client.catalog.CreateSellingModel(
        rpc.CreateSellingModelRequest(
            selling_model_id="always", selling_model=catalog.SellingModel(type="EVERGREEN")
        )
    )
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    await grant(world, "all")
    await grant(world, "more", selling_model="sellingModels/always")
    await world.activate("plan")
    account = await world.account("ann")
    sold = line("plan", "2024-01-01")
    sold.selling_model = "sellingModels/always"

    quote = await world.quote(account, sold, line("plan", "2024-01-01"))

    assert [len(one.resources[0].grants) for one in quote.lines] == [2, 1]


async def test_a_bonus_is_granted_once_beside_what_is_granted_every_month(sandbox):
    world = await sandbox("2024-01-01")
    monthly = Metered(resource="calls", grant="100", refresh="MONTH", rate="1")
    await world.product("plan", monthly, activate=False)
    await grant(world, "bonus")
    await world.activate("plan")
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-01", 105)

    wallet = await world.wallet(account, "calls")
    await grant(world, "again")
    error = await refusal(world.activate("plan"))
    await world.advance("2024-02-04")
    later = await world.wallet(account, "calls")

    # 100 of the month and a bonus of 10: 5 are left, of which the bonus stays.
    assert figure(wallet.balance) == 5
    assert error.reason == "EFFECTIVITY_OVERLAP"
    assert (error.facts["name"], error.facts["other"]) == ("products/plan/grants/again", "bonus")
    assert figure(later.balance) == 105


async def test_a_withdrawn_grant_does_not_come_back_beside_its_successor(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    await grant(world, "first")
    await world.activate("plan")
    await move(world, types.CATALOG_STATE_INACTIVE, "products/plan/grants/first")
    await grant(world, "second")
    await world.activate("plan")

    error = await refusal(move(world, types.CATALOG_STATE_ACTIVE, "products/plan/grants/first"))

    assert error.reason == "EFFECTIVITY_OVERLAP"


async def until(world, kind: str, name: str, end: str) -> None:
    """Move the end of a record of the plan."""
    rpcs = world.client.catalog
    mask = FieldMask(paths=["end_date"])
    if kind == "grant":
        ended = catalog.ProductUsageGrant(name=name, end_date=day(end))
        await rpcs.UpdateProductUsageGrant(
            rpc.UpdateProductUsageGrantRequest(product_usage_grant=ended, update_mask=mask)
        )
    else:
        held = catalog.ProductUsageResource(name=name, end_date=day(end))
        await rpcs.UpdateProductUsageResource(
            rpc.UpdateProductUsageResourceRequest(product_usage_resource=held, update_mask=mask)
        )


async def test_a_grant_does_not_end_after_its_resource(sandbox):
    """On activation, when its end is moved, and when it or its resource is superseded."""
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    await until(world, "resource", HELD, "2024-07-01")
    name = (await grant(world, "some", end_date=day("2024-07-02"))).name

    activated = await refusal(world.activate("plan"))
    await until(world, "grant", name, "2024-07-01")
    await world.activate("plan")
    moved = await refusal(until(world, "grant", name, "2024-07-02"))
    longer = rpc.SupersedeProductUsageGrantRequest(
        name=name,
        product_usage_grant_id="more",
        start_date=day("2024-03-01"),
        product_usage_grant=catalog.ProductUsageGrant(end_date=day("2024-07-02")),
        update_mask=FieldMask(paths=["end_date"]),
    )
    superseded = await refusal(world.client.catalog.SupersedeProductUsageGrant(longer))
    shorter = rpc.SupersedeProductUsageResourceRequest(
        name=HELD,
        product_usage_resource_id="calls-2",
        start_date=day("2024-03-01"),
        product_usage_resource=catalog.ProductUsageResource(end_date=day("2024-06-01")),
        update_mask=FieldMask(paths=["end_date"]),
        grant_ids={"some": "some-2"},
    )
    shortened = await refusal(world.client.catalog.SupersedeProductUsageResource(shorter))
    await until(world, "resource", HELD, "2024-08-01")
    await until(world, "grant", name, "2024-08-01")

    for error in (activated, moved, superseded, shortened):
        assert error.reason == "VALIDATION_FAILED"
        [fault] = error.violations
        assert fault.reason == "INTERVAL_INVALID"
    assert activated.violations[0].field == name
    assert (
        activated.violations[0].description == "ends on 2024-07-02, and its resource on 2024-07-01"
    )
    assert shortened.violations[0].field == "products/plan/grants/some-2"


async def test_a_grant_without_an_end_lasts_as_long_as_its_resource(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    await until(world, "resource", HELD, "2024-07-01")
    await grant(world, "some")
    await world.activate("plan")
    account = await world.account("ann")

    quote = await world.quote(account, line("plan", "2024-06-30"))
    over = await refusal(world.quote(account, line("plan", "2024-07-01")))

    assert [len(one.resources[0].grants) for one in quote.lines] == [1]
    assert over.reason == "RESOURCE_INACTIVE"
