"""`ListReferrers` lists the records that refer to a record, and says if it was sold."""

import pytest
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import types_pb2 as types

from clients.pages import pages
from tests.stories.catalog_words import move
from tests.stories.words import Metered, line, refusal
from tests.stories.world import World


async def referrers(world: World, name: str, size: int = 2) -> list[str]:
    request = rpc.ListReferrersRequest(name=name, page_size=size)
    listed = pages(world.client.catalog.ListReferrers, request)
    return [found.name async for found in listed]


async def is_sold(world: World, name: str) -> bool:
    return (await world.client.catalog.ListReferrers(rpc.ListReferrersRequest(name=name))).sold


async def test_every_record_tells_where_it_is_used(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    await world.product("other", Metered(resource="calls", grant="5", rate="1"))

    of_resource = await referrers(world, "usageResources/calls")
    of_product = await referrers(world, "products/plan")
    of_card = await referrers(world, "rateCards/base")
    of_book = await referrers(world, "priceBooks/book")

    assert of_resource == sorted(of_resource)
    assert {"products/plan/usageResources/calls", "products/other/usageResources/calls"} < {
        *of_resource
    }
    assert "products/plan/usageResources/calls" in of_product
    assert "priceBooks/book" in of_card
    assert len([name for name in of_card if name.startswith("rateCards/base/entries/")]) == 2
    assert of_book == []


async def test_a_record_that_was_quoted_says_so(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    before = [await is_sold(world, name) for name in ("products/plan", "usageResources/calls")]

    await world.quote(await world.account("ann"), line("plan", "2024-02-01"))

    names = ("products/plan", "usageResources/calls", "products/plan/usageResources/calls")
    assert before == [False, False]
    assert [await is_sold(world, name) for name in names] == [True, True, True]
    assert await is_sold(world, "priceBooks/book")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("products/none", "PRODUCT_NOT_FOUND"),
        ("somethings/plan", "NAME_FORMAT"),
        ("products/-", "CODE_FORMAT"),
    ],
)
async def test_only_a_record_is_used(sandbox, name, reason):
    world: World = await sandbox("2024-01-15")

    refused = await refusal(is_sold(world, name))

    assert refused.reason == reason


async def test_a_policy_of_a_binding_target_names_the_target(sandbox):
    """It can be withdrawn, because the target keeps it, but not be deleted."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    free = await world.client.policies.CreateOveragePolicy(
        policy_rpc.CreateOveragePolicyRequest(
            overage_policy_id="free", overage_policy=policies.OveragePolicy(overage="FREE")
        )
    )
    await move(world, types.CATALOG_STATE_ACTIVE, free.name)
    said = catalog.PolicyOverride(
        usage_resource="usageResources/calls",
        policies=catalog.ResourcePolicies(overage_policy=free.name),
    )
    team = await world.client.accounts.CreateBindingTarget(
        accounts.CreateBindingTargetRequest(
            parent=await world.account("ann"),
            binding_target_id="team",
            binding_target=accounts.BindingTarget(kind="CUSTOM", policies=[said]),
        )
    )

    found = await referrers(world, free.name)
    await move(world, types.CATALOG_STATE_INACTIVE, free.name)
    delete = policy_rpc.DeleteOveragePolicyRequest(name=free.name)
    refused = await refusal(world.client.policies.DeleteOveragePolicy(delete))

    assert found == [team.name] == ["accounts/ann/bindingTargets/team"]
    assert team.name in await referrers(world, "usageResources/calls")
    assert (refused.reason, [one.field for one in refused.violations]) == ("IN_USE", [team.name])
    assert "accounts/ann/bindingTargets/team refers to overagePolicies/free" in refused.message
