"""The servicer of WalletService."""

from datetime import datetime
from typing import Any
from uuid import UUID

from usage_management.v1 import wallet_service_pb2 as pb
from usage_management.v1 import wallet_service_pb2_grpc as rpc

from server.api import names, pages
from server.api.mapping.wallets.wallets import (
    entry_to_pb,
    grant_to_pb,
    list_grants_from_pb,
    list_wallets_from_pb,
    periods_to_pb,
    wallet_to_pb,
)
from server.api.reader import RequestReader, named
from server.api.transactions import caller, of_account, run_list, run_query
from server.env import Env
from server.usecases.billing import periods
from server.usecases.wallets import wallets


class WalletService(rpc.WalletServiceServicer):
    """Reads wallets, grants, ledger entries and periods."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetWallet(self, request: pb.GetWalletRequest, context: Any) -> pb.Wallet:
        account_id, wallet_id = named(request, "name", names.WALLET)
        wallet = await run_query(self._env, lambda tx: wallets.get(tx, account_id, wallet_id))
        return wallet_to_pb(wallet)

    async def ListWallets(
        self, request: pb.ListWalletsRequest, context: Any
    ) -> pb.ListWalletsResponse:
        account_id, only = list_wallets_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: wallets.list_wallets(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda current: (current.wallet.resource_id, current.wallet.id),
            wallet_to_pb,
            shape=(str, UUID),
        )
        return pb.ListWalletsResponse(wallets=messages, next_page_token=token)

    async def ListGrants(
        self, request: pb.ListGrantsRequest, context: Any
    ) -> pb.ListGrantsResponse:
        account_id, wallet_id, only = list_grants_from_pb(request)
        tenant_id = caller().tenant_id
        page = pages.read(request, tenant_id, self._env.seal, (datetime, UUID))
        current, grants = await run_query(
            self._env,
            lambda tx: wallets.list_grants(tx, account_id, wallet_id, only),
            snapshot=True,
        )
        # Current grants include issues that are not stored yet, so they are filtered here.
        rows = [one for one in grants if page.after is None or one.key > page.after]
        messages, token = pages.cut(
            page,
            rows[: page.limit],
            lambda one: one.key,
            lambda one: grant_to_pb(current.wallet, one),
            self._env.seal,
        )
        return pb.ListGrantsResponse(grants=messages, next_page_token=token)

    async def ListWalletEntries(
        self, request: pb.ListWalletEntriesRequest, context: Any
    ) -> pb.ListWalletEntriesResponse:
        account_id, wallet_id = named(request, "parent", names.WALLET)
        messages, token = await run_list(
            self._env,
            request,
            lambda tx, page: wallets.list_entries(
                tx,
                account_id,
                wallet_id,
                after=page.after[0] if page.after else 0,
                limit=page.limit,
            ),
            lambda pair: (pair[0].seq,),
            lambda pair: entry_to_pb(account_id, *pair),
            shape=(int,),
        )
        return pb.ListWalletEntriesResponse(wallet_entries=messages, next_page_token=token)

    async def PeriodAt(self, request: pb.PeriodAtRequest, context: Any) -> pb.PeriodAtResponse:
        reader = RequestReader(request)
        pattern = names.ASSET if "/assets/" in request.name else names.ACCOUNT
        account_id, *asset_ids = reader.name("name", pattern)
        time = reader.optional_time("time")
        reader.done()
        asset_id = asset_ids[0] if asset_ids else None
        rows = await run_query(
            self._env,
            lambda tx: periods.periods_of(tx, account_id, asset_id, time),
            snapshot=True,
        )
        return periods_to_pb(rows)
