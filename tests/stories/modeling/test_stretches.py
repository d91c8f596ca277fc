"""Stretches: a product meters a resource from one day to another, and in another way after that."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc

from clients import UsageError
from tests.stories.validation_words import broken, validate
from tests.stories.words import Metered, day, figure, line, number
from tests.stories.world import World

CALLS = Metered(resource="calls", grant="10", rate="1")


async def stretch(world: World, name: str, start: str | None, end: str | None, **more: Any) -> str:
    """Another stretch of calls, as a draft."""
    held = catalog.ProductUsageResource(usage_resource="usageResources/calls", **more)
    if start:
        held.start_date.CopyFrom(day(start))
    if end:
        held.end_date.CopyFrom(day(end))
    made = await world.client.catalog.CreateProductUsageResource(
        rpc.CreateProductUsageResourceRequest(
            parent="products/plan", product_usage_resource=held, product_usage_resource_id=name
        )
    )
    return made.name


async def plan(sandbox: Any) -> World:
    """A product without its first stretch in force."""
    world: World = await sandbox("2024-01-31")
    await world.product("plan", CALLS, activate=False)
    update = rpc.UpdateProductUsageResourceRequest(
        product_usage_resource=catalog.ProductUsageResource(
            name="products/plan/usageResources/calls", end_date=day("2024-07-01")
        ),
        update_mask=FieldMask(paths=["end_date"]),
    )
    await world.client.catalog.UpdateProductUsageResource(update)
    return world


@pytest.mark.capability("M14")
async def test_each_sale_is_made_under_the_stretch_of_its_first_day(sandbox):
    world = await plan(sandbox)
    peak = await world.client.policies.CreateAggregationPolicy(
        policy_rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="peak",
            aggregation_policy=policies.AggregationPolicy(method="PEAK", period="DAY"),
        )
    )
    name = await stretch(
        world, "later", "2024-07-01", None, policies={"aggregation_policy": peak.name}
    )
    await world.client.catalog.CreateProductUsageGrant(
        rpc.CreateProductUsageGrantRequest(
            parent="products/plan",
            product_usage_grant_id="more",
            product_usage_grant=catalog.ProductUsageGrant(
                product_usage_resource=name, quantity=number(70)
            ),
        )
    )
    await world.activate("plan")
    account = await world.account("ann")

    [before] = await world.sell(account, line("plan", "2024-06-30"))
    [after] = await world.sell(account, line("plan", "2024-07-01"))

    assert name == "products/plan/usageResources/later"
    kinds = []
    for asset in (before, after):
        request = rpc.ResolvePoliciesRequest(name=asset.name)
        [found] = (await world.client.catalog.ResolvePolicies(request)).resources
        kinds.append(found.aggregation_policy.method)
    assert kinds == [policies.AggregationPolicy.SUM, policies.AggregationPolicy.PEAK]
    await world.advance("2024-07-02")
    balances = sorted(figure(one.balance) for one in await world.wallets(account))
    assert balances == [10, 70]


@pytest.mark.capability("M14", "M126.A1")
async def test_stretches_that_overlap_do_not_come_into_force_together(sandbox):
    world = await plan(sandbox)
    await stretch(world, "later", "2024-06-30", None)

    found = await validate(world, "plan", drafts=True)
    with pytest.raises(UsageError) as refused:
        await world.activate("plan")

    assert "RESOURCE_OVERLAP" in broken(found.products[0])
    assert refused.value.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.reason == "EFFECTIVITY_OVERLAP"
    names = {refused.value.facts["name"].rpartition("/")[2], refused.value.facts["other"]}
    assert names == {"calls", "later"}
    listed = await world.client.catalog.ListProductUsageResources(
        rpc.ListProductUsageResourcesRequest(parent="products/plan")
    )
    assert {one.state for one in listed.product_usage_resources} == {1}


async def test_an_end_moves_no_further_than_the_next_stretch(sandbox):
    world = await plan(sandbox)
    await stretch(world, "later", "2024-07-01", None)
    await world.activate("plan")
    update = rpc.UpdateProductUsageResourceRequest(
        product_usage_resource=catalog.ProductUsageResource(
            name="products/plan/usageResources/calls", end_date=day("2024-07-02")
        ),
        update_mask=FieldMask(paths=["end_date"]),
    )

    with pytest.raises(UsageError) as refused:
        await world.client.catalog.UpdateProductUsageResource(update)

    assert refused.value.reason == "EFFECTIVITY_OVERLAP"


async def test_of_two_activations_at_once_that_overlap_neither_leaves_half_behind(sandbox):
    world = await plan(sandbox)
    await stretch(world, "later", "2024-06-01", None)

    done = await asyncio.gather(*(world.activate("plan") for _ in range(2)), return_exceptions=True)

    reasons = {one.reason for one in done if isinstance(one, UsageError)}
    assert reasons == {"EFFECTIVITY_OVERLAP"}


@pytest.mark.capability("M125")
async def test_gaps_of_days_warn_and_what_follows_at_once_does_not(sandbox):
    """Stretches begin at midnight: a gap is nothing, or at least a day, above twelve hours."""
    world = await plan(sandbox)
    name = await stretch(world, "later", "2024-07-02", None)

    with_gap = (await validate(world, "plan", drafts=True)).products[0]
    await world.client.catalog.DeleteProductUsageResource(
        rpc.DeleteProductUsageResourceRequest(name=name)
    )
    await stretch(world, "later", "2024-07-01", None)
    without = (await validate(world, "plan", drafts=True)).products[0]

    assert "RESOURCE_GAP" in broken(with_gap)
    assert "RESOURCE_GAP" not in broken(without)
    [rule] = [one for one in with_gap.results if one.rule.id == "RESOURCE_GAP"]
    assert rule.rule.severity == rule.rule.WARNING
    assert "2024-07-01" in rule.findings[0].message


async def test_the_id_of_a_stretch_is_taken_in_any_case(sandbox):
    world = await plan(sandbox)

    with pytest.raises(UsageError, match="CODE_TAKEN"):
        await stretch(world, "CALLS", "2024-07-01", None)
    with pytest.raises(UsageError, match="CODE_FORMAT"):
        await stretch(world, "a b", "2024-07-01", None)
