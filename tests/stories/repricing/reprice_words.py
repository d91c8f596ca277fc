"""Short words for assets that move to the rates of another day."""

from typing import Any

from usage_management.v1 import asset_service_pb2 as assets

from tests.stories.rate_words import INACTIVE, move, priced, put
from tests.stories.words import Metered, day
from tests.stories.world import World

CALLS = Metered(resource="calls", grant="10", refresh="MONTH", rate="1")


async def shop(sandbox: Any) -> tuple[World, str]:
    """Calls, of which 10 a month are included, at 1; from 15 February on the catalog asks 2."""
    world = await sandbox("2024-01-10")
    await world.product("plan", CALLS)
    account = await world.account("ann")
    return world, account


async def dearer(world: World, value: str = "2", start: str = "2024-02-15") -> None:
    await move(world, INACTIVE, "rateCards/base/entries/plan-calls-USD")
    await put(world, f"base/dearer-{value}", priced("calls", value, start=start))


async def reprice(world: World, account: str, start: str, *named: Any, **more: Any) -> Any:
    return await world.client.assets.RepriceAssets(
        assets.RepriceAssetsRequest(
            parent=account, start_date=day(start), assets=[one.name for one in named], **more
        )
    )
