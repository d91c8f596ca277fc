"""Documents: what a sale froze, as it lies in the database: rate terms, and a line's resources.

Decimals are plain text and dates ISO, so that a document says the same in every client. Each kind
carries its version as `v`; a version that nobody here knows is refused, never guessed.
"""

from decimal import Decimal
from typing import Any

from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.exact import parse_decimal, plain
from server.domain.ids import (
    PolicyId,
    ProductGrantId,
    ProductId,
    RateEntryId,
    ResourceId,
    UnitId,
)
from server.domain.modelling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    CommitmentRate,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    PolicyLevel,
    PolicySource,
    PolicySources,
    RatingFrequency,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
)
from server.domain.pricing.rates import (
    Adjustment,
    AdjustmentKind,
    AttributeRow,
    Rate,
    RateTerms,
    Tier,
    TierBounds,
    TierMode,
)
from server.domain.selling.sales import LineGrant, LineResource, SoldPolicies, WalletPolicies

VERSION = 1

Document = dict[str, Any]


def terms_to_doc(terms: RateTerms) -> Document:
    """What `asset_rates.terms` and sale lines keep of rate terms."""
    negotiated = terms.negotiated_tiers
    return {
        "v": VERSION,
        "unit": terms.unit,
        "per": plain(terms.per),
        "rate": _optional_rate_to_doc(terms.rate),
        "tiers": _tiers_to_doc(terms.tiers),
        "bounds": terms.bounds.value,
        "mode": terms.mode.value,
        "base_entry": terms.base_entry,
        "tier_entry": terms.tier_entry,
        "negotiated_rate": _optional_rate_to_doc(terms.negotiated_rate),
        "negotiated_tiers": None if negotiated is None else _tiers_to_doc(negotiated),
        "adjustments": _rows_to_doc(terms.adjustments),
        "attribute_entry": terms.attribute_entry,
        "attributes": dict(terms.attributes),
    }


def terms_from_doc(doc: Document) -> RateTerms:
    """The rate terms that were kept."""
    check_version(doc)
    unit = UnitId(doc["unit"])
    negotiated = doc["negotiated_tiers"]
    return RateTerms(
        unit=unit,
        per=parse_decimal(doc["per"]),
        rate=_optional_rate_from_doc(doc["rate"], unit),
        tiers=_tiers_from_doc(doc["tiers"]),
        bounds=TierBounds(doc["bounds"]),
        mode=TierMode(doc["mode"]),
        base_entry=_optional_entry(doc["base_entry"]),
        tier_entry=_optional_entry(doc["tier_entry"]),
        negotiated_rate=_optional_rate_from_doc(doc["negotiated_rate"], unit),
        negotiated_tiers=None if negotiated is None else _tiers_from_doc(negotiated),
        adjustments=_rows_from_doc(doc["adjustments"]),
        attribute_entry=_optional_entry(doc["attribute_entry"]),
        attributes=doc["attributes"],
    )


def resources_to_doc(resources: tuple[LineResource, ...]) -> Document:
    """What a sale line keeps of its resources."""
    return {"v": VERSION, "resources": [_resource_to_doc(resource) for resource in resources]}


def resources_from_doc(doc: Document) -> tuple[LineResource, ...]:
    """The resources that a sale line kept."""
    check_version(doc)
    return tuple(_resource_from_doc(resource) for resource in doc["resources"])


def policies_to_doc(policies: SoldPolicies, *, is_fixed: bool) -> Document:
    """What `asset_resources.policies` keeps: the policies, and whether the rate is fixed."""
    wallet = policies.wallet
    return {
        "v": VERSION,
        "unit": wallet.unit_id,
        "aggregation": {
            "method": wallet.aggregation.method.value,
            "period": wallet.aggregation.period.value,
            "combine": wallet.aggregation.combine.value,
            "label": wallet.aggregation.label,
        },
        "rating": {
            "period": wallet.rating.period.value,
            "delay": {
                "count": wallet.rating.delay.count,
                "unit": wallet.rating.delay.unit.value,
            },
        },
        "late": wallet.late.value,
        "order": wallet.order.value,
        "dimensions": wallet.dimensions,
        "overage": policies.overage.value,
        "sources": {
            "aggregation": _source_to_doc(policies.sources.aggregation),
            "rating_frequency": _source_to_doc(policies.sources.rating_frequency),
            "overage": _source_to_doc(policies.sources.overage),
            "commitment": _source_to_doc(policies.sources.commitment),
            "order": policies.sources.order.value,
        },
        "is_fixed": is_fixed,
    }


