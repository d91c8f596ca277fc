"""The servicer of UsageDetailsService."""

from typing import Any, TypeAlias

from grpc.aio import ServicerContext
from usage_management.v1 import usage_details_service_pb2 as pb
from usage_management.v1 import usage_details_service_pb2_grpc as rpc

from server.api.mapping.selling.usage_details import (
    list_usage_details_from_pb,
    usage_detail_to_pb,
)
from server.api.transactions import list_loaded_rows, run_list, run_query
from server.domain.selling.usage_details import UsageDetail
from server.env import Env
from server.usecases.selling import usage_details

Context: TypeAlias = ServicerContext[Any, Any]


class UsageDetailsService(rpc.UsageDetailsServiceServicer):
    """Reads the agreed terms of what is sold, with the catalog's beside them."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def ListUsageDetails(
        self, request: pb.ListUsageDetailsRequest, context: Context
    ) -> pb.ListUsageDetailsResponse:
        query = list_usage_details_from_pb(request)

        def render(detail: UsageDetail) -> pb.UsageDetail:
            return usage_detail_to_pb(query.account_id, detail)

        if query.is_of_sale:
            found = await run_query(
                self._env, lambda tx: usage_details.list_of_sale(tx, query), snapshot=True
            )
            messages, token = list_loaded_rows(self._env, request, found, render)
        else:
            messages, token = await run_list(
                self._env,
                request,
                lambda tx, page: usage_details.list_of_assets(
                    tx, query, after=page.after, limit=page.limit
                ),
                lambda detail: (detail.resource.resource_id, detail.number),
                render,
                shape=(str, int),
            )
        return pb.ListUsageDetailsResponse(usage_details=messages, next_page_token=token)
