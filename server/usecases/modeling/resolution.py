"""Resolution: the policies in force for a resource of a product, and its resolved grants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from server.domain.errors import FailedPrecondition, NotFound
from server.domain.exact import plain
from server.domain.ids import (
    AccountId,
    AssetId,
    PolicyId,
    ProductId,
    ProductResourceId,
    ResourceId,
    UnitId,
)
from server.domain.modeling.catalog import (
    CatalogState,
    PolicyIds,
    ProductGrant,
    ProductResource,
    StoredRecord,
    UnitOfMeasure,
    UsageModelType,
    as_unit,
    check_money,
    default_unit,
)
from server.domain.modeling.policies import (
    PolicyLevel,
    PolicySource,
    RefreshPolicy,
    Validity,
    assumed_billing,
    check_method,
    check_period_order,
)
from server.domain.modeling.resolved import (
    LevelPolicies,
    PolicyChain,
    ResolvedGrant,
    ResolvedProduct,
    ResolvedResource,
    chain_of,
    resolve,
    sold_policies,
)
from server.domain.modeling.roles import ProductRole
from server.domain.modeling.sold_policies import SoldPolicies, check_token
from server.domain.modeling.units import Unit, convert
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import records
from server.store.modeling.catalog import PRODUCT
from server.store.modeling.policies import AGGREGATION, COMMITMENT, OVERAGE, RATING_FREQUENCY
from server.store.modeling.records import Kind
from server.store.rating import product_graph as store
from server.store.rating.product_graph import Graph
from server.store.selling import assets
from server.usecases.modeling.graph_versions import load_versions

T = TypeVar("T")


async def resolved_product(tx: Transaction, product_id: ProductId) -> ResolvedProduct:
    """Return an active product as it can be sold.

    Raises PRODUCT_NOT_FOUND, RESOURCE_INACTIVE, TOKEN_RESOURCE, POLICY_CONFLICT.
    """
    product = await records.get(tx, PRODUCT, product_id)
    if product.state is not CatalogState.ACTIVE:
        is_draft = product.state is CatalogState.DRAFT
        how = "ActivateProduct" if is_draft else "ChangeStates"
        text = f"products/{product_id} is {product.state}; {how} puts it in force"
        facts = {"product": product_id, "state": product.state}
        raise FailedPrecondition("RESOURCE_INACTIVE", text, dict(facts))
    graph = await store.load_graph(tx, product)
    for held in graph.product_resources:
        resource_id = held.content.resource_id
        is_active = held.state is CatalogState.ACTIVE
        if is_active and graph.resources[resource_id].state is not CatalogState.ACTIVE:
            raise not_active(product_id, resource_id)
    return resolved_graph(graph)


def not_active(product_id: ProductId, resource_id: ResourceId) -> FailedPrecondition:
    """Return the refusal of a resource that is no longer sold."""
    text = f"{resource_id} of {product_id} is not active; ChangeStates puts it in force again"
    facts = {"product": product_id, "usage_resource": resource_id}
    return FailedPrecondition("RESOURCE_INACTIVE", text, dict(facts))


def resolved_graph(graph: Graph) -> ResolvedProduct:
    """Return a product as it can be sold. Raises TOKEN_RESOURCE, POLICY_CONFLICT."""
    product = graph.product.content
    active = [
        resource for resource in graph.product_resources if resource.state is CatalogState.ACTIVE
    ]
    resources = tuple(_resource(graph, one) for one in active)
    if product.usage_model_type is UsageModelType.ANCHOR:
        check_tokens(graph, [one.content for one in active])
    return ResolvedProduct(
        product_id=product.id,
        role=ProductRole(product.usage_model_type),
        binding=product.binding,
        resources=resources,
    )


def check_tokens(graph: Graph, held: Sequence[ProductResource]) -> None:
    """Raise TOKEN_RESOURCE or POLICY_CONFLICT if a token is missing or rated at the wrong time."""
    own = {resource.resource_id: resource for resource in held}
    tokens = sorted({token for resource in held if (token := token_of(graph, resource))})
    for resource in held:
        token_id = token_of(graph, resource)
        if token_id is None:
            continue
        name = f"products/{resource.product_id}"
        if len(tokens) > 1:
            text = f"{name} has the tokens {', '.join(tokens)}; a product has one"
            raise FailedPrecondition("TOKEN_RESOURCE", text, {"product": name})
        if token_id not in own:
            text = f"{name}/usageResources/{resource.id} is rated in {token_id}; add that too"
            raise FailedPrecondition("TOKEN_RESOURCE", text, {"product": name})
        check_token(_terms_of(graph, resource), _terms_of(graph, own[token_id]))


def _terms_of(graph: Graph, held: ProductResource) -> SoldPolicies:
    """Return the policies of a resource, whose unit does not matter here."""
    return sold_policies(resolve(levels_of(graph, held)), UnitId(""))


@dataclass(frozen=True, slots=True)
class Explained:
    """The policies in force for a resource; `held` is the product's record before a sale."""

    held: tuple[ProductId, ProductResourceId] | None
    resource_id: ResourceId
    policies: PolicyChain


async def explained_product(tx: Transaction, product_id: ProductId) -> list[Explained]:
    """Return the policies of each resource of a product today, drafts too.

    Raises PRODUCT_NOT_FOUND.
    """
    product = await records.get(tx, PRODUCT, product_id)
    graph = await store.load_graph(tx, product)
    today = (await tenants.now(tx)).date()
    graph = (await load_versions(tx, graph, today)).on(graph, today)
    held = [resource.content for resource in graph.product_resources]
    return [
        Explained((product_id, one.id), one.resource_id, resolve(levels_of(graph, one)))
        for one in held
    ]


