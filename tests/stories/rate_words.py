"""Short words for price books, rate cards and their entries, one by one."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import rate_service_pb2 as rates
from usage_management.v1 import types_pb2 as types

from clients.pages import pages
from tests.stories.words import Metered, changed, day, figure, number, resources
from tests.stories.world import World

DISCOUNTS = """
product: {name: products/commit, usage_model_type: TOKEN_COMMITMENT}
product_usage_resources:
"""
DISCOUNT = """
- product_usage_resource: {{usage_resource: usageResources/{0}}}
  rate_card_entries:
  - name: rateCards/tiers/entries/commit-{0}
    token_unit: unitsOfMeasure/credit
    tiers: {{tiers: [{{adjustment: {{kind: PERCENTAGE, value: {1}}}}}]}}
"""


DRAFT, ACTIVE, INACTIVE = (
    types.CATALOG_STATE_DRAFT,
    types.CATALOG_STATE_ACTIVE,
    types.CATALOG_STATE_INACTIVE,
)

Step = tuple[str, str | None, str, str]


async def shop(sandbox: Any, *metered: Metered) -> World:
    """A plan in force, without rates unless told, and a book of two cards."""
    world: World = await sandbox("2024-01-15")
    await world.product("plan", *(metered or (Metered(resource="data"), Metered(resource="sms"))))
    return world


async def listed(world: World, parent: str = "rateCards/-", **only: Any) -> list[str]:
    """The entries there are, as `card/entries/id`."""
    request = rates.ListRateCardEntriesRequest(parent=parent, page_size=2, **only)
    found = pages(world.client.rates.ListRateCardEntries, request)
    return [one.name.removeprefix("rateCards/") async for one in found]


async def card(world: World, name: str, kind: Any = "BASE", **fields: Any) -> rates.RateCard:
    request = rates.CreateRateCardRequest(
        rate_card_id=name, rate_card=rates.RateCard(type=kind, **days(**fields))
    )
    return await world.client.rates.CreateRateCard(request)


async def book(world: World, name: str, *cards: str) -> rates.PriceBook:
    made = rates.PriceBook(rate_cards=[f"rateCards/{one}" for one in cards])
    request = rates.CreatePriceBookRequest(price_book_id=name, price_book=made)
    return await world.client.rates.CreatePriceBook(request)


def priced(
    resource: str,
    value: str | None = None,
    *steps: Step,
    currency: str = "USD",
    per: str = "1",
    mode: Any = "VOLUME",
    bounds: Any = "LOWER_INCLUSIVE",
    product: str = "plan",
    **fields: Any,
) -> rates.RateCardEntry:
    """An entry with a base rate, or with tiers such as ("0", "10", "PERCENTAGE", "5")."""
    unit = {"currency_code": currency} if len(currency) == 3 else {"token_unit": currency}
    made = rates.RateCardEntry(
        product=f"products/{product}",
        usage_resource=f"usageResources/{resource}",
        **unit,
        **days(**fields),
    )
    if value is not None:
        made.rate.CopyFrom(types.Rate(value=number(value), per=number(per), **unit))
    if steps:
        tiers = [tier(*step) for step in steps]
        made.tiers.CopyFrom(types.RateTiers(tiers=tiers, mode=mode, bounds=bounds))
    return made


def adjusted(
    resource: str, *rows: tuple[dict[str, str], str, str], **fields: Any
) -> rates.RateCardEntry:
    """An entry with adjustments by attribute such as ({"region": "eu"}, "PERCENTAGE", "5")."""
    made = priced(resource, **fields)
    made.adjustments.extend(
        types.AttributeRow(
            attributes=attributes,
            adjustment=types.RateAdjustment(kind=kind, value=number(value)),
        )
        for attributes, kind, value in rows
    )
    return made


def tier(lower: str, upper: str | None, kind: Any, value: str) -> types.RateTier:
    made = types.RateTier(
        lower=number(lower), adjustment=types.RateAdjustment(kind=kind, value=number(value))
    )
    if upper is not None:
        made.upper.value = upper
    return made


def days(start: str | None = None, end: str | None = None, **fields: Any) -> dict[str, Any]:
    """Fields of a message, `start` and `end` being its days."""
    if start is not None:
        fields["start_date"] = day(start)
    if end is not None:
        fields["end_date"] = day(end)
    return fields


def adding(name: str, entry: rates.RateCardEntry) -> rates.CreateRateCardEntryRequest:
    """The creation of an entry `card/id`."""
    on, _, entry_id = name.partition("/")
    return rates.CreateRateCardEntryRequest(
        parent=f"rateCards/{on}", rate_card_entry_id=entry_id, rate_card_entry=entry
    )


async def add(world: World, name: str, entry: rates.RateCardEntry) -> rates.RateCardEntry:
    """Add an entry `card/id` as a draft."""
    return await world.client.rates.CreateRateCardEntry(adding(name, entry))


async def add_all(world: World, requests: Sequence[rates.CreateRateCardEntryRequest]) -> list[str]:
    """Add many entries at once; the answer is their names."""
    request = rates.BatchCreateRateCardEntriesRequest(requests=requests)
    return resources(await world.client.rates.BatchCreateRateCardEntries(request))


async def put(world: World, name: str, entry: rates.RateCardEntry) -> str:
    """Add an entry `card/id` and put it in force; the answer is its name."""
    made = await add(world, name, entry)
    await move(world, ACTIVE, made.name)
    return made.name


async def move(world: World, state: Any, *names: str) -> list[str]:
    """Put entries in another state; the answer is what changed."""
    request = rates.ChangeRateCardEntryStatesRequest(names=names, state=state)
    return changed(await world.client.rates.ChangeRateCardEntryStates(request))


async def get(world: World, name: str) -> rates.RateCardEntry:
    return await world.client.rates.GetRateCardEntry(rates.GetRateCardEntryRequest(name=name))


async def update(
    world: World, change: rates.RateCardEntry, *paths: str, **more: Any
) -> rates.RateCardEntry:
    """Change the named fields of an entry."""
    request = rates.UpdateRateCardEntryRequest(
        rate_card_entry=change, update_mask=FieldMask(paths=paths), **more
    )
    return await world.client.rates.UpdateRateCardEntry(request)


async def delete(world: World, name: str, **more: Any) -> None:
    request = rates.DeleteRateCardEntryRequest(name=name, **more)
    await world.client.rates.DeleteRateCardEntry(request)


async def cost(world: World, quantity: object, resource: str = "data", **more: Any) -> Decimal:
    """Return the cost of some overage of the plan by the catalog."""
    answer = await world.discover("plan", resource, quantity=number(quantity), **more)
    assert not answer.HasField("status"), answer
    return figure(answer.amount)
