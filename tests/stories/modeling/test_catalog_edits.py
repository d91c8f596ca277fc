"""The catalog changes: drafts freely, what is in force hardly, what others need not at all."""

import asyncio

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc
from usage_management.v1 import policy_resources_pb2 as policies
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import types_pb2 as types

from clients import UsageError
from clients.pages import pages
from tests.stories.catalog_words import move
from tests.stories.words import Metered, line, number, resources
from tests.stories.world import World

ACTIVE, INACTIVE, DRAFT = (
    types.CATALOG_STATE_ACTIVE,
    types.CATALOG_STATE_INACTIVE,
    types.CATALOG_STATE_DRAFT,
)


async def unit_class(world: World, name: str = "data", **more) -> catalog.UnitClass:
    return await world.client.catalog.CreateUnitClass(
        rpc.CreateUnitClassRequest(
            unit_class_id=name, unit_class=catalog.UnitClass(kind="USAGE", **more)
        )
    )


async def unit(world: World, name: str = "gb", of: str = "data") -> catalog.UnitOfMeasure:
    made = catalog.UnitOfMeasure(unit_class=f"unitClasses/{of}", factor=number(1), scale=3)
    return await world.client.catalog.CreateUnitOfMeasure(
        rpc.CreateUnitOfMeasureRequest(unit_of_measure_id=name, unit_of_measure=made)
    )


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


async def test_a_draft_changes_in_the_fields_that_are_named_and_no_other(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world)
    made = await unit(world)
    change = catalog.UnitOfMeasure(
        name=made.name, factor=number("0.001"), scale=6, display_name="gigabytes", etag=made.etag
    )

    changed = await world.client.catalog.UpdateUnitOfMeasure(
        rpc.UpdateUnitOfMeasureRequest(
            unit_of_measure=change, update_mask=mask("factor", "display_name")
        )
    )

    assert (changed.factor.value, changed.scale, changed.display_name) == ("0.001", 3, "gigabytes")
    assert changed.unit_class == "unitClasses/data"
    assert changed.etag != made.etag
    with pytest.raises(UsageError, match="ETAG_MISMATCH"):
        await world.client.catalog.UpdateUnitOfMeasure(
            rpc.UpdateUnitOfMeasureRequest(unit_of_measure=change, update_mask=mask("scale"))
        )


async def test_a_change_keeps_the_rules_of_the_whole(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world)
    made = await unit(world)
    wrong = [
        (catalog.UnitOfMeasure(factor=number(0)), "factor", "FACTOR_RANGE"),
        (
            catalog.UnitOfMeasure(unit_class="unitClasses/none"),
            "unit_class",
            "UNIT_CLASS_NOT_FOUND",
        ),
        (catalog.UnitOfMeasure(scale=13), "scale", "RANGE"),
        (catalog.UnitOfMeasure(), "name", "FIELD_MASK_INVALID"),
        (catalog.UnitOfMeasure(), "unit_class", "FIELD_REQUIRED"),
    ]
    for change, path, reason in wrong:
        change.name = made.name
        with pytest.raises(UsageError, match=reason):
            await world.client.catalog.UpdateUnitOfMeasure(
                rpc.UpdateUnitOfMeasureRequest(unit_of_measure=change, update_mask=mask(path))
            )
    kept = await world.client.catalog.GetUnitOfMeasure(rpc.GetUnitOfMeasureRequest(name=made.name))
    assert kept == made


async def test_what_others_refer_to_stays_and_they_are_named(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world)
    await unit(world)

    with pytest.raises(UsageError, match="IN_USE") as refused:
        await world.client.catalog.DeleteUnitClass(
            rpc.DeleteUnitClassRequest(name="unitClasses/data")
        )
    assert "unitsOfMeasure/gb" in str(refused.value)
    await world.client.catalog.DeleteUnitOfMeasure(
        rpc.DeleteUnitOfMeasureRequest(name="unitsOfMeasure/gb")
    )
    await world.client.catalog.DeleteUnitClass(rpc.DeleteUnitClassRequest(name="unitClasses/data"))
    with pytest.raises(UsageError, match="UNIT_CLASS_NOT_FOUND"):
        await world.client.catalog.GetUnitClass(rpc.GetUnitClassRequest(name="unitClasses/data"))


