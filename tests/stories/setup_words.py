"""Short words for the story of guided setup: descriptions, and what came of them."""

from decimal import Decimal
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import catalog_service_pb2 as catalog_rpc
from usage_management.v1 import order_service_pb2 as orders
from usage_management.v1 import policy_service_pb2 as policy_rpc
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import setup_service_pb2 as pb

from clients import UsageError
from clients.demo import EXAMPLES
from clients.descriptions import Description, read
from clients.pages import pages
from tests.stories.words import line

Step = pb.SetupStep


def request(content: dict[str, Any], **more: Any) -> pb.SetUpProductRequest:
    made = Description(content, {}).into(pb.SetUpProductRequest())
    made.MergeFrom(pb.SetUpProductRequest(**more))
    return made


def example(name: str) -> pb.SetUpProductRequest:
    return read(EXAMPLES / f"{name}.yaml").into(pb.SetUpProductRequest())


def described(product: str = "plan", *resources: str) -> dict[str, Any]:
    """A product that meters some resources by policies without names, and all it needs."""
    wanted = resources or ("texts",)
    return {
        "product": {"name": f"products/{product}", "usage_model_type": "ANCHOR"},
        "unit_classes": [
            {"name": "unitClasses/count", "kind": "USAGE", "default_unit": "unitsOfMeasure/piece"}
        ],
        "units_of_measure": [{"name": "unitsOfMeasure/piece", "unit_class": "unitClasses/count"}],
        "usage_resources": [
            {
                "name": f"usageResources/{one}",
                "category": "USAGE",
                "unit_class": "unitClasses/count",
            }
            for one in wanted
        ],
        "rate_cards": [{"name": "rateCards/base", "type": "BASE"}],
        "price_book": {"name": "priceBooks/book", "rate_cards": ["rateCards/base"]},
        "product_usage_resources": [held(product, one) for one in wanted],
    }


def held(product: str, resource: str, *, grants: int = 1) -> dict[str, Any]:
    return {
        "product_usage_resource": {"usage_resource": f"usageResources/{resource}"},
        "aggregation": {"method": "SUM", "period": "DAY"},
        "rating_frequency": {"period": "MONTH", "waiting_time": {"days": 3}},
        "overage": {"overage": "CHARGE"},
        "grants": [
            {
                "product_usage_grant": {
                    "name": f"products/{product}/grants/{resource}-{number}",
                    "quantity": 4000,
                    **(_year(number) if grants > 1 else {}),
                },
                "refresh": {"interval": {"unit": "MONTH", "count": 1}},
                "rollover": {},
            }
            for number in range(grants)
        ],
        "rate_card_entries": [entry(product, resource)],
    }


def _year(number: int) -> dict[str, str]:
    """Return the days of one year, because grants of one resource do not overlap."""
    return {"start_date": f"{2026 + number}-01-01", "end_date": f"{2027 + number}-01-01"}


def entry(product: str, resource: str, **more: Any) -> dict[str, Any]:
    return {
        "name": f"rateCards/base/entries/{product}-{resource}",
        "currency_code": "USD",
        "rate": {"value": Decimal("0.75"), "currency_code": "USD"},
        **more,
    }


def by_action(answer: pb.SetUpProductResponse) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in answer.steps:
        found.setdefault(Step.Action.Name(step.action), []).append(step.name)
    return found


async def policy_names(world) -> set[str]:
    """Every policy there is, of whatever kind."""
    rpc = world.client.policies
    lists = (
        (rpc.ListAggregationPolicies, policy_rpc.ListAggregationPoliciesRequest()),
        (rpc.ListRatingFrequencyPolicies, policy_rpc.ListRatingFrequencyPoliciesRequest()),
        (rpc.ListOveragePolicies, policy_rpc.ListOveragePoliciesRequest()),
        (rpc.ListRefreshPolicies, policy_rpc.ListRefreshPoliciesRequest()),
        (rpc.ListRolloverPolicies, policy_rpc.ListRolloverPoliciesRequest()),
    )
    return {one.name for method, asked in lists async for one in pages(method, asked)}


async def product_names(world) -> list[str]:
    asked = catalog_rpc.ListProductsRequest()
    return [one.name async for one in pages(world.client.catalog.ListProducts, asked)]


async def refused(world, wanted: pb.SetUpProductRequest) -> UsageError:
    with pytest.raises(UsageError) as caught:
        await world.client.setup.SetUpProduct(wanted)
    return caught.value


async def sell(world, account: str, book: str, product: str) -> list[assets.Asset]:
    """Sell a product from New Year under a book; the answer is its assets."""
    client = world.client
    wanted = quotes.Quote(price_book=book, lines=[line(product, "2026-01-01")])
    quote = await client.quotes.CreateQuote(quotes.CreateQuoteRequest(parent=account, quote=wanted))
    order = await client.orders.CreateOrder(orders.CreateOrderRequest(quote=quote.name))
    active = await client.orders.ActivateOrder(orders.ActivateOrderRequest(name=order.name))
    asked = [assets.GetAssetRequest(name=name) for name in active.assets]
    return [await client.assets.GetAsset(one) for one in asked]


SHARED = {
    "aggregationPolicies/sum-daily",
    "ratingFrequencyPolicies/monthly-after-3-days",
    "overagePolicies/overage-charge",
    "refreshPolicies/refresh-1-month",
    "rolloverPolicies/rollover-unlimited",
}


HELD = "product_usage_resources[0]"