async def explained_asset(
    tx: Transaction, account_id: AccountId, asset_id: AssetId
) -> list[Explained]:
    """Return the policies under which an asset was sold, by resource. Raises ASSET_NOT_FOUND."""
    asset = await assets.get(tx, account_id, asset_id)
    held = sorted(asset.resources, key=lambda resource: resource.resource_id)
    return [
        Explained(None, resource.resource_id, chain_of(resource.policies, resource.commitment))
        for resource in held
    ]


def levels_of(graph: Graph, held: ProductResource) -> tuple[LevelPolicies, ...]:
    """Return the catalog's policies for a product's resource, the strongest level first."""
    resource = graph.resources[held.resource_id].content
    return (
        _level(graph, PolicyLevel.PRODUCT_USAGE_RESOURCE, held.policies),
        _level(graph, PolicyLevel.USAGE_RESOURCE, resource.policies),
    )


def _level(graph: Graph, level: PolicyLevel, ids: PolicyIds) -> LevelPolicies:
    return LevelPolicies(
        level=level,
        aggregation=None if ids.aggregation is None else graph.aggregations[ids.aggregation],
        rating_frequency=None
        if ids.rating_frequency is None
        else graph.frequencies[ids.rating_frequency],
        overage=None if ids.overage is None else graph.overages[ids.overage],
        commitment=None if ids.commitment is None else graph.commitments[ids.commitment],
        order=ids.order,
    )


async def policies_at(tx: Transaction, level: PolicyLevel, ids: PolicyIds) -> LevelPolicies:
    """Return the policies of a level that names them by id. Raises `…_POLICY_NOT_FOUND`."""

    async def named(kind: Kind[T], policy_id: PolicyId | None) -> StoredRecord[T] | None:
        return None if policy_id is None else await records.get(tx, kind, policy_id)

    return LevelPolicies(
        level=level,
        aggregation=await named(AGGREGATION, ids.aggregation),
        rating_frequency=await named(RATING_FREQUENCY, ids.rating_frequency),
        overage=await named(OVERAGE, ids.overage),
        commitment=await named(COMMITMENT, ids.commitment),
        order=ids.order,
    )


def resource_unit(graph: Graph, held: ProductResource) -> UnitOfMeasure | None:
    """Return the unit of a product's resource, or None if there is none yet."""
    resource = graph.resources[held.resource_id].content
    units = [unit.content for unit in graph.units]
    if resource.unit_id is not None:
        return next((unit for unit in units if unit.id == resource.unit_id), None)
    return default_unit(graph.classes[resource.unit_class_id].content, units)


def check_terms(policies: SoldPolicies) -> None:
    """Raise PERIOD_ORDER or POLICY_CONFLICT for policies that conflict with each other."""
    wallet = policies.wallet
    rating = wallet.rating.period
    check_period_order(
        billing=assumed_billing(rating), rating=rating, accumulation=wallet.aggregation.period
    )
    check_method(wallet.aggregation.method, policies.overage)


def policies_of(graph: Graph, held: ProductResource, unit: Unit) -> SoldPolicies:
    """Return the policies that a sale of the catalog's resource would freeze."""
    return sold_policies(resolve(levels_of(graph, held)), unit.id)


def resolved_grant(graph: Graph, grant: ProductGrant, unit: Unit) -> ResolvedGrant:
    """Return a grant in the resource's unit. Raises the errors of `convert`."""
    given = next((unit.content for unit in graph.units if unit.content.id == grant.unit_id), None)
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
        rollover=rollover.policy if rollover else None,
        refresh_policy=_source(grant.refresh_id, graph.refreshes),
        rollover_policy=_source(grant.rollover_id, graph.rollovers),
        type=grant.type,
        selling_model_id=grant.selling_model_id,
        start_date=grant.start_date,
        end_date=grant.end_date,
        is_fixed=grant.is_fixed,
        max_increase_percent=grant.max_increase_percent,
        spend_cap=grant.spend_cap,
    )


def _resource(graph: Graph, held: StoredRecord[ProductResource]) -> ResolvedResource:
    content = held.content
    found = resource_unit(graph, content)
    if found is None:
        raise NotFound.of("UnitOfMeasure", f"usageResources/{content.resource_id}")
    unit = as_unit(found)
    own = [grant for grant in graph.grants if grant.content.held_id == content.id]
    return ResolvedResource(
        resource_id=content.resource_id,
        unit=unit,
        levels=levels_of(graph, content),
        grants=tuple(
            resolved_grant(graph, one.content, unit)
            for one in own
            if one.state is CatalogState.ACTIVE
        ),
        start_date=content.start_date,
        end_date=content.end_date,
        token_resource_id=token_of(graph, content),
        is_optional=content.is_optional,
        has_fixed_policies=content.has_fixed_policies,
        dimensions=graph.resources[content.resource_id].content.dimensions,
        category=graph.resources[content.resource_id].content.category,
        definition_product_id=graph.resources[content.resource_id].content.definition_product_id,
    )


def _source(policy_id: PolicyId | None, known: Mapping[PolicyId, StoredRecord[T]]) -> PolicySource:
    """Return the source of a grant's policy, which only the product can name."""
    if policy_id is None:
        return PolicySource()
    level, version = PolicyLevel.PRODUCT_USAGE_RESOURCE, known[policy_id].version
    return PolicySource(level=level, id=policy_id, version=version)


def token_of(graph: Graph, held: ProductResource) -> ResourceId | None:
    """Return the token in which a product's resource is rated, or None."""
    return held.token_resource_id or graph.resources[held.resource_id].content.token_resource_id
