"""The servicer of RateService."""

import itertools
from typing import Any, TypeAlias

from google.protobuf.empty_pb2 import Empty
from grpc.aio import ServicerContext
from usage_management.v1 import rate_service_pb2 as pb
from usage_management.v1 import rate_service_pb2_grpc as rpc

from server.api import names
from server.api.discovery.answers import discover
from server.api.mapping.rating.rate_edits import (
    book_edit_from_pb,
    card_edit_from_pb,
    entries_from_reader,
    entry_edit_from_pb,
)
from server.api.mapping.rating.rates import (
    book_to_pb,
    card_filter_from_pb,
    card_to_pb,
    create_book_from_pb,
    create_card_from_pb,
    create_entries_from_pb,
    create_entry_from_pb,
    entry_filter_from_pb,
    entry_outcome_to_pb,
    entry_to_pb,
)
from server.api.mapping.selling.rate_plans import plan_to_pb
from server.api.reader import RequestReader, named
from server.api.transactions import run_list, run_mutation, run_query
from server.config import Config
from server.domain.ids import TenantId
from server.domain.rating.rate_cards import CardSize, EntryState
from server.env import Env
from server.runtime.rate_snapshots import RateSnapshots
from server.usecases.rating import rate_edits, rate_entries, rate_entry_edits, rates
from server.usecases.rating.rate_entry_edits import EntryRevision
from server.usecases.selling import rate_plans

Context: TypeAlias = ServicerContext[Any, Any]


def card_size(config: Config) -> CardSize:
    """Return the size limits of a rate card."""
    return CardSize(entries=config.rate_card_entries, tiers=config.rate_card_tiers)


