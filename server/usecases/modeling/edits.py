"""Edits of the catalog: the changes that a record's state and its referrers allow."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from server.domain.batches import BatchOutcome
from server.domain.errors import Aborted, FailedPrecondition, Violation
from server.domain.modeling.catalog import (
    CatalogState,
    ProductResource,
    StoredRecord,
    UnitOfMeasure,
    UsageResource,
    differences,
)
from server.domain.rating.procedures.versions import Version
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import edits as store
from server.store.modeling import records
from server.store.modeling.catalog import UNIT, UNIT_CLASS
from server.store.modeling.policies import AGGREGATION, COMMITMENT, OVERAGE, RATING_FREQUENCY
from server.store.modeling.records import Kind
from server.store.rating.procedures import PROCEDURE

T = TypeVar("T")

Check = Callable[[Transaction, T], Awaitable[None]]

# Records of a product are activated with the product.
WITH_PRODUCT = frozenset({"Product", "ProductUsageResource", "ProductUsageGrant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Generic[T]):
    """A record that a caller names, with the last revision that the caller saw."""

    kind: Kind[T]
    key: tuple[str, ...]
    revision: int | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return self.kind.resource_name(*self.key)


async def update(
    tx: Transaction,
    record: Record[T],
    merge: Callable[[StoredRecord[T]], T],
    check: Check[T],
) -> StoredRecord[T]:
    """Replace the content of a record by the result of `merge`.

    Raises `…_NOT_FOUND`, ETAG_MISMATCH, ACTIVE_IMMUTABLE, and the errors of `merge` and `check`.
    """
    found = await current(tx, record)
    wanted = merge(found)
    changed = differences(found.content, wanted)
    if not changed:
        return found
    _refuse_frozen(record, found, wanted, changed)
    await check(tx, wanted)
    await store.save(tx, record.kind, wanted, revision=found.revision)
    # Drafts have no effect on sales or rates, so only changes of active records invalidate caches.
    if found.state is CatalogState.ACTIVE:
        await tenants.bump_catalog(tx)
    return await records.get(tx, record.kind, *record.key)


async def delete(tx: Transaction, record: Record[T]) -> None:
    """Delete a record that is not active and that no other record refers to.

    Raises `…_NOT_FOUND`, ETAG_MISMATCH, IN_USE.
    """
    found = await current(tx, record)
    if found.state is CatalogState.ACTIVE:
        text = f"{record.name} is active; ChangeStates takes it out of force first"
        raise FailedPrecondition("IN_USE", text, {"name": record.name, "state": found.state})
    names = await store.referrers(tx, record.kind, *record.key)
    if names:
        raise _in_use(record.name, names)
    await store.drop(tx, record.kind, found)


async def change_states(
    tx: Transaction, wanted: Sequence[Record[Any]], state: CatalogState
) -> list[tuple[Record[Any], StoredRecord[Any], BatchOutcome]]:
    """Activate or deactivate records, all or none; returns each in its new state, in order.

    Referenced records are activated first and deactivated last. Raises `…_NOT_FOUND`,
    STATE_TRANSITION, RESOURCE_INACTIVE, IN_USE.
    """
    # Serializes changes of state, and invalidates the cached rates.
    await tenants.bump_catalog(tx)
    moving: list[tuple[Record[Any], StoredRecord[Any]]] = []
    for record in wanted:
        found = await records.get(tx, record.kind, *record.key)
        _check_move(record, found.state, state)
        if found.state is not state:
            moving.append((record, found))
    names = {record.name for record, _ in moving}
    for record, found in moving:
        if state is CatalogState.ACTIVE:
            await _check_parents(tx, record, found, names)
        else:
            await _check_children(tx, record, names)
    is_first = {kind: place for place, kind in enumerate(ORDER)}
    # In one order for all callers; a record is activated only after those it refers to.
    moving.sort(key=lambda pair: (is_first[pair[0].kind.name], pair[0].key))
    if state is not CatalogState.ACTIVE:
        moving.reverse()
    for record, found in moving:
        await store.move(tx, record.kind, found, state)
    return [
        (
            record,
            await records.get(tx, record.kind, *record.key),
            BatchOutcome.CHANGED if record.name in names else BatchOutcome.UNCHANGED,
        )
        for record in wanted
    ]


ORDER = (
    "UnitClass",
    "UnitOfMeasure",
    "AggregationPolicy",
    "RatingFrequencyPolicy",
    "OveragePolicy",
    "CommitmentPolicy",
    "RefreshPolicy",
    "RolloverPolicy",
    "SellingModel",
    "UsageResource",
    "Product",
    "ProductUsageResource",
    "ProductUsageGrant",
    "Procedure",
    "ProcedureVersion",
)
"""Kinds without references come first."""


async def current(tx: Transaction, record: Record[T]) -> StoredRecord[T]:
    """Return a record as it is. Raises `…_NOT_FOUND`, ETAG_MISMATCH."""
    found = await records.get(tx, record.kind, *record.key)
    if record.revision not in (None, found.revision):
        text = f"{record.name} has changed since it was read; read it again"
        raise Aborted("ETAG_MISMATCH", text, {"etag": f'"{found.revision}"'})
    return found


def _refuse_frozen(
    record: Record[T], found: StoredRecord[T], wanted: T, changed: list[str]
) -> None:
    if found.state is CatalogState.DRAFT:
        return
    frozen = [name for name in changed if not _may_move(found.content, wanted, name)]
    if frozen:
        fields = ", ".join(record.kind.fields.get(name, name) for name in frozen)
        text = f"{record.name} is {found.state}, so {fields} cannot change; create another"
        facts = {"name": record.name, "state": str(found.state), "fields": fields}
        violations = (Violation(record.name, "ACTIVE_IMMUTABLE", text),)
        raise FailedPrecondition("ACTIVE_IMMUTABLE", text, facts, violations)


def _may_move(old: object, new: object, name: str) -> bool:
    """Return whether a field may change: display names always, the end of a sale to a later day."""
    if name == "display_name":
        return True
    if name == "end_date" and isinstance(old, ProductResource) and isinstance(new, ProductResource):
        return (new.end_date or date.max) > (old.end_date or date.max)
    return False


def _check_move(record: Record[Any], old: CatalogState, new: CatalogState) -> None:
    if old is new:
        return
    text = None
    if new is CatalogState.DRAFT:
        text = "a record cannot become a draft again; create another"
    elif new is CatalogState.INACTIVE and old is CatalogState.DRAFT:
        text = "a draft is not in force; delete it"
    elif new is CatalogState.ACTIVE and record.kind.name in WITH_PRODUCT:
        text = "it is activated once, together with its product, by ActivateProduct"
    if text is not None:
        facts = {"name": record.name, "from": str(old), "to": str(new)}
        message = f"{record.name} cannot go from {old} to {new}: {text}"
        raise FailedPrecondition("STATE_TRANSITION", message, facts)


async def _check_parents(
    tx: Transaction, record: Record[Any], found: StoredRecord[Any], own: set[str]
) -> None:
    """Raise RESOURCE_INACTIVE unless all referenced records are active or become so with it."""
    for kind, key in _parents(found.content):
        name = kind.resource_name(*key)
        if name in own:
            continue
        parent = await records.get(tx, kind, *key)
        if parent.state is not CatalogState.ACTIVE:
            text = f"{record.name} refers to {name}, which is {parent.state}; activate it first"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"name": name})


async def _check_children(tx: Transaction, record: Record[Any], own: set[str]) -> None:
    """Raise IN_USE if active catalog records refer to one that is deactivated.

    Sales continue under deactivated records. Rates are no obstacle, because they price what was
    sold.
    """
    found = await store.referrers(tx, record.kind, *record.key)
    active = [
        (name, state)
        for name, state in found
        if state == "ACTIVE" and name not in own and not name.startswith("rateCards/")
    ]
    if active:
        raise _in_use(record.name, active)


def _parents(content: object) -> list[tuple[Kind[Any], tuple[str, ...]]]:
    """Return the references of a record that is activated by itself."""
    if isinstance(content, Version):
        return [(PROCEDURE, (content.procedure_id,))]
    if isinstance(content, UnitOfMeasure):
        return [(UNIT_CLASS, (content.unit_class_id,))]
    if not isinstance(content, UsageResource):
        return []
    ids = content.policies
    named: list[tuple[Kind[Any], str | None]] = [
        (UNIT_CLASS, content.unit_class_id),
        (UNIT, content.unit_id),
        (AGGREGATION, ids.aggregation),
        (RATING_FREQUENCY, ids.rating_frequency),
        (OVERAGE, ids.overage),
        (COMMITMENT, ids.commitment),
    ]
    return [(kind, (id_,)) for kind, id_ in named if id_ is not None]


def _in_use(name: str, referrers: Collection[tuple[str, str]]) -> FailedPrecondition:
    named: Iterable[tuple[str, str]] = list(referrers)[: store.MOST_REFERRERS]
    violations = tuple(
        Violation(referrer, "IN_USE", f"refers to {name} and is {state}")
        for referrer, state in named
    )
    first = violations[0].field
    more = f" and {len(referrers) - 1} more" if len(referrers) > 1 else ""
    return FailedPrecondition(
        "IN_USE", f"{first}{more} refers to {name}", {"name": name}, violations
    )
