"""Withdrawal: what is withdrawn comes back, what was never sold is corrected, sold names stay."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import rate_service_pb2 as rates

from tests.stories.catalog_words import move
from tests.stories.rate_words import ACTIVE, DRAFT, INACTIVE, add, delete, priced, put, shop
from tests.stories.rate_words import move as move_entries
from tests.stories.words import Metered, figure, line, number, refusal
from tests.stories.world import World

HELD, GRANT = "products/plan/usageResources/calls", "products/plan/grants/calls"
CALLS = Metered(resource="calls", grant="10", rate="1")


@pytest.mark.capability("M29.again")
async def test_what_is_withdrawn_comes_back(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    account = await world.account("acme")
    [grant] = await grants(world)

    await move(world, INACTIVE, grant, HELD, "products/plan")
    withdrawn = await refusal(world.quote(account, line("plan", "2024-02-01")))
    alone = await refusal(move(world, ACTIVE, grant))
    changed = await move(world, ACTIVE, grant, HELD, "products/plan")
    quote = await world.quote(account, line("plan", "2024-02-01"))

    assert withdrawn.reason == alone.reason == "RESOURCE_INACTIVE"
    assert sorted(changed) == sorted([grant, HELD, "products/plan"])
    assert figure(quote.lines[0].resources[0].grants[0].quantity) == 10


async def test_a_refusal_says_what_puts_a_product_in_force(sandbox):
    """A draft is activated with its records, and a withdrawn product by ChangeStates."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS, activate=False)
    account = await world.account("acme")
    names = [*await grants(world), HELD, "products/plan"]

    draft = await refusal(world.quote(account, line("plan", "2024-02-01")))
    alone = await refusal(move(world, ACTIVE, *names))
    await world.activate("plan")
    await move(world, INACTIVE, *names)
    withdrawn = await refusal(world.quote(account, line("plan", "2024-02-01")))
    again = await refusal(world.activate("plan"))
    await move(world, ACTIVE, *names)
    quote = await world.quote(account, line("plan", "2024-02-01"))

    assert (draft.reason, draft.facts["state"]) == ("RESOURCE_INACTIVE", "DRAFT")
    assert "products/plan is DRAFT; ActivateProduct puts it in force" in str(draft)
    assert (alone.reason, alone.facts["from"]) == ("STATE_TRANSITION", "DRAFT")
    assert "activated for the first time with its product, by ActivateProduct" in str(alone)
    assert (withdrawn.reason, withdrawn.facts["state"]) == ("RESOURCE_INACTIVE", "INACTIVE")
    assert "products/plan is INACTIVE; ChangeStates puts it in force" in str(withdrawn)
    [fault] = again.violations
    assert (again.reason, fault.field) == ("VALIDATION_FAILED", "products/plan")
    assert fault.reason == "RESOURCE_INACTIVE"
    assert fault.description == "was withdrawn; ChangeStates activates it again"
    assert len(quote.lines) == 1


