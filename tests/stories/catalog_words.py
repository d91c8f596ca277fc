"""Short words for records of the catalog, one by one."""

from usage_management.v1 import catalog_resources_pb2 as catalog
from usage_management.v1 import catalog_service_pb2 as rpc

from tests.stories.words import changed
from tests.stories.world import World


async def unit_class(world: World, name: str, **fields) -> catalog.UnitClass:
    made = catalog.UnitClass(**{"kind": "USAGE"} | fields)
    request = rpc.CreateUnitClassRequest(unit_class_id=name, unit_class=made)
    return await world.client.catalog.CreateUnitClass(request)


async def counted(world: World, name: str, unit: str, **fields) -> None:
    """Create a class of units and its default unit, which has the fields."""
    of = catalog.UnitClass(kind="USAGE", default_unit=f"unitsOfMeasure/{unit}")
    measure = catalog.UnitOfMeasure(unit_class=f"unitClasses/{name}", **fields)
    records = [
        rpc.CatalogRecord(unit_class=rpc.CreateUnitClassRequest(unit_class_id=name, unit_class=of)),
        rpc.CatalogRecord(
            unit_of_measure=rpc.CreateUnitOfMeasureRequest(
                unit_of_measure_id=unit, unit_of_measure=measure
            )
        ),
    ]
    await world.client.catalog.CreateRecords(rpc.CreateRecordsRequest(records=records))


async def unit(world: World, name: str, of: str, **fields) -> catalog.UnitOfMeasure:
    made = catalog.UnitOfMeasure(unit_class=f"unitClasses/{of}", **fields)
    request = rpc.CreateUnitOfMeasureRequest(unit_of_measure_id=name, unit_of_measure=made)
    return await world.client.catalog.CreateUnitOfMeasure(request)


async def resource(world: World, name: str, of: str, **fields) -> catalog.UsageResource:
    made = catalog.UsageResource(
        **{"category": "USAGE", "unit_class": f"unitClasses/{of}"} | fields
    )
    request = rpc.CreateUsageResourceRequest(usage_resource_id=name, usage_resource=made)
    return await world.client.catalog.CreateUsageResource(request)


async def product(world: World, name: str, kind: object = "ANCHOR") -> catalog.Product:
    request = rpc.CreateProductRequest(
        product_id=name, product=catalog.Product(usage_model_type=kind)
    )
    return await world.client.catalog.CreateProduct(request)


async def held(world: World, of: str, name: str, **fields) -> catalog.ProductUsageResource:
    made = catalog.ProductUsageResource(usage_resource=f"usageResources/{name}", **fields)
    request = rpc.CreateProductUsageResourceRequest(
        parent=f"products/{of}", product_usage_resource=made
    )
    return await world.client.catalog.CreateProductUsageResource(request)


async def move(world: World, state: int, *names: str, **more) -> list[str]:
    request = rpc.ChangeStatesRequest(names=names, state=state, **more)
    return changed(await world.client.catalog.ChangeStates(request))
