"""Succession: a rate, a resource of a product or a grant is replaced from a day on, in one act."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import rate_service_pb2 as rates

from tests.stories.catalog_words import move as move_records
from tests.stories.rate_words import ACTIVE, INACTIVE, add, get, move, priced, put, shop
from tests.stories.words import Metered, day, figure, line, money, number, refusal
from tests.stories.world import World

OLD = "rateCards/base/entries/data-1"
CALLS = Metered(resource="calls", grant="10", rate="1")


async def succeed(world: World, start: str, value: str, **more: Any) -> Any:
    """Replace the rate of data from a day on."""
    request = rates.SupersedeRateCardEntryRequest(
        name=OLD,
        start_date=day(start),
        **{
            "rate_card_entry_id": "data-2",
            "rate_card_entry": priced("data", value),
            "update_mask": FieldMask(paths=["rate"]),
            **more,
        },
    )
    return await world.client.rates.SupersedeRateCardEntry(request)


async def grants_of(world: World) -> list[catalog.ProductUsageGrant]:
    """Return the grants of the plan."""
    request = rpc.ListProductUsageGrantsRequest(parent="products/plan")
    return list((await world.client.catalog.ListProductUsageGrants(request)).product_usage_grants)


async def rate_on(world: World, date: str, resource: str = "data") -> Any:
    found = await world.discover("plan", resource, date=day(date))
    return figure(found.terms.rate.value)


@pytest.mark.capability("M42")
async def test_a_price_changes_from_a_day_ahead_without_a_gap(sandbox):
    world = await shop(sandbox)
    await put(world, "base/data-1", priced("data", "2"))

    preview = await succeed(world, "2024-02-01", "3", validate_only=True)
    done = await succeed(world, "2024-02-01", "3")
    again = await succeed(world, "2024-02-01", "3")

    assert preview.successor.start_date == day("2024-02-01")
    assert done.predecessor.end_date == done.successor.start_date == day("2024-02-01")
    assert done.successor.state == ACTIVE
    assert not done.successor.HasField("end_date")
    assert (again.predecessor.etag, again.successor.etag) == (
        done.predecessor.etag,
        done.successor.etag,
    )
    assert [await rate_on(world, date) for date in ("2024-01-31", "2024-02-01")] == [2, 3]


async def test_a_successor_keeps_the_end_and_what_was_not_named(sandbox):
    world = await shop(sandbox)
    steps = [("0", "10", "PERCENTAGE", "5")]
    entry = priced("data", None, *steps, end="2024-06-01", mode="GRADUATED")
    tiered = await put(world, "tiers/steps", entry)

    request = rates.SupersedeRateCardEntryRequest(
        name=tiered, rate_card_entry_id="steps-2", start_date=day("2024-02-01")
    )
    done = await world.client.rates.SupersedeRateCardEntry(request)

    old = await get(world, tiered)
    assert (done.predecessor, old.end_date) == (old, day("2024-02-01"))
    assert done.successor.tiers == old.tiers
    assert done.successor.end_date == day("2024-06-01")


async def test_a_succession_that_makes_no_sense_changes_nothing(sandbox):
    world = await shop(sandbox)
    entry = priced("data", "2", start="2024-01-01", end="2024-06-01")
    await add(world, "base/data-1", entry)

    draft = await refusal(succeed(world, "2024-02-01", "3"))
    await move(world, ACTIVE, OLD)
    before = await get(world, OLD)
    reasons = {
        start: (await refusal(succeed(world, start, "3"))).reason
        for start in ("2024-01-01", "2024-01-14", "2024-06-01")
    }
    await put(world, "base/data-2", priced("data", "9", start="2024-06-01"))
    taken = await refusal(succeed(world, "2024-02-01", "3"))
    longer = {
        "rate_card_entry_id": "data-3",
        "rate_card_entry": priced("data", "3", end="2024-07-01"),
        "update_mask": FieldMask(paths=["rate", "end_date"]),
    }
    overlap = await refusal(succeed(world, "2024-02-01", "3", **longer))
    masked = await refusal(
        succeed(world, "2024-02-01", "3", update_mask=FieldMask(paths=["start_date"]))
    )
    stale = await refusal(succeed(world, "2024-02-01", "3", etag='"9"'))

    assert draft.reason == "STATE_TRANSITION"
    assert reasons == dict.fromkeys(reasons, "INTERVAL_INVALID")
    assert (taken.reason, overlap.reason) == ("CODE_TAKEN", "RATE_OVERLAP")
    assert (masked.reason, stale.reason) == ("FIELD_MASK_INVALID", "ETAG_MISMATCH")
    assert await get(world, OLD) == before


@pytest.mark.capability("M14")
async def test_a_resource_of_a_product_is_replaced_together_with_its_grants(sandbox):
    """Sales before the day have the old policies and grants, sales from the day on the new."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    await world.client.policies.CreateAggregationPolicy(
        policy_rpc.CreateAggregationPolicyRequest(
            aggregation_policy_id="peak",
            aggregation_policy=policies.AggregationPolicy(method="PEAK", period="DAY"),
        )
    )
    await move_records(world, ACTIVE, "aggregationPolicies/peak")
    [grant] = await grants_of(world)
    old = "products/plan/usageResources/calls"
    changed = catalog.ProductUsageResource(
        policies=catalog.ResourcePolicies(aggregation_policy="aggregationPolicies/peak")
    )
    request = rpc.SupersedeProductUsageResourceRequest(
        name=old,
        product_usage_resource_id="calls-2",
        start_date=day("2024-03-01"),
        product_usage_resource=changed,
        update_mask=FieldMask(paths=["policies"]),
    )
    forgotten = await refusal(world.client.catalog.SupersedeProductUsageResource(request))
    request.grant_ids[grant.name.rpartition("/")[2]] = "calls-2"
    done = await world.client.catalog.SupersedeProductUsageResource(request)

    assert (forgotten.reason, forgotten.facts["field"]) == ("FIELD_REQUIRED", "grant_ids")
    assert done.successor.start_date == done.predecessor.end_date == day("2024-03-01")
    grants = {found.name: found for found in await grants_of(world)}
    assert grants[grant.name].end_date == day("2024-03-01")
    new = grants["products/plan/grants/calls-2"]
    assert (new.start_date, figure(new.quantity)) == (day("2024-03-01"), 10)
    assert new.product_usage_resource == done.successor.name
    account = await world.account("acme")
    quote = await world.quote(
        account, *(line("plan", date) for date in ("2024-02-01", "2024-03-01"))
    )
    sold = [sale.resources[0] for sale in quote.lines]
    methods = [one.aggregation_policy for one in sold]
    assert methods[1] == "aggregationPolicies/peak" != methods[0]
    assert [len(one.grants) for one in sold] == [1, 1]


