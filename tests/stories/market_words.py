"""Short words for usage with labels, sold in two regions."""

from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import rate_service_pb2 as rates

from tests.stories.rate_words import adjusted, card, put, shop
from tests.stories.words import Metered, usage

EU, US = {"region": "eu"}, {"region": "us"}


async def market(sandbox, *rows, **metered):
    """A plan of data at 10 a unit, told apart by region and model, with adjustments of that."""
    told = {"dimensions": ("region", "model"), "rate": "10", **metered}
    world = await shop(sandbox, Metered(resource="data", **told))
    await card(world, "places", "ATTRIBUTE")
    change = rates.UpdatePriceBookRequest(
        price_book=rates.PriceBook(
            name="priceBooks/book",
            rate_cards=["rateCards/base", "rateCards/tiers", "rateCards/places"],
        ),
        update_mask=FieldMask(paths=["rate_cards"]),
    )
    await world.client.rates.UpdatePriceBook(change)
    if rows:
        await put(world, "places/data", adjusted("data", *rows))
    return world


async def used(world, asset, *acts) -> None:
    """Record (day, quantity, labels) of data, all of which is kept."""
    records = [usage(asset, "data", day, quantity, **labels) for day, quantity, labels in acts]
    for outcome in await world.record(records):
        assert outcome.code == consumption.RecordOutcome.ACCEPTED, outcome
