"""The servicer of AssetService."""

from typing import Any, TypeAlias

from grpc.aio import ServicerContext
from usage_management.v1 import asset_service_pb2 as pb
from usage_management.v1 import asset_service_pb2_grpc as rpc

from server.api import names
from server.api.mapping.selling.asset_changes import (
    asset_change_to_pb,
    list_asset_changes_from_pb,
)
from server.api.mapping.selling.assets import (
    asset_to_pb,
    link_commitment_from_pb,
    list_assets_from_pb,
    rebind_asset_from_pb,
    reprice_assets_from_pb,
    repriced_to_pb,
)
from server.api.reader import named
from server.api.transactions import (
    list_loaded_rows,
    of_account,
    run_list,
    run_mutation,
    run_query,
)
from server.env import Env
from server.usecases.lifecycle.commitment_links import link_commitment
from server.usecases.lifecycle.rebinding import rebind_asset
from server.usecases.lifecycle.repricing import reprice_assets
from server.usecases.selling import asset_changes, assets

Context: TypeAlias = ServicerContext[Any, Any]


class AssetService(rpc.AssetServiceServicer):
    """Reads assets with the terms that they were sold with, and acts on them."""

    def __init__(self, env: Env) -> None:
        self._env = env

    async def GetAsset(self, request: pb.GetAssetRequest, context: Context) -> pb.Asset:
        account_id, asset_id = named(request, "name", names.ASSET)
        return asset_to_pb(
            await run_query(self._env, lambda tx: assets.get(tx, account_id, asset_id))
        )

    async def ListAssets(
        self, request: pb.ListAssetsRequest, context: Context
    ) -> pb.ListAssetsResponse:
        account_id, only = list_assets_from_pb(request)
        messages, token = await run_list(
            self._env,
            request,
            of_account(
                account_id,
                lambda tx, page: assets.list_assets(
                    tx, account_id, only, after=page.after, limit=page.limit
                ),
            ),
            lambda asset: (asset.number,),
            asset_to_pb,
            shape=(int,),
        )
        return pb.ListAssetsResponse(assets=messages, next_page_token=token)

    async def ListAssetChanges(
        self, request: pb.ListAssetChangesRequest, context: Context
    ) -> pb.ListAssetChangesResponse:
        query = list_asset_changes_from_pb(request)
        found = await run_query(
            self._env, lambda tx: asset_changes.list_changes(tx, query), snapshot=True
        )
        messages, token = list_loaded_rows(
            self._env, request, found, lambda change: asset_change_to_pb(query.account_id, change)
        )
        return pb.ListAssetChangesResponse(asset_changes=messages, next_page_token=token)

    async def RepriceAssets(
        self, request: pb.RepriceAssetsRequest, context: Context
    ) -> pb.RepriceAssetsResponse:
        command = reprice_assets_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.RepriceAssetsResponse,
            lambda tx: reprice_assets(tx, command),
            lambda found: repriced_to_pb(command.account_id, found),
        )

    async def RebindAsset(self, request: pb.RebindAssetRequest, context: Context) -> pb.Asset:
        command = rebind_asset_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Asset,
            lambda tx: rebind_asset(tx, command),
            asset_to_pb,
        )

    async def LinkCommitment(self, request: pb.LinkCommitmentRequest, context: Context) -> pb.Asset:
        command = link_commitment_from_pb(request)
        return await run_mutation(
            self._env,
            request,
            pb.Asset,
            lambda tx: link_commitment(tx, command),
            asset_to_pb,
        )
