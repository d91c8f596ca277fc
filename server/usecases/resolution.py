"""Resolution: which policies hold for a resource of a product, and what its grants come to.

Each policy is that of the product's resource, else the usage resource's, else the service's own:
sum by day, rated monthly after three days, late usage in the next period, overage charged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from server.domain import catalog
from server.domain.catalog import (
    Aggregation,
    CatalogState,
    Commitment,
    Kept,
    Overage,
    PolicyIds,
    ProductGrant,
    ProductResource,
    ResolvedGrant,
    ResolvedProduct,
    ResolvedResource,
    UnitOfMeasure,
    UsageModelType,
    as_unit,
    check_money,
    default_unit,
)
from server.domain.errors import FailedPrecondition, NotFound, Unimplemented
from server.domain.exact import plain
from server.domain.ids import PolicyId, ProductId, ResourceId, TenantId
from server.domain.policies import (
    AggregationMethod,
    AggregationPolicy,
    CommitmentRate,
    DrawdownOrder,
    LatePolicy,
    OveragePolicy,
    RatingFrequency,
    RefreshPolicy,
    RolloverPolicy,
    Validity,
    assumed_billing,
    check_late,
    check_period_order,
    check_token,
)
from server.domain.sales import Role, SoldPolicies, WalletPolicies
from server.domain.units import Unit, convert
from server.store import graph as store
from server.store import records
from server.store.catalog import PRODUCT
from server.store.graph import Graph
from server.store.pool import Connection

BY_DAY = AggregationPolicy.usual(AggregationMethod.SUM)
MONTHLY = RatingFrequency()

NAMELESS = PolicyId("")
DEFAULT_AGGREGATION = Aggregation(
    id=NAMELESS,
    display_name="",
    method=BY_DAY.method,
    period=BY_DAY.period,
    combine=BY_DAY.combine,
)
DEFAULT_RATING = catalog.RatingFrequency(
    id=NAMELESS,
    display_name="",
    period=MONTHLY.period,
    delay=MONTHLY.delay,
    late=LatePolicy.NEXT_PERIOD,
)
DEFAULT_OVERAGE = Overage(id=NAMELESS, display_name="", overage=OveragePolicy.CHARGE)

DEFAULT_COMMITMENT = Commitment(id=NAMELESS, display_name="", rate=CommitmentRate.LOWEST)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


async def resolved_product(
    tx: Connection, tenant_id: TenantId, product_id: ProductId
) -> ResolvedProduct:
    """An active product as it can be sold.

    Raises PRODUCT_NOT_FOUND, RESOURCE_INACTIVE, TOKEN_RESOURCE, POLICY_CONFLICT, NOT_SUPPORTED.
    """
    product = await records.get(tx, tenant_id, PRODUCT, product_id)
    kind = product.content.usage_model_type
    if kind is UsageModelType.MONETARY_COMMITMENT:
        text = f"products/{product_id} is a {kind}, which needs invoices to be settled with"
        raise Unimplemented("NOT_SUPPORTED", text, {"product": product_id})
    if product.state is not CatalogState.ACTIVE:
        text = f"products/{product_id} is {product.state}; ActivateProduct puts it in force"
        facts = {"product": product_id, "state": product.state}
        raise FailedPrecondition("RESOURCE_INACTIVE", text, dict(facts))
    graph = await store.load_graph(tx, tenant_id, product)
    active = [one for one in graph.product_resources if one.state is CatalogState.ACTIVE]
    resources = tuple(_resource(graph, one) for one in active)
    if kind is UsageModelType.ANCHOR:
        check_tokens(graph, [one.content for one in active])
    return ResolvedProduct(
        product_id=product_id,
        role=Role(kind),
        binding=product.content.binding,
        resources=resources,
    )


def check_tokens(graph: Graph, held: Sequence[ProductResource]) -> None:
    """Raise TOKEN_RESOURCE, POLICY_CONFLICT where tokens are not had, or not rated in time."""
    own = {one.resource_id: one for one in held}
    tokens = sorted({token for one in held if (token := token_of(graph, one))})
    for one in held:
        token_id = token_of(graph, one)
        if token_id is None:
            continue
        name = f"products/{one.product_id}"
        if len(tokens) > 1:
            text = f"{name} has the tokens {', '.join(tokens)}; a product has one"
            raise FailedPrecondition("TOKEN_RESOURCE", text, {"product": name})
        if token_id not in own:
            text = f"{name}/usageResources/{one.resource_id} is rated in {token_id}; add that too"
            raise FailedPrecondition("TOKEN_RESOURCE", text, {"product": name})
        counting, rating, _ = _terms_of(graph, own[token_id])
        _, own_rating, late = _terms_of(graph, one)
        check_token(own_rating, rating, counting.method, late)


def _terms_of(
    graph: Graph, held: ProductResource
) -> tuple[AggregationPolicy, RatingFrequency, LatePolicy]:
    """How a resource of a product is counted, when it is rated, and what late usage does."""
    ids = chain(held.policies, graph.resources[held.resource_id].content.policies)
    counting = graph.aggregations[ids.aggregation].content if ids.aggregation else None
    rating = graph.frequencies[ids.rating_frequency].content if ids.rating_frequency else None
    return counting_of(counting), *rating_of(rating)


class PolicyLevel(StrEnum):
    """Which level of the catalogue supplied a policy."""

    DEFAULT = "DEFAULT"
    USAGE_RESOURCE = "USAGE_RESOURCE"
    PRODUCT_USAGE_RESOURCE = "PRODUCT_USAGE_RESOURCE"


@dataclass(frozen=True, slots=True)
class Supplied(Generic[T_co]):
    """A policy that holds, and the level that supplied it."""

    policy: Kept[T_co]
    level: PolicyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPolicies:
    """The policies that hold for a resource of a product."""

    resource_id: ResourceId
    aggregation: Supplied[Aggregation]
    rating_frequency: Supplied[catalog.RatingFrequency]
    overage: Supplied[Overage]
    commitment: Supplied[Commitment]
    order: tuple[DrawdownOrder, PolicyLevel]


async def explained_policies(
    tx: Connection, tenant_id: TenantId, product_id: ProductId
) -> list[ExplainedPolicies]:
    """The policies of each resource of a product, drafts too. Raises PRODUCT_NOT_FOUND."""
    product = await records.get(tx, tenant_id, PRODUCT, product_id)
    graph = await store.load_graph(tx, tenant_id, product)
    found = []
    for held in graph.product_resources:
        own = held.content.policies
        lower = graph.resources[held.content.resource_id].content.policies
        counting = _supplied(own.aggregation, lower.aggregation, graph.aggregations)
        rating = _supplied(own.rating_frequency, lower.rating_frequency, graph.frequencies)
        overage = _supplied(own.overage, lower.overage, graph.overages)
        commitment = _supplied(own.commitment, lower.commitment, graph.commitments)
        found.append(
            ExplainedPolicies(
                resource_id=held.content.resource_id,
                aggregation=counting or _default(DEFAULT_AGGREGATION, held),
                rating_frequency=rating or _default(DEFAULT_RATING, held),
                overage=overage or _default(DEFAULT_OVERAGE, held),
                commitment=commitment or _default(DEFAULT_COMMITMENT, held),
                order=_order(own.order, lower.order),
            )
        )
    return found


def _supplied(
    upper: PolicyId | None, lower: PolicyId | None, known: Mapping[PolicyId, Kept[T]]
) -> Supplied[T] | None:
    """The policy of the upper level, else of the lower."""
    if upper is not None:
        return Supplied(known[upper], PolicyLevel.PRODUCT_USAGE_RESOURCE)
    return None if lower is None else Supplied(known[lower], PolicyLevel.USAGE_RESOURCE)


def _order(
    upper: DrawdownOrder | None, lower: DrawdownOrder | None
) -> tuple[DrawdownOrder, PolicyLevel]:
    if upper is not None:
        return upper, PolicyLevel.PRODUCT_USAGE_RESOURCE
    if lower is not None:
        return lower, PolicyLevel.USAGE_RESOURCE
    return DrawdownOrder.EXPIRING_FIRST, PolicyLevel.DEFAULT


def _default(content: T, held: Kept[ProductResource]) -> Supplied[T]:
    kept = Kept(content, CatalogState.ACTIVE, 0, held.create_time)
    return Supplied(kept, PolicyLevel.DEFAULT)


def resource_unit(graph: Graph, held: ProductResource) -> UnitOfMeasure | None:
    """The unit of a product's resource; None while there is none."""
    resource = graph.resources[held.resource_id].content
    units = [one.content for one in graph.units]
    if resource.unit_id is not None:
        return next((unit for unit in units if unit.id == resource.unit_id), None)
    return default_unit(graph.classes[resource.unit_class_id].content, units)


