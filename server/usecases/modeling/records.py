"""Create records of the catalog.

Repeating is allowed; a different record with the same id is refused.
"""

from typing import TypeVar

from server.domain.batches import BatchOutcome
from server.domain.errors import AlreadyExists, Subject
from server.domain.modeling.catalog import StoredRecord, differences
from server.store.connection import Transaction
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
    found = await store.find(tx, kind, *kind.key(wanted))
    assert found is not None, wanted
    differing = differences(wanted, found.content)
    if differing:
        raise _taken(kind, found.content, [kind.fields.get(name, name) for name in differing])
    return found, BatchOutcome.CREATED if is_new else BatchOutcome.UNCHANGED


def _taken(kind: Kind[T], there: T, differing: list[str]) -> AlreadyExists:
    name = kind.resource_name(*kind.key(there))
    fields = ", ".join(differing)
    return AlreadyExists(
        "CODE_TAKEN",
        f"{name} is there and differs in {fields}",
        {"name": name, "fields": fields},
        subject=Subject(kind.name, name),
    )
