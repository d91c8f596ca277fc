"""Policy levels: target, line, product, resource; and the version that applies."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc

from clients import UsageError
from tests.stories.policy_words import ACTIVE, overage, override, resolved, target
from tests.stories.words import Metered, figure, line, money

CALLS = Metered(resource="calls", grant="10", rate="1")


@pytest.mark.capability("M26")
async def test_the_strongest_level_that_says_something_supplies_the_policy(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    free = await overage(world, "free-of-charge", "FREE")
    account = await world.account("ann")
    team = await target(world, account, override(drawdown_order="GRANTED_LAST"))
    sold = line("plan", "2024-01-01", binding="CUSTOM")
    sold.binding_target = team
    sold.policies.append(override(overage_policy=free, drawdown_order="GRANTED_FIRST"))

    [asset] = await world.sell(account, sold)
    found = await resolved(world, asset.name)

    level = rpc.PolicyLevel.Name
    assert level(found.drawdown_order_level) == "POLICY_LEVEL_TARGET"
    assert found.drawdown_order == catalog.ResourcePolicies.GRANTED_LAST
    assert level(found.overage_level) == "POLICY_LEVEL_LINE"
    assert (found.overage_policy.name, found.overage_policy.version) == (free, 1)
    assert level(found.aggregation_level) == "POLICY_LEVEL_PRODUCT_USAGE_RESOURCE"
    assert found.aggregation_policy.name.startswith("aggregationPolicies/")
    assert level(found.commitment_level) == "POLICY_LEVEL_DEFAULT"
    assert found.commitment_policy.name == ""
    await world.use(asset, "calls", "2024-01-10", 15)
    await world.advance("2024-02-05")
    [owed] = await world.liable(account)
    assert (figure(owed.overage_quantity), money(owed.amount)) == (5, 0)


async def test_a_line_says_what_it_said(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    account = await world.account("ann")
    free = await overage(world, "free-of-charge", "FREE")
    sold = line("plan", "2024-01-01")
    sold.policies.append(override(overage_policy=free))

    quote = await world.quote(account, sold)

    assert list(quote.lines[0].policies) == [override(overage_policy=free)]
    [resource] = quote.lines[0].resources
    assert (resource.overage_policy, resource.overage_policy_version) == (free, 1)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([override(overage_policy="overagePolicies/draft")], "RESOURCE_INACTIVE"),
        ([override(overage_policy="overagePolicies/none")], "OVERAGE_POLICY_NOT_FOUND"),
        ([override(commitment_policy="commitmentPolicies/x")], "POLICY_NOT_ALLOWED"),
        ([override(overage_policy="draft")], "NAME_FORMAT"),
        ([override(drawdown_order="GRANTED_LAST")] * 2, "RESOURCE_TWICE"),
        (
            [
                catalog.PolicyOverride(
                    usage_resource="usageResources/other", policies={"drawdown_order": 1}
                )
            ],
            "RESOURCE_NOT_IN_PRODUCT",
        ),
    ],
)
async def test_what_cannot_be_said_on_a_line_is_refused(sandbox, said, reason):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    await overage(world, "draft", "FREE", active=False)
    account = await world.account("ann")
    sold = line("plan", "2024-01-01")
    sold.policies.extend(said)

    with pytest.raises(UsageError) as refused:
        await world.quote(account, sold)

    assert refused.value.reason == reason


@pytest.mark.capability("M33.line", "M33.target", "M33.names")
@pytest.mark.parametrize("level", ["line", "target"])
async def test_the_periods_of_a_line_and_a_target_are_held_to_their_order_too(sandbox, level):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    account = await world.account("ann")
    monthly = policies.AggregationPolicy(method="SUM", period="MONTH")
    made = await world.client.policies.CreateAggregationPolicy(
        policy_rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="monthly", aggregation_policy=monthly
        )
    )
    await world.client.catalog.ChangeStates(
        rpc.ChangeStatesRequest(names=[made.name], state=ACTIVE)
    )
    said = override(aggregation_policy=made.name)
    sold = line("plan", "2024-01-01", binding="CUSTOM")
    sold.binding_target = await target(world, account, *([said] if level == "target" else []))
    sold.policies.extend([said] if level == "line" else [])

    with pytest.raises(UsageError, match="accumulate daily") as refused:
        await world.quote(account, sold)

    assert refused.value.reason == "PERIOD_ORDER"


async def revise(world, kind: str, mask: str, **content) -> policy_rpc.Policy:
    request = policy_rpc.RevisePolicyRequest(
        policy=policy_rpc.Policy(**{kind: content}), update_mask=FieldMask(paths=[mask])
    )
    return (await world.client.policies.RevisePolicy(request)).policy


@pytest.mark.capability("M22")
async def test_what_is_sold_stays_under_the_version_it_was_sold_under(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    ann, bob = await world.account("ann"), await world.account("bob")
    [before] = await world.sell(ann, line("plan", "2024-01-01"))

    revised = await revise(
        world, "overage_policy", "overage", name="overagePolicies/charge", overage="FREE"
    )
    [after] = await world.sell(bob, line("plan", "2024-01-31"))
    for asset in (before, after):
        await world.use(asset, "calls", "2024-01-31", 15)
    await world.advance("2024-02-05")

    assert revised.overage_policy.version == 2
    versions = [(await resolved(world, one.name)).overage_policy for one in (before, after)]
    assert [one.version for one in versions] == [1, 2]
    amounts = [money(one.amount) for who in (ann, bob) for one in await world.liable(who)]
    assert amounts == [5, 0]
    listed = await world.client.policies.ListPolicyVersions(
        policy_rpc.ListPolicyVersionsRequest(name="overagePolicies/charge")
    )
    said = [one.policy.overage_policy for one in listed.versions]
    assert [(one.version, one.overage) for one in said] == [
        (2, policies.OveragePolicy.FREE),
        (1, policies.OveragePolicy.CHARGE),
    ]
    assert listed.versions[1].HasField("supersede_time")


async def test_every_kind_of_policy_has_versions(sandbox):
    world = await sandbox("2024-01-31")
    rollover = Metered(resource="calls", grant="1", refresh="MONTH", max_rollovers=1, rate="1")
    await world.product("plan", rollover)

    changes = [
        ("rollover_policy", "max_quantity", {"max_quantity": {"value": "0.5"}}, "up-to-1"),
        ("refresh_policy", "interval", {"interval": {"unit": "DAY", "count": 9}}, "every-1-month"),
        ("aggregation_policy", "method", {"method": "PEAK"}, "sum-day-combine_unspecified"),
        (
            "rating_frequency_policy",
            "waiting_time",
            {"waiting_time": {"hours": 5}},
            "month-3-next_period",
        ),
    ]
    for kind, mask, content, policy in changes:
        collection = {
            "rollover_policy": "rolloverPolicies",
            "refresh_policy": "refreshPolicies",
            "aggregation_policy": "aggregationPolicies",
            "rating_frequency_policy": "ratingFrequencyPolicies",
        }[kind]
        name = f"{collection}/{policy}"
        revised = await revise(world, kind, mask, name=name, **content)
        again = await revise(world, kind, mask, name=name, **content)
        assert getattr(revised, kind).version == getattr(again, kind).version == 2
        listed = await world.client.policies.ListPolicyVersions(
            policy_rpc.ListPolicyVersionsRequest(name=name)
        )
        assert len(listed.versions) == 2


async def test_only_what_is_active_gets_another_version(sandbox):
    world = await sandbox("2024-01-31")
    await overage(world, "draft", "FREE", active=False)

    with pytest.raises(UsageError) as refused:
        await revise(
            world, "overage_policy", "overage", name="overagePolicies/draft", overage="CHARGE"
        )
    assert refused.value.reason == "STATE_TRANSITION"
    for name in ("x", "overagePolicies/", "usageResources/x"):
        with pytest.raises(UsageError):
            await world.client.policies.ListPolicyVersions(
                policy_rpc.ListPolicyVersionsRequest(name=name)
            )
