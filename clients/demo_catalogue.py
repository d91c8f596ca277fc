"""What the demo sells: an AI platform by tokens, rendered images and storage.

Every create may be repeated: the same content is answered with what is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from usage.v1 import catalog_resources_pb2 as catalog
from usage.v1 import catalog_service_pb2 as catalog_rpc
from usage.v1 import policy_resources_pb2 as policies
from usage.v1 import policy_service_pb2 as policy_rpc
from usage.v1 import rate_service_pb2 as rates
from usage.v1 import types_pb2 as types

from clients.client import UsageClient
from clients.values import decimal_pb

PRODUCT = "nimbus-ai"
PRICE_BOOK = "priceBooks/europe"
CURRENCY = "EUR"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A resource of the product: its unit, what is included, and what the rest costs."""

    resource: str
    unit: str
    scale: int
    method: str
    included: int
    rolls_over: bool
    rate: str
    per: int = 1


OFFERS = (
    Offer(
        resource="tokens",
        unit="token",
        scale=0,
        method="SUM",
        included=5 * MILLION,
        rolls_over=False,
        rate="12",
        per=MILLION,
    ),
    Offer(
        resource="images",
        unit="image",
        scale=0,
        method="SUM",
        included=400,
        rolls_over=True,
        rate="0.04",
    ),
    Offer(
        resource="storage",
        unit="gigabyte-day",
        scale=3,
        method="PEAK",
        included=600,
        rolls_over=False,
        rate="0.021",
    ),
)

# Overage in millions of tokens, and what it takes off the rate of all of it.
VOLUME = ((0, 10, 0), (10, 50, 15), (50, None, 30))


async def define(client: UsageClient) -> None:
    """Define the product and all it needs, and put it in force."""
    await _policies(client)
    product = catalog.Product(
        display_name="Nimbus AI platform", usage_model_type=catalog.Product.ANCHOR
    )
    await client.catalog.CreateProduct(
        catalog_rpc.CreateProductRequest(product_id=PRODUCT, product=product)
    )
    for offer in OFFERS:
        await _resource(client, offer)
        await _promise(client, offer)
    await _rates(client)
    await client.catalog.ActivateProduct(
        catalog_rpc.ActivateProductRequest(name=f"products/{PRODUCT}")
    )


async def _policies(client: UsageClient) -> None:
    rpc = client.policies
    for name, method in (
        ("sum-by-day", policies.AggregationPolicy.SUM),
        ("peak-by-day", policies.AggregationPolicy.PEAK),
    ):
        aggregation = policies.AggregationPolicy(
            method=method,
            period=policies.AggregationPolicy.DAILY,
            combine=policies.AggregationPolicy.COMBINE_SUM,
        )
        await rpc.CreateAggregationPolicy(
            policy_rpc.CreateAggregationPolicyRequest(
                aggregation_policy_id=name, aggregation_policy=aggregation
            )
        )
    frequency = policies.RatingFrequencyPolicy(
        period=policies.RatingFrequencyPolicy.MONTHLY,
        waiting_time=policies.RatingFrequencyPolicy.WaitingTime(days=3),
        late_policy=policies.RatingFrequencyPolicy.NEXT_PERIOD,
    )
    await rpc.CreateRatingFrequencyPolicy(
        policy_rpc.CreateRatingFrequencyPolicyRequest(
            rating_frequency_policy_id="monthly-after-3-days", rating_frequency_policy=frequency
        )
    )
    await rpc.CreateOveragePolicy(
        policy_rpc.CreateOveragePolicyRequest(
            overage_policy_id="charged",
            overage_policy=policies.OveragePolicy(overage=policies.OveragePolicy.CHARGE),
        )
    )
    monthly = types.Cadence(unit=types.Cadence.MONTH, count=1)
    await rpc.CreateRefreshPolicy(
        policy_rpc.CreateRefreshPolicyRequest(
            refresh_policy_id="monthly", refresh_policy=policies.RefreshPolicy(interval=monthly)
        )
    )
    await rpc.CreateRolloverPolicy(
        policy_rpc.CreateRolloverPolicyRequest(
            rollover_policy_id="once", rollover_policy=policies.RolloverPolicy(max_rollovers=1)
        )
    )


