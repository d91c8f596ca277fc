"""Short words for usage details and the history of assets."""

from typing import Any

from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import usage_details_service_pb2 as details

from clients.pages import pages
from tests.stories.world import World


async def detail_list(world: World, parent: str, **only: Any) -> list[details.UsageDetail]:
    """All usage details of a quote, an order, an asset or a target."""
    request = details.ListUsageDetailsRequest(parent=parent, **only)
    return [one async for one in pages(world.client.usage_details.ListUsageDetails, request)]


def of_resource(detail: details.UsageDetail) -> str:
    """The id of the resource of a detail."""
    return detail.resource.usage_resource.removeprefix("usageResources/")


async def history(world: World, asset: str, **only: Any) -> list[assets.AssetChange]:
    """All changes of an asset."""
    request = assets.ListAssetChangesRequest(parent=asset, **only)
    return [one async for one in pages(world.client.assets.ListAssetChanges, request)]


def fields(change: assets.AssetChange) -> dict[str, tuple[str, str]]:
    """The fields of a change with their values before and after."""
    return {one.field: (one.before, one.after) for one in change.field_changes}