async def test_what_was_sold_is_never_deleted(sandbox):
    world = await sandbox("2024-01-01")
    await world.product("plan", Metered(resource="data", grant="5", rate="1"))
    account = await world.account("ann")
    await world.sell(account, line("plan", "2024-01-01"))
    found = await world.client.catalog.ListProductUsageGrants(
        rpc.ListProductUsageGrantsRequest(parent="products/plan")
    )
    parts = [one.name for one in found.product_usage_grants]

    whole = ["products/plan", "products/plan/usageResources/data", *parts]
    assert await move(world, INACTIVE, *whole) == whole
    delete = world.client.catalog
    for part in parts:
        await delete.DeleteProductUsageGrant(rpc.DeleteProductUsageGrantRequest(name=part))
    with pytest.raises(UsageError, match="IN_USE") as refused:
        await delete.DeleteProduct(rpc.DeleteProductRequest(name=whole[0]))
    assert "products/plan/usageResources/data" in [v.field for v in refused.value.violations]
    with pytest.raises(UsageError, match=r"rateCards/base/entries/plan-data-USD .*IN_USE"):
        await delete.DeleteProductUsageResource(
            rpc.DeleteProductUsageResourceRequest(name=whole[1])
        )


async def test_records_go_in_and_out_of_force_together_and_in_order(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world)
    await unit(world)

    with pytest.raises(UsageError, match="RESOURCE_INACTIVE"):
        await move(world, ACTIVE, "unitsOfMeasure/gb")
    names = ["unitsOfMeasure/gb", "unitClasses/data"]
    assert await move(world, ACTIVE, *names, validate_only=True) == names
    assert await move(world, ACTIVE, *names) == names
    with pytest.raises(UsageError, match="IN_USE"):
        await move(world, INACTIVE, "unitClasses/data")
    assert await move(world, INACTIVE, *names[::-1]) == names[::-1]
    with pytest.raises(UsageError, match="NAME_FORMAT"):
        await move(world, ACTIVE, "accounts/ann")
    with pytest.raises(UsageError, match="TOO_MANY_ITEMS"):
        await move(world, ACTIVE, *(f"unitClasses/c{n}" for n in range(201)))
    with pytest.raises(UsageError, match="FIELD_REQUIRED"):
        await move(world, ACTIVE)


async def test_two_who_withdraw_and_rely_on_the_same_thing_do_not_both_succeed(sandbox):
    world = await sandbox("2024-01-01")
    await unit_class(world)
    await unit(world)
    await move(world, ACTIVE, "unitClasses/data")

    done = await asyncio.gather(
        move(world, ACTIVE, "unitsOfMeasure/gb"),
        move(world, INACTIVE, "unitClasses/data"),
        return_exceptions=True,
    )

    [refused] = [one for one in done if isinstance(one, UsageError)]
    assert refused.reason in ("RESOURCE_INACTIVE", "IN_USE")


async def test_a_catalog_of_thousands_is_created_in_a_few_calls(sandbox):
    world = await sandbox("2024-01-01")
    records = [
        rpc.CatalogRecord(
            unit_class=rpc.CreateUnitClassRequest(
                unit_class_id="data", unit_class=catalog.UnitClass(kind="USAGE")
            )
        ),
        rpc.CatalogRecord(
            unit_of_measure=rpc.CreateUnitOfMeasureRequest(
                unit_of_measure_id="gb",
                unit_of_measure=catalog.UnitOfMeasure(unit_class="unitClasses/data"),
            )
        ),
        *(
            rpc.CatalogRecord(
                usage_resource=rpc.CreateUsageResourceRequest(
                    usage_resource_id=f"resource-{n:04}",
                    usage_resource=catalog.UsageResource(
                        category="USAGE", unit_class="unitClasses/data"
                    ),
                )
            )
            for n in range(998)
        ),
    ]
    create = world.client.catalog.CreateRecords

    made = await create(rpc.CreateRecordsRequest(records=records))
    again = await create(rpc.CreateRecordsRequest(records=records))

    assert resources(made, "CREATED") == resources(again, "UNCHANGED")
    assert len(made.outcomes) == len(again.outcomes) == 1000
    assert made.outcomes[-1].usage_resource.name == "usageResources/resource-0997"
    records[500].usage_resource.usage_resource.unit_class = "unitClasses/none"
    with pytest.raises(UsageError, match=r"UNIT_CLASS_NOT_FOUND|CODE_TAKEN"):
        await create(rpc.CreateRecordsRequest(records=records))
    records[500].usage_resource.usage_resource.unit_class = "wrong"
    with pytest.raises(UsageError) as refused:
        await create(rpc.CreateRecordsRequest(records=records))
    assert refused.value.facts["field"] == "records[500].usage_resource.usage_resource.unit_class"