@pytest.mark.parametrize(
    ("of", "to"), [("calls grant", "calls-2"), ("calls-grant", "-calls"), ("calls-grant", "")]
)
async def test_malformed_ids_of_grants_are_refused(sandbox, of, to):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    before = await grants_of(world)
    request = rpc.SupersedeProductUsageResourceRequest(
        name="products/plan/usageResources/calls",
        product_usage_resource_id="calls-2",
        start_date=day("2024-03-01"),
        grant_ids={of: to},
    )

    error = await refusal(world.client.catalog.SupersedeProductUsageResource(request))

    assert (error.reason, error.facts["field"]) == ("CODE_FORMAT", "grant_ids")
    assert error.message == "grant_ids: must match [A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
    assert await grants_of(world) == before


async def test_policies_are_those_of_the_window_of_a_sale_and_not_of_today(sandbox):
    world = await sandbox("2024-01-10")
    await world.product("plan", CALLS)
    ann, bob, eve = [await world.account(name) for name in ("ann", "bob", "eve")]
    [before] = await world.sell(ann, line("plan", "2024-01-01"))
    free = policy_rpc.CreateOveragePolicyRequest(
        overage_policy_id="none", overage_policy=policies.OveragePolicy(overage="FREE")
    )
    made = await world.client.policies.CreateOveragePolicy(free)
    await move_records(world, ACTIVE, made.name)
    await world.client.catalog.SupersedeProductUsageResource(
        rpc.SupersedeProductUsageResourceRequest(
            name="products/plan/usageResources/calls",
            product_usage_resource_id="calls-2",
            start_date=day("2024-02-01"),
            product_usage_resource=catalog.ProductUsageResource(
                policies=catalog.ResourcePolicies(
                    aggregation_policy="aggregationPolicies/sum-day-combine_unspecified",
                    rating_frequency_policy="ratingFrequencyPolicies/month-3-next_period",
                    overage_policy=made.name,
                )
            ),
            update_mask=FieldMask(paths=["policies"]),
            grant_ids={"calls-grant": "calls-grant-2"},
        )
    )
    await world.advance("2024-02-20")

    [back_dated] = await world.sell(bob, line("plan", "2024-01-20"))
    [after] = await world.sell(eve, line("plan", "2024-02-01"))
    for asset in (before, back_dated, after):
        await world.use(asset, "calls", "2024-02-10", 15)
    await world.advance("2024-03-05")

    owed = {
        account: sum(money(one.amount) for one in await world.liable(account))
        for account in (ann, bob, eve)
    }
    overages = [
        (await world.client.catalog.ResolvePolicies(rpc.ResolvePoliciesRequest(name=one.name)))
        .resources[0]
        .overage_policy.name
        for one in (before, back_dated, after)
    ]
    assert overages == ["overagePolicies/charge"] * 2 + ["overagePolicies/none"]
    assert [owed[account] for account in (ann, bob)] == [5, 5]
    assert owed[eve] == 0


