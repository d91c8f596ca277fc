"""The JSON documents of the policies that a sale froze."""

from server.domain.calendar import Cadence, CadenceUnit, Delay, DelayUnit, PolicyPeriod
from server.domain.exact import parse_decimal, plain
from server.domain.ids import (
    PolicyId,
    UnitId,
)
from server.domain.modeling.policies import (
    AggregationMethod,
    AggregationPolicy,
    Combination,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    PolicyLevel,
    PolicySource,
    PolicySources,
    RatingFrequency,
    RolloverPolicy,
)
from server.domain.modeling.sold_policies import SoldPolicies, WalletPolicies
from server.store.documents import VERSION, Document, check_version


def policies_to_doc(policies: SoldPolicies, *, is_fixed: bool) -> Document:
    """Return the document for `asset_resources.policies`; `is_fixed` is about the rate."""
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
            "aggregation": source_to_doc(policies.sources.aggregation),
            "rating_frequency": source_to_doc(policies.sources.rating_frequency),
            "overage": source_to_doc(policies.sources.overage),
            "commitment": source_to_doc(policies.sources.commitment),
            "order": policies.sources.order.value,
        },
        "is_fixed": is_fixed,
    }


def policies_from_doc(doc: Document) -> tuple[SoldPolicies, bool]:
    """Return the policies of a document, and True if the rate is fixed."""
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


def rollover_to_doc(rollover: RolloverPolicy) -> Document:
    quantity, percent = rollover.max_quantity, rollover.max_percent
    return {
        "max_count": rollover.max_count,
        "max_quantity": None if quantity is None else plain(quantity),
        "max_percent": None if percent is None else plain(percent),
    }


def rollover_from_doc(doc: Document) -> RolloverPolicy:
    quantity, percent = doc["max_quantity"], doc["max_percent"]
    return RolloverPolicy(
        max_count=doc["max_count"],
        max_quantity=None if quantity is None else parse_decimal(quantity),
        max_percent=None if percent is None else parse_decimal(percent),
    )


def cadence_to_doc(cadence: Cadence | None) -> Document | None:
    return None if cadence is None else {"unit": cadence.unit.value, "count": cadence.count}


def cadence_from_doc(doc: Document | None) -> Cadence | None:
    return None if doc is None else Cadence(CadenceUnit(doc["unit"]), doc["count"])


def _sources_from_doc(doc: Document) -> PolicySources:
    return PolicySources(
        aggregation=source_from_doc(doc["aggregation"]),
        rating_frequency=source_from_doc(doc["rating_frequency"]),
        overage=source_from_doc(doc["overage"]),
        commitment=source_from_doc(doc["commitment"]),
        order=PolicyLevel(doc["order"]),
    )


def source_to_doc(source: PolicySource) -> Document | None:
    # None stands for the default source; `source_from_doc` restores it.
    if source.id is None and source.level is PolicyLevel.DEFAULT:
        return None
    return {"level": source.level.value, "policy": source.id, "version": source.version}


def source_from_doc(doc: Document | None) -> PolicySource:
    if doc is None:
        return PolicySource()
    policy = doc["policy"]
    return PolicySource(
        level=PolicyLevel(doc["level"]),
        id=None if policy is None else PolicyId(policy),
        version=doc["version"],
    )