def check_terms(policies: WalletPolicies) -> None:
    """Raise PERIOD_ORDER, POLICY_CONFLICT where counting, rating and billing do not go together."""
    rating = policies.rating.period
    check_period_order(
        billing=assumed_billing(rating), rating=rating, accumulation=policies.aggregation.period
    )
    check_late(policies.aggregation.method, policies.late)


def counting_of(said: Aggregation | None) -> AggregationPolicy:
    """How usage adds up under a policy of the catalogue, or under none."""
    if said is None:
        return BY_DAY
    return AggregationPolicy(
        method=said.method, period=said.period, combine=said.combine, label=said.unique_label
    )


def rating_of(said: catalog.RatingFrequency | None) -> tuple[RatingFrequency, LatePolicy]:
    """When usage is rated under a policy of the catalogue, or under none."""
    if said is None:
        return MONTHLY, LatePolicy.NEXT_PERIOD
    return RatingFrequency(period=said.period, delay=said.delay), said.late


def policies_of(graph: Graph, held: ProductResource, unit: Unit) -> SoldPolicies:
    """What every level said, with the ids of what supplied it."""
    ids = chain(held.policies, graph.resources[held.resource_id].content.policies)
    said = graph.aggregations.get(ids.aggregation) if ids.aggregation else None
    frequency = graph.frequencies.get(ids.rating_frequency) if ids.rating_frequency else None
    aggregation = counting_of(said.content if said else None)
    rating, late = rating_of(frequency.content if frequency else None)
    overage = None
    if ids.overage is not None:
        overage = graph.overages[ids.overage].content.overage
    return SoldPolicies(
        wallet=WalletPolicies(
            unit_id=unit.id,
            aggregation=aggregation,
            rating=rating,
            late=late,
            order=ids.order or DrawdownOrder.EXPIRING_FIRST,
        ),
        overage=overage or OveragePolicy.CHARGE,
        aggregation_policy_id=ids.aggregation,
        rating_frequency_policy_id=ids.rating_frequency,
        overage_policy_id=ids.overage,
    )


