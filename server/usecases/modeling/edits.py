"""Edits of the catalog: the changes that a record's state and its referrers allow."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from server.domain.batches import BatchOutcome
from server.domain.errors import Aborted, FailedPrecondition, Violation
from server.domain.modeling.catalog import (
    CatalogState,
    StoredRecord,
    differences,
    may_change,
)
from server.store.access import tenants
from server.store.connection import Transaction
from server.store.modeling import edits as store
from server.store.modeling import records, used_records
from server.store.modeling.records import Kind

T = TypeVar("T")

# Returns a record as it is to be stored, or raises if it may not be.
Check = Callable[[Transaction, T], Awaitable[T]]
# Raises if a record may not be active beside the others that are.
ActiveCheck = Callable[[Transaction, T], Awaitable[None]]


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


async def accept(tx: Transaction, wanted: T) -> T:
    """Return the record as it is: the check of a kind without references."""
    return wanted


async def accept_active(tx: Transaction, wanted: object) -> None:
    """Accept every record: the check of a kind whose active records do not exclude each other."""


async def update(
    tx: Transaction,
    record: Record[T],
    merge: Callable[[StoredRecord[T]], T],
    check: Check[T] = accept,
    check_active: ActiveCheck[T] = accept_active,
) -> StoredRecord[T]:
    """Replace the content of a record by the result of `merge`.

    Raises `…_NOT_FOUND`, ETAG_MISMATCH, ACTIVE_IMMUTABLE, and the errors of `merge` and the checks.
    """
    found = await current(tx, record)
    wanted = merge(found)
    if not differences(found.content, wanted):
        return found
    _refuse_frozen(record, found, wanted)
    # Drafts have no effect on sales or rates, so only changes of active records invalidate caches.
    # Before the checks, which have to see what a concurrent activation has changed.
    if found.state is CatalogState.ACTIVE:
        await tenants.bump_catalog(tx)
    wanted = await check(tx, wanted)
    if found.state is CatalogState.ACTIVE:
        await check_active(tx, wanted)
    await records.save(tx, record.kind, wanted, revision=found.revision)
    return await records.get(tx, record.kind, *record.key)


async def delete(tx: Transaction, record: Record[T]) -> None:
    """Delete a record that is not active and that no other record refers to.

    Raises `…_NOT_FOUND`, ETAG_MISMATCH, IN_USE.
    """
    if not record.kind.has_states:
        await tenants.bump_catalog(tx)
    found = await current(tx, record)
    if record.kind.has_states and found.state is CatalogState.ACTIVE:
        text = f"{record.name} is active; {record.kind.change_states} takes it out of force first"
        raise FailedPrecondition("IN_USE", text, {"name": record.name, "state": found.state})
    names = await store.referrers(tx, record.kind, *record.key)
    if names:
        raise _in_use(record.name, names)
    await records.drop(tx, record.kind, found)
    # What is sold under the name of another record, its product, has a name of its own.
    if await used_records.used(tx, [record.kind.sold_name(*record.key)]):
        await used_records.add(tx, [record.name])


async def change_states(
    tx: Transaction, wanted: Sequence[Record[Any]], state: CatalogState
) -> list[tuple[Record[Any], StoredRecord[Any], BatchOutcome]]:
    """Activate or deactivate records, all or none; returns each in its new state, in order.

    Referenced records are activated first and deactivated last. Raises `…_NOT_FOUND`,
    STATE_TRANSITION, RESOURCE_INACTIVE, IN_USE.
    """
    # Serializes changes of state, and invalidates the cached rates.
    await tenants.bump_catalog(tx)
    moving: dict[str, tuple[Record[Any], StoredRecord[Any]]] = {}
    for record in wanted:
        found = await records.get(tx, record.kind, *record.key)
        if found.state is not state:
            await _check_move(tx, record, found.state, state)
        if found.state is not state:
            moving[record.name] = (record, found)
    for record, found in moving.values():
        if state is CatalogState.ACTIVE:
            await check_references(tx, record, found, moving.keys())
        elif state is CatalogState.INACTIVE:
            await _check_referrers(tx, record, moving.keys())
    ordered = sorted(moving, key=lambda name: (_depth(name, moving), name))
    for name in ordered if state is CatalogState.ACTIVE else reversed(ordered):
        record, found = moving[name]
        await records.move(tx, record.kind, found, state)
    return [
        (
            record,
            await records.get(tx, record.kind, *record.key),
            BatchOutcome.CHANGED if record.name in moving else BatchOutcome.UNCHANGED,
        )
        for record in wanted
    ]


def _depth(name: str, moving: Mapping[str, tuple[Record[Any], StoredRecord[Any]]]) -> int:
    """Return the length of the longest chain of references among the moving records."""
    record, found = moving[name]
    named = (kind.resource_name(*key) for kind, key in record.kind.references(found.content))
    return 1 + max((_depth(parent, moving) for parent in named if parent in moving), default=0)


async def current(tx: Transaction, record: Record[T]) -> StoredRecord[T]:
    """Return a record as it is. Raises `…_NOT_FOUND`, ETAG_MISMATCH."""
    found = await records.get(tx, record.kind, *record.key)
    check_etag(record, found)
    return found


def check_etag(record: Record[T], found: StoredRecord[T]) -> None:
    """Raise ETAG_MISMATCH if a record is not in the revision that the caller has seen."""
    if record.revision not in (None, found.revision):
        text = f"{record.name} has changed since it was read; read it again"
        raise Aborted("ETAG_MISMATCH", text, {"etag": f'"{found.revision}"'})


def _refuse_frozen(record: Record[T], found: StoredRecord[T], wanted: T) -> None:
    """Raise ACTIVE_IMMUTABLE for a change that the state of the record does not allow."""
    kind = record.kind
    if not kind.has_states or found.state is CatalogState.DRAFT:
        return
    frozen = [
        kind.wire_name(name)
        for name in differences(found.content, wanted)
        if not may_change(kind.wire_name(name), getattr(found.content, name), getattr(wanted, name))
    ]
    if frozen:
        fields = ", ".join(dict.fromkeys(frozen))
        text = f"{record.name} is {found.state}, so {fields} cannot change; {kind.replacement}"
        facts = {"name": record.name, "state": str(found.state), "fields": fields}
        violations = (Violation(record.name, "ACTIVE_IMMUTABLE", text),)
        raise FailedPrecondition("ACTIVE_IMMUTABLE", text, facts, violations)


async def _check_move(
    tx: Transaction, record: Record[Any], old: CatalogState, new: CatalogState
) -> None:
    """Raise STATE_TRANSITION if a record may not go from one state to another.

    A record may be withdrawn and be put in force again. What was never sold may become a draft.
    """
    text = None
    if new is CatalogState.INACTIVE and old is CatalogState.DRAFT:
        text = "a draft is not in force; delete it"
    elif new is CatalogState.DRAFT and old is CatalogState.ACTIVE:
        text = "it is in force; make it INACTIVE first"
    elif new is CatalogState.DRAFT and not record.kind.returns_to_draft:
        text = "usage may have been counted or rated by it; create another"
    elif new is CatalogState.DRAFT and await used_records.used(
        tx, [record.kind.sold_name(*record.key)]
    ):
        text = "it was quoted or sold; create another, or supersede it"
    elif old is CatalogState.DRAFT and record.kind.is_activated_with_product:
        text = "it is activated for the first time with its product, by ActivateProduct"
    if text is not None:
        facts = {"name": record.name, "from": str(old), "to": str(new)}
        message = f"{record.name} cannot go from {old} to {new}: {text}"
        raise FailedPrecondition("STATE_TRANSITION", message, facts)


async def check_references(
    tx: Transaction, record: Record[Any], found: StoredRecord[Any], own: Collection[str] = ()
) -> None:
    """Raise RESOURCE_INACTIVE unless all referenced records are active or become so with it."""
    for kind, key in record.kind.references(found.content):
        name = kind.resource_name(*key)
        if name in own:
            continue
        parent = await records.get(tx, kind, *key)
        if parent.state is not CatalogState.ACTIVE:
            text = f"{record.name} refers to {name}, which is {parent.state}; activate it first"
            raise FailedPrecondition("RESOURCE_INACTIVE", text, {"name": name})


async def _check_referrers(tx: Transaction, record: Record[Any], own: Collection[str]) -> None:
    """Raise IN_USE if active catalog records refer to one that is deactivated.

    Sales continue under deactivated records. Rates are no obstacle, because they price what was
    sold.
    """
    limit = len(own) + store.MOST_REFERRERS + 1
    found = await store.referrers(tx, record.kind, *record.key, only_active=True, limit=limit)
    active = [(name, state) for name, state in found if name not in own]
    if active:
        raise _in_use(record.name, active)


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
