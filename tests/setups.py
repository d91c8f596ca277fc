"""Setups of a product for the validator: a plain one, and each part of it as a test wants it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from server.domain.audit import Audit
from server.domain.calendar import Cadence, CadenceUnit, PolicyPeriod
from server.domain.ids import (
    PolicyId,
    PriceBookId,
    ProductGrantId,
    ProductId,
    ProductResourceId,
    RateCardId,
    RateEntryId,
    ResourceId,
    UnitClassId,
    UnitId,
)
from server.domain.modeling.catalog import (
    Aggregation,
    CatalogState,
    Category,
    PolicyIds,
    Product,
    ProductGrant,
    ProductResource,
    StoredRecord,
    UnitClass,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    LatePolicy,
    OveragePolicy,
    PolicySource,
    PolicySources,
    RatingFrequency,
)
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.domain.modeling.units import UnitClassKind
from server.domain.rating.rate_cards import (
    PriceBook,
    RateCard,
    RateCardEntry,
    RateCardType,
)
from server.domain.rating.rates import Adjustment, AdjustmentKind, AttributeRow, Rate, Tier
from server.domain.validation import EffectiveDays, Metered, Promise, Scope, Setup

ACTIVE, DRAFT, INACTIVE = CatalogState.ACTIVE, CatalogState.DRAFT, CatalogState.INACTIVE
BASE, TIERS, SPARE = RateCardId("base"), RateCardId("tiers"), RateCardId("spare")
PLACES = RateCardId("places")
DAILY, MONTHLY = PolicyPeriod.DAY, PolicyPeriod.MONTH
MONTH = Cadence(CadenceUnit.MONTH)
NOW = datetime(2024, 1, 1, tzinfo=UTC)
TODAY = date(2024, 3, 1)


def kept(content: Any, state: CatalogState = ACTIVE) -> StoredRecord[Any]:
    return StoredRecord(content, state, 1, Audit.at(NOW))


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def unit(id_: str = "call", scale: int = 0, class_id: str = "calls") -> UnitOfMeasure:
    return UnitOfMeasure(
        id=UnitId(id_),
        display_name="",
        unit_class_id=UnitClassId(class_id),
        factor=Decimal(1),
        scale=scale,
    )


CALL = unit()


def aggregation(id_: str, method: AggregationMethod) -> Aggregation:
    usual = AggregationPolicy.usual(method)
    return Aggregation(
        id=PolicyId(id_),
        display_name="",
        method=method,
        period=usual.period,
        combine=usual.combine,
    )


def metered(
    resource: str = "calls",
    *,
    start: str | None = None,
    end: str | None = None,
    state: CatalogState = ACTIVE,
    counted: UnitOfMeasure | None = CALL,
    kind: UnitClassKind = UnitClassKind.USAGE,
    overage: OveragePolicy = OveragePolicy.CHARGE,
    rating: PolicyPeriod = MONTHLY,
    accumulation: PolicyPeriod = DAILY,
    frequency: str | None = "monthly",
    **more: Any,
) -> Metered:
    held = ProductResource(
        product_id=ProductId("plan"),
        id=ProductResourceId(more.pop("held_id", resource)),
        resource_id=ResourceId(resource),
        start_date=day(start),
        end_date=day(end),
        policies=PolicyIds(),
    )
    sold = counted and SoldPolicies(
        wallet=WalletPolicies(
            unit_id=counted.id,
            aggregation=AggregationPolicy.usual(AggregationMethod.SUM, accumulation),
            rating=RatingFrequency(period=rating),
            late=LatePolicy.NEXT_PERIOD,
        ),
        overage=overage,
        sources=PolicySources(
            rating_frequency=PolicySource(id=PolicyId(frequency)) if frequency else PolicySource()
        ),
    )
    return Metered(
        held=kept(held, state),
        resource=UsageResource(
            id=ResourceId(resource),
            display_name="",
            category=Category.USAGE,
            unit_class_id=UnitClassId("calls"),
            unit_id=None,
            policies=PolicyIds(),
        ),
        unit_class=UnitClass(
            id=UnitClassId("calls"), display_name="", kind=kind, default_unit_id=None
        ),
        unit=counted,
        sold=sold,
        **more,
    )


def counted_by(
    method: AggregationMethod, late: LatePolicy = LatePolicy.NEXT_PERIOD, **more: Any
) -> Metered:
    """A resource whose usage adds up so, and that takes late usage so."""
    made = metered(**more)
    assert made.sold is not None
    wallet = made.sold.wallet
    counted = replace(wallet.aggregation, method=method)
    sold = replace(made.sold, wallet=replace(wallet, aggregation=counted, late=late))
    return replace(made, sold=sold)


def promise(
    *,
    resource: str = "calls",
    quantity: str = "100",
    unit_id: str | None = None,
    validity: Cadence | None = None,
    refresh: Cadence | None = None,
    rollover: str | None = None,
    state: CatalogState = ACTIVE,
    **more: Any,
) -> Promise:
    grant = ProductGrant(
        product_id=ProductId("plan"),
        id=ProductGrantId("included"),
        display_name="",
        held_id=ProductResourceId(resource),
        quantity=Decimal(quantity),
        unit_id=UnitId(unit_id) if unit_id else None,
        validity=validity,
        refresh_id=PolicyId("renewed") if refresh else None,
        rollover_id=PolicyId(rollover) if rollover else None,
    )
    return Promise(grant=kept(grant, state), refresh=refresh, **more)


def entry(
    rate: str | None = "0.5",
    *tiers: Tier,
    id_: str = "one",
    card: RateCardId | None = None,
    resource: str = "calls",
    currency: str = "USD",
    start: str | None = None,
    end: str | None = None,
    per: str = "1",
    state: CatalogState = CatalogState.ACTIVE,
) -> RateCardEntry:
    value = rate and Rate(value=Decimal(rate), per=Decimal(per), unit=UnitId(currency))
    return RateCardEntry(
        id=RateEntryId(id_),
        card_id=card or (BASE if rate else TIERS),
        product_id=ProductId("plan"),
        resource_id=ResourceId(resource),
        currency_code=currency,
        rate=value or None,
        per=Decimal(per),
        tiers=tiers,
        start=day(start),
        end=day(end),
        state=state,
    )


def regional(kind: str, value: str) -> RateCardEntry:
    """An adjustment of the rate for one region."""
    adjustment = Adjustment(kind=AdjustmentKind(kind), value=Decimal(value))
    row = AttributeRow(attributes=(("region", "eu"),), adjustment=adjustment)
    return replace(entry(None, id_="regional", card=PLACES), adjustments=(row,))


def tier(kind: str, value: str, lower: str = "0", upper: str | None = None) -> Tier:
    return Tier(
        lower=Decimal(lower),
        upper=Decimal(upper) if upper else None,
        adjustment=Adjustment(kind=AdjustmentKind(kind), value=Decimal(value)),
    )


def setup(
    *resources: Metered,
    grants: tuple[Promise, ...] = (),
    entries: tuple[RateCardEntry, ...] | None = None,
    card_end: str | None = None,
    **more: Any,
) -> Setup:
    """A product with one resource and its rate, unless told otherwise, looked at on 1 March."""
    card_types = {
        BASE: RateCardType.BASE,
        TIERS: RateCardType.TIER,
        PLACES: RateCardType.ATTRIBUTE,
        SPARE: RateCardType.BASE,
    }
    usual: dict[str, Any] = {
        "product": kept(
            Product(id=ProductId("plan"), display_name="", usage_model_type=UsageModelType.ANCHOR)
        ),
        "resources": resources or (metered(),),
        "grants": grants,
        "entries": (entry(),) if entries is None else entries,
        "cards": {
            id_: RateCard(id=id_, type=type_, end=day(card_end))
            for id_, type_ in card_types.items()
        },
        "books": (
            PriceBook(
                id=PriceBookId("book"),
                card_ids=(BASE, TIERS),
            ),
        ),
        "currencies": frozenset({"USD", "EUR"}),
        "scope": Scope(days=EffectiveDays(TODAY)),
    }
    return Setup(**(usual | more))


def product_in(state: CatalogState) -> dict[str, Any]:
    product = setup().product
    return {"product": replace(product, state=state)}
