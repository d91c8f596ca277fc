"""Short words for quotes: what is negotiated, and what happens to a quote before it is ordered."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from clients.values import enum_name
from tests.stories.words import figure, moment, number, stamp
from tests.stories.world import World


def rate(value: object, resource: str = "calls") -> quotes.NegotiatedRate:
    """A negotiated base rate."""
    return quotes.NegotiatedRate(
        usage_resource=f"usageResources/{resource}",
        rate=types.Rate(value=number(value), currency_code="USD"),
    )


def grant(
    quantity: object | None = None, *, of: str = "products/plan/grants/calls-grant", **policies: Any
) -> quotes.NegotiatedGrant:
    """A negotiated grant."""
    made = quotes.NegotiatedGrant(product_usage_grant=of, **policies)
    if quantity is not None:
        made.quantity.CopyFrom(number(quantity))
    return made


async def act(world: World, name: str, quote: quotes.Quote, **fields: Any) -> quotes.Quote:
    """Clone, reprice, withdraw, approve or reject a quote."""
    request = getattr(quotes, f"{name}QuoteRequest")(name=quote.name, **fields)
    return await getattr(world.client.quotes, f"{name}Quote")(request)


async def update(
    world: World, quote: quotes.Quote, *lines: quotes.SaleLine, expires: str | None = None
) -> quotes.Quote:
    """Replace the lines of a quote, or its expiry."""
    changed = quotes.Quote(name=quote.name, etag=quote.etag, lines=lines)
    if expires is not None:
        changed.expire_time.CopyFrom(stamp(moment(expires)))
    paths = [*(["lines"] if lines else []), *(["expire_time"] if expires else [])]
    request = quotes.UpdateQuoteRequest(quote=changed, update_mask=FieldMask(paths=paths))
    return await world.client.quotes.UpdateQuote(request)


async def order(world: World, quote: quotes.Quote) -> orders.Order:
    """Order a quote."""
    return await world.client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))


async def activate(world: World, quote: quotes.Quote) -> list[assets.Asset]:
    """Order a quote and activate the order; the answer is an asset for each line."""
    made = await order(world, quote)
    active = await world.client.orders.ActivateOrder(orders.ActivateOrderRequest(name=made.name))
    requests = [assets.GetAssetRequest(name=name) for name in active.assets]
    return [await world.client.assets.GetAsset(request) for request in requests]


async def read(world: World, quote: quotes.Quote) -> quotes.Quote:
    return await world.client.quotes.GetQuote(quotes.GetQuoteRequest(name=quote.name))


def state(quote: quotes.Quote) -> str:
    return enum_name(quote, "state")


def beyond(quote: quotes.Quote) -> list[tuple[int, str, str, int, str]]:
    """The terms beyond a limit: line, resource, kind, limit and percent."""
    return [
        (
            one.line,
            one.usage_resource.removeprefix("usageResources/"),
            enum_name(one, "kind"),
            int(figure(one.limit_percent)),
            one.percent.value,
        )
        for one in quote.exceptions
    ]
