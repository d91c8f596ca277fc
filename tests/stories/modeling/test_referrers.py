"""`ListReferrers` lists the records that refer to a record, and says if it was sold."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from usage_management.v1 import access_service_pb2 as access
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import types_pb2 as types

from clients import UsageClient
from clients.pages import pages
from tests.service import Service
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


async def targets(world: World, *ids: str) -> tuple[str, list[str]]:
    """Create a policy and targets that name it; return its name and theirs."""
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
    account = await world.account("ann")
    made = [
        await world.client.accounts.CreateBindingTarget(
            accounts.CreateBindingTargetRequest(
                parent=account,
                binding_target_id=target_id,
                binding_target=accounts.BindingTarget(kind="CUSTOM", policies=[said]),
            )
        )
        for target_id in ids
    ]
    return free.name, [target.name for target in made]


async def test_a_policy_of_a_binding_target_names_the_target(sandbox):
    """It can be withdrawn, because the target keeps it, but not be deleted."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    free, [team] = await targets(world, "team")

    found = await referrers(world, free)
    await move(world, types.CATALOG_STATE_INACTIVE, free)
    delete = policy_rpc.DeleteOveragePolicyRequest(name=free)
    refused = await refusal(world.client.policies.DeleteOveragePolicy(delete))

    assert found == [team] == ["accounts/ann/bindingTargets/team"]
    assert team in await referrers(world, "usageResources/calls")
    assert (refused.reason, [one.field for one in refused.violations]) == ("IN_USE", [team])
    assert "accounts/ann/bindingTargets/team refers to overagePolicies/free" in refused.message


@asynccontextmanager
async def as_role(world: World, service: Service, role: str) -> AsyncIterator[World]:
    """The same tenant, as a credential with one role sees it."""
    credential = access.Credential(roles=[role])
    made = await world.client.access.CreateCredential(
        access.CreateCredentialRequest(credential=credential)
    )
    async with UsageClient(service.address, made.key) as client:
        yield World(client)


async def test_who_may_not_read_accounts_is_told_no_account(sandbox, service):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    free, named = await targets(world, "team", "other")
    [asset] = await world.sell("accounts/ann", line("plan", "2024-01-01"))
    held = "products/plan/usageResources/calls"

    seen = {}
    for role in ("RATE_MANAGER", "DESIGNER"):
        async with as_role(world, service, role) as other:
            for name in (free, "usageResources/calls", "overagePolicies/charge"):
                request = rpc.ListReferrersRequest(name=name)
                found = await other.client.catalog.ListReferrers(request)
                names = [one.name for one in found.referrers]
                assert names == await referrers(other, name, size=1)
                seen[role, name] = (names, found.omitted_target_count)

    everything = await referrers(world, "usageResources/calls")
    assert set(named) < set(everything)
    assert seen["DESIGNER", free] == (sorted(named), 0)
    assert seen["DESIGNER", "usageResources/calls"] == (everything, 0)
    assert seen["RATE_MANAGER", free] == ([], 2)
    without = [name for name in everything if name not in named]
    assert without[0] == held
    assert seen["RATE_MANAGER", "usageResources/calls"] == (without, 2)
    assert seen["RATE_MANAGER", "overagePolicies/charge"] == ([held], 0)
    resolve = rpc.ResolvePoliciesRequest(name=asset.name)
    async with as_role(world, service, "RATE_MANAGER") as other:
        refused = await refusal(other.client.catalog.ResolvePolicies(resolve))
    assert (refused.reason, refused.facts["permission"]) == ("PERMISSION_MISSING", "sales.read")
    assert await world.client.catalog.ResolvePolicies(resolve)
