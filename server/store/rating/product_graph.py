"""A product with all its dependencies: read as a whole, activated in dependency order."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from server.domain.ids import (
    PolicyId,
    ProductId,
    ResourceId,
    SellingModelId,
    UnitClassId,
)
from server.domain.modeling.catalog import (
    Aggregation,
    Commitment,
    Overage,
    Product,
    ProductGrant,
    ProductResource,
    RatingFrequencyPolicy,
    Refresh,
    Rollover,
    SellingModel,
    StoredRecord,
    UnitClass,
    UnitOfMeasure,
    UsageResource,
)
from server.domain.rating.rate_cards import RateCardEntry
from server.store.connection import Transaction
from server.store.modeling.catalog import (
    PRODUCT,
    PRODUCT_GRANT,
    PRODUCT_RESOURCE,
    RESOURCE,
    UNIT,
    UNIT_CLASS,
)
from server.store.modeling.policies import (
    AGGREGATION,
    COMMITMENT,
    OVERAGE,
    RATING_FREQUENCY,
    REFRESH,
    ROLLOVER,
)
from server.store.modeling.records import Kind, kept
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating.rate_entries import entry_from_row
from server.store.sql import load

SQL = load("rating/product_graph.sql")

T = TypeVar("T")
K = TypeVar("K")
P = TypeVar("P", ProductResource, ProductGrant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A product and every record it depends on, by kind and id."""

    product: StoredRecord[Product]
    resources: dict[ResourceId, StoredRecord[UsageResource]]
    product_resources: tuple[StoredRecord[ProductResource], ...]
    grants: tuple[StoredRecord[ProductGrant], ...]
    classes: dict[UnitClassId, StoredRecord[UnitClass]]
    units: tuple[StoredRecord[UnitOfMeasure], ...]
    aggregations: dict[PolicyId, StoredRecord[Aggregation]]
    frequencies: dict[PolicyId, StoredRecord[RatingFrequencyPolicy]]
    overages: dict[PolicyId, StoredRecord[Overage]]
    commitments: dict[PolicyId, StoredRecord[Commitment]]
    refreshes: dict[PolicyId, StoredRecord[Refresh]]
    rollovers: dict[PolicyId, StoredRecord[Rollover]]
    models: dict[SellingModelId, StoredRecord[SellingModel]]


async def lock_product(tx: Transaction, product_id: ProductId) -> StoredRecord[Product] | None:
    """Lock a product until the transaction ends, and return it; None if it does not exist."""
    row = await tx.fetchrow(SQL["lock_product"], tx.tenant_id, product_id)
    return None if row is None else kept(PRODUCT, row)


async def units_of_class(
    tx: Transaction, class_id: UnitClassId
) -> list[StoredRecord[UnitOfMeasure]]:
    """Return the units of one class."""
    return await _some(tx, UNIT, SQL["units"], [class_id])


async def load_graph(tx: Transaction, product: StoredRecord[Product]) -> Graph:
    """Return a product with everything it depends on, without selling models: see `with_models`."""
    return (await load_graphs(tx, [product]))[product.content.id]


async def load_graphs(
    tx: Transaction, products: Sequence[StoredRecord[Product]]
) -> dict[ProductId, Graph]:
    """Return the graph of each product; they share their resources, units and policies."""
    if not products:
        return {}
    ids = [product.content.id for product in products]
    row = await tx.fetchrow(SQL["graph"], tx.tenant_id, ids)
    assert row is not None, "a statement without a table returns a row"

    def some(kind: Kind[T], name: str) -> tuple[StoredRecord[T], ...]:
        return tuple(kept(kind, each) for each in row[name])

    held = some(PRODUCT_RESOURCE, "product_resources")
    grants = some(PRODUCT_GRANT, "grants")
    whole = Graph(
        product=products[0],
        resources=_by_id(some(RESOURCE, "resources"), lambda record: record.id),
        product_resources=held,
        grants=grants,
        classes=_by_id(some(UNIT_CLASS, "classes"), lambda record: record.id),
        units=some(UNIT, "units"),
        aggregations=_by_id(some(AGGREGATION, "aggregations"), lambda record: record.id),
        frequencies=_by_id(some(RATING_FREQUENCY, "frequencies"), lambda record: record.id),
        overages=_by_id(some(OVERAGE, "overages"), lambda record: record.id),
        commitments=_by_id(some(COMMITMENT, "commitments"), lambda record: record.id),
        refreshes=_by_id(some(REFRESH, "refreshes"), lambda record: record.id),
        rollovers=_by_id(some(ROLLOVER, "rollovers"), lambda record: record.id),
        models={},
    )
    held_by, granted_by = _by_product(held), _by_product(grants)
    return {
        product.content.id: replace(
            whole,
            product=product,
            product_resources=tuple(held_by[product.content.id]),
            grants=tuple(granted_by[product.content.id]),
        )
        for product in products
    }


