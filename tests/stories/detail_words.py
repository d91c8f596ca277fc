"""Short words for usage details and the history of assets."""

from typing import Any

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
