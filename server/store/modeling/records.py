"""Records of the catalog: the common operations of all kinds.

A `Kind` holds the queries and the row mapping of a type. Two concurrent inserts of one id wait for
each other; the second then finds the record of the first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asyncpg import Record

from server.domain.errors import NotFound
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.store.audit import audit_of
from server.store.connection import Transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """One kind of record.

    `name` is the message's name, `pattern` its resource name with a placeholder for each part of
    the key. `to_row` begins with the key. `fields` maps a field to its wire name where it differs.
    """

    name: str
    pattern: str
    table: str
    add: str
    find: str
    list_: str
    save: str
    drop: str
    move: str
    key: Callable[[T], tuple[str, ...]]
    to_row: Callable[[T], tuple[Any, ...]]
    from_row: Callable[[Record], T]
    fields: Mapping[str, str]

    def resource_name(self, *key: str) -> str:
        """Return the resource name that callers use."""
        return self.pattern.format(*key)


async def add(tx: Transaction, kind: Kind[T], content: T) -> bool:
    """Insert a draft; return False if its id is taken."""
    done: str = await tx.execute(kind.add, tx.tenant_id, *kind.to_row(content))
    # The command tag of one inserted row; a conflict gives `INSERT 0 0`.
    return done == "INSERT 0 1"


async def find(tx: Transaction, kind: Kind[T], *key: str) -> StoredRecord[T] | None:
    """Return the record with that id, whatever its case."""
    row = await tx.fetchrow(kind.find, tx.tenant_id, *key)
    return None if row is None else kept(kind, row)


async def get(tx: Transaction, kind: Kind[T], *key: str) -> StoredRecord[T]:
    """Return the record with exactly that id. Raises `…_NOT_FOUND`."""
    record = await find(tx, kind, *key)
    # The look-up ignores case, but a name must match exactly.
    if record is None or kind.key(record.content) != key:
        raise NotFound.of(kind.name, kind.resource_name(*key))
    return record


async def list_records(
    tx: Transaction,
    kind: Kind[T],
    *parent: str,
    after: tuple[str] | None,
    limit: int,
    filters: Sequence[str | None] = (None,),
) -> list[StoredRecord[T]]:
    """Return records by id, after the last one seen, of a parent if the kind has one.

    `filters` are a state and the other filters of the kind's query; None means any.
    """
    last = after[0] if after else ""
    rows = await tx.fetch(kind.list_, tx.tenant_id, *parent, last, limit, *filters)
    return [kept(kind, row) for row in rows]


def kept(kind: Kind[T], row: Record) -> StoredRecord[T]:
    """Return the record of a row."""
    state = CatalogState(row["state"])
    version = row.get("version", 1)
    return StoredRecord(kind.from_row(row), state, row["revision"], audit_of(row), version)