async def with_models(tx: Transaction, graph: Graph) -> Graph:
    """Return a product with the selling models of its grants and rates; a sale names its own."""
    models = {record.content.selling_model_id for record in graph.grants} - {None}
    # Rates name selling models too, and become active with the product.
    priced = await tx.fetch(SQL["entry_models"], tx.tenant_id, graph.product.content.id)
    models |= {SellingModelId(row["selling_model_id"]) for row in priced}
    return replace(graph, models=await selling_models(tx, models))


async def selling_models(
    tx: Transaction, ids: Iterable[SellingModelId | None]
) -> dict[SellingModelId, StoredRecord[SellingModel]]:
    """Return the selling models that are named."""
    found = await _some(tx, SELLING_MODEL, SQL["selling_models"], filter(None, ids))
    return _by_id(found, lambda record: record.id)


async def draft_entries(tx: Transaction, product_id: ProductId) -> list[RateCardEntry]:
    """Return the entries that become active with the product, without their tiers."""
    rows = await tx.fetch(SQL["draft_entries"], tx.tenant_id, product_id)
    return [entry_from_row(row) for row in rows]


async def activate(tx: Transaction, graph: Graph, units: Iterable[str], revision: int) -> None:
    """Activate every draft of the graph, in the order of its dependencies."""
    by_ids = (
        (SQL["activate_unit_classes"], graph.classes),
        (SQL["activate_units"], units),
        (SQL["activate_aggregations"], graph.aggregations),
        (SQL["activate_rating_frequencies"], graph.frequencies),
        (SQL["activate_overages"], graph.overages),
        (SQL["activate_commitments"], graph.commitments),
        (SQL["activate_refreshes"], graph.refreshes),
        (SQL["activate_rollovers"], graph.rollovers),
        (SQL["activate_selling_models"], graph.models),
        (SQL["activate_resources"], graph.resources),
    )
    # Kind by kind, then by id: concurrent activations lock in one order and cannot deadlock.
    for query, ids in by_ids:
        await tx.execute(query, tx.tenant_id, sorted(ids))
    product_id = graph.product.content.id
    await tx.execute(SQL["activate_product"], tx.tenant_id, product_id)
    await tx.execute(SQL["activate_product_resources"], tx.tenant_id, product_id)
    await tx.execute(SQL["activate_product_grants"], tx.tenant_id, product_id)
    await tx.execute(SQL["activate_entries"], tx.tenant_id, product_id, revision)


def _by_product(records: Iterable[StoredRecord[P]]) -> dict[ProductId, list[StoredRecord[P]]]:
    found: dict[ProductId, list[StoredRecord[P]]] = defaultdict(list)
    for record in records:
        found[record.content.product_id].append(record)
    return found


async def _some(
    tx: Transaction, kind: Kind[T], query: str, ids: Iterable[str]
) -> list[StoredRecord[T]]:
    named = sorted(ids)
    # A sale reads several products; most name no policy of some kinds.
    rows = await tx.fetch(query, tx.tenant_id, named) if named else ()
    return [kept(kind, row) for row in rows]


def _by_id(records: Iterable[StoredRecord[T]], key: Callable[[T], K]) -> dict[K, StoredRecord[T]]:
    return {key(record.content): record for record in records}
