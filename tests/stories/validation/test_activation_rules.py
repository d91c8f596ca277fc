"""The validator and the activation of a product say the same of what stands in the way."""

import pytest
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2 as types
from usage_management.v1 import validation_service_pb2 as validation

from clients import UsageError
from tests.stories import catalog_words as words
from tests.stories.rate_words import add, book, card, priced
from tests.stories.words import Metered
from tests.stories.world import World

PLAN, CALLS = "products/plan", "products/plan/usageResources/calls"


async def rules(world: World) -> set[str]:
    """The rules that the plan breaks, if its drafts were in force."""
    request = validation.ValidateProductsRequest(products=[PLAN], include_drafts=True)
    [found] = (await world.client.validation.ValidateProducts(request)).products
    return {one.rule.id for one in found.results}


async def refused(world: World) -> list[tuple[str, str]]:
    """The fields and reasons for which the plan is not activated."""
    with pytest.raises(UsageError, match="VALIDATION_FAILED") as error:
        await world.activate("plan")
    found = [(one.field, one.reason) for one in error.value.violations]
    assert error.value.facts["first"] == found[0][1]
    return found


async def withdraw(world: World, name: str) -> None:
    states = rpc.ChangeStatesRequest(names=[name], state=types.CATALOG_STATE_INACTIVE)
    await world.client.catalog.ChangeStates(states)


async def test_a_product_without_resources_is_empty(sandbox):
    world = await sandbox("2024-01-01")
    await words.product(world, "plan")

    assert "PRODUCT_EMPTY" in await rules(world)
    assert await refused(world) == [(PLAN, "PRODUCT_EMPTY")]


async def test_a_resource_without_a_unit_is_not_put_in_force(sandbox):
    world = await sandbox("2024-01-01")
    await words.product(world, "plan")
    await words.unit_class(world, "unitless")
    await words.resource(world, "calls", "unitless")
    await words.held(world, "plan", "calls")

    assert "UNIT_MISSING" in await rules(world)
    assert await refused(world) == [("usageResources/calls", "UNIT_OF_MEASURE_NOT_FOUND")]


async def test_a_product_that_was_withdrawn_does_not_come_back(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", overage="FREE"))
    await withdraw(world, CALLS)
    await withdraw(world, PLAN)

    assert await rules(world) == {"PRODUCT_NOT_ACTIVE"}
    assert await refused(world) == [(PLAN, "RESOURCE_INACTIVE")]


async def test_a_product_whose_resources_were_withdrawn_stays_in_force(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", overage="FREE"))
    [made] = (
        await world.client.catalog.ListProductUsageResources(
            rpc.ListProductUsageResourcesRequest(parent=PLAN)
        )
    ).product_usage_resources
    await withdraw(world, made.name)

    again = await world.activate("plan")

    assert made.name == CALLS
    assert list(again.activated) == []
    assert not again.validation.valid
    assert [one.rule.id for one in again.validation.results] == ["PRODUCT_EMPTY"]


async def test_rates_that_overlap_before_their_card_applies_are_named(sandbox):
    """Both rates start before the card does, and one is over by then: they still overlap."""
    world = await sandbox("2024-01-15")
    await world.product("plan", Metered(resource="calls"), activate=False)
    await card(world, "later", start="2025-01-01")
    await book(world, "other", "later")
    await add(world, "later/one", priced("calls", "1", start="2024-01-01", end="2024-06-01"))
    await add(world, "later/two", priced("calls", "2", start="2024-02-01", end="2026-01-01"))

    assert await rules(world) >= {"RATE_OVERLAP"}
    assert await refused(world) == [("rateCards/later/entries/two", "RATE_OVERLAP")]
