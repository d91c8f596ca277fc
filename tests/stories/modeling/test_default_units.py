"""The unit that a resource counts in is explicit, and stays."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import types_pb2 as types

from tests.stories.catalog_words import counted, held, move, product, resource, unit, unit_class
from tests.stories.setup_words import described, refused, request
from tests.stories.words import Metered, line, number, refusal

INACTIVE = types.CATALOG_STATE_INACTIVE


async def name_default(world, of: str, name: str) -> catalog.UnitClass:
    """Make a unit the default of a class that exists."""
    wanted = catalog.UnitClass(name=f"unitClasses/{of}", default_unit=f"unitsOfMeasure/{name}")
    mask = FieldMask(paths=["default_unit"])
    update = rpc.UpdateUnitClassRequest(unit_class=wanted, update_mask=mask)
    return await world.client.catalog.UpdateUnitClass(update)


@pytest.mark.capability("M9.named")
async def test_a_default_unit_that_cannot_be_counted_in_is_refused_when_it_is_named(sandbox):
    world = await sandbox("2024-01-01")
    await counted(world, "mass", "kg", scale=3)
    await unit(world, "ton", "mass", factor=number(1000), scale=3)
    await unit_class(world, "data")

    misspelt = await refusal(unit_class(world, "volume", default_unit="unitsOfMeasure/litr"))
    reasons = [
        (await refusal(name_default(world, of, name))).reason
        for of, name in (("mass", "kgg"), ("mass", "KG"), ("mass", "ton"), ("data", "kg"))
    ]

    assert misspelt.reason == "UNIT_OF_MEASURE_NOT_FOUND"
    assert "CreateRecords" in str(misspelt)
    missing = "UNIT_OF_MEASURE_NOT_FOUND"
    assert reasons == [missing, missing, "FACTOR_RANGE", "UNIT_CLASS_MISMATCH"]
    await unit(world, "gb", "data", scale=3)
    assert (await name_default(world, "data", "gb")).default_unit == "unitsOfMeasure/gb"


async def test_a_description_may_name_the_default_unit_before_the_unit(sandbox):
    world = await sandbox("2026-01-01")
    wanted = described("plan")
    wanted["unit_classes"][0]["default_unit"] = "unitsOfMeasure/peice"

    error = await refused(world, request(wanted))
    await world.client.setup.SetUpProduct(request(described("plan")))

    assert error.reason == "UNIT_OF_MEASURE_NOT_FOUND"
    assert error.facts["field"] == "unit_classes[0]"
    found = await world.client.catalog.GetUnitClass(
        rpc.GetUnitClassRequest(name="unitClasses/count")
    )
    assert found.default_unit == "unitsOfMeasure/piece"


@pytest.mark.capability("M9.none")
async def test_another_unit_does_not_change_what_new_accounts_count_in(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world, "things")
    await unit(world, "thing", "things")
    await world.product("plan", Metered(resource="calls", rate="1"), activate=False)
    await resource(world, "unitless", "things")
    await held(world, "plan", "unitless")

    error = await refusal(world.activate("plan"))
    assert [(fault.field, fault.reason) for fault in error.violations] == [
        ("usageResources/unitless", "UNIT_OF_MEASURE_NOT_FOUND")
    ]
    assert "unitClasses/things has no default unit" in str(error)

    await product(world, "other")
    await resource(world, "things", "things", unit_of_measure="unitsOfMeasure/thing")
    await held(world, "other", "things")
    await world.price("other", Metered(resource="things", rate="1"))
    await world.activate("other")
    counted_in = []
    for account in ("ann", "bob"):
        await world.account(account)
        await world.sell(f"accounts/{account}", line("other", "2024-01-01"))
        counted_in.append((await world.wallet(f"accounts/{account}", "things")).unit_of_measure)
        await unit(world, f"a-unit-{account}", "things")
    assert counted_in == ["unitsOfMeasure/thing"] * 2


@pytest.mark.capability("M9.held")
async def test_a_unit_that_something_active_counts_in_cannot_be_withdrawn(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"))

    error = await refusal(move(world, INACTIVE, "unitsOfMeasure/calls-unit"))

    assert (error.reason, error.violations[0].field) == ("IN_USE", "usageResources/calls")
    gone = ["products/plan/usageResources/calls", "usageResources/calls"]
    together = [*gone, "unitsOfMeasure/calls-unit"]
    assert await move(world, INACTIVE, *together) == together


async def test_a_class_whose_default_unit_was_withdrawn_can_be_renamed(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="calls", rate="1"))
    gone = ["products/plan/usageResources/calls", "usageResources/calls"]
    await move(world, INACTIVE, *gone, "unitsOfMeasure/calls-unit")
    renamed = catalog.UnitClass(name="unitClasses/calls-class", display_name="Calls")
    update = rpc.UpdateUnitClassRequest(
        unit_class=renamed, update_mask=FieldMask(paths=["display_name"])
    )

    found = await world.client.catalog.UpdateUnitClass(update)
    named = await refusal(name_default(world, "calls-class", "calls-unit-2"))

    assert (found.display_name, found.default_unit) == ("Calls", "unitsOfMeasure/calls-unit")
    assert found.state == types.CATALOG_STATE_ACTIVE
    assert named.reason == "ACTIVE_IMMUTABLE"
    assert named.facts["fields"] == "default_unit"


async def test_the_default_unit_of_a_class_is_not_moved_to_another(sandbox):
    world = await sandbox("2024-01-01")
    await counted(world, "mass", "kg", scale=3)
    await unit_class(world, "volume")
    moved = catalog.UnitOfMeasure(name="unitsOfMeasure/kg", unit_class="unitClasses/volume")
    update = rpc.UpdateUnitOfMeasureRequest(
        unit_of_measure=moved, update_mask=FieldMask(paths=["unit_class"])
    )

    error = await refusal(world.client.catalog.UpdateUnitOfMeasure(update))

    assert error.reason == "UNIT_CLASS_MISMATCH"
    assert "unitClasses/mass" in str(error)
