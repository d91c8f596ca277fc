"""The servicer of QuoteService."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from usage_management.v1 import quote_service_pb2 as pb
from usage_management.v1 import quote_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.selling.quotes import (
    ActRequest,
    clone_quote_from_pb,
    create_quote_from_pb,
    list_quotes_from_pb,
    quote_act_from_pb,
    quote_to_pb,
    update_quote_from_pb,
)
from server.api.reader import named
from server.api.transactions import of_account, run_list, run_mutation, run_query
from server.domain.limits import check_lines
from server.domain.selling.sales import Quote
from server.env import Env
from server.store.connection import Transaction
from server.usecases.selling import quotes
from server.usecases.selling.quotes import QuoteAct

Context: TypeAlias = ServicerContext[Any, Any]
Act: TypeAlias = Callable[[Transaction, QuoteAct], Awaitable[Quote]]


class QuoteService(rpc.QuoteServiceServicer):
    """Creates, changes and reads quotes, which freeze policies and rates."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetQuote(self, request: pb.GetQuoteRequest, context: Context) -> pb.Quote:
        account_id, quote_id = named(request, "name", names.QUOTE)
        return quote_to_pb(
            await run_query(self._env, lambda tx: quotes.get(tx, account_id, quote_id))
        )

    async def ListQuotes(
        self, request: pb.ListQuotesRequest, context: Context
    ) -> pb.ListQuotesResponse:
        account_id, only = list_quotes_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: quotes.list_quotes(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda quote: (quote.audit.create_time, quote.id),
            quote_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListQuotesResponse(quotes=messages, next_page_token=token)

    async def CreateQuote(self, request: pb.CreateQuoteRequest, context: Context) -> pb.Quote:
        check_lines(len(request.quote.lines), most=self._env.config.quote_lines)
        command = create_quote_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Quote,
            lambda tx: quotes.create(tx, command),
            quote_to_pb,
        )

    async def UpdateQuote(self, request: pb.UpdateQuoteRequest, context: Context) -> pb.Quote:
        check_lines(len(request.quote.lines), most=self._env.config.quote_lines)
        command = update_quote_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Quote,
            lambda tx: quotes.update(tx, command),
            quote_to_pb,
        )

    async def CloneQuote(self, request: pb.CloneQuoteRequest, context: Context) -> pb.Quote:
        source, expire_time = clone_quote_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Quote,
            lambda tx: quotes.clone(tx, source, expire_time),
            quote_to_pb,
        )

    async def RepriceQuote(self, request: pb.RepriceQuoteRequest, context: Context) -> pb.Quote:
        return await self._act(request, quotes.reprice)

    async def WithdrawQuote(self, request: pb.WithdrawQuoteRequest, context: Context) -> pb.Quote:
        return await self._act(request, quotes.withdraw)

    async def ApproveQuote(self, request: pb.ApproveQuoteRequest, context: Context) -> pb.Quote:
        return await self._act(request, quotes.approve)

    async def RejectQuote(self, request: pb.RejectQuoteRequest, context: Context) -> pb.Quote:
        return await self._act(request, quotes.reject)

    async def _act(self, request: ActRequest, act: Act) -> pb.Quote:
        asked = quote_act_from_pb(request)
        return await run_mutation(
            self._env, request, pb.Quote, lambda tx: act(tx, asked), quote_to_pb
        )
