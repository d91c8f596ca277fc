"""A revision of a policy is judged by everything that uses it."""

from dataclasses import replace

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as rpc
from usage_management.v1 import setup_service_pb2 as setup_rpc

from clients import UsageError
from tests.stories import catalog_words as words
from tests.stories.policy_words import overage
from tests.stories.words import Metered, day, figure, line, money, refusal

CALLS = Metered(resource="calls", grant="10", rate="1")
HELD = "TIME_WEIGHTED"
COUNTED = "aggregationPolicies/sum-day-combine_unspecified"
RATED = "ratingFrequencyPolicies/month-3-next_period"


async def revise(world, kind: str, mask: str, **content) -> rpc.RevisePolicyResponse:
    validate_only = content.pop("validate_only", False)
    start_date = content.pop("start_date", None)
    request = rpc.RevisePolicyRequest(
        policy=rpc.Policy(**{kind: content}),
        update_mask=FieldMask(paths=[mask]),
        validate_only=validate_only,
        start_date=None if start_date is None else day(start_date),
    )
    return await world.client.policies.RevisePolicy(request)


async def versions(world, name: str) -> int:
    request = rpc.ListPolicyVersionsRequest(name=name)
    return len((await world.client.policies.ListPolicyVersions(request)).versions)


def refused_for(error: UsageError, record: str, reason: str) -> None:
    """Check that a revision was refused for one record of a product."""
    assert error.reason == "VALIDATION_FAILED"
    assert error.facts["product"] == "products/plan"
    assert "products/plan" in str(error)
    assert [(fault.field, fault.reason) for fault in error.violations] == [(record, reason)]


@pytest.mark.parametrize(
    ("kind", "mask", "content", "reason"),
    [
        ("aggregation_policy", "method", {"name": COUNTED, "method": HELD}, "POLICY_CONFLICT"),
        ("aggregation_policy", "period", {"name": COUNTED, "period": "MONTH"}, "PERIOD_ORDER"),
    ],
)
@pytest.mark.capability("M33.revision")
async def test_a_revision_that_breaks_a_product_is_refused(sandbox, kind, mask, content, reason):
    world = await sandbox("2024-01-31")
    await world.product("plan", replace(CALLS, overage="BLOCK"))

    for more in ({"validate_only": True}, {}):
        error = await refusal(revise(world, kind, mask, **content, **more))
        refused_for(error, "products/plan/usageResources/calls", reason)

    assert await versions(world, content["name"]) == 1
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "calls", "2024-01-10", 8)
    await world.advance("2024-02-05")
    [owed] = await world.liable(account)
    assert (figure(owed.used_quantity), money(owed.amount)) == (8, 0)


async def test_the_overage_policy_of_what_is_held_is_not_changed_behind_its_back(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="load", rate="1", method=HELD))
    name = "overagePolicies/charge"

    error = await refusal(revise(world, "overage_policy", "overage", name=name, overage="BLOCK"))

    refused_for(error, "products/plan/usageResources/load", "POLICY_CONFLICT")


async def test_a_policy_of_the_usage_resource_is_judged_by_its_products(sandbox):
    world = await sandbox("2024-01-31")
    made = await overage(world, "of-resource", "FREE", active=False)
    counted = await world.client.policies.CreateAggregationPolicy(
        rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="held",
            aggregation_policy=policies.AggregationPolicy(method=HELD, period="DAY"),
        )
    )
    await words.counted(world, "things", "thing")
    named = catalog.UsageResourcePolicies(overage_policy=made)
    await words.resource(world, "load", "things", policies=named)
    await words.product(world, "plan")
    own = catalog.ResourcePolicies(aggregation_policy=counted.name)
    await words.held(world, "plan", "load", policies=own)
    await world.activate("plan")

    error = await refusal(revise(world, "overage_policy", "overage", name=made, overage="BLOCK"))

    refused_for(error, "products/plan/usageResources/load", "POLICY_CONFLICT")


