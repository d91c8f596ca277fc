"""Create records of the catalog.

Repeating is allowed; a different record with the same id is refused.
"""

from collections.abc import Sequence
from typing import TypeVar

from server.domain.batches import BatchOutcome
from server.domain.errors import AlreadyExists, Subject
from server.domain.modeling.catalog import StoredRecord, differences
from server.store.access import tenants
from server.store.access.tenants import bump_catalog
from server.store.connection import Transaction
from server.store.modeling import policy_versions, used_records
from server.store.modeling import records as store
from server.store.modeling.records import Kind

T = TypeVar("T")


async def create(tx: Transaction, kind: Kind[T], wanted: T) -> StoredRecord[T]:
    """Create a draft, or return the equal record that exists. Raises CODE_TAKEN."""
    return (await create_one(tx, kind, wanted))[0]


async def create_one(
    tx: Transaction, kind: Kind[T], wanted: T
) -> tuple[StoredRecord[T], BatchOutcome]:
    """Do what `create` does, and return beside the record whether it was created."""
    is_new = await store.add(tx, kind, wanted)
    if is_new:
        await refuse_used(tx, [kind.resource_name(*kind.key(wanted))])
    if is_new and not kind.has_states:
        await bump_catalog(tx)
    found = await store.find(tx, kind, *kind.key(wanted))
    assert found is not None, wanted
    check_same(kind, wanted, found.content)
    return found, BatchOutcome.CREATED if is_new else BatchOutcome.UNCHANGED


async def as_of_today(
    tx: Transaction, kind: Kind[T], stored: Sequence[StoredRecord[T]]
) -> Sequence[StoredRecord[T]]:
    """Return records as they apply today: policies in the version in force."""
    if not kind.is_versioned:
        return stored
    return await policy_versions.in_force(tx, kind, stored, (await tenants.now(tx)).date())


async def refuse_used(tx: Transaction, names: Sequence[str]) -> None:
    """Raise CODE_TAKEN for a new record with the name of one that was sold and then deleted."""
    taken = await used_records.used(tx, names)
    if taken:
        raise AlreadyExists(
            "CODE_TAKEN",
            f"{taken[0]} was quoted or sold and then deleted; choose another id",
            {"name": taken[0], "fields": "name"},
        )


def check_same(kind: Kind[T], wanted: T, found: T) -> None:
    """Raise CODE_TAKEN, naming the existing record, if it is not equal to the wanted one."""
    differing = differences(wanted, found)
    if not differing:
        return
    name = kind.resource_name(*kind.key(found))
    # Ids are matched without case, so an existing id may differ from the wanted one in case only.
    is_other = "id" in differing
    fields = "name" if is_other else ", ".join(map(kind.wire_name, differing))
    wanted_name = kind.resource_name(*kind.key(wanted))
    raise AlreadyExists(
        "CODE_TAKEN",
        f"{wanted_name} is there as {name}"
        if is_other
        else f"{name} is there and differs in {fields}",
        {"name": name, "fields": fields},
        subject=Subject(kind.name, name),
    )
