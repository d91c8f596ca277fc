"""Anchors that share a wallet have one overage policy on each day."""

import pytest
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import quote_service_pb2 as quotes

from tests.stories import catalog_words as words
from tests.stories.policy_words import overage, override, resolved, target
from tests.stories.words import Metered, figure, line, money, refusal
from tests.stories.world import World

CHARGING = Metered(resource="calls", grant="10", rate="1")
CHARGE, FREE = "overagePolicies/charge", "overagePolicies/free"
LEVEL = rpc.PolicyLevel.Name


async def two_products(sandbox) -> World:
    """A world in which `plan` names a policy that charges, and `other` has what its resource says.

    Both meter the same resource, which names a policy under which overage is free.
    """
    world = await sandbox("2024-01-31")
    # With the price book that the other rates are in.
    await world.product("first", Metered(resource="bytes", overage="CHARGE", rate="1"))
    free = await overage(world, "free", "FREE")
    await words.counted(world, "calls", "call")
    named = catalog.UsageResourcePolicies(overage_policy=free)
    await words.resource(world, "calls", "calls", policies=named)
    for product, own in (("plan", CHARGE), ("other", "")):
        await words.product(world, product)
        policies = catalog.ResourcePolicies(overage_policy=own)
        await words.held(world, product, "calls", policies=policies)
        await world.price(product, CHARGING)
        await world.activate(product)
    return world


def shared(product: str, start: str = "2024-01-01", **more) -> quotes.SaleLine:
    return line(product, start, binding="ACCOUNT", **more)


@pytest.mark.capability("M152")
async def test_two_policies_that_disagree_in_one_wallet_are_named_in_the_refusal(sandbox):
    world = await two_products(sandbox)
    account = await world.account("ann")
    [asset] = await world.sell(account, shared("plan"))

    later = await refusal(world.sell(account, shared("other", "2024-01-20")))
    alone = await world.account("bob")
    together = await refusal(world.sell(alone, shared("other"), shared("plan")))

    levels = [(await resolved(world, f"products/{name}")) for name in ("plan", "other")]
    assert [(LEVEL(one.overage_level), one.overage_policy.name) for one in levels] == [
        ("POLICY_LEVEL_PRODUCT_USAGE_RESOURCE", CHARGE),
        ("POLICY_LEVEL_USAGE_RESOURCE", FREE),
    ]
    assert (later.reason, together.reason) == ("OVERAGE_CONFLICT", "OVERAGE_CONFLICT")
    charging = f"CHARGE for products/plan ({CHARGE}, named by the product's resource)"
    free = f"FREE for products/other ({FREE}, named by the usage resource)"
    assert [one in later.message for one in (charging, free)] == [True, True]
    assert {**later.facts} == {
        "usage_resource": "calls",
        "product": "other",
        "overage_policy": FREE,
        "other_product": "plan",
        "other_overage_policy": CHARGE,
    }
    assert (together.facts["product"], together.facts["other_product"]) == ("plan", "other")
    assert await world.wallets(alone) == []
    await world.use(asset, "calls", "2024-01-10", 3)
    await world.advance("2024-02-05")
    assert [money(one.amount) for one in await world.liable(account)] == [3]


@pytest.mark.capability("M152")
async def test_anchors_that_agree_share_a_wallet(sandbox):
    """The line names the policy of the wallet, or the target one for all of its anchors."""
    world = await two_products(sandbox)
    ann, bob = await world.account("ann"), await world.account("bob")
    by_line = shared("other")
    by_line.policies.append(override(overage_policy=CHARGE))
    sold = await world.sell(ann, shared("plan"), by_line)
    team = await target(world, bob, override(overage_policy=FREE))
    to_team = [line(name, "2024-01-01", binding="CUSTOM") for name in ("plan", "other")]
    for one in to_team:
        one.binding_target = team
    sold += await world.sell(bob, *to_team)

    for asset in sold:
        await world.use(asset, "calls", "2024-01-10", 4)
    found = [(await resolved(world, asset.name)) for asset in sold]
    await world.advance("2024-02-05")

    assert [(LEVEL(one.overage_level), one.overage_policy.name) for one in found] == [
        ("POLICY_LEVEL_PRODUCT_USAGE_RESOURCE", CHARGE),
        ("POLICY_LEVEL_LINE", CHARGE),
        ("POLICY_LEVEL_TARGET", FREE),
        ("POLICY_LEVEL_TARGET", FREE),
    ]
    owed = [[money(one.amount) for one in await world.liable(who)] for who in (ann, bob)]
    assert owed == [[4, 4], [0, 0]]


async def test_anchors_that_never_meet_may_disagree(sandbox):
    world = await two_products(sandbox)
    account = await world.account("ann")
    before = await world.sell(account, shared("plan", end="2024-01-15"))
    after = await world.sell(account, shared("other", "2024-01-15"))
    overlapping = await refusal(world.sell(account, shared("plan", "2024-01-14")))

    for asset, day in ((*before, "2024-01-14"), (*after, "2024-01-15")):
        await world.use(asset, "calls", day, 5)
    await world.advance("2024-02-05")

    assert overlapping.reason == "OVERAGE_CONFLICT"
    lines = await world.liable(account)
    found = sorted((figure(one.overage_quantity), money(one.amount)) for one in lines)
    assert found == [(5, 0), (5, 5)]