async def test_a_successor_is_held_to_the_rules_of_activation(sandbox):
    """It refers to active records only, prices the same, and has an id and days that make sense."""
    world = await shop(sandbox)
    await put(world, "base/data-1", priced("data", "2"))
    await world.client.catalog.CreateSellingModel(
        rpc.CreateSellingModelRequest(
            selling_model_id="draft", selling_model=catalog.SellingModel(type="ONE_TIME")
        )
    )

    async def wrong(**more: Any) -> str:
        return (await refusal(succeed(world, "2024-02-01", "3", **more))).reason

    other = {"rate_card_entry": priced("sms", "3")}
    ended = {"rate_card_entry": priced("data", "3", end="2024-01-20")}
    assert await wrong(**other, update_mask=FieldMask(paths=["rate", "usage_resource"])) == (
        "FIELD_MASK_INVALID"
    )
    assert await wrong(**ended, update_mask=FieldMask(paths=["end_date"])) == "INTERVAL_INVALID"
    for wrong_id, reason in (
        ("", "FIELD_REQUIRED"),
        ("-", "CODE_FORMAT"),
        ("a" * 65, "CODE_FORMAT"),
    ):
        assert await wrong(rate_card_entry_id=wrong_id) == reason
    await move_records(world, INACTIVE, "products/plan/usageResources/data")
    assert await wrong() == "RESOURCE_INACTIVE"


@pytest.mark.capability("M30.grant_end")
async def test_the_end_of_a_grant_does_not_move_over_its_successor(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    [grant] = await grants_of(world)
    request = rpc.SupersedeProductUsageGrantRequest(
        name=grant.name,
        product_usage_grant_id="calls-2",
        start_date=day("2024-02-01"),
        product_usage_grant=catalog.ProductUsageGrant(quantity=number("20")),
        update_mask=FieldMask(paths=["quantity"]),
    )
    await world.client.catalog.SupersedeProductUsageGrant(request)
    longer = rpc.UpdateProductUsageGrantRequest(
        product_usage_grant=catalog.ProductUsageGrant(name=grant.name),
        update_mask=FieldMask(paths=["end_date"]),
    )

    refused = await refusal(world.client.catalog.UpdateProductUsageGrant(longer))
    quote = await world.quote(await world.account("ann"), line("plan", "2024-02-01"))

    assert refused.reason == "EFFECTIVITY_OVERLAP"
    assert [figure(one.quantity) for one in quote.lines[0].resources[0].grants] == [20]
