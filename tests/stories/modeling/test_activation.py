"""Activation: one call puts all of a product in force and says what is wrong, or does nothing."""

import asyncio
import random

import grpc
import pytest
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from tests.stories.words import Metered
from tests.stories.world import World

ACTIVE = types.CATALOG_STATE_ACTIVE


def record(field: str, name: str, **content) -> rpc.CatalogRecord:
    """The creation of one record, of the kind that the field says."""
    made = rpc.CatalogRecord()
    creation = getattr(made, field)
    creation.SetInParent()
    for key, value in content.items():
        kind = getattr(creation, field).DESCRIPTOR.fields_by_name[key]
        if kind.message_type is None:
            setattr(getattr(creation, field), key, value)
        else:
            getattr(getattr(creation, field), key).CopyFrom(value)
    if field == "product_usage_resource":
        creation.parent = name
    else:
        setattr(creation, f"{field}_id", name)
    return made


def plan(resources: int) -> list[rpc.CatalogRecord]:
    """A product with so many resources, as drafts, in an order in which they can be created."""
    usage = catalog.UnitClass.USAGE
    return [
        record("unit_class", "things", kind=usage),
        record("unit_of_measure", "thing", unit_class="unitClasses/things"),
        record("product", "plan", usage_model_type=catalog.Product.ANCHOR),
        *(
            one
            for n in range(resources)
            for one in (
                record(
                    "usage_resource",
                    f"r{n}",
                    category=catalog.UnitClass.USAGE,
                    unit_class="unitClasses/things",
                    unit_of_measure="unitsOfMeasure/thing",
                ),
                record(
                    "product_usage_resource",
                    "products/plan",
                    usage_resource=f"usageResources/r{n}",
                ),
            )
        ),
    ]


async def create(world: World, records: list[rpc.CatalogRecord]) -> None:
    await world.client.catalog.CreateRecords(rpc.CreateRecordsRequest(records=records))


async def activate(world: World, **how) -> rpc.ActivateProductResponse:
    request = rpc.ActivateProductRequest(name="products/plan", **how)
    return await world.client.catalog.ActivateProduct(request)


async def state(world: World) -> int:
    request = rpc.GetProductRequest(name="products/plan")
    return (await world.client.catalog.GetProduct(request)).state


@pytest.mark.capability("M147")
async def test_activation_says_what_is_wrong_and_refuses_it_unless_told(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="priced", rate="1"), activate=False)
    await create(world, plan(1)[:2] + plan(1)[3:])

    with pytest.raises(UsageError, match="VALIDATION_FAILED") as refused:
        await activate(world)
    [violation] = refused.value.violations
    assert violation.field == "products/plan/usageResources/r0"
    assert await state(world) != ACTIVE

    plan_of_it = await activate(world, validate_only=True, allow_invalid=True)
    assert await state(world) != ACTIVE
    done = await activate(world, allow_invalid=True)
    assert await state(world) == ACTIVE
    assert list(plan_of_it.activated) == list(done.activated)
    assert plan_of_it.validation == done.validation
    errors = [r for r in done.validation.results if r.rule.severity == r.rule.ERROR]
    assert [r.rule.id for r in errors] == [violation.reason]
    assert not done.validation.valid
    assert errors[0].findings[0].records[0] == violation.field
    assert errors[0].rule.remedy

    await world.price("plan", Metered(resource="r0", rate="2"))
    again = await activate(world)
    assert again.validation.valid
    assert list(again.activated) == ["rateCards/base/entries/plan-r0-USD"]


async def test_one_bad_row_of_150_and_nothing_is_active(sandbox):
    world = await sandbox("2024-01-01")
    records = plan(60)
    wrong = [
        record("unit_class", "unitless", kind=catalog.UnitClass.USAGE),
        record(
            "usage_resource",
            "wrong",
            category=catalog.UnitClass.USAGE,
            unit_class="unitClasses/unitless",
        ),
        record("product_usage_resource", "products/plan", usage_resource="usageResources/wrong"),
    ]
    await create(world, records + wrong)

    with pytest.raises(UsageError, match="VALIDATION_FAILED") as refused:
        await activate(world)

    assert [one.field for one in refused.value.violations] == ["usageResources/wrong"]
    active = rpc.ListUsageResourcesRequest(state=ACTIVE)
    found = await world.client.catalog.ListUsageResources(active)
    assert (len(found.usage_resources), await state(world) == ACTIVE) == (0, False)


@pytest.mark.capability("M126.A5", "M140")
async def test_at_most_200_records_become_active_at_once(sandbox):
    world = await sandbox("2024-01-01")
    await create(world, plan(99))  # with their class, their unit and the product: 201

    for how in ({}, {"validate_only": True}):
        with pytest.raises(UsageError) as refused:
            await activate(world, allow_invalid=True, **how)
        assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.reason == "TOO_MANY_ITEMS"
        assert (refused.value.facts["limit"], refused.value.facts["got"]) == ("200", "201")
    assert await state(world) != ACTIVE

    first = rpc.ChangeStatesRequest(names=["unitClasses/things"], state=ACTIVE)
    await world.client.catalog.ChangeStates(first)
    done = await activate(world, allow_invalid=True)
    assert len(done.activated) == 200
    assert await state(world) == ACTIVE


async def test_any_order_of_setting_up_gives_the_same_catalog(sandbox):
    outcomes = set()
    for seed in range(4):
        world = await sandbox("2024-01-01")
        first, *rest = plan(6)
        chance = random.Random(seed)
        waiting, made = rest, [first]
        while waiting:  # what refers to something comes after it; all else as it comes
            chance.shuffle(waiting)
            known = {text for one in made for text in names_of(one)}
            ready = next(one for one in waiting if needs_of(one) <= known)
            made.append(ready)
            waiting.remove(ready)
        await create(world, made)
        done = await activate(world, allow_invalid=True)
        outcomes.add(tuple(sorted(done.activated)))

    assert len(outcomes) == 1


def names_of(one: rpc.CatalogRecord) -> set[str]:
    words = {
        "unit_class": "unitClasses/{0.unit_class_id}",
        "unit_of_measure": "unitsOfMeasure/{0.unit_of_measure_id}",
        "usage_resource": "usageResources/{0.usage_resource_id}",
        "product": "products/{0.product_id}",
    }
    kind = one.WhichOneof("creation")
    return {words[kind].format(getattr(one, kind))} if kind in words else set()


def needs_of(one: rpc.CatalogRecord) -> set[str]:
    kind = one.WhichOneof("creation")
    creation = getattr(one, kind)
    if kind == "product_usage_resource":
        return {creation.parent, creation.product_usage_resource.usage_resource}
    if kind == "usage_resource":
        return {"unitClasses/things", creation.usage_resource.unit_of_measure}
    return {"unitClasses/things"} if kind == "unit_of_measure" else set()


async def test_of_many_who_activate_at_once_one_does_it(sandbox):
    world = await sandbox("2024-01-01")
    await create(world, plan(5))

    done = await asyncio.gather(*(activate(world, allow_invalid=True) for _ in range(8)))

    [activated] = [list(one.activated) for one in done if one.activated]
    assert len(activated) == len(set(activated)) == 1 + 1 + 5 + 1 + 5
    assert {one.product.state for one in done} == {ACTIVE}