def policies_from_doc(doc: Document) -> tuple[SoldPolicies, bool]:
    """The policies that were kept, and whether the rate is fixed."""
    check_version(doc)
    counting, rating = doc["aggregation"], doc["rating"]
    delay = Delay(rating["delay"]["count"], DelayUnit(rating["delay"]["unit"]))
    wallet = WalletPolicies(
        unit_id=UnitId(doc["unit"]),
        aggregation=AggregationPolicy(
            method=AggregationMethod(counting["method"]),
            period=PolicyPeriod(counting["period"]),
            combine=Combination(counting["combine"]),
            label=counting["label"],
        ),
        rating=RatingFrequency(period=PolicyPeriod(rating["period"]), delay=delay),
        late=LatePolicy(doc["late"]),
        order=DrawdownOrder(doc["order"]),
        dimensions=tuple(doc["dimensions"]),
    )
    policies = SoldPolicies(
        wallet=wallet,
        overage=OveragePolicy(doc["overage"]),
        sources=_sources_from_doc(doc["sources"]),
    )
    return policies, doc["is_fixed"]


def adjustments_to_doc(rows: tuple[AttributeRow, ...]) -> Document | None:
    """What `rate_card_entries.adjustments` keeps: adjustments by attribute, if there are any."""
    return {"v": VERSION, "rows": _rows_to_doc(rows)} if rows else None


def adjustments_from_doc(doc: Document | None) -> tuple[AttributeRow, ...]:
    """The adjustments that were kept."""
    if doc is None:
        return ()
    check_version(doc)
    return _rows_from_doc(doc["rows"])


def check_version(doc: Document) -> None:
    """Refuse a document that is not of this version."""
    if doc["v"] != VERSION:
        raise ValueError(f"a document of version {doc['v']}; this server reads {VERSION}")


def _resource_to_doc(resource: LineResource) -> Document:
    return {
        "resource": resource.resource_id,
        "unit_scale": resource.unit_scale,
        "policies": policies_to_doc(resource.policies, is_fixed=resource.is_fixed),
        "terms": None if resource.terms is None else terms_to_doc(resource.terms),
        "token_resource": resource.token_resource_id,
        "definition_product": resource.definition_product_id,
        "commitment": resource.commitment,
        "grants": [_grant_to_doc(grant) for grant in resource.grants],
    }


def _resource_from_doc(doc: Document) -> LineResource:
    policies, is_fixed = policies_from_doc(doc["policies"])
    token, definition = doc["token_resource"], doc["definition_product"]
    return LineResource(
        resource_id=ResourceId(doc["resource"]),
        unit_scale=doc["unit_scale"],
        policies=policies,
        terms=None if doc["terms"] is None else terms_from_doc(doc["terms"]),
        is_fixed=is_fixed,
        token_resource_id=None if token is None else ResourceId(token),
        definition_product_id=None if definition is None else ProductId(definition),
        commitment=None if doc["commitment"] is None else CommitmentRate(doc["commitment"]),
        grants=tuple(_grant_from_doc(grant) for grant in doc["grants"]),
    )


def _grant_to_doc(grant: LineGrant) -> Document:
    rollover = grant.rollover
    return {
        "grant": grant.product_grant_id,
        "quantity": plain(grant.quantity),
        "refresh": _cadence_to_doc(grant.refresh.cadence if grant.refresh else None),
        "validity": _cadence_to_doc(grant.validity.cadence if grant.validity else None),
        "rollover": None if rollover is None else _rollover_to_doc(rollover),
        "refresh_policy": _source_to_doc(grant.refresh_policy),
        "rollover_policy": _source_to_doc(grant.rollover_policy),
    }


