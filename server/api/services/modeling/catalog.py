"""The servicer of CatalogService."""

from collections.abc import Sequence
from typing import Any

from usage_management.v1 import catalog_resources_pb2 as catalog_pb
from usage_management.v1 import catalog_service_pb2 as messages
from usage_management.v1 import catalog_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.catalog_changes.activation import activated_to_pb
from server.api.mapping.modeling import catalog as mapping
from server.api.mapping.modeling.resolution import resolved_to_pb
from server.api.permissions import refuse_without
from server.api.reader import RequestReader, named
from server.api.services.modeling import kinds
from server.api.services.modeling.kinds import OnWire
from server.api.services.modeling.records import (
    change_states,
    clone_from_pb,
    create_records,
    serves_records,
    succeeded_writer,
    succession_from_pb,
)
from server.api.services.modeling.referrers import list_referrers
from server.api.transactions import caller, run_mutation, run_query
from server.api.values import decimal_pb
from server.domain.errors import InvalidArgument
from server.domain.ids import CODE
from server.env import Env
from server.usecases.catalog_changes.activation import activate_product
from server.usecases.catalog_changes.clones import clone_product
from server.usecases.catalog_changes.succession import supersede_resource
from server.usecases.modeling import units
from server.usecases.modeling.resolution import explained_asset, explained_product


@serves_records(messages.DESCRIPTOR.services_by_name["CatalogService"], kinds.CATALOG)
class CatalogService(rpc.CatalogServiceServicer):
    """Manages units, resources and products."""

    def __init__(self, env: Env, all_kinds: Sequence[OnWire[Any, Any]]) -> None:
        self._env = env
        self._all_kinds = all_kinds

    async def ActivateProduct(
        self, request: messages.ActivateProductRequest, context: Any
    ) -> messages.ActivateProductResponse:
        (product_id,) = named(request, "name", names.PRODUCT)
        return await run_mutation(
            self._env,
            request,
            messages.ActivateProductResponse,
            lambda tx: activate_product(tx, product_id, allow_invalid=request.allow_invalid),
            activated_to_pb,
        )

    async def CloneProduct(
        self, request: messages.CloneProductRequest, context: Any
    ) -> catalog_pb.Product:
        wire, clone = kinds.PRODUCT, clone_from_pb(request, kinds.PRODUCT)
        return await run_mutation(
            self._env, request, wire.message, lambda tx: clone_product(tx, clone), wire.write
        )

    async def SupersedeProductUsageResource(
        self, request: messages.SupersedeProductUsageResourceRequest, context: Any
    ) -> messages.SupersedeProductUsageResourceResponse:
        wire, answer = kinds.PRODUCT_RESOURCE, messages.SupersedeProductUsageResourceResponse
        succession, grant_ids = succession_from_pb(self._env, request, wire), request.grant_ids
        for grant_id in (*grant_ids.keys(), *grant_ids.values()):
            if CODE.fullmatch(grant_id) is None:
                fault = "must match [A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
                raise InvalidArgument.at("grant_ids", "CODE_FORMAT", fault)
        return await run_mutation(
            self._env,
            request,
            answer,
            lambda tx: supersede_resource(tx, succession, dict(grant_ids)),
            succeeded_writer(answer, wire),
        )

    async def ChangeStates(
        self, request: messages.ChangeStatesRequest, context: Any
    ) -> messages.ChangeStatesResponse:
        return await change_states(self._env, request, messages.ChangeStatesResponse)

    async def ListReferrers(
        self, request: messages.ListReferrersRequest, context: Any
    ) -> messages.ListReferrersResponse:
        return await list_referrers(self._env, request, self._all_kinds)

    async def CreateRecords(
        self, request: messages.CreateRecordsRequest, context: Any
    ) -> messages.CreateRecordsResponse:
        return await create_records(self._env, request)

    async def ConvertQuantity(
        self, request: messages.ConvertQuantityRequest, context: Any
    ) -> messages.ConvertQuantityResponse:
        conversion = mapping.convert_quantity_from_pb(request)
        quantity, exact = await run_query(
            self._env, lambda tx: units.convert_quantity(tx, conversion)
        )
        return messages.ConvertQuantityResponse(quantity=decimal_pb(quantity), exact=exact)

    async def ResolvePolicies(
        self, request: messages.ResolvePoliciesRequest, context: Any
    ) -> messages.ResolvePoliciesResponse:
        reader = RequestReader(request)
        is_sold = request.name.startswith("accounts/")
        key = reader.name("name", names.ASSET if is_sold else names.PRODUCT)
        reader.done()
        if is_sold:
            refuse_without(caller().permissions, "sales.read")
        explain = explained_asset if is_sold else explained_product
        explained = await run_query(self._env, lambda tx: explain(tx, *key), snapshot=True)
        return resolved_to_pb(explained)