async def test_what_comes_back_keeps_the_rules_of_its_product(sandbox):
    """Another stretch of the same resource is in force meanwhile."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    [grant] = await grants(world)
    await move(world, INACTIVE, grant, HELD)
    again = rpc.CreateProductUsageResourceRequest(
        parent="products/plan",
        product_usage_resource_id="calls-2",
        product_usage_resource=catalog.ProductUsageResource(usage_resource="usageResources/calls"),
    )
    await world.client.catalog.CreateProductUsageResource(again)
    await world.activate("plan")

    overlap = await refusal(move(world, ACTIVE, HELD))

    assert overlap.reason == "EFFECTIVITY_OVERLAP"


@pytest.mark.capability("M29.draft")
async def test_what_was_never_sold_becomes_a_draft_and_is_corrected(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    [grant] = await grants(world)

    at_once = await refusal(move(world, DRAFT, grant))
    await move(world, INACTIVE, grant)
    await move(world, DRAFT, grant)
    corrected = await world.client.catalog.UpdateProductUsageGrant(
        rpc.UpdateProductUsageGrantRequest(
            product_usage_grant=catalog.ProductUsageGrant(name=grant, quantity=number("25")),
            update_mask=FieldMask(paths=["quantity"]),
        )
    )
    await world.activate("plan")
    quote = await world.quote(await world.account("acme"), line("plan", "2024-02-01"))
    await move(world, INACTIVE, grant)
    sold = await refusal(move(world, DRAFT, grant))

    assert at_once.reason == sold.reason == "STATE_TRANSITION"
    assert figure(corrected.quantity) == 25
    assert figure(quote.lines[0].resources[0].grants[0].quantity) == 25


@pytest.mark.capability("M29.draft")
async def test_an_entry_that_was_never_sold_becomes_a_draft(sandbox):
    world = await shop(sandbox)
    name = await put(world, "base/data-1", priced("data", "2"))
    await move_entries(world, INACTIVE, name)

    assert await move_entries(world, DRAFT, name) == [name]


async def test_the_id_of_a_sold_and_deleted_record_is_never_given_again(sandbox):
    """The terms of a sale name the entry that they come from, and it stays the only one."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    quote = await world.quote(await world.account("acme"), line("plan", "2024-02-01"))
    sold = quote.lines[0].resources[0].terms.base_entry
    await move_entries(world, INACTIVE, sold)
    await delete(world, sold)
    entry = sold.removeprefix("rateCards/").replace("/entries/", "/")

    taken = await refusal(add(world, entry, priced("calls", "5")))
    in_capitals = await refusal(add(world, entry.replace("calls", "CALLS"), priced("calls", "5")))
    other = await add(world, f"{entry}-2", priced("calls", "5"))

    assert taken.reason == in_capitals.reason == "CODE_TAKEN"
    assert "choose another id" in taken.message
    assert other.name == f"{sold}-2"


async def grants(world: World) -> list[str]:
    request = rpc.ListProductUsageGrantsRequest(parent="products/plan")
    answer = await world.client.catalog.ListProductUsageGrants(request)
    return [grant.name for grant in answer.product_usage_grants]


async def test_many_drafts_do_not_hide_an_active_record_that_counts_in_a_unit(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS)
    request = rpc.ListUsageResourcesRequest()
    [active] = (await world.client.catalog.ListUsageResources(request)).usage_resources
    unit = active.unit_of_measure or "unitsOfMeasure/calls-unit"
    for number_ in range(22):
        await world.client.catalog.CreateUsageResource(
            rpc.CreateUsageResourceRequest(
                usage_resource_id=f"a{number_:02}",
                usage_resource=catalog.UsageResource(
                    category="USAGE", unit_class=active.unit_class, unit_of_measure=unit
                ),
            )
        )

    refused = await refusal(move(world, INACTIVE, unit))

    assert refused.reason == "IN_USE"


async def test_the_id_of_a_sold_and_deleted_resource_of_a_product_stays(sandbox):
    world: World = await sandbox("2024-01-15")
    await world.product("plan", CALLS, Metered(resource="sms", rate="1"))
    await world.quote(await world.account("acme"), line("plan", "2024-02-01"))
    held = "products/plan/usageResources/sms"
    listed = await world.client.rates.ListRateCardEntries(
        rates.ListRateCardEntriesRequest(parent="rateCards/-", usage_resource="usageResources/sms")
    )
    for entry in listed.rate_card_entries:
        await move_entries(world, INACTIVE, entry.name)
        await delete(world, entry.name)
    await move(world, INACTIVE, held)
    await world.client.catalog.DeleteProductUsageResource(
        rpc.DeleteProductUsageResourceRequest(name=held)
    )

    again = rpc.CreateProductUsageResourceRequest(
        parent="products/plan",
        product_usage_resource_id="sms",
        product_usage_resource=catalog.ProductUsageResource(usage_resource="usageResources/calls"),
    )
    taken = await refusal(world.client.catalog.CreateProductUsageResource(again))

    assert taken.reason == "CODE_TAKEN"
