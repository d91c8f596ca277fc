"""The servicer of RateService."""

import itertools
from typing import Any, TypeAlias

from google.protobuf.empty_pb2 import Empty
from grpc.aio import ServicerContext
from usage_management.v1 import rate_service_pb2 as pb
from usage_management.v1 import rate_service_pb2_grpc as rpc

from server.api import names
from server.api.discovery.answers import discover
from server.api.mapping.rating.rates import create_entries_from_pb, entry_outcome_to_pb
from server.api.mapping.selling.rate_plans import plan_to_pb
from server.api.reader import RequestReader
from server.api.services.modeling.records import clone_from_pb, record_to_delete, serves_records
from server.api.services.rating import kinds
from server.api.transactions import run_mutation, run_query
from server.domain.ids import TenantId
from server.domain.modeling.catalog import CatalogState
from server.env import Env
from server.runtime.rate_snapshots import RateSnapshots
from server.usecases.catalog_changes.clones import clone_book, clone_card
from server.usecases.modeling.edits import Record
from server.usecases.rating import rate_entries, rate_entry_edits, rates
from server.usecases.selling import rate_plans

Context: TypeAlias = ServicerContext[Any, Any]


@serves_records(pb.DESCRIPTOR.services_by_name["RateService"], kinds.ALL)
class RateService(rpc.RateServiceServicer):
    """Manages price books and rate cards, and answers questions about rates."""

    def __init__(self, env: Env, snapshots: RateSnapshots) -> None:
        self._env = env
        self._snapshots = snapshots
        self._most = kinds.card_size(env.config)
        self.ready_answers = {"DiscoverRates": self._ready}

    def _ready(self, tenant_id: TenantId, request: bytes) -> bytes | None:
        return self._snapshots.ready(tenant_id, request, self._env.seal.secrets)

    async def ClonePriceBook(
        self, request: pb.ClonePriceBookRequest, context: Context
    ) -> pb.PriceBook:
        wire, clone = kinds.PRICE_BOOK, clone_from_pb(request, kinds.PRICE_BOOK)
        return await run_mutation(
            self._env,
            request,
            wire.message,
            lambda tx: clone_book(tx, clone, self._most),
            wire.write,
        )

    async def CloneRateCard(
        self, request: pb.CloneRateCardRequest, context: Context
    ) -> pb.RateCard:
        wire, clone = kinds.RATE_CARD, clone_from_pb(request, kinds.RATE_CARD)
        return await run_mutation(
            self._env,
            request,
            wire.message,
            lambda tx: clone_card(tx, clone, self._most),
            wire.write,
        )

    async def DeleteRateCard(self, request: pb.DeleteRateCardRequest, context: Context) -> Empty:
        record = record_to_delete(request, kinds.RATE_CARD)
        return await run_mutation(
            self._env,
            request,
            Empty,
            lambda tx: rates.delete_card(tx, record, with_entries=request.force),
            lambda _: Empty(),
        )

    async def BatchCreateRateCardEntries(
        self, request: pb.BatchCreateRateCardEntriesRequest, context: Context
    ) -> pb.BatchCreateRateCardEntriesResponse:
        entries = create_entries_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.BatchCreateRateCardEntriesResponse,
            lambda tx: rate_entries.create_entries(tx, entries, self._most),
            lambda found: pb.BatchCreateRateCardEntriesResponse(
                outcomes=itertools.starmap(entry_outcome_to_pb, found)
            ),
        )

    async def ChangeRateCardEntryStates(
        self, request: pb.ChangeRateCardEntryStatesRequest, context: Context
    ) -> pb.ChangeRateCardEntryStatesResponse:
        reader = RequestReader(request)
        entries = [
            Record(kind=kinds.RATE_ENTRY.kind, key=key)
            for key in reader.names("names", names.RATE_ENTRY)
        ]
        state = reader.choice("state", CatalogState)
        reader.done()
        return await run_mutation(
            self._env,
            request,
            pb.ChangeRateCardEntryStatesResponse,
            lambda tx: rate_entry_edits.change_states(tx, entries, state),
            lambda found: pb.ChangeRateCardEntryStatesResponse(
                outcomes=itertools.starmap(entry_outcome_to_pb, found)
            ),
        )

    async def DiscoverRates(self, request: pb.DiscoverRatesRequest, context: Context) -> Any:
        """Return the response as bytes, most of which were serialized before."""
        return await discover(self._env, self._snapshots, request)

    async def GetRatePlan(self, request: pb.GetRatePlanRequest, context: Context) -> pb.RatePlan:
        reader = RequestReader(request)
        account_id, asset_id = reader.name("name", names.ASSET)
        day = reader.optional_date("date")
        procedure = reader.optional_name("procedure", names.PROCEDURE)
        reader.done()
        command = rate_plans.GetRatePlan(
            account_id=account_id,
            asset_id=asset_id,
            day=day,
            procedure_id=procedure[0] if procedure else None,
        )
        plan = await run_query(
            self._env,
            lambda tx: rate_plans.get(tx, command),
            snapshot=True,
        )
        return plan_to_pb(account_id, asset_id, plan)