async def test_a_revision_lists_what_it_affects(sandbox):
    world = await sandbox("2024-01-31")
    for product in ("a", "b", "plan"):
        await world.product(product, CALLS)
    await world.product("draft", CALLS, activate=False)
    await world.product("other", Metered(resource="bytes", rate="1", overage="FREE"))
    free = {"name": "overagePolicies/charge", "overage": "FREE"}

    trial = await revise(world, "overage_policy", "overage", **free, validate_only=True)
    done = await revise(world, "overage_policy", "overage", **free)

    assert trial.policy.overage_policy.version == done.policy.overage_policy.version == 2
    assert list(done.affected) == ["products/a", "products/b", "products/plan"]
    assert (done.affected_count, list(trial.affected)) == (3, list(done.affected))
    assert await versions(world, "overagePolicies/charge") == 2


async def test_a_charge_that_no_rate_has_is_not_introduced_by_a_revision(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="10", overage="FREE"))

    error = await refusal(
        revise(world, "overage_policy", "overage", name="overagePolicies/free", overage="CHARGE")
    )

    assert error.reason == "VALIDATION_FAILED"
    assert error.violations[0].field == "products/plan/usageResources/calls"


async def test_a_revision_is_judged_by_the_targets_that_name_the_policy(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", CALLS)
    account = await world.account("ann")
    made = await world.client.policies.CreateAggregationPolicy(
        rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="of-target",
            aggregation_policy=policies.AggregationPolicy(method="PEAK", period="DAY"),
        )
    )
    await words.move(world, "CATALOG_STATE_ACTIVE", made.name)
    named = catalog.PolicyOverride(
        usage_resource="usageResources/calls",
        policies=catalog.ResourcePolicies(aggregation_policy=made.name),
    )
    target = await world.client.accounts.CreateBindingTarget(
        accounts.CreateBindingTargetRequest(
            parent=account,
            binding_target_id="team",
            binding_target=accounts.BindingTarget(kind="CUSTOM", policies=[named]),
        )
    )

    change = {"name": made.name, "period": "MONTH"}
    error = await refusal(revise(world, "aggregation_policy", "period", **change))
    refused_for(error, target.name, "PERIOD_ORDER")

    sum_of_it = {"name": made.name, "method": "SUM"}
    done = await revise(world, "aggregation_policy", "method", **sum_of_it)
    assert (list(done.affected), done.affected_count) == ([target.name], 1)
    sold = line("plan", "2024-01-31", binding="CUSTOM")
    sold.binding_target = target.name
    [asset] = await world.sell(account, sold)
    for quantity in (8, 7):
        await world.use(asset, "calls", "2024-01-31", quantity)
    await world.advance("2024-02-05")
    [owed] = await world.liable(account)
    assert figure(owed.overage_quantity) == 5


