"""Rates on the wire."""

from typing import Any, TypeAlias

from grpc.aio import ServicerContext
from usage.v1 import rate_service_pb2 as pb
from usage.v1 import rate_service_pb2_grpc as rpc

from server.api import names, pages
from server.api.discovery import discover
from server.api.forms import Form
from server.api.mapping.rates import (
    book_to_pb,
    card_to_pb,
    create_book_from_pb,
    create_card_from_pb,
    create_entry_from_pb,
    entry_to_pb,
)
from server.api.work import caller, change, look
from server.env import Env
from server.rate_snapshots import RateSnapshots
from server.usecases import rates

Context: TypeAlias = ServicerContext[Any, Any]


class RateService(rpc.RateServiceServicer):
    """Keeps what things cost, and answers what a unit costs whom on which day."""

    def __init__(self, env: Env, snapshots: RateSnapshots) -> None:
        self._env = env
        self._snapshots = snapshots

    async def GetPriceBook(self, request: pb.GetPriceBookRequest, context: Context) -> pb.PriceBook:
        form = Form(request)
        (book_id,) = form.name("name", names.PRICE_BOOK)
        form.done()
        tenant_id = caller().tenant_id
        return book_to_pb(await look(self._env, lambda tx: rates.get_book(tx, tenant_id, book_id)))

    async def ListPriceBooks(
        self, request: pb.ListPriceBooksRequest, context: Context
    ) -> pb.ListPriceBooksResponse:
        tenant_id = caller().tenant_id
        page = pages.read(request, tenant_id)
        rows = await look(
            self._env,
            lambda tx: rates.list_books(tx, tenant_id, after=page.after, limit=page.limit),
        )
        found, token = pages.cut(page, rows, key=lambda book: (book.id,))
        return pb.ListPriceBooksResponse(price_books=map(book_to_pb, found), next_page_token=token)

    async def CreatePriceBook(
        self, request: pb.CreatePriceBookRequest, context: Context
    ) -> pb.PriceBook:
        command = create_book_from_pb(request)
        tenant_id = caller().tenant_id
        return await change(
            self._env,
            request,
            pb.PriceBook,
            lambda tx: rates.create_book(tx, tenant_id, command),
            book_to_pb,
        )

    async def GetRateCard(self, request: pb.GetRateCardRequest, context: Context) -> pb.RateCard:
        form = Form(request)
        (card_id,) = form.name("name", names.RATE_CARD)
        form.done()
        tenant_id = caller().tenant_id
        return card_to_pb(await look(self._env, lambda tx: rates.get_card(tx, tenant_id, card_id)))

    async def ListRateCards(
        self, request: pb.ListRateCardsRequest, context: Context
    ) -> pb.ListRateCardsResponse:
        tenant_id = caller().tenant_id
        page = pages.read(request, tenant_id)
        rows = await look(
            self._env,
            lambda tx: rates.list_cards(tx, tenant_id, after=page.after, limit=page.limit),
        )
        found, token = pages.cut(page, rows, key=lambda card: (card.id,))
        return pb.ListRateCardsResponse(rate_cards=map(card_to_pb, found), next_page_token=token)

    async def CreateRateCard(
        self, request: pb.CreateRateCardRequest, context: Context
    ) -> pb.RateCard:
        card = create_card_from_pb(request)
        tenant_id = caller().tenant_id
        return await change(
            self._env,
            request,
            pb.RateCard,
            lambda tx: rates.create_card(tx, tenant_id, card),
            card_to_pb,
        )

    async def GetRateCardEntry(
        self, request: pb.GetRateCardEntryRequest, context: Context
    ) -> pb.RateCardEntry:
        form = Form(request)
        card_id, entry_id = form.name("name", names.RATE_ENTRY)
        form.done()
        tenant_id = caller().tenant_id
        return entry_to_pb(
            await look(self._env, lambda tx: rates.get_entry(tx, tenant_id, card_id, entry_id))
        )

    async def ListRateCardEntries(
        self, request: pb.ListRateCardEntriesRequest, context: Context
    ) -> pb.ListRateCardEntriesResponse:
        form = Form(request)
        (card_id,) = form.name("parent", names.RATE_CARD)
        form.done()
        tenant_id = caller().tenant_id
        page = pages.read(request, tenant_id)
        rows = await look(
            self._env,
            lambda tx: rates.list_entries(
                tx, tenant_id, card_id, after=page.after, limit=page.limit
            ),
        )
        found, token = pages.cut(page, rows, key=lambda entry: (entry.id,))
        return pb.ListRateCardEntriesResponse(
            rate_card_entries=map(entry_to_pb, found), next_page_token=token
        )

    async def CreateRateCardEntry(
        self, request: pb.CreateRateCardEntryRequest, context: Context
    ) -> pb.RateCardEntry:
        entry = create_entry_from_pb(request)
        tenant_id = caller().tenant_id
        return await change(
            self._env,
            request,
            pb.RateCardEntry,
            lambda tx: rates.create_entry(tx, tenant_id, entry),
            entry_to_pb,
        )

    async def DiscoverRates(
        self, request: pb.DiscoverRatesRequest, context: Context
    ) -> pb.DiscoverRatesResponse:
        return await discover(self._env, self._snapshots, request)
