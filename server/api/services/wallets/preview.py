"""The servicer of PreviewService."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from usage_management.v1 import preview_service_pb2 as pb
from usage_management.v1 import preview_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.billing import replay as replay_mapping
from server.api.mapping.billing.rating_batches import (
    create_rating_batch_from_pb,
    rating_batch_to_pb,
)
from server.api.mapping.wallets import preview as mapping
from server.api.mapping.wallets.wallets import spend_to_pb
from server.api.reader import named
from server.api.transactions import of_account, run_list, run_mutation, run_query, run_trial
from server.api.values import decimal_pb, time_pb
from server.env import Env
from server.store.billing import rating_batches as request_store
from server.usecases.billing import replay
from server.usecases.intake import preview, rating_batches
from server.usecases.intake.quote_preview import preview_quote


class PreviewService(rpc.PreviewServiceServicer):
    """Previews and replays the drawdown and rating of usage, and runs rating batches."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def PreviewUsage(
        self, request: pb.PreviewUsageRequest, context: Any
    ) -> pb.PreviewUsageResponse:
        (account_id,) = named(request, "parent", names.ACCOUNT)
        command = mapping.preview_usage_from_pb(account_id, request)
        inputs = await run_query(
            self._env, lambda tx: preview.read_inputs(tx, command), snapshot=True
        )
        answer = pb.PreviewUsageResponse(as_of_time=time_pb(inputs.now))
        previews, last = preview.previews(inputs), None
        # In a thread, one line at a time, so that other calls can run and the deadline can end it.
        while (line := await asyncio.to_thread(next, previews, None)) is not None:
            answer.previews.append(mapping.preview_to_pb(inputs, line))
            last = line
        spend = preview.spend_after(inputs, last)
        answer.committed_spend.extend(spend_to_pb(account_id, one) for one in spend)
        return answer

    async def PreviewQuote(
        self, request: pb.PreviewQuoteRequest, context: Any
    ) -> pb.PreviewQuoteResponse:
        command = mapping.preview_quote_from_pb(request)
        found = await run_trial(self._env, lambda tx: preview_quote(tx, command))
        inputs, currency_code = found.inputs, found.currency_code
        answer = pb.PreviewQuoteResponse(
            as_of_time=time_pb(inputs.now), currency_code=currency_code
        )
        previews, last = preview.previews(inputs), None
        while (line := await asyncio.to_thread(next, previews, None)) is not None:
            answer.previews.append(mapping.quote_preview_to_pb(inputs, line))
            last = line
        for one in preview.spend_after(inputs, last):
            answer.committed_spend.append(spend_to_pb(command.account_id, one))
            if one.asset_id in found.asset_ids:
                answer.committed_spend[-1].asset = ""
        amount = mapping.total_of(answer.previews, currency_code)
        if amount is not None:
            answer.amount.CopyFrom(decimal_pb(amount))
        return answer

    async def ReplayRates(
        self, request: pb.ReplayRatesRequest, context: Any
    ) -> pb.ReplayRatesResponse:
        command = replay_mapping.replay_rates_from_pb(request)
        lines = await run_query(self._env, lambda tx: replay.replay(tx, command), snapshot=True)
        return replay_mapping.replay_to_pb(command.account_id, lines)

    async def CreateRatingBatch(
        self, request: pb.CreateRatingBatchRequest, context: Any
    ) -> pb.RatingBatch:
        command = create_rating_batch_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RatingBatch,
            lambda tx: rating_batches.create(tx, command),
            rating_batch_to_pb,
        )

    async def GetRatingBatch(
        self, request: pb.GetRatingBatchRequest, context: Any
    ) -> pb.RatingBatch:
        account_id, request_id = named(request, "name", names.RATING_BATCH)
        return rating_batch_to_pb(
            await run_query(
                self._env,
                lambda tx: request_store.get(tx, account_id, request_id),
            )
        )

    async def ListRatingBatches(
        self, request: pb.ListRatingBatchesRequest, context: Any
    ) -> pb.ListRatingBatchesResponse:
        (account_id,) = named(request, "parent", names.ACCOUNT)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: rating_batches.list_requests(
                    tx, account_id, after=page.after, limit=page.limit
                ),
            ),
            lambda batch: (batch.audit.create_time, batch.id),
            rating_batch_to_pb,
            shape=(datetime, UUID),
        )
        return pb.ListRatingBatchesResponse(rating_batches=messages, next_page_token=token)