async def test_a_fault_of_before_does_not_prevent_its_correction(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", overage="CHARGE"))

    done = await revise(
        world, "rating_frequency_policy", "waiting_time", name=RATED, waiting_time={"hours": 5}
    )

    assert done.policy.rating_frequency_policy.version == 2


@pytest.mark.capability("M151")
async def test_a_sale_gets_the_versions_of_its_first_day_and_not_of_today(sandbox):
    world = await sandbox("2024-01-15")
    rolling = {"refresh": "MONTH", "max_rollovers": 1}
    await world.product("plan", Metered(resource="calls", grant="10", rate="1", **rolling))
    ann, bob, eve = [await world.account(name) for name in ("ann", "bob", "eve")]
    [before] = await world.sell(ann, line("plan", "2024-01-01"))
    await revise(world, "overage_policy", "overage", name="overagePolicies/charge", overage="FREE")
    daily = {"name": "refreshPolicies/every-1-month", "interval": {"unit": "DAY", "count": 7}}
    await revise(world, "refresh_policy", "interval", **daily)

    [back_dated] = await world.sell(bob, line("plan", "2024-01-14"))
    [after] = await world.sell(eve, line("plan", "2024-01-15"))
    for asset in (before, back_dated, after):
        await world.use(asset, "calls", "2024-01-15", 30)
    await world.advance("2024-02-05")

    asked = [
        catalog_rpc.ResolvePoliciesRequest(name=one.name) for one in (before, back_dated, after)
    ]
    found = [(await world.client.catalog.ResolvePolicies(one)).resources[0] for one in asked]
    assert [one.overage_policy.version for one in found] == [1, 1, 2]
    owed = [[money(one.amount) for one in await world.liable(who)] for who in (ann, bob, eve)]
    assert owed == [[20], [20], [0]]
    issued = [len(await world.grants(await world.wallet(who, "calls"))) for who in (bob, eve)]
    assert issued[0] < issued[1]


CHARGE = {"name": "overagePolicies/charge"}


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Tokyo"])
@pytest.mark.capability("M151")
async def test_a_version_may_begin_on_a_later_day(sandbox, zone):
    """From February 1 on usage is free, for who starts then by their own zone."""
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    ahead = {"overage": "FREE", "start_date": "2024-02-01"}
    made = await revise(world, "overage_policy", "overage", **CHARGE, **ahead)
    accounts_ = [await world.account(name, zone=zone) for name in ("ann", "bob", "eve")]
    starts = ("2024-01-15", "2024-01-31", "2024-02-01")
    sold = [
        (await world.sell(account, line("plan", start)))[0]
        for account, start in zip(accounts_[:2], starts, strict=False)
    ]
    await world.advance("2024-02-10")
    sold += await world.sell(accounts_[2], line("plan", starts[2]))
    for asset in sold:
        await world.use(asset, "calls", "2024-02-09", 15)
    await world.advance("2024-04-10")

    assert made.policy.overage_policy.version == 2
    owed = [sum(money(one.amount) for one in await world.liable(who)) for who in accounts_]
    assert owed == [5, 5, 0]
    request = rpc.ListPolicyVersionsRequest(name=CHARGE["name"])
    newest, first = (await world.client.policies.ListPolicyVersions(request)).versions
    assert (newest.policy.overage_policy.overage, newest.HasField("supersede_date")) == (2, False)
    assert first.supersede_date == day("2024-02-01")


async def test_no_version_begins_before_the_newest_one(sandbox):
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    await revise(
        world, "overage_policy", "overage", **CHARGE, overage="FREE", start_date="2024-02-01"
    )

    for start in (None, "2024-01-31"):
        back = revise(
            world, "overage_policy", "overage", **CHARGE, overage="CHARGE", start_date=start
        )
        assert (await refusal(back)).reason == "EFFECTIVITY_OVERLAP"
    today = revise(
        world, "overage_policy", "overage", **CHARGE, overage="BLOCK", start_date="2024-01-15"
    )
    assert [one.reason for one in (await refusal(today)).violations] == ["RANGE"]
    await revise(
        world, "overage_policy", "overage", **CHARGE, overage="CHARGE", start_date="2024-02-01"
    )
    assert await versions(world, CHARGE["name"]) == 3
    # On February 1 the newest of both is in force, and the old one before.
    charged = [await world.account(name) for name in ("ann", "bob")]
    found = []
    for account, start in zip(charged, ("2024-01-15", "2024-02-01"), strict=True):
        quote = await world.quote(account, line("plan", start))
        [held] = quote.lines[0].resources
        found.append(held.overage_policy_version)
    assert found == [1, 3]


async def test_a_version_of_a_later_day_is_in_no_setup_and_no_export_before_it(sandbox):
    """The file says CHARGE, which is in force: it is reused, and exported."""
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls", grant="10", rate="1"))
    await revise(
        world, "overage_policy", "overage", **CHARGE, overage="FREE", start_date="2024-02-01"
    )

    exported = await world.client.setup.ExportCatalog(
        setup_rpc.ExportCatalogRequest(page_size=1000)
    )
    [policy] = [one for one in exported.catalog.overage_policies if one.name == CHARGE["name"]]
    again = await world.client.setup.SetUpCatalog(
        setup_rpc.SetUpCatalogRequest(catalog=exported.catalog)
    )

    assert policy.overage == policies.OveragePolicy.CHARGE
    assert [(one.name, one.description) for one in exported.omissions] == [
        (CHARGE["name"], "version 2, which begins on a later day, is left out")
    ]
    assert {one.action for one in again.steps} == {setup_rpc.SetupStep.REUSED}