def resolved_grant(graph: Graph, grant: ProductGrant, unit: Unit) -> ResolvedGrant:
    """A promise in the resource's unit. Raises what `convert` raises."""
    given = next((one.content for one in graph.units if one.content.id == grant.unit_id), None)
    if grant.unit_id is not None and given is None:
        text = f"{plain(grant.quantity)} {grant.unit_id} cannot be counted in {unit.id}"
        raise FailedPrecondition("UNIT_CLASS_MISMATCH", text)
    if given is not None:
        check_money(graph.classes[given.unit_class_id].content, as_unit(given), unit)
    refresh = grant.refresh_id and graph.refreshes[grant.refresh_id].content
    rollover = grant.rollover_id and graph.rollovers[grant.rollover_id].content
    quantity = convert(grant.quantity, as_unit(given), unit) if given else grant.quantity
    return ResolvedGrant(
        id=grant.id,
        quantity=quantity,
        refresh=RefreshPolicy(cadence=refresh.interval) if refresh else None,
        validity=Validity(cadence=grant.validity) if grant.validity else None,
        rollover=RolloverPolicy(
            max_count=rollover.max_rollovers,
            max_quantity=rollover.max_quantity,
            max_percent=rollover.max_percent,
        )
        if rollover
        else None,
        refresh_policy_id=grant.refresh_id,
        rollover_policy_id=grant.rollover_id,
        selling_model_id=grant.selling_model_id,
        start_date=grant.start_date,
        end_date=grant.end_date,
    )


def _resource(graph: Graph, held: Kept[ProductResource]) -> ResolvedResource:
    content = held.content
    found = resource_unit(graph, content)
    if found is None:
        raise NotFound.of("UnitOfMeasure", f"usageResources/{content.resource_id}")
    unit = as_unit(found)
    own = [one for one in graph.grants if one.content.resource_id == content.resource_id]
    return ResolvedResource(
        resource_id=content.resource_id,
        unit=unit,
        policies=policies_of(graph, content, unit),
        grants=tuple(
            resolved_grant(graph, one.content, unit)
            for one in own
            if one.state is CatalogState.ACTIVE
        ),
        start_date=content.start_date,
        end_date=content.end_date,
        token_resource_id=token_of(graph, content),
        is_optional=content.is_optional,
        commitment=_commitment(graph, content),
        definition_product_id=graph.resources[content.resource_id].content.definition_product_id,
    )


def _commitment(graph: Graph, held: ProductResource) -> CommitmentRate | None:
    """What usage costs once a commitment is used up; nothing of what is none."""
    if not graph.product.content.usage_model_type.is_commitment:
        return None
    ids = chain(held.policies, graph.resources[held.resource_id].content.policies)
    if ids.commitment is None:
        return CommitmentRate.LOWEST
    return graph.commitments[ids.commitment].content.rate


def token_of(graph: Graph, held: ProductResource) -> ResourceId | None:
    """The token that a product's resource is rated in."""
    return held.token_resource_id or graph.resources[held.resource_id].content.token_resource_id


def chain(upper: PolicyIds, lower: PolicyIds) -> PolicyIds:
    """The policies of the upper level, and of the lower where that says nothing."""

    def first(a: PolicyId | None, b: PolicyId | None) -> PolicyId | None:
        return b if a is None else a

    return PolicyIds(
        aggregation=first(upper.aggregation, lower.aggregation),
        rating_frequency=first(upper.rating_frequency, lower.rating_frequency),
        overage=first(upper.overage, lower.overage),
        commitment=first(upper.commitment, lower.commitment),
        order=upper.order or lower.order,
    )
