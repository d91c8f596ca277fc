"""Records of the catalog: the operations that all kinds share.

A `Kind` has the table, the columns and the row mapping of a type; the statements are made from
them. Two concurrent inserts of one id wait for each other; the second then finds the record of the
first.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import asyncpg
from asyncpg import Record

from server.domain.errors import Aborted, FailedPrecondition, NotFound
from server.domain.modeling.catalog import CatalogState, StoredRecord
from server.store.audit import audit_of
from server.store.connection import Transaction
from server.store.modeling.statements import Statements, Table, statements

T = TypeVar("T")
# The key of the last record of a page.
After = tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts(Generic[T]):
    """The rows of another table that belong to a record: the cards of a book, an entry's tiers.

    `read` returns the contents of rows with their parts; `drop` deletes the parts under a key.
    """

    add: Callable[[Transaction, T], Awaitable[None]]
    read: Callable[[Transaction, Sequence[Record]], Awaitable[list[T]]]
    drop: Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind(Generic[T]):
    """One kind of record.

    `name` is the message's name, `pattern` its resource name with a placeholder for each part of
    the key. `columns` begin with the key; `to_row` returns their values. `filters` are the
    conditions of a list beside the state, each a column or a condition on the parameter `{}`.
    `fields` maps a field to its wire name where it differs. `references` returns the records that
    must be active before one is activated by itself, by the method `change_states`. Records without
    states take effect at once.
    An active record has the catalog revision of its last change if `marks_changes`.
    """

    name: str
    pattern: str
    table: str
    columns: tuple[str, ...]
    key: Callable[[T], tuple[str, ...]]
    to_row: Callable[[T], tuple[Any, ...]]
    from_row: Callable[[Record], T]
    fields: Mapping[str, str]
    filters: tuple[str, ...] = ()
    references: Callable[[T], Sequence["Reference"]] = lambda _: ()
    # The fields with its first day and its exclusive end, if it applies for a span of days.
    dates: tuple[str, str] = ("start_date", "end_date")
    # What a record is about; a successor is about the same.
    place: Callable[[T], object] = lambda _: None
    has_states: bool = True
    is_activated_with_product: bool = False
    # False if what was once active may have had effects that no sale shows.
    returns_to_draft: bool = True
    # The pattern of the name under which sales refer to it, if it is another one.
    sold_pattern: str | None = None
    change_states: str = "ChangeStates"
    # How a change is made that the state of a record does not allow.
    replacement: str = "create another"
    is_versioned: bool = False
    marks_changes: bool = False
    parts: Parts[T] | None = None
    sql: Statements = field(init=False)

    def __post_init__(self) -> None:
        table = Table(
            name=self.table,
            columns=self.columns,
            keys=self.pattern.count("{}"),
            filters=self.filters,
            has_states=self.has_states,
            is_versioned=self.is_versioned,
            marks_changes=self.marks_changes,
        )
        object.__setattr__(self, "sql", statements(table))

    def resource_name(self, *key: str) -> str:
        """Return the resource name that callers use."""
        return self.pattern.format(*key)

    def sold_name(self, *key: str) -> str:
        """Return the name under which sales refer to a record."""
        return (self.sold_pattern or self.pattern).format(*key)

    def wire_name(self, field_name: str) -> str:
        """Return the name of a field in the API."""
        return self.fields.get(field_name, field_name)


# A record that another one refers to.
Reference = tuple[Kind[Any], tuple[str, ...]]


async def add(tx: Transaction, kind: Kind[T], content: T) -> bool:
    """Insert a draft; return False if its id is taken."""
    done: str = await tx.execute(kind.sql.add, tx.tenant_id, *kind.to_row(content))
    # The command tag of one inserted row; a conflict gives `INSERT 0 0`.
    is_new = done == "INSERT 0 1"
    if is_new and kind.parts is not None:
        await kind.parts.add(tx, content)
    return is_new


async def find(tx: Transaction, kind: Kind[T], *key: str) -> StoredRecord[T] | None:
    """Return the record with that id, whatever its case."""
    rows = await tx.fetch(kind.sql.find, tx.tenant_id, *key)
    found = await stored(tx, kind, rows)
    return found[0] if found else None


async def get(tx: Transaction, kind: Kind[T], *key: str) -> StoredRecord[T]:
    """Return the record with exactly that id. Raises `…_NOT_FOUND`."""
    record = await find(tx, kind, *key)
    # The look-up ignores case, but a name must match exactly.
    if record is None or kind.key(record.content) != key:
        raise not_found(kind, *key)
    return record


def not_found(kind: Kind[T], *key: str) -> NotFound:
    """Return the refusal of a record that does not exist."""
    return NotFound.of(kind.name, kind.resource_name(*key))


async def list_records(
    tx: Transaction,
    kind: Kind[T],
    *parent: str,
    after: After,
    limit: int,
    filters: Sequence[Any] = (),
) -> list[StoredRecord[T]]:
    """Return records by key, after the last one seen; those of a parent if one is given.

    `filters` are the state, if the kind has states, and then the filters of the kind; None means
    any, and filters that are left out mean any too.
    """
    query = kind.sql.list_of_parent if parent else kind.sql.list_all
    parameters = len(kind.filters) + kind.has_states
    wanted = (*filters, *[None] * (parameters - len(filters)))
    # After a key of one part for each part that the list is ordered by.
    last = (after or ("",) * query.keys)[-query.keys :]
    rows = await tx.fetch(query.text, tx.tenant_id, *parent, *last, limit, *wanted)
    return await stored(tx, kind, rows)


async def save(tx: Transaction, kind: Kind[T], content: T, *, revision: int) -> None:
    """Update the content of a record. Raises CONCURRENT_CHANGE."""
    # First: it raises if the record has changed, and locks it while its parts are replaced.
    check_done(await tx.execute(kind.sql.save, tx.tenant_id, *kind.to_row(content), revision))
    if kind.parts is not None:
        await kind.parts.drop(tx, *kind.key(content))
        await kind.parts.add(tx, content)


async def drop(tx: Transaction, kind: Kind[T], record: StoredRecord[T]) -> None:
    """Delete a record. Raises CONCURRENT_CHANGE, and IN_USE if something was sold under it."""
    key = kind.key(record.content)
    if kind.parts is not None:
        # An update locks the record before its parts; the same order here avoids a deadlock.
        await tx.execute(kind.sql.lock, tx.tenant_id, *key)
        await kind.parts.drop(tx, *key)
    try:
        done = await tx.execute(kind.sql.drop, tx.tenant_id, *key, record.revision)
    # Deleting is the check: a sale made after an earlier look would be missed.
    except asyncpg.ForeignKeyViolationError as error:
        name = kind.resource_name(*key)
        text = f"{name} was quoted or sold, so it cannot be deleted"
        if kind.has_states:
            text += "; it is inactive for new sales"
        raise FailedPrecondition("IN_USE", text, {"name": name}) from error
    check_done(done)


async def move(
    tx: Transaction, kind: Kind[T], record: StoredRecord[T], state: CatalogState
) -> None:
    """Set the state of a record. Raises CONCURRENT_CHANGE."""
    key = kind.key(record.content)
    check_done(await tx.execute(kind.sql.move, tx.tenant_id, *key, state, record.revision))


async def stored(tx: Transaction, kind: Kind[T], rows: Sequence[Record]) -> list[StoredRecord[T]]:
    """Return the records of rows, with their parts."""
    if kind.parts is None or not rows:
        return [kept(kind, row) for row in rows]
    contents = await kind.parts.read(tx, rows)
    return [_stored(content, row) for content, row in zip(contents, rows, strict=True)]


def kept(kind: Kind[T], row: Record) -> StoredRecord[T]:
    """Return the record of a row, of a kind without parts."""
    return _stored(kind.from_row(row), row)


def _stored(content: T, row: Record) -> StoredRecord[T]:
    state, version = CatalogState(row["state"]), row.get("version", 1)
    return StoredRecord(content, state, row["revision"], audit_of(row), version)


def check_done(done: str, *, count: int = 1) -> None:
    """Raise CONCURRENT_CHANGE if a command did not change exactly `count` rows."""
    # A command tag is the command and the number of rows, as in `UPDATE 1`.
    if done != f"{done.split(maxsplit=1)[0]} {count}":
        raise Aborted(
            "CONCURRENT_CHANGE", "another call changed the record at the same time; try again"
        )