async def _resource(client: UsageClient, offer: Offer) -> None:
    rpc, unit_class = client.catalog, f"unitClasses/{offer.resource}"
    await rpc.CreateUnitClass(
        catalog_rpc.CreateUnitClassRequest(
            unit_class_id=offer.resource,
            unit_class=catalog.UnitClass(
                kind=catalog.UnitClass.USAGE, default_unit=f"unitsOfMeasure/{offer.unit}"
            ),
        )
    )
    await rpc.CreateUnitOfMeasure(
        catalog_rpc.CreateUnitOfMeasureRequest(
            unit_of_measure_id=offer.unit,
            unit_of_measure=catalog.UnitOfMeasure(unit_class=unit_class, scale=offer.scale),
        )
    )
    await rpc.CreateUsageResource(
        catalog_rpc.CreateUsageResourceRequest(
            usage_resource_id=offer.resource,
            usage_resource=catalog.UsageResource(
                category=catalog.UsageResource.USAGE, unit_class=unit_class
            ),
        )
    )


async def _promise(client: UsageClient, offer: Offer) -> None:
    product = f"products/{PRODUCT}"
    counted = "peak-by-day" if offer.method == "PEAK" else "sum-by-day"
    await client.catalog.CreateProductUsageResource(
        catalog_rpc.CreateProductUsageResourceRequest(
            parent=product,
            product_usage_resource=catalog.ProductUsageResource(
                usage_resource=f"usageResources/{offer.resource}",
                policies=catalog.ResourcePolicies(
                    aggregation_policy=f"aggregationPolicies/{counted}",
                    rating_frequency_policy="ratingFrequencyPolicies/monthly-after-3-days",
                    overage_policy="overagePolicies/charged",
                ),
            ),
        )
    )
    await client.catalog.CreateProductUsageGrant(
        catalog_rpc.CreateProductUsageGrantRequest(
            parent=product,
            product_usage_grant_id=f"included-{offer.resource}",
            product_usage_grant=catalog.ProductUsageGrant(
                product_usage_resource=f"{product}/usageResources/{offer.resource}",
                quantity=decimal_pb(offer.included),
                refresh_policy="refreshPolicies/monthly",
                rollover_policy="rolloverPolicies/once" if offer.rolls_over else "",
            ),
        )
    )


async def _rates(client: UsageClient) -> None:
    cards = (("list-prices", rates.RateCard.BASE), ("volume", rates.RateCard.TIER))
    for name, kind in cards:
        await client.rates.CreateRateCard(
            rates.CreateRateCardRequest(rate_card_id=name, rate_card=rates.RateCard(type=kind))
        )
    book = rates.PriceBook(rate_cards=[f"rateCards/{name}" for name, _ in cards])
    await client.rates.CreatePriceBook(
        rates.CreatePriceBookRequest(
            price_book_id=PRICE_BOOK.removeprefix("priceBooks/"), price_book=book
        )
    )
    for offer in OFFERS:
        rate = types.Rate(
            value=decimal_pb(Decimal(offer.rate)),
            per=decimal_pb(offer.per),
            currency_code=CURRENCY,
        )
        await _entry(client, "list-prices", offer, {"rate": rate})
    await _entry(client, "volume", OFFERS[0], {"tiers": volume_tiers()})


async def _entry(client: UsageClient, card: str, offer: Offer, terms: Mapping[str, Any]) -> None:
    entry = rates.RateCardEntry(
        product=f"products/{PRODUCT}",
        usage_resource=f"usageResources/{offer.resource}",
        currency_code=CURRENCY,
        **terms,
    )
    await client.rates.CreateRateCardEntry(
        rates.CreateRateCardEntryRequest(
            parent=f"rateCards/{card}",
            rate_card_entry_id=f"{PRODUCT}-{offer.resource}",
            rate_card_entry=entry,
        )
    )


def volume_tiers() -> types.RateTiers:
    """The volume discounts on tokens."""
    tiers = types.RateTiers()
    for lower, upper, percent in VOLUME:
        adjustment = types.RateAdjustment(
            kind=types.RateAdjustment.PERCENTAGE, value=decimal_pb(percent)
        )
        tier = tiers.tiers.add(lower=decimal_pb(lower * MILLION), adjustment=adjustment)
        if upper is not None:
            tier.upper.CopyFrom(decimal_pb(upper * MILLION))
    return tiers
