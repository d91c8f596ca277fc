"""The servicer of SummaryService."""

from datetime import datetime
from typing import Any
from uuid import UUID

from usage_management.v1 import summary_service_pb2 as pb
from usage_management.v1 import summary_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.billing.corrections import (
    list_corrections_from_pb,
    list_pending_from_pb,
    pending_to_pb,
    whole_correction_to_pb,
)
from server.api.mapping.billing.summaries import (
    correction_to_pb,
    liable_to_pb,
    list_liable_from_pb,
    list_ratable_from_pb,
    list_usage_from_pb,
    mark_invoiced_from_pb,
    ratable_to_pb,
    trace_to_pb,
    usage_to_pb,
    waterfall_to_pb,
)
from server.api.reader import RequestReader, named
from server.api.transactions import of_account, run_list, run_mutation, run_query
from server.domain.ids import AccountId, ExecutionId
from server.env import Env
from server.store.billing import correction_reads as correction_store
from server.store.billing import summary_reads as store
from server.store.billing.summary_reads import LiableFilter
from server.usecases.billing import correction_reads, invoicing, summaries


class SummaryService(rpc.SummaryServiceServicer):
    """Reads and explains usage, ratable and liable summaries, and marks invoiced lines."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def ListUsageSummaries(
        self, request: pb.ListUsageSummariesRequest, context: Any
    ) -> pb.ListUsageSummariesResponse:
        account_id, only = list_usage_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: store.list_usage(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda cell: (cell.start_time, cell.usage_summary_id),
            lambda cell: usage_to_pb(account_id, cell),
            shape=(datetime, UUID),
        )
        return pb.ListUsageSummariesResponse(usage_summaries=messages, next_page_token=token)

    async def GetRatableSummary(
        self, request: pb.GetRatableSummaryRequest, context: Any
    ) -> pb.RatableSummary:
        account_id, ratable_id = named(request, "name", names.RATABLE_SUMMARY)
        line = await run_query(
            self._env, lambda tx: summaries.get_ratable(tx, account_id, ratable_id)
        )
        return ratable_to_pb(account_id, line)

    async def ListRatableSummaries(
        self, request: pb.ListRatableSummariesRequest, context: Any
    ) -> pb.ListRatableSummariesResponse:
        account_id, only = list_ratable_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: store.list_ratable(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda line: (line.start_time, line.ratable_summary_id),
            lambda line: ratable_to_pb(account_id, line),
            shape=(datetime, UUID),
        )
        return pb.ListRatableSummariesResponse(ratable_summaries=messages, next_page_token=token)

    async def MarkInvoiced(
        self, request: pb.MarkInvoicedRequest, context: Any
    ) -> pb.MarkInvoicedResponse:
        command = mark_invoiced_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.MarkInvoicedResponse,
            lambda tx: invoicing.mark_invoiced(tx, command),
            lambda lines: pb.MarkInvoicedResponse(
                liable_summaries=[liable_to_pb(line) for line in lines]
            ),
        )

    async def GetLiableSummary(
        self, request: pb.GetLiableSummaryRequest, context: Any
    ) -> pb.LiableSummary:
        account_id, liable_id = named(request, "name", names.LIABLE_SUMMARY)
        line = await run_query(
            self._env, lambda tx: summaries.get_liable(tx, account_id, liable_id)
        )
        return liable_to_pb(line)

    async def ListLiableSummaries(
        self, request: pb.ListLiableSummariesRequest, context: Any
    ) -> pb.ListLiableSummariesResponse:
        account_id, only = list_liable_from_pb(request)
        if account_id is None:
            messages, token = await self._liable_of_all(request, only)
        else:
            messages, token = await self._liable_of_account(request, account_id, only)
        return pb.ListLiableSummariesResponse(liable_summaries=messages, next_page_token=token)

    async def _liable_of_account(
        self, request: pb.ListLiableSummariesRequest, account_id: AccountId, only: LiableFilter
    ) -> tuple[list[pb.LiableSummary], str]:
        return await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: store.list_liable(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda line: (line.start_time, line.liable_summary_id),
            liable_to_pb,
            shape=(datetime, UUID),
        )

    async def _liable_of_all(
        self, request: pb.ListLiableSummariesRequest, only: LiableFilter
    ) -> tuple[list[pb.LiableSummary], str]:
        return await run_list(
            self._env,
            request,
            lambda tx, page: store.list_liable_of_all(tx, only, after=page.after, limit=page.limit),
            lambda line: (line.create_time, line.account_id, line.liable_summary_id),
            liable_to_pb,
            shape=(datetime, str, UUID),
        )

    async def GetRateWaterfall(
        self, request: pb.GetRateWaterfallRequest, context: Any
    ) -> pb.RateWaterfall:
        reader = RequestReader(request)
        is_liable = "/liableSummaries/" in request.name
        pattern = names.LIABLE_SUMMARY if is_liable else names.RATABLE_SUMMARY
        account_id, line_id = reader.name("name", pattern)
        execution_id = reader.optional_uuid("execution_id")
        reader.done()
        waterfall = await run_query(
            self._env,
            lambda tx: summaries.waterfall(
                tx,
                account_id,
                line_id,
                is_liable=is_liable,
                execution_id=None if execution_id is None else ExecutionId(execution_id),
            ),
        )
        return waterfall_to_pb(request.name, account_id, waterfall)

    async def TraceLiableSummary(
        self, request: pb.TraceLiableSummaryRequest, context: Any
    ) -> pb.TraceLiableSummaryResponse:
        account_id, liable_id = named(request, "name", names.LIABLE_SUMMARY)
        trace = await run_query(self._env, lambda tx: summaries.trace(tx, account_id, liable_id))
        return trace_to_pb(account_id, trace)

    async def GetCorrection(self, request: pb.GetCorrectionRequest, context: Any) -> pb.Correction:
        account_id, correction_id = named(request, "name", names.CORRECTION)
        whole = await run_query(
            self._env,
            lambda tx: correction_reads.get_correction(tx, account_id, correction_id),
            # A later correction may replace lines between the reads.
            snapshot=True,
        )
        return whole_correction_to_pb(account_id, whole)

    async def ListCorrections(
        self, request: pb.ListCorrectionsRequest, context: Any
    ) -> pb.ListCorrectionsResponse:
        account_id, only = list_corrections_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: correction_store.list_corrections(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda one: (one.create_time, one.correction_id),
            lambda one: correction_to_pb(account_id, one),
            shape=(datetime, UUID),
        )
        return pb.ListCorrectionsResponse(corrections=messages, next_page_token=token)

    async def ListPendingCorrections(
        self, request: pb.ListPendingCorrectionsRequest, context: Any
    ) -> pb.ListPendingCorrectionsResponse:
        account_id, only = list_pending_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: correction_store.list_pending(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda one: (one.create_time, one.wallet_id),
            lambda one: pending_to_pb(account_id, one),
            shape=(datetime, UUID),
        )
        return pb.ListPendingCorrectionsResponse(
            pending_corrections=messages, next_page_token=token
        )
