"""The asset that meters a resource of an account, where usage does not name it."""

import asyncio
from collections.abc import Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

import grpc
from usage_management.v1 import account_service_pb2 as accounts
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import catalog_resources_pb2 as catalog

from clients.client import UsageClient
from clients.errors import UsageError
from clients.pages import pages
from clients.values import day

# An account and a resource, by their ids.
Key = tuple[str, str]

AT_ONCE = 8
# More accounts than a batch has; beyond it all are forgotten and asked for again.
MOST_KEPT = 20_000
# A credential that only records may not list assets.
NEEDS_IT = ". Usage without an asset needs it; "
OF_A_FILE = "name one with --asset, or a column with --asset-column"
OF_ONE_ACCOUNT = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})


class AssetLookup:
    """Finds the only asset, and keeps what the service answered for each account and resource.

    `advice` says how to name an asset, for those who have to.
    """

    def __init__(self, client: UsageClient, advice: str = OF_A_FILE) -> None:
        self._client = client
        self._advice = advice
        self._assets: dict[Key, list[assets.Asset] | UsageError] = {}
        self._zones: dict[str, ZoneInfo] = {}

    async def load(self, keys: Iterable[Key]) -> None:
        """Ask the service for what is not known yet. Raises UsageError when a call fails."""
        if len(self._assets) > MOST_KEPT:
            self._assets.clear()
            self._zones.clear()
        slots = asyncio.Semaphore(AT_ONCE)
        wanted = set(keys) - self._assets.keys()
        await asyncio.gather(*(self._load(key, slots) for key in wanted))

    def name(self, key: Key, usage_time: datetime) -> str:
        """Return the only asset that meters the resource at that time, of those that are loaded.

        Raises UsageError if there is none, or more than one.
        """
        account, resource = f"accounts/{key[0]}", f"usageResources/{key[1]}"
        found = self._assets[key]
        if isinstance(found, UsageError):
            raise found
        if not found:
            raise UsageError(
                grpc.StatusCode.NOT_FOUND,
                "ASSET_NOT_FOUND",
                f"{account} has no asset that meters {resource}",
            )
        if len(found) == 1:
            return found[0].name
        on = usage_time.astimezone(self._zones[key[0]]).date()
        metering = [asset for asset in found if _is_in_effect(asset, on)]
        if len(metering) == 1:
            return metering[0].name
        ids = ", ".join(asset.name.rpartition("/")[2] for asset in metering or found)
        raise UsageError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "ASSET_AMBIGUOUS",
            f"{account} has {len(metering) or 'no'} assets that meter {resource} on {on};"
            f" {self._advice}: {ids}",
        )

    async def _load(self, key: Key, slots: asyncio.Semaphore) -> None:
        account, resource = f"accounts/{key[0]}", f"usageResources/{key[1]}"
        request = assets.ListAssetsRequest(parent=account, usage_resource=resource)
        async with slots:
            try:
                # Usage is recorded for anchors; packs and commitments add to what these meter.
                found = [
                    asset
                    async for asset in pages(self._client.assets.ListAssets, request)
                    if asset.usage_model_type == catalog.Product.ANCHOR
                ]
                if len(found) > 1:
                    answer = await self._client.accounts.GetAccount(
                        accounts.GetAccountRequest(name=account)
                    )
                    self._zones[key[0]] = ZoneInfo(answer.time_zone)
            except UsageError as error:
                if error.code is grpc.StatusCode.PERMISSION_DENIED:
                    error.message += f"{NEEDS_IT}{self._advice}"
                if error.code not in OF_ONE_ACCOUNT:
                    raise
                self._assets[key] = error
                return
        self._assets[key] = found


def _is_in_effect(asset: assets.Asset, on: date) -> bool:
    ended = asset.HasField("end_date") and day(asset.end_date) <= on
    return day(asset.start_date) <= on and not ended
