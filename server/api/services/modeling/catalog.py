"""CatalogService: parse, do, render."""

from typing import Any

from google.protobuf.empty_pb2 import Empty
from usage_management.v1 import catalog_resources_pb2 as pb
from usage_management.v1 import catalog_service_pb2 as messages
from usage_management.v1 import catalog_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.catalog_changes.activation import activated_to_pb
from server.api.mapping.modeling import catalog as mapping
from server.api.mapping.modeling.resolution import resolved_to_pb
from server.api.reader import RequestReader, named
from server.api.services.modeling import kinds
from server.api.services.modeling.records import (
    change_states,
    create_record,
    create_records,
    delete_record,
    get_record,
    list_records,
    update_record,
)
from server.api.transactions import run_mutation, run_query
from server.api.values import decimal_pb
from server.env import Env
from server.usecases.catalog_changes.activation import activate_product
from server.usecases.modeling import units
from server.usecases.modeling.resolution import explained_asset, explained_product


class CatalogService(rpc.CatalogServiceServicer):
    """Says what can be consumed and what a product includes of it."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetUnitClass(
        self, request: messages.GetUnitClassRequest, context: Any
    ) -> pb.UnitClass:
        return await get_record(self._env, request, kinds.UNIT_CLASS)

    async def ListUnitClasses(
        self, request: messages.ListUnitClassesRequest, context: Any
    ) -> messages.ListUnitClassesResponse:
        found, token = await list_records(self._env, request, kinds.UNIT_CLASS)
        return messages.ListUnitClassesResponse(unit_classes=found, next_page_token=token)

    async def CreateUnitClass(
        self, request: messages.CreateUnitClassRequest, context: Any
    ) -> pb.UnitClass:
        return await create_record(self._env, request, kinds.UNIT_CLASS)

    async def UpdateUnitClass(
        self, request: messages.UpdateUnitClassRequest, context: Any
    ) -> pb.UnitClass:
        return await update_record(self._env, request, kinds.UNIT_CLASS)

    async def DeleteUnitClass(
        self, request: messages.DeleteUnitClassRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.UNIT_CLASS)

    async def GetUnitOfMeasure(
        self, request: messages.GetUnitOfMeasureRequest, context: Any
    ) -> pb.UnitOfMeasure:
        return await get_record(self._env, request, kinds.UNIT)

    async def ListUnitsOfMeasure(
        self, request: messages.ListUnitsOfMeasureRequest, context: Any
    ) -> messages.ListUnitsOfMeasureResponse:
        found, token = await list_records(self._env, request, kinds.UNIT)
        return messages.ListUnitsOfMeasureResponse(units_of_measure=found, next_page_token=token)

    async def CreateUnitOfMeasure(
        self, request: messages.CreateUnitOfMeasureRequest, context: Any
    ) -> pb.UnitOfMeasure:
        return await create_record(self._env, request, kinds.UNIT)

    async def UpdateUnitOfMeasure(
        self, request: messages.UpdateUnitOfMeasureRequest, context: Any
    ) -> pb.UnitOfMeasure:
        return await update_record(self._env, request, kinds.UNIT)

    async def DeleteUnitOfMeasure(
        self, request: messages.DeleteUnitOfMeasureRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.UNIT)

    async def GetUsageResource(
        self, request: messages.GetUsageResourceRequest, context: Any
    ) -> pb.UsageResource:
        return await get_record(self._env, request, kinds.RESOURCE)

    async def ListUsageResources(
        self, request: messages.ListUsageResourcesRequest, context: Any
    ) -> messages.ListUsageResourcesResponse:
        found, token = await list_records(self._env, request, kinds.RESOURCE)
        return messages.ListUsageResourcesResponse(usage_resources=found, next_page_token=token)

    async def CreateUsageResource(
        self, request: messages.CreateUsageResourceRequest, context: Any
    ) -> pb.UsageResource:
        return await create_record(self._env, request, kinds.RESOURCE)

    async def UpdateUsageResource(
        self, request: messages.UpdateUsageResourceRequest, context: Any
    ) -> pb.UsageResource:
        return await update_record(self._env, request, kinds.RESOURCE)

    async def DeleteUsageResource(
        self, request: messages.DeleteUsageResourceRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.RESOURCE)

    async def GetProduct(self, request: messages.GetProductRequest, context: Any) -> pb.Product:
        return await get_record(self._env, request, kinds.PRODUCT)

    async def ListProducts(
        self, request: messages.ListProductsRequest, context: Any
    ) -> messages.ListProductsResponse:
        found, token = await list_records(self._env, request, kinds.PRODUCT)
        return messages.ListProductsResponse(products=found, next_page_token=token)

    async def CreateProduct(
        self, request: messages.CreateProductRequest, context: Any
    ) -> pb.Product:
        return await create_record(self._env, request, kinds.PRODUCT)

    async def UpdateProduct(
        self, request: messages.UpdateProductRequest, context: Any
    ) -> pb.Product:
        return await update_record(self._env, request, kinds.PRODUCT)

    async def DeleteProduct(self, request: messages.DeleteProductRequest, context: Any) -> Empty:
        return await delete_record(self._env, request, kinds.PRODUCT)

    async def GetProductUsageResource(
        self, request: messages.GetProductUsageResourceRequest, context: Any
    ) -> pb.ProductUsageResource:
        return await get_record(self._env, request, kinds.PRODUCT_RESOURCE)

    async def ListProductUsageResources(
        self, request: messages.ListProductUsageResourcesRequest, context: Any
    ) -> messages.ListProductUsageResourcesResponse:
        found, token = await list_records(self._env, request, kinds.PRODUCT_RESOURCE, kinds.PRODUCT)
        return messages.ListProductUsageResourcesResponse(
            product_usage_resources=found, next_page_token=token
        )

    async def CreateProductUsageResource(
        self, request: messages.CreateProductUsageResourceRequest, context: Any
    ) -> pb.ProductUsageResource:
        return await create_record(self._env, request, kinds.PRODUCT_RESOURCE)

    async def UpdateProductUsageResource(
        self, request: messages.UpdateProductUsageResourceRequest, context: Any
    ) -> pb.ProductUsageResource:
        return await update_record(self._env, request, kinds.PRODUCT_RESOURCE)

    async def DeleteProductUsageResource(
        self, request: messages.DeleteProductUsageResourceRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.PRODUCT_RESOURCE)

    async def GetProductUsageGrant(
        self, request: messages.GetProductUsageGrantRequest, context: Any
    ) -> pb.ProductUsageGrant:
        return await get_record(self._env, request, kinds.PRODUCT_GRANT)

    async def ListProductUsageGrants(
        self, request: messages.ListProductUsageGrantsRequest, context: Any
    ) -> messages.ListProductUsageGrantsResponse:
        found, token = await list_records(self._env, request, kinds.PRODUCT_GRANT, kinds.PRODUCT)
        return messages.ListProductUsageGrantsResponse(
            product_usage_grants=found, next_page_token=token
        )

    async def CreateProductUsageGrant(
        self, request: messages.CreateProductUsageGrantRequest, context: Any
    ) -> pb.ProductUsageGrant:
        return await create_record(self._env, request, kinds.PRODUCT_GRANT)

    async def UpdateProductUsageGrant(
        self, request: messages.UpdateProductUsageGrantRequest, context: Any
    ) -> pb.ProductUsageGrant:
        return await update_record(self._env, request, kinds.PRODUCT_GRANT)

    async def DeleteProductUsageGrant(
        self, request: messages.DeleteProductUsageGrantRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.PRODUCT_GRANT)

    async def ActivateProduct(
        self, request: messages.ActivateProductRequest, context: Any
    ) -> messages.ActivateProductResponse:
        (product_id,) = named(request, "name", names.PRODUCT)
        return await run_mutation(
            self._env,
            request,
            messages.ActivateProductResponse,
            lambda tx: activate_product(tx, product_id, must_be_valid=request.must_be_valid),
            activated_to_pb,
        )

    async def ChangeStates(
        self, request: messages.ChangeStatesRequest, context: Any
    ) -> messages.ChangeStatesResponse:
        return await change_states(self._env, request, messages.ChangeStatesResponse)

    async def CreateRecords(
        self, request: messages.CreateRecordsRequest, context: Any
    ) -> messages.CreateRecordsResponse:
        return await create_records(self._env, request)

    async def ConvertQuantity(
        self, request: messages.ConvertQuantityRequest, context: Any
    ) -> messages.ConvertQuantityResponse:
        asked = mapping.convert_quantity_from_pb(request)
        found, exact = await run_query(self._env, lambda tx: units.convert_quantity(tx, asked))
        return messages.ConvertQuantityResponse(quantity=decimal_pb(found), exact=exact)

    async def ResolvePolicies(
        self, request: messages.ResolvePoliciesRequest, context: Any
    ) -> messages.ResolvePoliciesResponse:
        reader = RequestReader(request)
        is_sold = request.name.startswith("accounts/")
        key = reader.name("name", names.ASSET if is_sold else names.PRODUCT)
        reader.done()
        explain = explained_asset if is_sold else explained_product
        found = await run_query(self._env, lambda tx: explain(tx, *key), snapshot=True)
        return resolved_to_pb(found)

    async def GetSellingModel(
        self, request: messages.GetSellingModelRequest, context: Any
    ) -> pb.SellingModel:
        return await get_record(self._env, request, kinds.SELLING_MODEL)

    async def ListSellingModels(
        self, request: messages.ListSellingModelsRequest, context: Any
    ) -> messages.ListSellingModelsResponse:
        found, token = await list_records(self._env, request, kinds.SELLING_MODEL)
        return messages.ListSellingModelsResponse(selling_models=found, next_page_token=token)

    async def CreateSellingModel(
        self, request: messages.CreateSellingModelRequest, context: Any
    ) -> pb.SellingModel:
        return await create_record(self._env, request, kinds.SELLING_MODEL)

    async def UpdateSellingModel(
        self, request: messages.UpdateSellingModelRequest, context: Any
    ) -> pb.SellingModel:
        return await update_record(self._env, request, kinds.SELLING_MODEL)

    async def DeleteSellingModel(
        self, request: messages.DeleteSellingModelRequest, context: Any
    ) -> Empty:
        return await delete_record(self._env, request, kinds.SELLING_MODEL)