def _grant_from_doc(doc: Document) -> LineGrant:
    refresh = _cadence_from_doc(doc["refresh"])
    validity = _cadence_from_doc(doc["validity"])
    rollover = doc["rollover"]
    return LineGrant(
        product_grant_id=ProductGrantId(doc["grant"]),
        quantity=parse_decimal(doc["quantity"]),
        refresh=None if refresh is None else RefreshPolicy(cadence=refresh),
        validity=None if validity is None else Validity(cadence=validity),
        rollover=None if rollover is None else _rollover_from_doc(rollover),
        refresh_policy=_source_from_doc(doc["refresh_policy"]),
        rollover_policy=_source_from_doc(doc["rollover_policy"]),
    )


def _rollover_to_doc(rollover: RolloverPolicy) -> Document:
    quantity, percent = rollover.max_quantity, rollover.max_percent
    return {
        "max_count": rollover.max_count,
        "max_quantity": None if quantity is None else plain(quantity),
        "max_percent": None if percent is None else plain(percent),
    }


def _rollover_from_doc(doc: Document) -> RolloverPolicy:
    quantity, percent = doc["max_quantity"], doc["max_percent"]
    return RolloverPolicy(
        max_count=doc["max_count"],
        max_quantity=None if quantity is None else parse_decimal(quantity),
        max_percent=None if percent is None else parse_decimal(percent),
    )


def _cadence_to_doc(cadence: Cadence | None) -> Document | None:
    return None if cadence is None else {"unit": cadence.unit.value, "count": cadence.count}


def _cadence_from_doc(doc: Document | None) -> Cadence | None:
    return None if doc is None else Cadence(CadenceUnit(doc["unit"]), doc["count"])


def _sources_from_doc(doc: Document) -> PolicySources:
    return PolicySources(
        aggregation=_source_from_doc(doc["aggregation"]),
        rating_frequency=_source_from_doc(doc["rating_frequency"]),
        overage=_source_from_doc(doc["overage"]),
        commitment=_source_from_doc(doc["commitment"]),
        order=PolicyLevel(doc["order"]),
    )


def _source_to_doc(source: PolicySource) -> Document | None:
    if source.id is None and source.level is PolicyLevel.DEFAULT:
        return None
    return {"level": source.level.value, "policy": source.id, "version": source.version}


def _source_from_doc(doc: Document | None) -> PolicySource:
    if doc is None:
        return PolicySource()
    policy = doc["policy"]
    return PolicySource(
        level=PolicyLevel(doc["level"]),
        id=None if policy is None else PolicyId(policy),
        version=doc["version"],
    )


def _optional_rate_to_doc(rate: Rate | None) -> Document | None:
    if rate is None:
        return None
    return {"value": plain(rate.value), "per": plain(rate.per), "package": rate.is_package}


def _optional_rate_from_doc(doc: Document | None, unit: UnitId) -> Rate | None:
    if doc is None:
        return None
    return Rate(
        value=parse_decimal(doc["value"]),
        per=parse_decimal(doc["per"]),
        unit=unit,
        is_package=doc["package"],
    )


def _tiers_to_doc(tiers: tuple[Tier, ...]) -> list[Document]:
    return [
        {
            "lower": plain(tier.lower),
            "upper": None if tier.upper is None else plain(tier.upper),
            "kind": tier.adjustment.kind.value,
            "value": plain(tier.adjustment.value),
        }
        for tier in tiers
    ]


def _tiers_from_doc(docs: list[Document]) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            lower=parse_decimal(doc["lower"]),
            upper=_optional_decimal(doc["upper"]),
            adjustment=Adjustment(
                kind=AdjustmentKind(doc["kind"]), value=parse_decimal(doc["value"])
            ),
        )
        for doc in docs
    )


def _rows_to_doc(rows: tuple[AttributeRow, ...]) -> list[Document]:
    return [
        {
            "attributes": dict(row.attributes),
            "kind": row.adjustment.kind.value,
            "value": plain(row.adjustment.value),
        }
        for row in rows
    ]


def _rows_from_doc(docs: list[Document]) -> tuple[AttributeRow, ...]:
    return tuple(
        AttributeRow(
            attributes=tuple(sorted(doc["attributes"].items())),
            adjustment=Adjustment(
                kind=AdjustmentKind(doc["kind"]), value=parse_decimal(doc["value"])
            ),
        )
        for doc in docs
    )


def _optional_decimal(text: str | None) -> Decimal | None:
    return None if text is None else parse_decimal(text)


def _optional_entry(text: str | None) -> RateEntryId | None:
    return None if text is None else RateEntryId(text)
