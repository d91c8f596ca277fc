"""Short words for assets that follow the catalog, and the dated changes of the catalog."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients.pages import pages
from tests.stories.words import day, figure, line, number
from tests.stories.world import World

FROZEN, FOLLOWING = quotes.RATE_BASIS_FROZEN, quotes.RATE_BASIS_FOLLOW_CATALOG
ENTRY = "rateCards/base/entries/plan-calls-USD"


def following(product: str, start: str, **more: Any) -> quotes.SaleLine:
    """A line whose rates follow the catalog."""
    made = line(product, start, **more)
    made.rate_basis = FOLLOWING
    return made


async def supersede(world: World, start: str, value: str, name: str = ENTRY) -> str:
    """End the entry in force on a day, and begin another rate; the answer is its name."""
    answer = await world.client.rates.SupersedeRateCardEntry(
        rates.SupersedeRateCardEntryRequest(
            name=name,
            rate_card_entry_id=f"from-{start}",
            start_date=day(start),
            rate_card_entry=rates.RateCardEntry(
                rate=types.Rate(value=number(value), currency_code="USD")
            ),
            update_mask=FieldMask(paths=["rate"]),
        )
    )
    return answer.successor.name


async def rates_of(world: World, asset: Any) -> list[tuple[str, str, str]]:
    """The changes of the rate of an asset: the act, the day, and the rate from then on."""
    request = assets.ListAssetChangesRequest(parent=asset.name)
    found = []
    async for one in pages(world.client.assets.ListAssetChanges, request):
        date = one.effective_date
        act = assets.AssetChange.Act.Name(one.act)
        found += [
            (act, f"{date.year}-{date.month:02}-{date.day:02}", change.after)
            for change in one.field_changes
            if change.field == "rate"
        ]
    return found


async def now(world: World, asset: Any) -> assets.Asset:
    return await world.client.assets.GetAsset(assets.GetAssetRequest(name=asset.name))


async def rate_now(world: World, asset: Any) -> Any:
    return figure((await now(world, asset)).resources[0].terms.rate.value)


def gaps(asset: assets.Asset) -> list[int]:
    """The kinds of hints about an asset."""
    return [one.code for one in asset.warnings]
