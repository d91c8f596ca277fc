"""A set-up with records that its description leaves out, repeats or does not use."""

from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import setup_service_pb2 as pb
from usage_management.v1 import types_pb2 as types

from tests.stories.setup_words import by_action, described, entry, refused, request
from tests.stories.validation_words import broken, validate
from tests.stories.words import refusal


def bare(product: str = "plan") -> dict:
    """A product whose resource names no policy."""
    wanted = described(product)
    wanted["product_usage_resources"] = [
        {
            "product_usage_resource": {"usage_resource": "usageResources/texts"},
            "rate_card_entries": [entry(product, "texts")],
        }
    ]
    return wanted


async def test_a_setup_without_policies_does_not_warn_about_its_own_defaults(sandbox):
    world = await sandbox("2026-01-01")

    done = await world.client.setup.SetUpProduct(request(bare()))
    again = await world.client.setup.SetUpProduct(request(bare()))

    assert "ratingFrequencyPolicies/monthly-after-3-days" in by_action(done)["CREATED"]
    assert set(by_action(again)) == {"REUSED", "UNCHANGED"}
    [found] = (await validate(world, "plan")).products
    assert broken(found) == {}


async def test_a_setup_names_the_record_whose_id_differs_in_case(sandbox):
    world = await sandbox("2026-01-01")
    await world.client.setup.SetUpProduct(request(described("first")))
    wanted = described("second")
    wanted["units_of_measure"][0]["name"] = "unitsOfMeasure/Piece"

    error = await refused(world, request(wanted))
    plan = await world.client.setup.SetUpProduct(request(wanted, validate_only=True))

    assert error.reason == "SETUP_CONFLICT"
    assert "unitsOfMeasure/Piece is there as unitsOfMeasure/piece" in str(error)
    assert "unitsOfMeasure/piece" in error.violations[0].description
    [conflict] = [step for step in plan.steps if step.action == pb.SetupStep.CONFLICT]
    assert (conflict.name, conflict.existing) == ("unitsOfMeasure/Piece", "unitsOfMeasure/piece")


async def test_a_record_whose_id_differs_in_case_is_named_when_it_is_created_too(sandbox):
    world = await sandbox("2026-01-01")
    await world.client.setup.SetUpProduct(request(described()))
    again = catalog.UnitOfMeasure(unit_class="unitClasses/count")

    error = await refusal(
        world.client.catalog.CreateUnitOfMeasure(
            rpc.CreateUnitOfMeasureRequest(unit_of_measure_id="PIECE", unit_of_measure=again)
        )
    )

    assert "unitsOfMeasure/PIECE is there as unitsOfMeasure/piece" in str(error)


async def test_a_setup_activates_what_the_product_does_not_use(sandbox):
    world = await sandbox("2026-01-01")
    wanted = described("plan", "texts", "calls")
    wanted["units_of_measure"].append(
        {"name": "unitsOfMeasure/dozen", "unit_class": "unitClasses/count", "factor": 12}
    )
    wanted["product_usage_resources"] = wanted["product_usage_resources"][:1]
    wanted["selling_models"] = [{"name": "sellingModels/always", "type": "EVERGREEN"}]

    done = await world.client.setup.SetUpProduct(request(wanted))
    again = await world.client.setup.SetUpProduct(request(wanted))

    unused = {"unitsOfMeasure/dozen", "usageResources/calls", "sellingModels/always"}
    assert unused <= set(by_action(done)["ACTIVATED"])
    assert "ACTIVATED" not in by_action(again)
    dozen = await world.client.catalog.GetUnitOfMeasure(
        rpc.GetUnitOfMeasureRequest(name="unitsOfMeasure/dozen")
    )
    assert dozen.state == types.CATALOG_STATE_ACTIVE
