"""Activating a product: everything it stands on, in the order of its dependencies, or nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from server.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    UsageError,
    Violation,
)
from server.domain.ids import ProductId
from server.domain.modeling.catalog import (
    CatalogState,
    Product,
    ProductResource,
    StoredRecord,
    UsageModelType,
    as_unit,
    overlap,
)
from server.domain.modeling.units import check_scale
from server.domain.rating.rate_cards import RateCardEntry, overlapping
from server.domain.validation import ProductVerdict, Severity, validate
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
from server.store.rating.rate_entries import in_force
from server.usecases.modeling.resolution import (
    check_terms,
    check_tokens,
    policies_of,
    resolved_grant,
    resource_unit,
)
from server.usecases.validation.validator import ValidateProducts, load_setups

INACTIVE = CatalogState.INACTIVE
MOST_RECORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """The product as it stands, what became active with it, in order, and what is wrong with it."""

    product: StoredRecord[Product]
    names: tuple[str, ...]
    at: datetime
    verdict: ProductVerdict


async def activate_product(
    tx: Transaction, product_id: ProductId, *, must_be_valid: bool = False
) -> Activated:
    """Put a product in force; what is active stays so, and a second call changes nothing.

    What the validator finds is told, and refused if the product `must_be_valid`.
    Raises PRODUCT_NOT_FOUND, EFFECTIVITY_OVERLAP, VALIDATION_FAILED with a violation for each
    record in the way, and TOO_MANY_ITEMS when more than 200 records would become active.
    """
    product = await store.lock_product(tx, product_id)
    if product is None:
        raise NotFound.of("Product", f"products/{product_id}")
    graph = await store.load_graph(tx, product)
    _refuse_overlaps(graph)
    entries = await store.draft_entries(tx, product_id)
    # Whoever puts rates in force holds the catalogue, and sees the rates of whoever was quicker.
    revision = await tenants.bump_catalogue(tx) if entries else None
    metered = {(entry.product_id, entry.resource_id) for entry in entries}
    there = await in_force(tx, sorted(metered))
    faults = [*_faults(graph), *_overlaps(overlapping(entries, there))]
    if faults:
        raise _refusal(product_id, faults)

    units = _units(graph)
    drafts = [*_drafts(graph, units)]
    _check_size(len(drafts))  # without rate card entries: a card has a thousand of them
    names = [*drafts, *(entry.name for entry in entries)]
    if names:
        revision = revision or await tenants.bump_catalogue(tx)
        await store.activate(tx, graph, units, revision)
    verdict = await _verdict(tx, product_id)
    if must_be_valid and not verdict.is_valid:
        raise _refusal(product_id, list(_errors(verdict)))
    return Activated(
        product=await records.get(tx, PRODUCT, product_id),
        names=tuple(names),
        at=await tenants.now(tx),
        verdict=verdict,
    )


def _check_size(records: int) -> None:
    if records > MOST_RECORDS:
        raise InvalidArgument(
            "TOO_MANY_ITEMS",
            f"at most {MOST_RECORDS} records become active at once, got {records}; "
            "put some in force before by ChangeStates",
            {"limit": str(MOST_RECORDS), "got": str(records)},
        )


async def _verdict(tx: Transaction, product_id: ProductId) -> ProductVerdict:
    asked = ValidateProducts(product_ids=(product_id,), start=None, end=None, with_drafts=False)
    [setup] = await load_setups(tx, asked)
    return validate(setup)


def _errors(verdict: ProductVerdict) -> Iterator[Violation]:
    for result in verdict.results:
        if result.rule.severity is Severity.ERROR:
            for finding in result.findings:
                yield Violation(finding.records[0], result.rule.id, finding.message)


def _faults(graph: Graph) -> Iterator[Violation]:
    product_name = f"products/{graph.product.content.id}"
    if not graph.product_resources:
        text = "has no usage resource; add one by CreateProductUsageResource"
        yield Violation(product_name, "PRODUCT_EMPTY", text)
    if graph.product.state is CatalogState.INACTIVE:
        yield Violation(product_name, "RESOURCE_INACTIVE", "was withdrawn; create another")
    for held in graph.product_resources:
        yield from _resource_faults(graph, held.content)
    if graph.product.content.usage_model_type is UsageModelType.ANCHOR:
        try:
            check_tokens(graph, [one.content for one in graph.product_resources])
        except UsageError as error:
            yield Violation(product_name, error.reason, error.message)


def _refuse_overlaps(graph: Graph) -> None:
    """Raise EFFECTIVITY_OVERLAP for stretches of one resource that have days in common."""
    held = [one.content for one in graph.product_resources if one.state is not INACTIVE]
    found = [
        (f"products/{a.product_id}/usageResources/{a.id}", b.id)
        for a, b in combinations(held, 2)
        if a.resource_id == b.resource_id and overlap(a, b)
    ]
    if found:
        name, other = found[0]
        text = f"{name} is sold on days on which {other} is, which is the same resource"
        violations = tuple(
            Violation(one, "EFFECTIVITY_OVERLAP", f"overlaps {its}") for one, its in found
        )
        facts = {"name": name, "other": str(other)}
        raise FailedPrecondition("EFFECTIVITY_OVERLAP", text, facts, violations)


def _resource_faults(graph: Graph, held: ProductResource) -> Iterator[Violation]:
    name = f"products/{held.product_id}/usageResources/{held.id}"
    found = resource_unit(graph, held)
    if found is None:
        class_id = graph.resources[held.resource_id].content.unit_class_id
        text = f"unitClasses/{class_id} has no unit to count in; create one with factor 1"
        yield Violation(f"usageResources/{held.resource_id}", "UNIT_OF_MEASURE_NOT_FOUND", text)
        return
    unit = as_unit(found)
    policies = policies_of(graph, held, unit).wallet
    try:
        check_terms(policies)
    except UsageError as error:
        yield Violation(name, error.reason, error.message)
    for grant in graph.grants:
        if grant.content.held_id == held.id:
            try:
                resolved = resolved_grant(graph, grant.content, unit)
                check_scale(resolved.quantity, unit)
            except UsageError as error:
                grant_name = f"products/{held.product_id}/grants/{grant.content.id}"
                yield Violation(grant_name, error.reason, error.message)


def _overlaps(found: Iterable[tuple[RateCardEntry, RateCardEntry]]) -> Iterator[Violation]:
    for entry, other in found:
        yield Violation(entry.name, "RATE_OVERLAP", f"overlaps {other.name} on some days")


def _refusal(product_id: ProductId, faults: list[Violation]) -> FailedPrecondition:
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = f"products/{product_id} cannot be activated: {first.field} {first.description}{more}"
    facts = {"product": f"products/{product_id}", "first": first.reason}
    return FailedPrecondition("VALIDATION_FAILED", message, facts, tuple(faults))


def _units(graph: Graph) -> list[str]:
    """The units that the product counts or promises in."""
    used = {grant.content.unit_id for grant in graph.grants if grant.content.unit_id}
    for held in graph.product_resources:
        found = resource_unit(graph, held.content)
        used |= {found.id} if found else set()
    return sorted(used)


def _drafts(graph: Graph, units: list[str]) -> Iterator[str]:
    """The names of what becomes active, in the order in which it does."""
    own_units = [one for one in graph.units if one.content.id in units]
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
    )  # type: ignore[assignment]
    for kind, kept in groups:
        for record in kept:
            if record.state is CatalogState.DRAFT:
                yield kind.resource_name(*kind.key(record.content))
