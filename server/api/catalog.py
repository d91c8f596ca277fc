"""CatalogService: parse, do, render."""

from typing import Any

from usage.v1 import catalog_resources_pb2 as pb
from usage.v1 import catalog_service_pb2 as messages
from usage.v1 import catalog_service_pb2_grpc as rpc

from server.api import names
from server.api.forms import Form
from server.api.mapping import catalog as mapping
from server.api.records import create_record, creating, get_record, list_records
from server.api.work import caller, change
from server.env import Env
from server.store import catalog as kinds
from server.usecases import catalog
from server.usecases.activation import activate_product


class CatalogService(rpc.CatalogServiceServicer):
    """Says what can be consumed and what a product includes of it."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetUnitClass(
        self, request: messages.GetUnitClassRequest, context: Any
    ) -> pb.UnitClass:
        found = await get_record(self._env, request, kinds.UNIT_CLASS, names.UNIT_CLASS)
        return mapping.unit_class_to_pb(found)

    async def ListUnitClasses(
        self, request: messages.ListUnitClassesRequest, context: Any
    ) -> messages.ListUnitClassesResponse:
        kept, token = await list_records(self._env, request, kinds.UNIT_CLASS)
        found = [mapping.unit_class_to_pb(one) for one in kept]
        return messages.ListUnitClassesResponse(unit_classes=found, next_page_token=token)

    async def CreateUnitClass(
        self, request: messages.CreateUnitClassRequest, context: Any
    ) -> pb.UnitClass:
        wanted = mapping.unit_class_from_pb(request)
        create, render = catalog.create_unit_class, mapping.unit_class_to_pb
        return await create_record(self._env, request, pb.UnitClass, create, wanted, render)

    async def GetUnitOfMeasure(
        self, request: messages.GetUnitOfMeasureRequest, context: Any
    ) -> pb.UnitOfMeasure:
        found = await get_record(self._env, request, kinds.UNIT, names.UNIT)
        return mapping.unit_to_pb(found)

    async def ListUnitsOfMeasure(
        self, request: messages.ListUnitsOfMeasureRequest, context: Any
    ) -> messages.ListUnitsOfMeasureResponse:
        kept, token = await list_records(self._env, request, kinds.UNIT)
        found = [mapping.unit_to_pb(one) for one in kept]
        return messages.ListUnitsOfMeasureResponse(units_of_measure=found, next_page_token=token)

    async def CreateUnitOfMeasure(
        self, request: messages.CreateUnitOfMeasureRequest, context: Any
    ) -> pb.UnitOfMeasure:
        wanted = mapping.unit_from_pb(request)
        create, render = catalog.create_unit, mapping.unit_to_pb
        return await create_record(self._env, request, pb.UnitOfMeasure, create, wanted, render)

    async def GetUsageResource(
        self, request: messages.GetUsageResourceRequest, context: Any
    ) -> pb.UsageResource:
        found = await get_record(self._env, request, kinds.RESOURCE, names.RESOURCE)
        return mapping.resource_to_pb(found)

    async def ListUsageResources(
        self, request: messages.ListUsageResourcesRequest, context: Any
    ) -> messages.ListUsageResourcesResponse:
        kept, token = await list_records(self._env, request, kinds.RESOURCE)
        found = [mapping.resource_to_pb(one) for one in kept]
        return messages.ListUsageResourcesResponse(usage_resources=found, next_page_token=token)

    async def CreateUsageResource(
        self, request: messages.CreateUsageResourceRequest, context: Any
    ) -> pb.UsageResource:
        wanted = mapping.resource_from_pb(request)
        create, render = catalog.create_resource, mapping.resource_to_pb
        return await create_record(self._env, request, pb.UsageResource, create, wanted, render)

    async def GetProduct(self, request: messages.GetProductRequest, context: Any) -> pb.Product:
        found = await get_record(self._env, request, kinds.PRODUCT, names.PRODUCT)
        return mapping.product_to_pb(found)

    async def ListProducts(
        self, request: messages.ListProductsRequest, context: Any
    ) -> messages.ListProductsResponse:
        kept, token = await list_records(self._env, request, kinds.PRODUCT)
        found = [mapping.product_to_pb(one) for one in kept]
        return messages.ListProductsResponse(products=found, next_page_token=token)

    async def CreateProduct(
        self, request: messages.CreateProductRequest, context: Any
    ) -> pb.Product:
        wanted = mapping.product_from_pb(request)
        create, render = creating(kinds.PRODUCT), mapping.product_to_pb
        return await create_record(self._env, request, pb.Product, create, wanted, render)

    async def GetProductUsageResource(
        self, request: messages.GetProductUsageResourceRequest, context: Any
    ) -> pb.ProductUsageResource:
        kind, name = kinds.PRODUCT_RESOURCE, names.PRODUCT_RESOURCE
        return mapping.product_resource_to_pb(await get_record(self._env, request, kind, name))

    async def ListProductUsageResources(
        self, request: messages.ListProductUsageResourcesRequest, context: Any
    ) -> messages.ListProductUsageResourcesResponse:
        kind = kinds.PRODUCT_RESOURCE
        kept, token = await list_records(self._env, request, kind, names.PRODUCT)
        found = [mapping.product_resource_to_pb(one) for one in kept]
        return messages.ListProductUsageResourcesResponse(
            product_usage_resources=found, next_page_token=token
        )

    async def CreateProductUsageResource(
        self, request: messages.CreateProductUsageResourceRequest, context: Any
    ) -> pb.ProductUsageResource:
        wanted = mapping.product_resource_from_pb(request)
        create, render = catalog.create_product_resource, mapping.product_resource_to_pb
        answer = pb.ProductUsageResource
        return await create_record(self._env, request, answer, create, wanted, render)

    async def GetProductUsageGrant(
        self, request: messages.GetProductUsageGrantRequest, context: Any
    ) -> pb.ProductUsageGrant:
        kind, name = kinds.PRODUCT_GRANT, names.PRODUCT_GRANT
        return mapping.product_grant_to_pb(await get_record(self._env, request, kind, name))

    async def ListProductUsageGrants(
        self, request: messages.ListProductUsageGrantsRequest, context: Any
    ) -> messages.ListProductUsageGrantsResponse:
        kept, token = await list_records(self._env, request, kinds.PRODUCT_GRANT, names.PRODUCT)
        found = [mapping.product_grant_to_pb(one) for one in kept]
        return messages.ListProductUsageGrantsResponse(
            product_usage_grants=found, next_page_token=token
        )

    async def CreateProductUsageGrant(
        self, request: messages.CreateProductUsageGrantRequest, context: Any
    ) -> pb.ProductUsageGrant:
        wanted = mapping.product_grant_from_pb(request)
        create, render = catalog.create_product_grant, mapping.product_grant_to_pb
        answer = pb.ProductUsageGrant
        return await create_record(self._env, request, answer, create, wanted, render)

    async def ActivateProduct(
        self, request: messages.ActivateProductRequest, context: Any
    ) -> messages.ActivateProductResponse:
        form = Form(request)
        (product_id,) = form.name("name", names.PRODUCT)
        form.done()
        tenant_id = caller().tenant_id
        return await change(
            self._env,
            request,
            messages.ActivateProductResponse,
            lambda tx: activate_product(tx, tenant_id, product_id),
            mapping.activated_to_pb,
        )
