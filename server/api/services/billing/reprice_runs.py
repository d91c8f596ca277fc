"""The servicer of RepriceService."""

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from usage_management.v1 import reprice_service_pb2 as pb
from usage_management.v1 import reprice_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.billing.reprice_runs import (
    create_reprice_run_from_pb,
    list_items_from_pb,
    reprice_item_to_pb,
    reprice_run_to_pb,
)
from server.api.reader import named
from server.api.transactions import run_list, run_mutation, run_query
from server.domain.ids import RepriceRunId
from server.env import Env
from server.store.billing import reprice_runs as store
from server.usecases.lifecycle import reprice_runs

Context: TypeAlias = ServicerContext[Any, Any]


class RepriceService(rpc.RepriceServiceServicer):
    """Moves the assets of many accounts to the rates of the catalog of a day."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def CreateRepriceRun(
        self, request: pb.CreateRepriceRunRequest, context: Context
    ) -> pb.RepriceRun:
        new = create_reprice_run_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RepriceRun,
            lambda tx: reprice_runs.create(tx, new),
            reprice_run_to_pb,
        )

    async def GetRepriceRun(
        self, request: pb.GetRepriceRunRequest, context: Context
    ) -> pb.RepriceRun:
        (run_id,) = named(request, "name", names.REPRICE_RUN)
        return reprice_run_to_pb(
            await run_query(self._env, lambda tx: store.get(tx, RepriceRunId(run_id)))
        )

    async def ListRepriceRuns(
        self, request: pb.ListRepriceRunsRequest, context: Context
    ) -> pb.ListRepriceRunsResponse:
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: store.list_runs(tx, after=page.after, limit=page.limit),
            lambda run: (run.audit.create_time, run.id),
            reprice_run_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListRepriceRunsResponse(reprice_runs=messages, next_page_token=token)

    async def ListRepriceRunItems(
        self, request: pb.ListRepriceRunItemsRequest, context: Context
    ) -> pb.ListRepriceRunItemsResponse:
        only = list_items_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: reprice_runs.list_items(tx, only, after=page.after, limit=page.limit),
            lambda item: (item.account_id, item.position),
            reprice_item_to_pb,
            shape=(str, int),
        )
        return pb.ListRepriceRunItemsResponse(items=messages, next_page_token=token)