@pytest.mark.capability("M26")
async def test_each_policy_says_which_level_supplied_it(sandbox):
    world = await sandbox("2024-01-01")
    policy = world.client.policies
    for name, overage in (("free", "FREE"), ("charge", "CHARGE")):
        await policy.CreateOveragePolicy(
            policy_rpc.CreateOveragePolicyRequest(
                overage_policy_id=name, overage_policy=policies.OveragePolicy(overage=overage)
            )
        )
    await policy.CreateRatingFrequencyPolicy(
        policy_rpc.CreateRatingFrequencyPolicyRequest(
            rating_frequency_policy_id="days",
            rating_frequency_policy=policies.RatingFrequencyPolicy(period="DAY"),
        )
    )
    await unit_class(world)
    await unit(world)
    await world.client.catalog.CreateUsageResource(
        rpc.CreateUsageResourceRequest(
            usage_resource_id="data",
            usage_resource=catalog.UsageResource(
                category="USAGE",
                unit_class="unitClasses/data",
                policies=catalog.UsageResourcePolicies(
                    rating_frequency_policy="ratingFrequencyPolicies/days",
                    overage_policy="overagePolicies/free",
                ),
            ),
        )
    )
    await world.client.catalog.CreateProduct(
        rpc.CreateProductRequest(
            product_id="plan", product=catalog.Product(usage_model_type="ANCHOR")
        )
    )
    await world.client.catalog.CreateProductUsageResource(
        rpc.CreateProductUsageResourceRequest(
            parent="products/plan",
            product_usage_resource=catalog.ProductUsageResource(
                usage_resource="usageResources/data",
                policies=catalog.ResourcePolicies(overage_policy="overagePolicies/charge"),
            ),
        )
    )

    [found] = (
        await world.client.catalog.ResolvePolicies(rpc.ResolvePoliciesRequest(name="products/plan"))
    ).resources

    assert found.product_usage_resource == "products/plan/usageResources/data"
    assert found.overage_policy.name == "overagePolicies/charge"
    assert found.overage_level == rpc.POLICY_LEVEL_PRODUCT_USAGE_RESOURCE
    assert found.rating_frequency_policy.period == policies.RatingFrequencyPolicy.DAY
    assert found.rating_frequency_level == rpc.POLICY_LEVEL_USAGE_RESOURCE
    assert found.aggregation_policy.name == ""
    assert found.aggregation_policy.method == policies.AggregationPolicy.SUM
    assert found.aggregation_policy.period == policies.AggregationPolicy.DAY
    assert found.aggregation_level == rpc.POLICY_LEVEL_DEFAULT


async def test_lists_are_filtered_by_what_they_hold_page_by_page(sandbox):
    world = await sandbox("2024-01-01")
    api = world.client.catalog
    for of in ("data", "mass"):
        await unit_class(world, of)
        for n in range(3):
            await unit(world, f"{of}-{n}", of)
    await move(world, ACTIVE, "unitClasses/mass", "unitsOfMeasure/mass-1")
    for number_, kind in enumerate(("ANCHOR", "PACK", "ANCHOR")):
        made = catalog.Product(usage_model_type=kind)
        await api.CreateProduct(rpc.CreateProductRequest(product_id=f"p{number_}", product=made))

    async def units(**asked) -> list[str]:
        request = rpc.ListUnitsOfMeasureRequest(page_size=2, **asked)
        found = [one async for one in pages(api.ListUnitsOfMeasure, request)]
        return [one.name.partition("/")[2] for one in found]

    assert await units(unit_class="unitClasses/mass") == ["mass-0", "mass-1", "mass-2"]
    assert await units(state=ACTIVE) == ["mass-1"]
    assert await units(unit_class="unitClasses/data", state=ACTIVE) == []
    anchors = await api.ListProducts(rpc.ListProductsRequest(usage_model_type="ANCHOR"))
    assert [one.name for one in anchors.products] == ["products/p0", "products/p2"]
    first = await api.ListUnitsOfMeasure(rpc.ListUnitsOfMeasureRequest(page_size=2))
    with pytest.raises(UsageError, match="PAGE_TOKEN_INVALID"):
        await api.ListUnitsOfMeasure(
            rpc.ListUnitsOfMeasureRequest(
                page_token=first.next_page_token, unit_class="unitClasses/mass"
            )
        )
    with pytest.raises(UsageError, match="NAME_FORMAT"):
        await units(unit_class="mass")
    with pytest.raises(UsageError, match="ENUM_UNKNOWN"):
        await api.ListUsageResources(rpc.ListUsageResourcesRequest(category=9))
