"""The life of a record: a draft, then in force, then not; and what each state allows."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type import date_pb2
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from tests.stories.catalog_words import move, unit_class
from tests.stories.words import Metered, day, number

ACTIVE, INACTIVE, DRAFT = (
    types.CATALOG_STATE_ACTIVE,
    types.CATALOG_STATE_INACTIVE,
    types.CATALOG_STATE_DRAFT,
)


EVERY_KIND = (
    "unitClasses/data-class",
    "unitsOfMeasure/data-unit",
    "usageResources/data",
    "products/plan",
    "products/plan/usageResources/data",
    "products/plan/grants/data-grant",
    "sellingModels/yearly",
    "aggregationPolicies/sum-day-combine_unspecified",
    "ratingFrequencyPolicies/month-3-next_period",
    "overagePolicies/charge",
    "refreshPolicies/every-1-month",
    "rolloverPolicies/up-to-1",
    "commitmentPolicies/bounded",
)


@pytest.mark.capability("M29.unit_class", "M29.unit", "M29.resource", "M29.product", "M29.held")
@pytest.mark.capability("M29.grant", "M29.model", "M29.policy")
async def test_a_record_of_any_kind_is_a_draft_then_active_then_inactive(sandbox):
    world = await sandbox("2024-01-01")
    data = Metered(resource="data", grant="5", rate="1", refresh="MONTH", max_rollovers=1)
    await world.product("plan", data, activate=False)
    await world.client.catalog.CreateSellingModel(
        rpc.CreateSellingModelRequest(
            selling_model_id="yearly", selling_model={"type": "EVERGREEN"}
        )
    )
    await world.client.policies.CreateCommitmentPolicy(
        policy_rpc.CreateCommitmentPolicyRequest(
            commitment_policy_id="bounded",
            commitment_policy=policies.CommitmentPolicy(rate="BOUNDED"),
        )
    )

    for name in EVERY_KIND:
        with pytest.raises(UsageError, match="STATE_TRANSITION") as refused:
            await move(world, INACTIVE, name)
        assert (refused.value.facts["from"], refused.value.facts["to"]) == ("DRAFT", "INACTIVE")
    await world.activate("plan")
    others = ["sellingModels/yearly", "commitmentPolicies/bounded"]
    assert await move(world, ACTIVE, *EVERY_KIND) == others
    assert await move(world, ACTIVE, *EVERY_KIND) == []
    assert await move(world, INACTIVE, *EVERY_KIND) == list(EVERY_KIND)
    assert await move(world, INACTIVE, *EVERY_KIND) == []


async def test_states_go_in_their_order_and_all_kinds_keep_to_it(sandbox):
    """Nothing goes from ACTIVE to DRAFT; R38: what is withdrawn comes back."""
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="data", grant="5", rate="1", refresh="MONTH"))
    everything = [
        *(await world.client.catalog.ListUnitClasses(rpc.ListUnitClassesRequest())).unit_classes,
        *(
            await world.client.catalog.ListUnitsOfMeasure(rpc.ListUnitsOfMeasureRequest())
        ).units_of_measure,
        *(
            await world.client.catalog.ListUsageResources(rpc.ListUsageResourcesRequest())
        ).usage_resources,
        *(await world.client.catalog.ListProducts(rpc.ListProductsRequest())).products,
    ]
    assert {one.state for one in everything} == {ACTIVE}

    for one in everything:
        with pytest.raises(UsageError, match="STATE_TRANSITION") as refused:
            await move(world, DRAFT, one.name)
        assert refused.value.facts["from"] == "ACTIVE"
    await unit_class(world, "spare")
    with pytest.raises(UsageError, match="STATE_TRANSITION"):
        await move(world, INACTIVE, "unitClasses/spare")
    assert await move(world, ACTIVE, "unitClasses/spare") == ["unitClasses/spare"]
    assert await move(world, ACTIVE, "unitClasses/spare") == []
    assert await move(world, INACTIVE, "unitClasses/spare") == ["unitClasses/spare"]
    with pytest.raises(UsageError, match="STATE_TRANSITION"):
        await move(world, DRAFT, "unitClasses/spare")

    grant = "products/plan/grants/data"
    found = await world.client.catalog.ListProductUsageGrants(
        rpc.ListProductUsageGrantsRequest(parent="products/plan", state=ACTIVE)
    )
    grant = found.product_usage_grants[0].name
    assert await move(world, INACTIVE, grant) == [grant]
    assert await move(world, ACTIVE, grant) == [grant]


@pytest.mark.capability("M30.grant_end")
async def test_of_an_active_grant_only_the_end_moves_and_only_later(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="data", grant="5", rate="1"), activate=False)
    request = rpc.ListProductUsageGrantsRequest(parent="products/plan")
    [grant] = (await world.client.catalog.ListProductUsageGrants(request)).product_usage_grants

    async def change(*paths: str, **fields: object) -> catalog.ProductUsageGrant:
        return await world.client.catalog.UpdateProductUsageGrant(
            rpc.UpdateProductUsageGrantRequest(
                product_usage_grant=catalog.ProductUsageGrant(name=grant.name, **fields),
                update_mask=FieldMask(paths=paths),
            )
        )

    await change("end_date", end_date=day("2025-01-01"))
    await world.activate("plan")
    for paths, fields in (
        (("end_date",), {"end_date": day("2024-12-31")}),
        (("quantity",), {"quantity": number("6")}),
        (("end_date", "quantity"), {"end_date": day("2026-01-01"), "quantity": number("6")}),
    ):
        with pytest.raises(UsageError, match="ACTIVE_IMMUTABLE"):
            await change(*paths, **fields)
    later = await change("end_date", end_date=day("2025-07-01"))
    unbounded = await change("end_date")

    assert later.end_date == day("2025-07-01")
    assert not unbounded.HasField("end_date")


@pytest.mark.capability("M30.resource_end")
async def test_of_an_active_product_only_the_end_moves_and_only_later(sandbox):
    world = await sandbox("2024-01-01")
    held_name = "products/plan/usageResources/data"
    await world.product("plan", Metered(resource="data", grant="5", rate="1"), activate=False)
    change = catalog.ProductUsageResource(name=held_name, end_date=day("2025-01-01"))
    update = world.client.catalog.UpdateProductUsageResource

    def to(end: date_pb2.Date | None) -> rpc.UpdateProductUsageResourceRequest:
        return rpc.UpdateProductUsageResourceRequest(
            product_usage_resource=catalog.ProductUsageResource(name=held_name, end_date=end),
            update_mask=FieldMask(paths=["end_date"]),
        )

    await update(
        rpc.UpdateProductUsageResourceRequest(
            product_usage_resource=change, update_mask=FieldMask(paths=["end_date"])
        )
    )
    await world.activate("plan")

    with pytest.raises(UsageError, match="ACTIVE_IMMUTABLE") as refused:
        await update(to(day("2024-06-01")))
    assert refused.value.facts["fields"] == "end_date"
    assert (await update(to(day("2025-06-01")))).end_date == day("2025-06-01")
    assert not (await update(to(None))).HasField("end_date")
    with pytest.raises(UsageError, match="ACTIVE_IMMUTABLE"):
        await update(to(day("2030-01-01")))


@pytest.mark.capability("M30.resource_delete", "M30.grant_delete")
async def test_a_resource_of_a_product_and_its_grants_are_deleted_only_out_of_force(sandbox):
    world = await sandbox("2024-01-01")
    for name in ("draft", "plan"):
        await world.product(name, Metered(resource=name, grant="5"), activate=False)
    await world.activate("plan")
    edit = world.client.catalog

    async def delete_grant(of: str) -> None:
        name = f"products/{of}/grants/{of}-grant"
        await edit.DeleteProductUsageGrant(rpc.DeleteProductUsageGrantRequest(name=name))

    async def delete_resource(of: str) -> None:
        name = f"products/{of}/usageResources/{of}"
        await edit.DeleteProductUsageResource(rpc.DeleteProductUsageResourceRequest(name=name))

    for delete in (delete_grant, delete_resource):
        with pytest.raises(UsageError, match="IN_USE") as refused:
            await delete("plan")
        assert refused.value.facts["state"] == "ACTIVE"
        await delete("draft")
    found = await edit.ListProductUsageGrants(
        rpc.ListProductUsageGrantsRequest(parent="products/plan", state=ACTIVE)
    )
    [grant] = [one.name for one in found.product_usage_grants]
    await move(world, INACTIVE, "products/plan", "products/plan/usageResources/plan", grant)
    for delete in (delete_grant, delete_resource):
        await delete("plan")
