"""A product with all its dependencies: read as a whole, activated in dependency order."""

from collections.abc import Callable, Iterable
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
    product_id = product.content.id
    product_resources = await _of(tx, PRODUCT_RESOURCE, SQL["product_resources"], product_id)
    grants = await _of(tx, PRODUCT_GRANT, SQL["product_grants"], product_id)
    ids = [record.content.resource_id for record in product_resources]
    resources = await _some(tx, RESOURCE, SQL["resources"], ids)
    class_ids = {record.content.unit_class_id for record in resources}
    levels = [record.content.policies for record in product_resources]
    levels += [record.content.policies for record in resources]
    aggregation = _ids(level.aggregation for level in levels)
    frequency = _ids(level.rating_frequency for level in levels)
    overage = _ids(level.overage for level in levels)
    commitment = _ids(level.commitment for level in levels)
    refresh = _ids(record.content.refresh_id for record in grants)
    rollover = _ids(record.content.rollover_id for record in grants)
    return Graph(
        product=product,
        resources={record.content.id: record for record in resources},
        product_resources=tuple(product_resources),
        grants=tuple(grants),
        classes=_by_id(
            await _some(tx, UNIT_CLASS, SQL["unit_classes"], class_ids), lambda record: record.id
        ),
        units=tuple(await _some(tx, UNIT, SQL["units"], class_ids)),
        aggregations=_by_id(
            await _some(tx, AGGREGATION, SQL["aggregations"], aggregation), lambda record: record.id
        ),
        frequencies=_by_id(
            await _some(tx, RATING_FREQUENCY, SQL["rating_frequencies"], frequency),
            lambda record: record.id,
        ),
        overages=_by_id(
            await _some(tx, OVERAGE, SQL["overages"], overage), lambda record: record.id
        ),
        commitments=_by_id(
            await _some(tx, COMMITMENT, SQL["commitments"], commitment), lambda record: record.id
        ),
        refreshes=_by_id(
            await _some(tx, REFRESH, SQL["refreshes"], refresh), lambda record: record.id
        ),
        rollovers=_by_id(
            await _some(tx, ROLLOVER, SQL["rollovers"], rollover), lambda record: record.id
        ),
        models={},
    )


async def with_models(tx: Transaction, graph: Graph) -> Graph:
    """Return a product with the selling models of its grants and rates; a sale names its own."""
    models = {record.content.selling_model_id for record in graph.grants} - {None}
    # Rates name selling models too, and become active with the product.
    priced = await tx.fetch(SQL["entry_models"], tx.tenant_id, graph.product.content.id)
    models |= {SellingModelId(row["selling_model_id"]) for row in priced}
    found = await _some(tx, SELLING_MODEL, SQL["selling_models"], filter(None, models))
    return replace(graph, models=_by_id(found, lambda record: record.id))


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


async def _of(
    tx: Transaction, kind: Kind[T], query: str, product_id: ProductId
) -> list[StoredRecord[T]]:
    return [kept(kind, row) for row in await tx.fetch(query, tx.tenant_id, product_id)]


async def _some(
    tx: Transaction, kind: Kind[T], query: str, ids: Iterable[str]
) -> list[StoredRecord[T]]:
    named = sorted(ids)
    # A sale reads several products; most name no policy of some kinds.
    rows = await tx.fetch(query, tx.tenant_id, named) if named else ()
    return [kept(kind, row) for row in rows]


def _ids(ids: Iterable[PolicyId | None]) -> set[PolicyId]:
    return {policy_id for policy_id in ids if policy_id is not None}


def _by_id(records: Iterable[StoredRecord[T]], key: Callable[[T], K]) -> dict[K, StoredRecord[T]]:
    return {key(record.content): record for record in records}
