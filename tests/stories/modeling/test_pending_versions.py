"""A version of a policy that begins later: it is judged and shown as what begins on its day."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from tests.stories import catalog_words as words
from tests.stories.validation_words import broken, validate
from tests.stories.words import Metered, day, line, money, refusal
from tests.stories.world import World

FIRST = "2024-02-01"
CHARGE = "overagePolicies/charge"


async def revise(world: World, kind: str, mask: str, start: str | None, **content) -> None:
    request = rpc.RevisePolicyRequest(
        policy=rpc.Policy(**{kind: content}),
        update_mask=FieldMask(paths=[mask]),
        start_date=start and day(start),
    )
    await world.client.policies.RevisePolicy(request)


async def counted(world: World, method: str, period: str = "DAY") -> str:
    """Create a policy that counts by a method; it is active."""
    request = rpc.CreateAggregationPolicyRequest(
        aggregation_policy_id="counting",
        aggregation_policy=policies.AggregationPolicy(method=method, period=period),
    )
    made = await world.client.policies.CreateAggregationPolicy(request)
    await words.move(world, types.CATALOG_STATE_ACTIVE, made.name)
    return made.name


async def draft(world: World, counting: str) -> None:
    """Create a product whose only resource, which is not charged, is counted by a policy."""
    request = rpc.CreateOveragePolicyRequest(
        overage_policy_id="free", overage_policy=policies.OveragePolicy(overage="FREE")
    )
    free = await world.client.policies.CreateOveragePolicy(request)
    await words.counted(world, "things", "thing")
    await words.resource(world, "load", "things")
    await words.product(world, "plan")
    own = catalog.ResourcePolicies(aggregation_policy=counting, overage_policy=free.name)
    await words.held(world, "plan", "load", policies=own)


async def overage(world: World) -> policies.OveragePolicy:
    return await world.client.policies.GetOveragePolicy(rpc.GetOveragePolicyRequest(name=CHARGE))


@pytest.mark.capability("M151")
async def test_a_pending_version_must_be_valid_from_its_day_on(sandbox):
    world = await sandbox("2024-01-15")
    counting = await counted(world, "SUM")
    await draft(world, counting)
    await revise(world, "aggregation_policy", "period", FIRST, name=counting, period="MONTH")

    [checked] = (await validate(world, "plan", drafts=True)).products
    error = await refusal(world.activate("plan"))

    [result] = [one for one in checked.results if one.rule.id == "PERIOD_ORDER"]
    assert [FIRST in finding.message for finding in result.findings] == [True]
    assert error.reason == "VALIDATION_FAILED"
    assert FIRST in str(error)
    [fault] = error.violations
    assert (fault.field, fault.reason) == ("products/plan/usageResources/load", "PERIOD_ORDER")


async def test_a_version_in_force_is_judged_though_a_pending_one_mends_it(sandbox):
    world = await sandbox("2024-01-15")
    counting = await counted(world, "SUM", "MONTH")
    await revise(world, "aggregation_policy", "period", FIRST, name=counting, period="DAY")
    await draft(world, counting)

    error = await refusal(world.activate("plan"))

    assert [fault.reason for fault in error.violations] == ["PERIOD_ORDER"]
    assert FIRST not in str(error)
    await world.advance("2024-02-01")
    assert (await world.activate("plan")).product.name == "products/plan"


@pytest.mark.capability("M151")
async def test_a_rate_is_needed_from_the_day_on_which_overage_is_charged(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", overage="FREE"))
    charging = {"name": "overagePolicies/free", "overage": "CHARGE"}

    error = await refusal(revise(world, "overage_policy", "overage", FIRST, **charging))
    await world.price("plan", Metered(resource="calls", rate="1", overage="FREE"))
    await world.activate("plan")
    await revise(world, "overage_policy", "overage", FIRST, **charging)

    assert error.reason == "VALIDATION_FAILED"
    assert FIRST in str(error)
    [checked] = (await validate(world, "plan")).products
    assert "RATE_MISSING" not in broken(checked)
    ann, bob = await world.account("ann"), await world.account("bob")
    sold = await world.sell(ann, line("plan", "2024-01-15"))
    await world.advance("2024-02-03")
    sold += await world.sell(bob, line("plan", FIRST))
    for asset in sold:
        await world.use(asset, "calls", "2024-02-02", 15)
    await world.advance("2024-03-10")
    owed = [[money(one.amount) for one in await world.liable(who)] for who in (ann, bob)]
    assert [sum(amounts) for amounts in owed] == [0, 5]


async def test_a_policy_shows_the_version_in_force_and_the_one_that_begins(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    for start, treatment in ((FIRST, "FREE"), ("2024-03-01", "BLOCK")):
        await revise(world, "overage_policy", "overage", start, name=CHARGE, overage=treatment)
    resolve = catalog_rpc.ResolvePoliciesRequest(name="products/plan")
    listing = rpc.ListOveragePoliciesRequest()

    found = []
    for today in (None, FIRST, "2024-03-01"):
        if today is not None:
            await world.advance(today)
        got = await overage(world)
        [resolved] = (await world.client.catalog.ResolvePolicies(resolve)).resources
        listed = (await world.client.policies.ListOveragePolicies(listing)).overage_policies
        assert resolved.overage_policy == got
        assert [one for one in listed if one.name == CHARGE] == [got]
        pending = got.pending_version if got.HasField("pending_version") else None
        found.append((got.version, got.overage, pending))

    treatments = policies.OveragePolicy
    assert found == [
        (1, treatments.CHARGE, policies.PendingVersion(version=2, start_date=day(FIRST))),
        (2, treatments.FREE, policies.PendingVersion(version=3, start_date=day("2024-03-01"))),
        (3, treatments.BLOCK, None),
    ]


async def test_the_etag_of_the_version_in_force_revises_the_policy(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    await revise(world, "overage_policy", "overage", FIRST, name=CHARGE, overage="FREE")
    got = await overage(world)

    await revise(
        world, "overage_policy", "overage", FIRST, name=CHARGE, overage="BLOCK", etag=got.etag
    )

    assert (await overage(world)).pending_version.version == 3


async def test_a_pending_version_is_judged_by_the_targets_from_its_day_on(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="load", rate="1"))
    own = await counted(world, "SUM")
    named = catalog.PolicyOverride(
        usage_resource="usageResources/load",
        policies=catalog.ResourcePolicies(aggregation_policy=own),
    )
    request = accounts.CreateBindingTargetRequest(
        parent=await world.account("ann"),
        binding_target_id="team",
        binding_target=accounts.BindingTarget(kind="CUSTOM", policies=[named]),
    )
    target = await world.client.accounts.CreateBindingTarget(request)

    monthly = {"name": own, "period": "MONTH"}
    error = await refusal(revise(world, "aggregation_policy", "period", FIRST, **monthly))

    assert [fault.field for fault in error.violations] == [target.name]
    assert FIRST in error.violations[0].description


async def test_a_sale_is_not_judged_by_a_version_that_does_not_apply_to_it(sandbox):
    """The line blocks overage, which goes with SUM and not with the method that begins later."""
    world = await sandbox("2024-01-15")
    summed = Metered(resource="load", grant="10", rate="1")
    await world.product("plan", summed)
    name = "aggregationPolicies/sum-day-combine_unspecified"
    await revise(world, "aggregation_policy", "method", FIRST, name=name, method="TIME_WEIGHTED")
    request = rpc.CreateOveragePolicyRequest(
        overage_policy_id="own", overage_policy=policies.OveragePolicy(overage="BLOCK")
    )
    own = await world.client.policies.CreateOveragePolicy(request)
    await words.move(world, types.CATALOG_STATE_ACTIVE, own.name)
    account = await world.account("ann")

    def asked(start: str) -> quotes.SaleLine:
        made = line("plan", start)
        policy = catalog.ResourcePolicies(overage_policy=own.name)
        made.policies.add(usage_resource="usageResources/load", policies=policy)
        return made

    [asset] = await world.sell(account, asked("2024-01-31"))
    error = await refusal(world.quote(account, asked(FIRST)))

    assert error.reason == "POLICY_CONFLICT"
    await world.advance("2024-02-01")
    await world.use(asset, "load", "2024-01-31", 3)
    await world.advance("2024-02-10")
    assert sum(money(one.amount) for one in await world.liable(account)) == 0