class RateService(rpc.RateServiceServicer):
    """Manages price books and rate cards, and answers questions about rates."""

    def __init__(self, env: Env, snapshots: RateSnapshots) -> None:
        self._env = env
        self._snapshots = snapshots
        self._most = card_size(env.config)
        self.ready_answers = {"DiscoverRates": self._ready}

    def _ready(self, tenant_id: TenantId, request: bytes) -> bytes | None:
        return self._snapshots.ready(tenant_id, request, self._env.seal.secrets)

    async def GetPriceBook(self, request: pb.GetPriceBookRequest, context: Context) -> pb.PriceBook:
        (book_id,) = named(request, "name", names.PRICE_BOOK)
        return book_to_pb(await run_query(self._env, lambda tx: rates.get_book(tx, book_id)))

    async def ListPriceBooks(
        self, request: pb.ListPriceBooksRequest, context: Context
    ) -> pb.ListPriceBooksResponse:
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: rates.list_books(tx, after=page.after, limit=page.limit),
            lambda book: (book.id,),
            book_to_pb,
            shape=(str,),
        )
        return pb.ListPriceBooksResponse(price_books=messages, next_page_token=token)

    async def CreatePriceBook(
        self, request: pb.CreatePriceBookRequest, context: Context
    ) -> pb.PriceBook:
        command = create_book_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.PriceBook,
            lambda tx: rates.create_book(tx, command),
            book_to_pb,
        )

    async def UpdatePriceBook(
        self, request: pb.UpdatePriceBookRequest, context: Context
    ) -> pb.PriceBook:
        book_id, revision, merge = book_edit_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.PriceBook,
            lambda tx: rate_edits.update_book(tx, book_id, revision, merge),
            book_to_pb,
        )

    async def DeletePriceBook(self, request: pb.DeletePriceBookRequest, context: Context) -> Empty:
        reader = RequestReader(request)
        (book_id,) = reader.name("name", names.PRICE_BOOK)
        revision = reader.etag("etag")
        reader.done()
        return await run_mutation(
            self._env,
            request,
            Empty,
            lambda tx: rate_edits.delete_book(tx, book_id, revision),
            lambda _: Empty(),
        )

    async def GetRateCard(self, request: pb.GetRateCardRequest, context: Context) -> pb.RateCard:
        (card_id,) = named(request, "name", names.RATE_CARD)
        return card_to_pb(await run_query(self._env, lambda tx: rates.get_card(tx, card_id)))

    async def ListRateCards(
        self, request: pb.ListRateCardsRequest, context: Context
    ) -> pb.ListRateCardsResponse:
        only = card_filter_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: rates.list_cards(tx, only, after=page.after, limit=page.limit),
            lambda card: (card.id,),
            card_to_pb,
            shape=(str,),
        )
        return pb.ListRateCardsResponse(rate_cards=messages, next_page_token=token)

    async def CreateRateCard(
        self, request: pb.CreateRateCardRequest, context: Context
    ) -> pb.RateCard:
        card = create_card_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RateCard,
            lambda tx: rates.create_card(tx, card),
            card_to_pb,
        )

    async def UpdateRateCard(
        self, request: pb.UpdateRateCardRequest, context: Context
    ) -> pb.RateCard:
        card_id, revision, merge = card_edit_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RateCard,
            lambda tx: rate_edits.update_card(tx, card_id, revision, merge),
            card_to_pb,
        )

    async def DeleteRateCard(self, request: pb.DeleteRateCardRequest, context: Context) -> Empty:
        reader = RequestReader(request)
        (card_id,) = reader.name("name", names.RATE_CARD)
        revision = reader.etag("etag")
        reader.done()
        return await run_mutation(
            self._env,
            request,
            Empty,
            lambda tx: rate_edits.delete_card(tx, card_id, revision, with_entries=request.force),
            lambda _: Empty(),
        )

    async def GetRateCardEntry(
        self, request: pb.GetRateCardEntryRequest, context: Context
    ) -> pb.RateCardEntry:
        card_id, entry_id = named(request, "name", names.RATE_ENTRY)
        return entry_to_pb(
            await run_query(self._env, lambda tx: rate_entries.get_entry(tx, card_id, entry_id))
        )

    async def ListRateCardEntries(
        self, request: pb.ListRateCardEntriesRequest, context: Context
    ) -> pb.ListRateCardEntriesResponse:
        only = entry_filter_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: rate_entries.list_entries(
                tx, only, after=page.after, limit=page.limit
            ),
            lambda entry: (entry.card_id, entry.id),
            entry_to_pb,
            shape=(str, str),
        )
        return pb.ListRateCardEntriesResponse(rate_card_entries=messages, next_page_token=token)

    async def CreateRateCardEntry(
        self, request: pb.CreateRateCardEntryRequest, context: Context
    ) -> pb.RateCardEntry:
        entry = create_entry_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RateCardEntry,
            lambda tx: rate_entries.create_entry(tx, entry, self._most),
            entry_to_pb,
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

    async def UpdateRateCardEntry(
        self, request: pb.UpdateRateCardEntryRequest, context: Context
    ) -> pb.RateCardEntry:
        entry, merge = entry_edit_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RateCardEntry,
            lambda tx: rate_entry_edits.update(tx, entry, merge, self._most),
            entry_to_pb,
        )

    async def DeleteRateCardEntry(
        self, request: pb.DeleteRateCardEntryRequest, context: Context
    ) -> Empty:
        reader = RequestReader(request)
        card_id, entry_id = reader.name("name", names.RATE_ENTRY)
        revision = reader.etag("etag")
        reader.done()
        entry = EntryRevision(card_id=card_id, id=entry_id, revision=revision)
        return await run_mutation(
            self._env,
            request,
            Empty,
            lambda tx: rate_entry_edits.delete(tx, entry),
            lambda _: Empty(),
        )

    async def ChangeRateCardEntryStates(
        self, request: pb.ChangeRateCardEntryStatesRequest, context: Context
    ) -> pb.ChangeRateCardEntryStatesResponse:
        reader = RequestReader(request)
        entries = entries_from_reader(reader)
        state = reader.choice("state", EntryState)
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
