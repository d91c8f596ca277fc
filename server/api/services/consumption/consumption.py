"""The servicer of ConsumptionService."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from grpc.aio import ServicerContext
from usage_management.v1 import consumption_service_pb2 as pb
from usage_management.v1 import consumption_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.consumption import amendments as amendments_mapping
from server.api.mapping.consumption import record_runs as runs_mapping
from server.api.mapping.consumption import recording as recording_mapping
from server.api.mapping.consumption import usage_records as mapping
from server.api.mapping.consumption.loadings import (
    extend_loading_from_pb,
    loading_to_pb,
    start_loading_from_pb,
)
from server.api.mapping.consumption.refused_records import (
    refusal_filter_from_pb,
    refusal_to_pb,
    refusals_from_pb,
)
from server.api.names import Name
from server.api.pages import Page
from server.api.reader import named
from server.api.transactions import of_account, run_list, run_mutation, run_query
from server.domain.consumption.record_runs import RecordRun, RunKind
from server.domain.consumption.recording import Outcome
from server.domain.consumption.refusals import Refusal
from server.domain.errors import UsageError
from server.domain.ids import AccountId, RecordRunId
from server.env import Env
from server.store.connection import Transaction
from server.store.consumption import record_runs as record_run_store
from server.store.consumption import refused_records
from server.usecases.consumption import usage_records
from server.usecases.intake import amending, loadings, record_runs, recording, voiding
from server.usecases.intake.batch_parts import parts_of
from server.usecases.intake.refusals import keep_refusals

R = TypeVar("R")
M = TypeVar("M", pb.VoidRun, pb.AmendRun)

Context: TypeAlias = ServicerContext[Any, Any]


class ConsumptionService(rpc.ConsumptionServiceServicer):
    """Records usage, each record once, and changes it; starts and ends loadings."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def RecordUsage(
        self, request: pb.RecordUsageRequest, context: Context
    ) -> pb.RecordUsageResponse:
        config = self._env.config
        command = replace(
            recording_mapping.record_usage_from_pb(request),
            most_quantity=Decimal(config.record_quantity),
        )
        accounts = config.record_accounts_per_transaction
        if accounts is None:
            return await self._record(request, command, request.records)
        outcomes: dict[int, pb.RecordOutcome] = {}
        # One transaction for a few accounts each, for databases that distribute accounts.
        for part in recording.parts(command, accounts):
            sent = [request.records[number] for number in part]
            answer = await self._record(
                request, replace(command, records=tuple(part.values())), sent
            )
            outcomes |= zip(part, answer.outcomes, strict=True)
        return pb.RecordUsageResponse(outcomes=[outcomes[n] for n in sorted(outcomes)])

    async def _record(
        self,
        request: pb.RecordUsageRequest,
        command: recording.RecordUsage,
        sent: Sequence[pb.UsageRecordInput],
    ) -> pb.RecordUsageResponse:
        """Record usage in one transaction, and keep what is refused."""

        async def record(tx: Transaction) -> tuple[Outcome, ...]:
            outcomes = await recording.record(tx, command)
            await keep_refusals(tx, refusals_from_pb(sent, outcomes))
            return outcomes

        return await run_mutation(
            self._env,
            request,
            pb.RecordUsageResponse,
            record,
            lambda outcomes: recording_mapping.record_usage_response_to_pb(command, outcomes),
        )

    async def VoidUsage(
        self, request: pb.VoidUsageRequest, context: Context
    ) -> pb.VoidUsageResponse:
        command = amendments_mapping.void_usage_from_pb(request)
        outcomes: dict[int, pb.VoidOutcome] = {}
        for part in self._parts(command.records, lambda key: key[0]):
            sent = [request.usage_records[number] for number in part]
            answer = await self._void(request, replace(command, records=tuple(part.values())), sent)
            outcomes |= zip(part, answer.outcomes, strict=True)
        return pb.VoidUsageResponse(outcomes=[outcomes[n] for n in sorted(outcomes)])

    async def _void(
        self, request: pb.VoidUsageRequest, command: voiding.VoidUsage, sent: Sequence[str]
    ) -> pb.VoidUsageResponse:
        return await run_mutation(
            self._env,
            request,
            pb.VoidUsageResponse,
            lambda tx: voiding.void(tx, command),
            lambda outcomes: amendments_mapping.void_usage_response_to_pb(sent, outcomes),
        )

    async def AmendUsage(
        self, request: pb.AmendUsageRequest, context: Context
    ) -> pb.AmendUsageResponse:
        command = replace(
            amendments_mapping.amend_usage_from_pb(request),
            most_quantity=Decimal(self._env.config.record_quantity),
        )
        outcomes: dict[int, pb.AmendOutcome] = {}
        for part in self._parts(command.records, lambda usage: usage.account_id):
            answer = await self._amend(request, replace(command, records=tuple(part.values())))
            outcomes |= zip(part, answer.outcomes, strict=True)
        return pb.AmendUsageResponse(outcomes=[outcomes[n] for n in sorted(outcomes)])

    async def _amend(
        self, request: pb.AmendUsageRequest, command: amending.AmendUsage
    ) -> pb.AmendUsageResponse:
        return await run_mutation(
            self._env,
            request,
            pb.AmendUsageResponse,
            lambda tx: amending.amend(tx, command),
            lambda outcomes: amendments_mapping.amend_usage_response_to_pb(command, outcomes),
        )

    def _parts(
        self, items: Sequence[R | UsageError], account_of: Callable[[R], AccountId]
    ) -> list[dict[int, R | UsageError]]:
        """Return the items, by index, in one part for each transaction."""
        accounts = self._env.config.record_accounts_per_transaction
        if accounts is None:
            return [dict(enumerate(items))]
        return parts_of(items, account_of, accounts)

    async def CreateVoidRun(self, request: pb.CreateVoidRunRequest, context: Context) -> pb.VoidRun:
        new = runs_mapping.create_void_run_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.VoidRun,
            lambda tx: record_runs.create(tx, new),
            runs_mapping.void_run_to_pb,
        )

    async def GetVoidRun(self, request: pb.GetVoidRunRequest, context: Context) -> pb.VoidRun:
        run = await self._run(request, names.VOID_RUN, RunKind.VOID)
        return runs_mapping.void_run_to_pb(run)

    async def ListVoidRuns(
        self, request: pb.ListVoidRunsRequest, context: Context
    ) -> pb.ListVoidRunsResponse:
        messages, token = await self._runs(request, RunKind.VOID, runs_mapping.void_run_to_pb)
        return pb.ListVoidRunsResponse(void_runs=messages, next_page_token=token)

    async def CreateAmendRun(
        self, request: pb.CreateAmendRunRequest, context: Context
    ) -> pb.AmendRun:
        new = runs_mapping.create_amend_run_from_pb(
            request, Decimal(self._env.config.record_quantity)
        )
        return await run_mutation(
            self._env,
            request,
            pb.AmendRun,
            lambda tx: record_runs.create(tx, new),
            runs_mapping.amend_run_to_pb,
        )

    async def GetAmendRun(self, request: pb.GetAmendRunRequest, context: Context) -> pb.AmendRun:
        run = await self._run(request, names.AMEND_RUN, RunKind.AMEND)
        return runs_mapping.amend_run_to_pb(run)

    async def ListAmendRuns(
        self, request: pb.ListAmendRunsRequest, context: Context
    ) -> pb.ListAmendRunsResponse:
        messages, token = await self._runs(request, RunKind.AMEND, runs_mapping.amend_run_to_pb)
        return pb.ListAmendRunsResponse(amend_runs=messages, next_page_token=token)

    async def _run(
        self, request: pb.GetVoidRunRequest | pb.GetAmendRunRequest, name: Name, kind: RunKind
    ) -> RecordRun:
        account_id, run_id = named(request, "name", name)
        key = AccountId(account_id), RecordRunId(run_id)
        return await run_query(self._env, lambda tx: record_run_store.get(tx, *key, kind))

    async def _runs(
        self,
        request: pb.ListVoidRunsRequest | pb.ListAmendRunsRequest,
        kind: RunKind,
        to_pb: Callable[[RecordRun], M],
    ) -> tuple[list[M], str]:
        (account_id,) = named(request, "parent", names.ACCOUNT)
        return await run_list(
            self._env,
            request,
            lambda tx, page: record_runs.list_runs(
                tx, AccountId(account_id), kind, after=page.after, limit=page.limit
            ),
            lambda run: (run.audit.create_time, run.id),
            to_pb,
            shape=(datetime, UUID),
        )

    async def ListRefusedRecords(
        self, request: pb.ListRefusedRecordsRequest, context: Context
    ) -> pb.ListRefusedRecordsResponse:
        only = refusal_filter_from_pb(request)

        async def rows(tx: Transaction, page: Page) -> Sequence[tuple[UUID, Refusal]]:
            return await refused_records.list_refusals(tx, only, after=page.after, limit=page.limit)

        own = only.account_id
        messages, token = await run_list(
            self._env,
            request,
            rows if own is None else of_account(own, rows),
            lambda row: (row[0],),
            refusal_to_pb,
            shape=(UUID,),
        )
        return pb.ListRefusedRecordsResponse(refused_records=messages, next_page_token=token)

    async def GetUsageRecord(
        self, request: pb.GetUsageRecordRequest, context: Context
    ) -> pb.UsageRecord:
        account_id, record_id = mapping.get_usage_record_from_pb(request)
        record = await run_query(self._env, lambda tx: usage_records.get(tx, account_id, record_id))
        return mapping.usage_record_to_pb(record)

    async def ListUsageRecords(
        self, request: pb.ListUsageRecordsRequest, context: Context
    ) -> pb.ListUsageRecordsResponse:
        command = mapping.list_usage_records_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                command.account_id,
                lambda tx, page: usage_records.list_records(
                    tx, command, after=page.after, limit=page.limit
                ),
            ),
            lambda record: (record.time, record.id),
            mapping.usage_record_to_pb,
            shape=(datetime, str),
        )
        return pb.ListUsageRecordsResponse(usage_records=messages, next_page_token=token)

    async def StartLoading(self, request: pb.StartLoadingRequest, context: Context) -> pb.Loading:
        command = start_loading_from_pb(request)
        return await run_mutation(
            self._env, request, pb.Loading, lambda tx: loadings.start(tx, command), loading_to_pb
        )

    async def ExtendLoading(self, request: pb.ExtendLoadingRequest, context: Context) -> pb.Loading:
        command = extend_loading_from_pb(request)
        return await run_mutation(
            self._env, request, pb.Loading, lambda tx: loadings.extend(tx, command), loading_to_pb
        )

    async def EndLoading(self, request: pb.EndLoadingRequest, context: Context) -> pb.Loading:
        account_id, loading_id = named(request, "name", names.LOADING)
        return await run_mutation(
            self._env,
            request,
            pb.Loading,
            lambda tx: loadings.end(tx, account_id, loading_id),
            loading_to_pb,
        )

    async def ListLoadings(
        self, request: pb.ListLoadingsRequest, context: Context
    ) -> pb.ListLoadingsResponse:
        (account_id,) = named(request, "parent", names.ACCOUNT)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: loadings.list_loadings(
                    tx, account_id, after=page.after, limit=page.limit
                ),
            ),
            lambda loading: (loading.audit.create_time, loading.id),
            loading_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListLoadingsResponse(loadings=messages, next_page_token=token)
