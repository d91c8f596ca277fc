"""Activate a product with everything that it needs, in the order of dependencies, or nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from server.domain.errors import InvalidArgument, NotFound
from server.domain.ids import ProductId
from server.domain.limits import value_of
from server.domain.modeling.catalog import CatalogState, Product, StoredRecord
from server.domain.validation import ProductVerdict, Setup, validate
from server.domain.validation.activation import check_activation, check_valid
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import records
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
from server.store.modeling.records import Kind
from server.store.modeling.selling_models import SELLING_MODEL
from server.store.rating import product_graph as store
from server.store.rating.product_graph import Graph
from server.usecases.modeling.resolution import resource_unit
from server.usecases.validation.validator import ValidateProducts, load_setups

MOST_RECORDS = value_of("activation.records")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """The activated product, the names of the records activated with it, and the verdict."""

    product: StoredRecord[Product]
    names: tuple[str, ...]
    at: datetime
    verdict: ProductVerdict


async def activate_product(
    tx: Transaction, product_id: ProductId, *, allow_invalid: bool = False
) -> Activated:
    """Activate a product; active records do not change, and a second call changes nothing.

    The findings of the validator are returned; its errors are refused unless `allow_invalid`.
    Raises PRODUCT_NOT_FOUND, EFFECTIVITY_OVERLAP, VALIDATION_FAILED with a violation for each
    record in the way, and TOO_MANY_ITEMS if more than 200 records would become active.
    """
    product = await store.lock_product(tx, product_id)
    if product is None:
        raise NotFound.of("Product", f"products/{product_id}")
    graph = await store.with_models(tx, await store.load_graph(tx, product))
    entries = await store.draft_entries(tx, product_id)
    # Raising the catalog's revision serializes transactions that activate rates, so that the check
    # for overlaps sees the rates of the one before.
    revision = await tenants.bump_catalog(tx) if entries else None
    check_activation(await load_setup(tx, product_id, start=date.min, with_drafts=True))

    units = _units(graph)
    drafts = [*_drafts(graph, units)]
    _check_size(len(drafts))  # without rate card entries: a card has a thousand of them
    names = [*drafts, *(entry.name for entry in entries)]
    if names:
        revision = revision or await tenants.bump_catalog(tx)
        await store.activate(tx, graph, units, revision)
    # Read again after activation: the verdict is about the product as it is now in force.
    setup = await load_setup(tx, product_id)
    verdict = validate(setup)
    if not allow_invalid:
        check_valid(setup, verdict)
    return Activated(
        product=await records.get(tx, PRODUCT, product_id),
        names=tuple(names),
        at=await tenants.now(tx),
        verdict=verdict,
    )


async def load_setup(
    tx: Transaction, product_id: ProductId, *, start: date | None = None, with_drafts: bool = False
) -> Setup:
    """Return the setup of a product from a day on, today if absent, for the validator's rules."""
    asked = ValidateProducts(
        product_ids=(product_id,), start=start, end=None, with_drafts=with_drafts
    )
    [setup] = await load_setups(tx, asked)
    return setup


def _check_size(records: int) -> None:
    if records > MOST_RECORDS:
        raise InvalidArgument(
            "TOO_MANY_ITEMS",
            f"at most {MOST_RECORDS} records become active at once, got {records}; "
            "put some in force before by ChangeStates",
            {"limit": str(MOST_RECORDS), "got": str(records)},
        )


def _units(graph: Graph) -> list[str]:
    """Return the units in which the product counts or grants."""
    used = {grant.content.unit_id for grant in graph.grants if grant.content.unit_id}
    for held in graph.product_resources:
        found = resource_unit(graph, held.content)
        used |= {found.id} if found else set()
    return sorted(used)


def _drafts(graph: Graph, units: list[str]) -> Iterator[str]:
    """Yield the names of the records that become active, in that order."""
    own_units = [unit for unit in graph.units if unit.content.id in units]
    groups: tuple[tuple[Kind[object], Iterable[StoredRecord[object]]], ...] = (
        (UNIT_CLASS, graph.classes.values()),
        (UNIT, own_units),
        (AGGREGATION, graph.aggregations.values()),
        (RATING_FREQUENCY, graph.frequencies.values()),
        (OVERAGE, graph.overages.values()),
        (COMMITMENT, graph.commitments.values()),
        (REFRESH, graph.refreshes.values()),
        (ROLLOVER, graph.rollovers.values()),
        (SELLING_MODEL, graph.models.values()),
        (RESOURCE, graph.resources.values()),
        (PRODUCT, [graph.product]),
        (PRODUCT_RESOURCE, graph.product_resources),
        (PRODUCT_GRANT, graph.grants),
    )  # type: ignore[assignment] # a kind is of its own content, which the loop needs not know
    for kind, kept in groups:
        for record in kept:
            if record.state is CatalogState.DRAFT:
                yield kind.resource_name(*kind.key(record.content))
