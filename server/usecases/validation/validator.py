"""Validate products: their records are read in one snapshot and checked by the rules."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from server.domain.errors import InvalidArgument, NotFound
from server.domain.ids import ProductId
from server.domain.modeling.catalog import (
    ProductGrant,
    ProductResource,
    StoredRecord,
    UnitOfMeasure,
    UsageModelType,
    UsageResource,
    as_unit,
)
from server.domain.modeling.resolved import resolve
from server.domain.validation import (
    EffectiveDays,
    Metered,
    Parent,
    Promise,
    Revision,
    Scope,
    Setup,
)
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling.catalog import RESOURCE, UNIT, UNIT_CLASS
from server.store.modeling.policies import (
    AGGREGATION,
    COMMITMENT,
    OVERAGE,
    RATING_FREQUENCY,
    REFRESH,
    ROLLOVER,
)
from server.store.modeling.records import Kind
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating.product_graph import Graph
from server.store.validation import validator as store
from server.store.validation.validator import LoadedProducts
from server.usecases.modeling.currencies import is_currency
from server.usecases.modeling.graph_versions import GraphVersions, load_versions
from server.usecases.modeling.resolution import levels_of, policies_of, resource_unit, token_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateProducts:
    """The products, each once, and the days to check; without a start, from today."""

    product_ids: tuple[ProductId, ...]
    start: date | None
    end: date | None
    with_drafts: bool


async def load_setups(tx: Transaction, asked: ValidateProducts) -> tuple[Setup, ...]:
    """Return the setups of the products, in the given order. `tx` must read one snapshot.

    Raises INTERVAL_INVALID, PRODUCT_NOT_FOUND.
    """
    today = (await tenants.now(tx)).date()
    start = asked.start or today
    if asked.end is not None and asked.end <= start:
        text = f"must be after the first day that matters, {start}"
        raise InvalidArgument.at("end_date", "INTERVAL_INVALID", text, start_date=str(start))
    scope = Scope(days=EffectiveDays.of(start, asked.end), with_drafts=asked.with_drafts)
    loaded = await store.load_products(tx, asked.product_ids)
    for product_id in asked.product_ids:
        if product_id not in loaded.graphs:
            raise NotFound.of("Product", f"products/{product_id}")
    # Versions of policies that are no longer in force today are not judged any more.
    first = max(start, today)
    # The graphs share their records, so any of them has the policies of all.
    some = next(iter(loaded.graphs.values()), None)
    versions = GraphVersions() if some is None else await load_versions(tx, some, first)
    return tuple(
        _setup(loaded, product_id, scope, _revisions(loaded, product_id, versions, first))
        for product_id in asked.product_ids
    )


def _revisions(
    loaded: LoadedProducts, product_id: ProductId, versions: GraphVersions, first: date
) -> list[Revision]:
    """Return a product with the policy versions of a day, and of each day on which they change."""
    newest = loaded.graphs[product_id]
    found: list[Revision] = []
    for day in (first, *versions.days):
        graph = versions.on(newest, day)
        revision = Revision(
            start=day,
            resources=tuple(_metered(loaded, graph, held) for held in graph.product_resources),
            grants=tuple(_promise(graph, grant) for grant in graph.grants),
        )
        # A version that begins may be of another product's policy.
        if not found or replace(revision, start=found[-1].start) != found[-1]:
            found.append(revision)
    return found


def _setup(
    loaded: LoadedProducts, product_id: ProductId, scope: Scope, revisions: Sequence[Revision]
) -> Setup:
    graph, entries = loaded.graphs[product_id], tuple(loaded.entries.get(product_id, ()))
    own = {entry.card_id for entry in entries}
    now, *later = revisions
    units = {metered.unit.id for metered in now.resources if metered.unit is not None}
    return Setup(
        product=graph.product,
        resources=now.resources,
        grants=now.grants,
        entries=entries,
        cards=loaded.cards,
        books=tuple(book for book in loaded.books if own & set(book.card_ids)),
        currencies=frozenset(unit_id for unit_id in units if is_currency(unit_id)),
        anchored=loaded.anchored,
        # Units of tokens are not units of money either.
        unitless_currencies=frozenset(code for code in loaded.unitless if is_currency(code)),
        revisions=tuple(revision for revision in later if revision.start < scope.days.end),
        scope=scope,
    )


def _metered(loaded: LoadedProducts, graph: Graph, held: StoredRecord[ProductResource]) -> Metered:
    resource = graph.resources[held.content.resource_id]
    unit = resource_unit(graph, held.content)
    levels = (held.content.policies.aggregation, resource.content.policies.aggregation)
    return Metered(
        held=held,
        resource=resource.content,
        unit_class=graph.classes[resource.content.unit_class_id].content,
        unit=unit,
        sold=None if unit is None else policies_of(graph, held.content, as_unit(unit)),
        aggregations=tuple(graph.aggregations[id_].content for id_ in levels if id_ is not None),
        parents=tuple(_under_resource(graph, held.content, resource, unit)),
        token_id=token_of(graph, held.content),
        definition=_definition(loaded, resource.content),
        is_addition=graph.product.content.usage_model_type is not UsageModelType.ANCHOR,
        commitment=resolve(levels_of(graph, held.content)).commitment.policy.content.rate,
    )


def _definition(loaded: LoadedProducts, resource: UsageResource) -> Parent | None:
    product_id = resource.definition_product_id
    if product_id is None:
        return None
    return Parent(f"products/{product_id}", loaded.definitions[product_id])


def _under_resource(
    graph: Graph,
    held: ProductResource,
    resource: StoredRecord[UsageResource],
    unit: UnitOfMeasure | None,
) -> Iterator[Parent]:
    yield Parent(RESOURCE.resource_name(resource.content.id), resource.state)
    class_id = resource.content.unit_class_id
    yield Parent(UNIT_CLASS.resource_name(class_id), graph.classes[class_id].state)
    yield from _of(UNIT, (one for one in graph.units if one.content == unit))
    for level in (held.policies, resource.content.policies):
        if level.aggregation is not None:
            yield from _of(AGGREGATION, [graph.aggregations[level.aggregation]])
        if level.rating_frequency is not None:
            yield from _of(RATING_FREQUENCY, [graph.frequencies[level.rating_frequency]])
        if level.overage is not None:
            yield from _of(OVERAGE, [graph.overages[level.overage]])
        if level.commitment is not None:
            yield from _of(COMMITMENT, [graph.commitments[level.commitment]])


def _promise(graph: Graph, grant: StoredRecord[ProductGrant]) -> Promise:
    content = grant.content
    held = next(
        resource for resource in graph.product_resources if resource.content.id == content.held_id
    )
    class_id = graph.resources[held.content.resource_id].content.unit_class_id
    named = [unit for unit in graph.units if unit.content.id == content.unit_id]
    units = [one for one in named if one.content.unit_class_id == class_id]
    refreshes = [graph.refreshes[content.refresh_id]] if content.refresh_id else []
    rollovers = [graph.rollovers[content.rollover_id]] if content.rollover_id else []
    models = [graph.models[content.selling_model_id]] if content.selling_model_id else []
    return Promise(
        grant=grant,
        unit=units[0].content if units else None,
        refresh=refreshes[0].content.interval if refreshes else None,
        parents=(
            *_of(UNIT, units),
            *_of(REFRESH, refreshes),
            *_of(ROLLOVER, rollovers),
            *_of(SELLING_MODEL, models),
        ),
    )


def _of(kind: Kind[T], records: Iterable[StoredRecord[T]]) -> Iterator[Parent]:
    for record in records:
        yield Parent(kind.resource_name(*kind.key(record.content)), record.state)
